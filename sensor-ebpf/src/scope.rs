//! Which occurrences are wanted: those in the scope, and never the sensor's own.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use aya_ebpf::helpers::generated::bpf_get_current_cgroup_id;
use sensor_common::config::Controller;
use sensor_common::function::Function;

use crate::atomic;
use crate::kernel::{
    cgroup, cgroup_ancestor_id, cgroup_level, cgroup_node, cgroup_root, css_cgroup,
    css_set_default, css_set_memory, css_set_pids, current_task, node_id, own_ancestor_id,
    root_hierarchy, task_css_set, task_struct, tells_ancestors,
};
use crate::maps::{CONFIG, MET};

const PIDS: u32 = Controller::Pids as u32;
const MEMORY: u32 = Controller::Memory as u32;

/// Whether records about the current task are wanted. Which kinds are is decided by what is attached.
#[inline(always)]
pub(crate) fn current_wanted() -> bool {
    let config = CONFIG.load();
    if current_tgid() == config.self_tgid {
        return false;
    }
    config.scope_cgroup_id == 0 || current_in_scope()
}

#[inline(always)]
fn current_in_scope() -> bool {
    let config = CONFIG.load();
    if tells_ancestors() && !is_legacy() {
        return own_ancestor_id(config.scope_level) == config.scope_cgroup_id;
    }
    in_scope(cgroup_of(current_task()))
}

/// As [`current_wanted`], in a program on `function`, which also counts its meetings with the sensor.
#[inline(always)]
pub(crate) fn current_wanted_in(function: Function) -> bool {
    let wanted = current_wanted();
    if !wanted
        && current_tgid() == CONFIG.load().self_tgid
        && let Some(met) = MET.get_ptr_mut(function as u32)
    {
        // SAFETY: an aligned u64 that lives as long as the program.
        unsafe { atomic::add(met, 1) };
    }
    wanted
}

/// Whether a cgroup is the scope or below it. Without a walk: the kernel keeps every cgroup's
/// ancestors by their distance from the root.
#[inline(always)]
pub(crate) fn in_scope(cgroup: *const cgroup) -> bool {
    let config = CONFIG.load();
    config.scope_cgroup_id == 0
        || (cgroup_level(cgroup) >= config.scope_level as i32
            && cgroup_ancestor_id(cgroup, config.scope_level) == config.scope_cgroup_id)
}

/// The cgroup of a task in the unified hierarchy, or in the one of v1 that stands in for it.
#[inline(always)]
pub(crate) fn cgroup_of(task: *const task_struct) -> *const cgroup {
    let set = task_css_set(task);
    match CONFIG.load().controller {
        PIDS => css_cgroup(css_set_pids(set)),
        MEMORY => css_cgroup(css_set_memory(set)),
        _ => css_set_default(set),
    }
}

/// Whether a hierarchy of v1 stands in for the unified one.
#[inline(always)]
pub(crate) fn is_legacy() -> bool {
    CONFIG.load().controller != 0
}

/// Whether a cgroup is of the hierarchy by which tasks are told apart: ids are unique in one only.
#[inline(always)]
pub(crate) fn is_of_hierarchy(cgroup: *const cgroup) -> bool {
    root_hierarchy(cgroup_root(cgroup)) == CONFIG.load().hierarchy
}

/// Id of the current task's cgroup in that hierarchy.
#[inline(always)]
pub(crate) fn current_cgroup_id() -> u64 {
    if is_legacy() {
        return node_id(cgroup_node(cgroup_of(current_task())));
    }
    // SAFETY: a helper without preconditions.
    unsafe { bpf_get_current_cgroup_id() }
}

/// Thread id of the current task in the initial pid namespace.
#[inline(always)]
pub(crate) fn current_tid() -> u32 {
    bpf_get_current_pid_tgid() as u32
}

/// Process id of the current task in the initial pid namespace.
#[inline(always)]
pub(crate) fn current_tgid() -> u32 {
    (bpf_get_current_pid_tgid() >> 32) as u32
}
