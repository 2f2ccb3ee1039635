//! x86-64; its 32-bit table is `arch/x86/entry/syscalls/syscall_32.tbl`.

use super::Syscall;

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
