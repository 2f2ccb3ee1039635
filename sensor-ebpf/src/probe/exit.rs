//! Hooks the end of a process: the exit of its last thread.
//!
//! `sched_process_exit(struct task_struct *p)`, 5.10 to 6.16; `(…, bool group_dead)` from 6.17.

use sensor_common::Kind;
use sensor_common::exit::Exit;

use crate::kernel::{
    signal_group_exit_code, signal_live, task_exit_code, task_signal, task_struct,
};
use crate::probe::{Arguments, tracepoint};
use crate::scope::{current_cgroup_id, current_wanted};
use crate::submit::Draft;
use crate::task;

tracepoint!("sched_process_exit", exit_btf, exit_raw, try_exit);

#[inline(always)]
fn try_exit(ctx: &impl Arguments) {
    let task: *const task_struct = ctx.arg(0);
    let signal = task_signal(task);
    // `do_exit` has already taken this thread off the count.
    if signal_live(signal) != 0 || !current_wanted() {
        return;
    }
    let Some(mut draft) = Draft::begin(Kind::Exit) else { return };
    // SAFETY: `Exit` is a record.
    let exit = unsafe { draft.fixed::<Exit>() };
    task::fill(&mut exit.header, current_cgroup_id());
    // `exit_group` and a fatal signal set the group's code; a lone thread's `exit` only its own.
    let group = signal_group_exit_code(signal);
    exit.status = if group != 0 { group } else { task_exit_code(task) };
    exit.reserved = 0;
    #[cfg(feature = "log")]
    let (pid, status) = (exit.header.tgid, exit.status);
    draft.submit();
    #[cfg(feature = "log")]
    aya_log_ebpf::debug!(ctx, "process {} ended with status {}", pid, status);
}
