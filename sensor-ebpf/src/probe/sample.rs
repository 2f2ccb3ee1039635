//! Hooks the cpu-clock: where the running task is, in the kernel and in user space.
//!
//! `bpf_get_stack` copies each stack; `bpf_get_stackid` would lose those whose hashes collide.

use aya_ebpf::EbpfContext as _;
use aya_ebpf::helpers::generated::bpf_get_stack;
use aya_ebpf::macros::perf_event;
use aya_ebpf::programs::PerfEventContext;
use sensor_common::Kind;
use sensor_common::sample::{FRAMES_MAX, Sample};

use crate::maps::CONFIG;
use crate::scope::{current_cgroup_id, current_tgid, current_wanted};
use crate::submit::Draft;
use crate::task;

const BPF_F_USER_STACK: u64 = 1 << 8;
const STACK_BYTES: usize = FRAMES_MAX * size_of::<u64>();

#[perf_event]
pub(crate) fn sample(ctx: PerfEventContext) -> i32 {
    try_sample(&ctx);
    0
}

#[inline(always)]
fn try_sample(ctx: &PerfEventContext) {
    let only = CONFIG.load().sample_tgid;
    let tgid = current_tgid();
    // Process 0 is the idle task.
    if tgid == 0 || (only != 0 && tgid != only) || !current_wanted() {
        return;
    }
    let Some(mut draft) = Draft::begin(Kind::Sample) else { return };
    // SAFETY: `Sample` is a record.
    let sample = unsafe { draft.fixed::<Sample>() };
    task::fill(&mut sample.header, current_cgroup_id());
    let kernel_len = stack(&mut draft, ctx, 0);
    let user_len = stack(&mut draft, ctx, BPF_F_USER_STACK);
    // SAFETY: as above.
    let sample = unsafe { draft.fixed::<Sample>() };
    (sample.kernel_len, sample.user_len) = (kernel_len as i32, user_len as i32);
    draft.submit();
}

/// Appends one stack; its bytes, or a negated errno.
#[inline(always)]
fn stack(draft: &mut Draft, ctx: &PerfEventContext, flags: u64) -> i64 {
    draft.fill::<STACK_BYTES>(|to| {
        // SAFETY: `to` has room for STACK_BYTES.
        unsafe { bpf_get_stack(ctx.as_ptr(), to, STACK_BYTES as u32, flags) }
    })
}
