//! 64-bit ARM; its 32-bit table is `arch/arm/tools/syscall.tbl`.

use sensor_common::call::Numbers;

use super::Syscall;

pub(crate) const ALIASES: &[(i16, &str)] = &[];

/// A row's number in the native table; calls of the 32-bit one are not told apart yet.
pub(crate) const fn of(numbers: Numbers) -> (i16, i16) {
    (numbers.aarch64, -1)
}

pub(crate) const OPEN: Syscall = Syscall { native: None, compat: 5 };
pub(crate) const CREAT: Syscall = Syscall { native: None, compat: 8 };
pub(crate) const OPENAT: Syscall = number(libc::SYS_openat, 322);
pub(crate) const CONNECT: Syscall = number(libc::SYS_connect, 283);
pub(crate) const OPENAT2: Syscall = number(libc::SYS_openat2, 437);

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "numbers of system calls are small and positive"
)]
const fn number(native: libc::c_long, compat: u32) -> Syscall {
    Syscall { native: Some(native as u32), compat }
}
