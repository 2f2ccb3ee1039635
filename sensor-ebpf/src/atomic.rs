//! The one atomic that every kernel since 5.10 has: an addition that returns nothing.
//!
//! `core` offers no atomic arithmetic for this target, and those instructions that return the old
//! value are refused before 5.12.

use core::arch::asm;

/// `*to += value`, wrapping; `u64::MAX` subtracts one.
///
/// # Safety
/// `to` must be an aligned, live map value.
#[inline(always)]
pub(crate) unsafe fn add(to: *mut u64, value: u64) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!("lock *(u64 *)({to} + 0) += {value}", to = in(reg) to, value = in(reg) value, options(nostack));
    }
}
