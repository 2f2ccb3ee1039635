//! x86-64: the registers of a system call, and how one of the 32-bit table is known.

use crate::kernel::{pt_regs, task_struct};

// As `kernel::own`.
unsafe extern "C" {
    safe fn own_regs_orig_ax(from: *const pt_regs) -> u64;
    safe fn own_regs_di(from: *const pt_regs) -> u64;
    safe fn own_regs_si(from: *const pt_regs) -> u64;
    safe fn own_regs_dx(from: *const pt_regs) -> u64;
    safe fn own_regs_r10(from: *const pt_regs) -> u64;
    safe fn own_regs_r8(from: *const pt_regs) -> u64;
    safe fn own_regs_r9(from: *const pt_regs) -> u64;
    safe fn own_regs_bp(from: *const pt_regs) -> u64;
    safe fn own_regs_bx(from: *const pt_regs) -> u64;
    safe fn own_regs_cx(from: *const pt_regs) -> u64;
    safe fn own_task_status(from: *const task_struct) -> u32;
    // A plain load: the pointer must be one that the verifier tracks.
    safe fn regs_orig_ax_btf(from: *const pt_regs) -> u64;
}

/// `TS_COMPAT`: this system call came through the 32-bit table, from whatever code segment.
const TS_COMPAT: u32 = 2;

/// Whether the task is in a system call of the 32-bit table.
#[inline(always)]
pub(crate) fn is_compat(task: *const task_struct) -> bool {
    own_task_status(task) & TS_COMPAT != 0
}

/// Number of the system call.
#[inline(always)]
pub(crate) fn number(regs: *const pt_regs) -> u32 {
    own_regs_orig_ax(regs) as u32
}

/// The same from registers that the verifier tracks, for a tenth of the cost.
#[inline(always)]
pub(crate) fn number_btf(regs: *const pt_regs) -> u32 {
    regs_orig_ax_btf(regs) as u32
}

/// Argument `N` of 6. The 32-bit convention passes them in ebx, ecx, edx, esi, edi, ebp.
#[inline(always)]
pub(crate) fn argument<const N: usize>(regs: *const pt_regs, compat: bool) -> u64 {
    if compat {
        let value = match N {
            0 => own_regs_bx(regs),
            1 => own_regs_cx(regs),
            2 => own_regs_dx(regs),
            3 => own_regs_si(regs),
            4 => own_regs_di(regs),
            _ => own_regs_bp(regs),
        };
        return value & 0xffff_ffff;
    }
    match N {
        0 => own_regs_di(regs),
        1 => own_regs_si(regs),
        2 => own_regs_dx(regs),
        3 => own_regs_r10(regs),
        4 => own_regs_r8(regs),
        _ => own_regs_r9(regs),
    }
}
