//! Hooks the exit of every system call and hands the interesting ones to their own program.
//!
//! `sys_exit(struct pt_regs *regs, long ret)`, 5.10 to 7.2. What this program costs is paid by
//! every system call on the host: a load, a map look-up and, for most, nothing more.

use aya_ebpf::EbpfContext;
use aya_ebpf::macros::{btf_tracepoint, raw_tracepoint};
use aya_ebpf::programs::{BtfTracePointContext, RawTracePointContext};

use crate::kernel::{current_task, own_regs, pt_regs};
use crate::maps::{HANDLED, SYSCALLS};
use crate::syscall::architecture::{is_compat, number, number_btf};
use crate::syscall::native_number;

#[btf_tracepoint(function = "sys_exit")]
pub(crate) fn dispatch_btf(ctx: BtfTracePointContext) -> i32 {
    dispatch(&ctx, number_btf(ctx.arg(0)), ctx.arg(0));
    0
}

#[raw_tracepoint(tracepoint = "sys_exit")]
pub(crate) fn dispatch_raw(ctx: RawTracePointContext) -> i32 {
    let regs = own_regs(ctx.arg(0));
    dispatch(&ctx, number(regs), regs);
    0
}

#[inline(always)]
fn dispatch(ctx: &impl EbpfContext, number: u32, regs: *const pt_regs) {
    // Which table the number is of costs more to know than that neither has a program for it.
    if HANDLED.get(number).is_none_or(|handled| *handled == 0) {
        return;
    }
    let number =
        if is_compat(current_task()) { native_number(number, own_regs(regs)) } else { number };
    // SAFETY: the loader fills the table with programs of this one's own type.
    unsafe { SYSCALLS.tail_call(ctx, number) };
}
