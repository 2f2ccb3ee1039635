//! Hooks process creation.
//!
//! `sched_process_fork(struct task_struct *parent, struct task_struct *child)`, 5.10 to 7.2.

use sensor_common::Kind;
use sensor_common::fork::{Call, Fork};
use sensor_common::syscall::{CLONE3, FORK, Syscall, VFORK};

use crate::kernel::{
    cgroup_node, node_id, task_pid, task_start_boot_ns, task_struct, task_tgid, task_thread_pid,
};
use crate::probe::{Arguments, tracepoint};
use crate::scope::{cgroup_of, current_cgroup_id, current_wanted};
use crate::submit::{Draft, read_user};
use crate::syscall::Exit;
use crate::task;

tracepoint!("sched_process_fork", fork_btf, fork_raw, try_fork);

#[inline(always)]
fn try_fork(ctx: &impl Arguments) {
    let child: *const task_struct = ctx.arg(1);
    // A thread is not a process.
    if task_pid(child) != task_tgid(child) || !current_wanted() {
        return;
    }
    let Some(mut draft) = Draft::begin(Kind::Fork) else { return };
    // SAFETY: `Fork` is a record.
    let fork = unsafe { draft.fixed::<Fork>() };
    task::fill(&mut fork.header, current_cgroup_id());
    fork.child_start_boot_ns = task_start_boot_ns(child);
    fork.child_cgroup_id = node_id(cgroup_node(cgroup_of(child)));
    fork.child_tgid = task_tgid(child);
    fork.child_vpid = task::number_inside(task_thread_pid(child));
    let exit = Exit::inside(0);
    (fork.call, fork.flags) = called(&exit);
    fork.reserved = 0;
    draft.submit();
}

/// Which call it was, and with which flags. A kernel thread's creation counts as clone.
#[inline(always)]
fn called(exit: &Exit) -> (u32, u64) {
    const CLONE_VM: u64 = 0x100;
    const CLONE_VFORK: u64 = 0x4000;
    let is = |call: Syscall| call.is(exit.compat(), exit.number());
    if is(FORK) {
        return (Call::Fork as u32, 0);
    }
    if is(VFORK) {
        return (Call::Vfork as u32, CLONE_VM | CLONE_VFORK);
    }
    if is(CLONE3) {
        // `struct clone_args` begins with the flags; the kernel has read it by now.
        let mut flags = 0_u64;
        read_user(exit.arg::<0>(), &mut flags);
        return (Call::Clone3 as u32, flags);
    }
    // The lowest byte is the signal at the end.
    (Call::Clone as u32, exit.arg::<0>() & !0xff)
}
