//! Hooks the exit of every system call and hands the interesting ones to their own program.
//!
//! `sys_exit(struct pt_regs *regs, long ret)`, 5.10 to 7.2. What this program costs is paid by
//! every system call on the host: two loads, a map look-up and, for most, nothing more.

use aya_ebpf::EbpfContext;
use aya_ebpf::macros::{btf_tracepoint, raw_tracepoint};
use aya_ebpf::programs::{BtfTracePointContext, RawTracePointContext};
use sensor_common::Kind;
use sensor_common::counters::Outcome;
use sensor_common::syscall::CONNECT;

use crate::kernel::{current_task, own_regs, pt_regs};
use crate::maps::{COMPAT, SYSCALLS};
use crate::scope::current_wanted;
use crate::submit::count;
use crate::syscall::architecture::{is_compat, is_packed_connect, number, number_btf};

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
    let number = if is_compat(current_task()) {
        match COMPAT.get(number) {
            Some(native) if *native != 0 => *native,
            _ => {
                if is_packed_connect(number, own_regs(regs)) && connects_come_here() {
                    unsupported_connect();
                }
                return;
            }
        }
    } else {
        number
    };
    // SAFETY: the loader fills the table with programs of this one's own type.
    unsafe { SYSCALLS.tail_call(ctx, number) };
}

/// Whether connect is handed on by this program, and not seen by programs of its own.
#[inline(always)]
fn connects_come_here() -> bool {
    COMPAT.get(CONNECT.compat).is_some_and(|native| *native != 0)
}

/// Its arguments lie in user memory behind another pointer; it is counted instead of decoded.
#[inline(always)]
fn unsupported_connect() {
    if current_wanted() {
        count(Kind::Connect, Outcome::Produced);
        count(Kind::Connect, Outcome::DroppedCompat);
    }
}
