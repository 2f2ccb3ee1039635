//! Hooks process creation.
//!
//! `sched_process_fork(struct task_struct *parent, struct task_struct *child)`, 5.10 to 7.2.

use sensor_common::Kind;
use sensor_common::fork::Fork;

use crate::kernel::{
    cgroup_node, node_id, task_pid, task_start_boot_ns, task_struct, task_tgid, task_thread_pid,
};
use crate::probe::{Arguments, tracepoint};
use crate::scope::{cgroup_of, current_cgroup_id, current_wanted};
use crate::submit::Draft;
use crate::task;

tracepoint!("sched_process_fork", fork_btf, fork_raw, try_fork);

#[inline(always)]
fn try_fork(ctx: &impl Arguments) {
    let child: *const task_struct = ctx.arg(1);
    // A thread is not a process.
    if task_pid(child) != task_tgid(child) || !current_wanted(Kind::Fork) {
        return;
    }
    let Some(mut draft) = Draft::begin(Kind::Fork) else { return };
    // SAFETY: `Fork` is a record.
    let fork = unsafe { draft.fixed::<Fork>() };
    task::fill(&mut fork.header, ctx.arg(0), current_cgroup_id());
    fork.child_start_boot_ns = task_start_boot_ns(child);
    fork.child_cgroup_id = node_id(cgroup_node(cgroup_of(child)));
    fork.child_tgid = task_tgid(child);
    fork.child_vpid = task::number_inside(task_thread_pid(child));
    draft.submit();
}
