//! Hooks the OOM killer's choice of a victim.
//!
//! `mark_victim(struct task_struct *task, uid_t uid)`, 6.8 and stable kernels since 2024;
//! `mark_victim(int pid)` before, where this probe is not attached.

use sensor_common::Kind;
use sensor_common::oom::Oom;

use crate::kernel::{
    cgroup_node, css_cgroup, css_set_memory, mm_anon_pages, mm_file_pages, mm_shmem_pages,
    mm_total_vm, node_id, signal_oom_score_adj, task_comm, task_css_set, task_mm, task_signal,
    task_struct, task_tgid,
};
use crate::path;
use crate::probe::{Arguments, tracepoint};
use crate::scope::{cgroup_of, cgroup_wanted};
use crate::submit::{Draft, read_kernel};
use crate::task;

tracepoint!("mark_victim", oom_btf, oom_raw, try_oom);

#[inline(always)]
fn try_oom(ctx: &impl Arguments) {
    let victim: *const task_struct = ctx.arg(0);
    let cgroup = cgroup_of(victim);
    if !cgroup_wanted(Kind::Oom, cgroup) {
        return;
    }
    let Some(mut draft) = Draft::begin(Kind::Oom) else { return };
    // SAFETY: `Oom` is a record.
    let oom = unsafe { draft.fixed::<Oom>() };
    task::fill(&mut oom.header, victim, node_id(cgroup_node(cgroup)));
    let node = cgroup_node(css_cgroup(css_set_memory(task_css_set(victim))));
    oom.memory_cgroup_id = node_id(node);
    let mm = task_mm(victim);
    oom.total_vm_pages = mm_total_vm(mm);
    // A counter that is split over processors can be a little below zero.
    oom.anon_pages = mm_anon_pages(mm).max(0) as u64;
    oom.file_pages = mm_file_pages(mm).max(0) as u64;
    oom.shmem_pages = mm_shmem_pages(mm).max(0) as u64;
    let killer = task::current();
    oom.killer_tgid = task_tgid(killer);
    read_kernel(task_comm(killer).cast(), &mut oom.killer_comm);
    oom.oom_score_adj = i32::from(signal_oom_score_adj(task_signal(victim)));
    let (path_len, path_flags) = path::append_cgroup(&mut draft, node);
    // SAFETY: as above.
    let oom = unsafe { draft.fixed::<Oom>() };
    (oom.path_len, oom.path_flags) = (path_len, path_flags);
    draft.submit();
}
