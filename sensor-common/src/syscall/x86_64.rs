//! x86-64; its 32-bit table is `arch/x86/entry/syscalls/syscall_32.tbl`.

use super::{Packed, Syscall, native};
use crate::call::Numbers;
use crate::call::table::I386_OLDER_FORMS;

/// Calls of the 32-bit table that have an older form there.
pub(super) const OLDER_FORMS: &[(i16, &str)] = I386_OLDER_FORMS;

/// A row's numbers in the native table and in the 32-bit one.
pub(super) const fn of(numbers: Numbers) -> (i16, i16) {
    (numbers.x86_64, numbers.i386)
}

pub const OPEN: Syscall = Syscall::new(2, 5);
pub const CREAT: Syscall = Syscall::new(85, 8);
pub const OPENAT: Syscall = Syscall::new(257, 295);
pub const OPENAT2: Syscall = Syscall::new(437, 437);
pub const EXECVE: Syscall = Syscall::new(59, 11);
pub const FORK: Syscall = Syscall::new(57, 2);
pub const VFORK: Syscall = Syscall::new(58, 190);
pub const CLONE3: Syscall = Syscall::new(435, 435);
pub const CONNECT: Syscall = Syscall::new(CONNECT_NATIVE, 362);
const CONNECT_NATIVE: u32 = 42;

pub const SETUID: Syscall = Syscall::with_16(105, 213, 23);
pub const SETGID: Syscall = Syscall::with_16(106, 214, 46);
pub const SETREUID: Syscall = Syscall::with_16(113, 203, 70);
pub const SETREGID: Syscall = Syscall::with_16(114, 204, 71);
pub const SETGROUPS: Syscall = Syscall::with_16(116, 206, 81);
pub const SETRESUID: Syscall = Syscall::with_16(117, 208, 164);
pub const SETRESGID: Syscall = Syscall::with_16(119, 210, 170);
pub const SETFSUID: Syscall = Syscall::with_16(122, 215, 138);
pub const SETFSGID: Syscall = Syscall::with_16(123, 216, 139);
pub const CAPSET: Syscall = Syscall::new(126, 185);

/// `socketcall` in the 32-bit table.
pub const SOCKETCALL: Option<u32> = Some(102);

/// `socketcall`, with what `nargs` in `net/socket.c` says: those of its calls that are events. `send` and
/// `recv` are in no other table; the kernel does for them what it does for `sendto` and `recvfrom` without
/// an address.
pub const PACKED: &[Packed] = &[
    packed(1, native("socket"), 3),
    packed(2, native("bind"), 3),
    packed(3, CONNECT_NATIVE, 3),
    packed(4, native("listen"), 2),
    packed(5, native("accept"), 3),
    packed(8, native("socketpair"), 4),
    packed(9, native("sendto"), 4),
    packed(10, native("recvfrom"), 4),
    packed(11, native("sendto"), 6),
    packed(12, native("recvfrom"), 6),
    packed(16, native("sendmsg"), 3),
    packed(17, native("recvmsg"), 3),
    packed(18, native("accept4"), 4),
    packed(19, native("recvmmsg"), 5),
    packed(20, native("sendmmsg"), 4),
];

const fn packed(number: u32, native: u32, words: u32) -> Packed {
    Packed { number, native, words }
}

/// The kernel's functions of the calls that have no other between them and their work, for each table.
pub const CAPSET_FUNCTION: &str = "__x64_sys_capset";
pub const SETGROUPS_FUNCTION: &str = "__x64_sys_setgroups";
pub const CAPSET_COMPAT_FUNCTION: Option<&str> = Some("__ia32_sys_capset");
pub const SETGROUPS_COMPAT_FUNCTION: Option<&str> = Some("__ia32_sys_setgroups");
pub const SETGROUPS_16_FUNCTION: &str = "__ia32_sys_setgroups16";
