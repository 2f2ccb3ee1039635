//! 64-bit ARM; its 32-bit table is `arch/arm/tools/syscall.tbl`.

use super::Syscall;

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
