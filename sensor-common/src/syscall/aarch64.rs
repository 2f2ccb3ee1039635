//! 64-bit ARM; its 32-bit table is the one of 32-bit ARM's EABI.

use super::{Packed, Syscall};
use crate::call::Numbers;

pub(super) const OLDER_FORMS: &[(i16, &str)] = &[];

/// A row's number in the native table; its calls through the 32-bit one are not handled yet.
pub(super) const fn of(numbers: Numbers) -> (i16, i16) {
    (numbers.aarch64, -1)
}

pub const OPEN: Syscall = Syscall { native: None, compat: 5, compat_16: 0 };
pub const CREAT: Syscall = Syscall { native: None, compat: 8, compat_16: 0 };
pub const OPENAT: Syscall = Syscall::new(56, 322);
pub const OPENAT2: Syscall = Syscall::new(437, 437);
pub const EXECVE: Syscall = Syscall::new(221, 11);
pub const FORK: Syscall = Syscall { native: None, compat: 2, compat_16: 0 };
pub const VFORK: Syscall = Syscall { native: None, compat: 190, compat_16: 0 };
pub const CLONE3: Syscall = Syscall::new(435, 435);
pub const CONNECT: Syscall = Syscall::new(203, 283);

pub const SETUID: Syscall = Syscall::with_16(146, 213, 23);
pub const SETGID: Syscall = Syscall::with_16(144, 214, 46);
pub const SETREUID: Syscall = Syscall::with_16(145, 203, 70);
pub const SETREGID: Syscall = Syscall::with_16(143, 204, 71);
pub const SETGROUPS: Syscall = Syscall::with_16(159, 206, 81);
pub const SETRESUID: Syscall = Syscall::with_16(147, 208, 164);
pub const SETRESGID: Syscall = Syscall::with_16(149, 210, 170);
pub const SETFSUID: Syscall = Syscall::with_16(151, 215, 138);
pub const SETFSGID: Syscall = Syscall::with_16(152, 216, 139);
pub const CAPSET: Syscall = Syscall::new(91, 185);

/// The EABI has no `socketcall`.
pub const SOCKETCALL: Option<u32> = None;
pub const PACKED: &[Packed] = &[];

/// The kernel's functions of the calls that have no other between them and their work, for each table.
pub const CAPSET_FUNCTION: &str = "__arm64_sys_capset";
pub const SETGROUPS_FUNCTION: &str = "__arm64_sys_setgroups";
// Both tables lead to the same functions.
pub const CAPSET_COMPAT_FUNCTION: Option<&str> = None;
pub const SETGROUPS_COMPAT_FUNCTION: Option<&str> = None;
pub const SETGROUPS_16_FUNCTION: &str = "__arm64_sys_setgroups16";
