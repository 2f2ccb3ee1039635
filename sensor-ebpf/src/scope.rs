//! Which occurrences are wanted: kind, cgroup scope, and never the sensor's own.

use aya_ebpf::helpers::bpf_get_current_pid_tgid;
use aya_ebpf::helpers::generated::{bpf_get_current_ancestor_cgroup_id, bpf_get_current_cgroup_id};
use sensor_common::Kind;

use crate::kernel::{
    cgroup, cgroup_node, css_set_default, kernfs_node, node_id, node_parent, task_css_set,
    task_struct,
};
use crate::maps::CONFIG;

/// Levels of nesting that a scope is looked for in; the kernel's own default limit is none, and
/// Kubernetes with a container in a container has 8.
const LEVELS_MAX: usize = 32;

/// Whether a record of this kind about the current task is wanted.
#[inline(always)]
pub(crate) fn current_wanted(kind: Kind) -> bool {
    let config = CONFIG.load();
    if config.kinds & kind.bit() == 0 || current_tgid() == config.self_tgid {
        return false;
    }
    // SAFETY: a helper without preconditions.
    config.scope_cgroup_id == 0
        || unsafe { bpf_get_current_ancestor_cgroup_id(config.scope_level as i32) }
            == config.scope_cgroup_id
}

/// Whether a record of this kind about this cgroup is wanted.
#[inline(always)]
pub(crate) fn cgroup_wanted(kind: Kind, cgroup: *const cgroup) -> bool {
    CONFIG.load().kinds & kind.bit() != 0 && in_scope(cgroup_node(cgroup))
}

/// Whether a cgroup's directory is the scope or below it.
#[inline(always)]
pub(crate) fn in_scope(mut node: *const kernfs_node) -> bool {
    let scope = CONFIG.load().scope_cgroup_id;
    if scope == 0 {
        return true;
    }
    for _ in 0..LEVELS_MAX {
        if node.is_null() {
            return false;
        }
        if node_id(node) == scope {
            return true;
        }
        node = node_parent(node);
    }
    false
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

/// Process id of the current task in the initial pid namespace.
#[inline(always)]
pub(crate) fn current_tgid() -> u32 {
    (bpf_get_current_pid_tgid() >> 32) as u32
}
