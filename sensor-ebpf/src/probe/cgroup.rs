//! Hooks the making and removing of cgroups: a container announces itself before its first exec.
//!
//! `cgroup_mkdir(struct cgroup *cgrp, const char *path)` and `cgroup_rmdir`, 5.10 to 7.2.

use sensor_common::Kind;
use sensor_common::cgroup::{Cgroup, Change};
use sensor_common::path::PATH_MAX;

use crate::kernel::{cgroup, cgroup_node, node_id};
use crate::probe::{Arguments, tracepoint};
use crate::scope::{current_cgroup_id, in_scope, is_of_hierarchy};
use crate::submit::Draft;
use crate::task;

tracepoint!("cgroup_mkdir", cgroup_mkdir_btf, cgroup_mkdir_raw, try_mkdir);
tracepoint!("cgroup_rmdir", cgroup_rmdir_btf, cgroup_rmdir_raw, try_rmdir);

#[inline(always)]
fn try_mkdir(ctx: &impl Arguments) {
    report(ctx, Change::Made);
}

#[inline(always)]
fn try_rmdir(ctx: &impl Arguments) {
    report(ctx, Change::Removed);
}

#[inline(always)]
fn report(ctx: &impl Arguments, change: Change) {
    let cgroup: *const cgroup = ctx.arg(0);
    if !is_of_hierarchy(cgroup) || !in_scope(cgroup) {
        return;
    }
    let Some(mut draft) = Draft::begin(Kind::Cgroup) else { return };
    // SAFETY: `Cgroup` is a record.
    let record = unsafe { draft.fixed::<Cgroup>() };
    task::fill(&mut record.header, current_cgroup_id());
    record.id = node_id(cgroup_node(cgroup));
    record.change = change as u32;
    let path_len = draft.kernel_str::<PATH_MAX>(ctx.arg(1)) as u32;
    // SAFETY: as above.
    unsafe { draft.fixed::<Cgroup>() }.path_len = path_len;
    draft.submit();
}
