//! Hooks the exit of every system call and only counts: what any design that watches system calls
//! there costs at least. Benchmarks load it, nothing else does.

use aya_ebpf::macros::{btf_tracepoint, raw_tracepoint};
use aya_ebpf::programs::{BtfTracePointContext, RawTracePointContext};

use crate::maps::COUNTERS;

/// The counters begin with those of kind 0, which no record has.
const UNUSED: u32 = 0;

#[btf_tracepoint(function = "sys_exit")]
pub(crate) fn floor_btf(_ctx: BtfTracePointContext) -> i32 {
    count();
    0
}

#[raw_tracepoint(tracepoint = "sys_exit")]
pub(crate) fn floor_raw(_ctx: RawTracePointContext) -> i32 {
    count();
    0
}

#[inline(always)]
fn count() {
    if let Some(counter) = COUNTERS.get_ptr_mut(UNUSED) {
        // SAFETY: an aligned u64 that lives as long as the program; nobody reads it, so a lost
        // addition is no harm, and a plain one costs least.
        unsafe { counter.write_volatile(counter.read_volatile() + 1) };
    }
}
