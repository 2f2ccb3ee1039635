//! Which occurrences are wanted: those in the scope, and never the sensor's own.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use aya_ebpf::helpers::generated::bpf_get_current_cgroup_id;
use sensor_common::function::Function;

use crate::atomic;
use crate::kernel::{
    cgroup, cgroup_ancestor_id, cgroup_level, css_set_default, task_css_set, task_struct,
};
use crate::maps::{CONFIG, MET};
use crate::task;

/// Whether records about the current task are wanted. Which kinds are is decided by what is attached.
#[inline(always)]
pub(crate) fn current_wanted() -> bool {
    let config = CONFIG.load();
    if current_tgid() == config.self_tgid {
        return false;
    }
    config.scope_cgroup_id == 0 || in_scope(cgroup_of(task::current()))
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

/// The cgroup of a task in the unified hierarchy.
#[inline(always)]
pub(crate) fn cgroup_of(task: *const task_struct) -> *const cgroup {
    css_set_default(task_css_set(task))
}

/// Id of the current task's cgroup in the unified hierarchy.
#[inline(always)]
pub(crate) fn current_cgroup_id() -> u64 {
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
