//! 64-bit ARM: the registers of a system call, and how one of the 32-bit table is known.

use crate::kernel::{pt_regs, task_struct};

// As `kernel::own`.
unsafe extern "C" {
    safe fn own_regs_orig_x0(from: *const pt_regs) -> u64;
    safe fn own_regs_x1(from: *const pt_regs) -> u64;
    safe fn own_regs_x2(from: *const pt_regs) -> u64;
    safe fn own_regs_x3(from: *const pt_regs) -> u64;
    safe fn own_regs_x4(from: *const pt_regs) -> u64;
    safe fn own_regs_x5(from: *const pt_regs) -> u64;
    safe fn own_regs_syscallno(from: *const pt_regs) -> u32;
    safe fn own_task_flags(from: *const task_struct) -> u64;
    // A plain load: the pointer must be one that the verifier tracks.
    safe fn regs_syscallno_btf(from: *const pt_regs) -> u32;
}

/// `TIF_32BIT`: the task runs a 32-bit program, whose system calls all come through that table.
const TIF_32BIT: u64 = 1 << 22;

/// Whether the task is in a system call of the 32-bit table.
#[inline(always)]
pub(crate) fn is_compat(task: *const task_struct) -> bool {
    own_task_flags(task) & TIF_32BIT != 0
}

/// Number of the system call.
#[inline(always)]
pub(crate) fn number(regs: *const pt_regs) -> u32 {
    own_regs_syscallno(regs)
}

/// The same from registers that the verifier tracks, for a tenth of the cost.
#[inline(always)]
pub(crate) fn number_btf(regs: *const pt_regs) -> u32 {
    regs_syscallno_btf(regs)
}

/// Argument `N` of 6, in x0 to x5 for both tables. The result overwrites the first, of which the
/// kernel keeps a copy.
#[inline(always)]
pub(crate) fn argument<const N: usize>(regs: *const pt_regs, compat: bool) -> u64 {
    let value = match N {
        0 => own_regs_orig_x0(regs),
        1 => own_regs_x1(regs),
        2 => own_regs_x2(regs),
        3 => own_regs_x3(regs),
        4 => own_regs_x4(regs),
        _ => own_regs_x5(regs),
    };
    if compat { value & 0xffff_ffff } else { value }
}
