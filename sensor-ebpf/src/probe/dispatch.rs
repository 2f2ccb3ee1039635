//! Hooks the exit of every system call and hands the interesting ones to their own program.
//!
//! `sys_exit(struct pt_regs *regs, long ret)`, 5.10 to 7.2. What this program costs is paid by
//! every system call on the host: two loads, a map look-up and, for most, nothing more.

use aya_ebpf::EbpfContext;
use aya_ebpf::macros::{btf_tracepoint, raw_tracepoint};
use aya_ebpf::programs::{BtfTracePointContext, RawTracePointContext};
use sensor_common::Kind;
use sensor_common::counters::Outcome;

use crate::kernel::{regs_bx, regs_orig_ax, regs_orig_ax_btf};
use crate::maps::{COMPAT, SYSCALLS};
use crate::scope::current_wanted;
use crate::submit::count;
use crate::syscall::is_compat;
use crate::task;

/// Numbers of `socketcall` and connect in the 32-bit table, and of connect among socketcall's calls.
const SOCKETCALL: u32 = 102;
const CONNECT: u32 = 362;
const SOCKETCALL_CONNECT: u64 = 3;

#[btf_tracepoint(function = "sys_exit")]
pub(crate) fn dispatch_btf(ctx: BtfTracePointContext) -> i32 {
    dispatch(&ctx, regs_orig_ax_btf(ctx.arg(0)) as u32, ctx.arg(0));
    0
}

#[raw_tracepoint(tracepoint = "sys_exit")]
pub(crate) fn dispatch_raw(ctx: RawTracePointContext) -> i32 {
    dispatch(&ctx, regs_orig_ax(ctx.arg(0)) as u32, ctx.arg(0));
    0
}

#[inline(always)]
fn dispatch(ctx: &impl EbpfContext, number: u32, regs: *const crate::kernel::pt_regs) {
    let number = if is_compat(task::current()) {
        match COMPAT.get(number) {
            Some(native) if *native != 0 => *native,
            _ => {
                if number == SOCKETCALL
                    && regs_bx(regs) == SOCKETCALL_CONNECT
                    && connects_come_here()
                {
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
    COMPAT.get(CONNECT).is_some_and(|native| *native != 0)
}

/// Its arguments lie in user memory behind another pointer; it is counted instead of decoded.
#[inline(always)]
fn unsupported_connect() {
    if current_wanted() {
        count(Kind::Connect, Outcome::Produced);
        count(Kind::Connect, Outcome::DroppedCompat);
    }
}
