//! Hooks the scheduler: how long tasks wait for a processor, as a histogram for each cgroup.
//!
//! `sched_wakeup(struct task_struct *p)` and `sched_wakeup_new`; `sched_switch(bool preempt,
//! struct task_struct *prev, struct task_struct *next, …)`, 5.10 to 7.2. The arguments are read by
//! plain loads, so there is no raw form.

use aya_ebpf::helpers::generated::bpf_ktime_get_ns;
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use sensor_common::histogram::{BUCKETS, Histogram, bucket};

use crate::atomic;
use crate::kernel::{
    cgroup_node, node_id, task_cgroup_id_btf, task_pid_btf, task_state_btf, task_struct,
};
use crate::maps::{RUN_QUEUE, RUNNABLE};
use crate::scope::{cgroup_of, is_legacy};

const BPF_ANY: u64 = 0;
const BPF_NOEXIST: u64 = 1;

static EMPTY: Histogram = Histogram::EMPTY;

#[btf_tracepoint(function = "sched_wakeup")]
pub(crate) fn wakeup_btf(ctx: BtfTracePointContext) -> i32 {
    runnable(ctx.arg(0));
    0
}

#[btf_tracepoint(function = "sched_wakeup_new")]
pub(crate) fn wakeup_new_btf(ctx: BtfTracePointContext) -> i32 {
    runnable(ctx.arg(0));
    0
}

#[btf_tracepoint(function = "sched_switch")]
pub(crate) fn switch_btf(ctx: BtfTracePointContext) -> i32 {
    let preempted: u64 = ctx.arg(0);
    let prev: *const task_struct = ctx.arg(1);
    // A task that did not go to sleep is back in the queue.
    if preempted & 1 != 0 || task_state_btf(prev) == 0 {
        runnable(prev);
    }
    running(ctx.arg(2));
    0
}

#[inline(always)]
fn now_ns() -> u64 {
    // SAFETY: a helper without preconditions.
    unsafe { bpf_ktime_get_ns() }
}

#[inline(always)]
fn runnable(task: *const task_struct) {
    let pid = task_pid_btf(task);
    // Pid 0 is every processor's idle task.
    if pid != 0 {
        // A full map loses this wait, not the next: running tasks take their entries out.
        let _full = RUNNABLE.insert(pid, now_ns(), BPF_ANY);
    }
}

#[inline(always)]
fn running(task: *const task_struct) {
    let pid = task_pid_btf(task);
    // SAFETY: the entry is this task's, which runs here and now.
    let Some(since) = (unsafe { RUNNABLE.get(pid) }).copied() else { return };
    let _gone = RUNNABLE.remove(pid);
    let cgroup =
        if is_legacy() { node_id(cgroup_node(cgroup_of(task))) } else { task_cgroup_id_btf(task) };
    let wait_ns = now_ns().saturating_sub(since);
    let histogram = RUN_QUEUE.get_ptr_mut(cgroup).or_else(|| {
        #[expect(clippy::needless_borrows_for_generic_args, reason = "by value it is on the stack")]
        let _exists_or_full = RUN_QUEUE.insert(cgroup, &EMPTY, BPF_NOEXIST);
        RUN_QUEUE.get_ptr_mut(cgroup)
    });
    let Some(histogram) = histogram else { return };
    let index = bucket(wait_ns);
    if index < BUCKETS {
        // SAFETY: a live map value; several processors add to it, hence atomically.
        unsafe {
            atomic::add(&raw mut (*histogram).buckets[index], 1);
            atomic::add(&raw mut (*histogram).sum_ns, wait_ns);
        }
    }
}
