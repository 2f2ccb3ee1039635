//! x86-64; its 32-bit table is `arch/x86/entry/syscalls/syscall_32.tbl`.

use sensor_common::call::Numbers;
use sensor_common::call::table::I386_ALIASES;

use super::Syscall;

/// More numbers of the 32-bit table, with the call that each means.
pub(crate) const ALIASES: &[(i16, &str)] = I386_ALIASES;

/// A row's number in the native table and in the 32-bit one.
pub(crate) const fn of(numbers: Numbers) -> (i16, i16) {
    (numbers.x86_64, numbers.i386)
}

pub(crate) const OPEN: Syscall = number(libc::SYS_open, 5);
pub(crate) const CREAT: Syscall = number(libc::SYS_creat, 8);
pub(crate) const OPENAT: Syscall = number(libc::SYS_openat, 295);
pub(crate) const CONNECT: Syscall = number(libc::SYS_connect, 362);
pub(crate) const OPENAT2: Syscall = number(libc::SYS_openat2, 437);

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "numbers of system calls are small and positive"
)]
const fn number(native: libc::c_long, compat: u32) -> Syscall {
    Syscall { native: Some(native as u32), compat }
}
