//! Hooks the OOM killer's kills.
//!
//! `__oom_kill_process(struct task_struct *victim, const char *message)`, 5.10 to 7.2: once for each
//! process that is killed, the others of a cgroup that dies as a whole included.
//!
//! Else the tracepoint `mark_victim(struct task_struct *task, uid_t uid)`, 6.8 and stable kernels
//! since 2024. Before it was `mark_victim(int pid)`, which says too little: the verifier refuses the
//! typed program there, and the raw one does nothing.

use aya_ebpf::macros::{btf_tracepoint, fentry, raw_tracepoint};
use aya_ebpf::programs::{BtfTracePointContext, FEntryContext, RawTracePointContext};
use sensor_common::Kind;
use sensor_common::oom::Oom;

use crate::kernel::{
    cgroup_node, css_cgroup, css_set_memory, current_task, mm_anon_pages, mm_file_pages,
    mm_shmem_pages, mm_total_vm, node_id, signal_oom_score_adj, task_comm, task_css_set, task_mm,
    task_pid_btf, task_signal, task_struct, task_tgid,
};
use crate::path;
use crate::probe::Arguments;
use crate::scope::{cgroup_of, in_scope};
use crate::submit::{Draft, read_kernel};
use crate::task;

#[fentry(function = "__oom_kill_process")]
pub(crate) fn oom_fentry(ctx: FEntryContext) -> i32 {
    try_oom(&ctx);
    0
}

#[btf_tracepoint(function = "mark_victim")]
pub(crate) fn oom_btf(ctx: BtfTracePointContext) -> i32 {
    // A load that the verifier lets pass from a task only.
    if task_pid_btf(ctx.arg(0)) != 0 {
        try_oom(&ctx);
    }
    0
}

#[raw_tracepoint(tracepoint = "mark_victim")]
pub(crate) fn oom_raw(ctx: RawTracePointContext) -> i32 {
    // The kernel's addresses are negative numbers, pids are not.
    if ctx.arg::<i64>(0) < 0 {
        try_oom(&ctx);
    }
    0
}

#[inline(always)]
fn try_oom(ctx: &impl Arguments) {
    let victim: *const task_struct = ctx.arg(0);
    let cgroup = cgroup_of(victim);
    if !in_scope(cgroup) {
        return;
    }
    let Some(mut draft) = Draft::begin(Kind::Oom) else { return };
    // SAFETY: `Oom` is a record.
    let oom = unsafe { draft.fixed::<Oom>() };
    task::fill_about(&mut oom.header, victim, node_id(cgroup_node(cgroup)));
    let node = cgroup_node(css_cgroup(css_set_memory(task_css_set(victim))));
    oom.memory_cgroup_id = node_id(node);
    let mm = task_mm(victim);
    oom.total_vm_pages = mm_total_vm(mm);
    // A counter that is split over processors can be a little below zero.
    oom.anon_pages = mm_anon_pages(mm).max(0) as u64;
    oom.file_pages = mm_file_pages(mm).max(0) as u64;
    oom.shmem_pages = mm_shmem_pages(mm).max(0) as u64;
    let killer = current_task();
    oom.killer_tgid = task_tgid(killer);
    read_kernel(task_comm(killer).cast(), &mut oom.killer_comm);
    oom.oom_score_adj = i32::from(signal_oom_score_adj(task_signal(victim)));
    let (path_len, path_flags) = path::append_cgroup(&mut draft, node);
    // SAFETY: as above.
    let oom = unsafe { draft.fixed::<Oom>() };
    (oom.path_len, oom.path_flags) = (path_len, path_flags);
    draft.submit();
}
