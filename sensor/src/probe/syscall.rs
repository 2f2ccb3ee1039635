//! Numbers of system calls, from a file for each architecture.

#[cfg_attr(target_arch = "x86_64", path = "syscall/x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "syscall/aarch64.rs")]
mod architecture;

use sensor_common::call::Numbers;

pub(super) use architecture::{ALIASES, CONNECT, CREAT, OPEN, OPENAT, OPENAT2};

/// A system call's number in the native table and in the 32-bit one.
#[derive(Clone, Copy, Debug)]
pub struct Syscall {
    /// `None` where the architecture has only the call's successor.
    pub native: Option<u32>,
    /// 0 where there is none.
    pub compat: u32,
}

impl Syscall {
    /// The numbers of a row that this architecture has.
    pub(super) fn of(numbers: Numbers) -> Self {
        let (native, compat) = architecture::of(numbers);
        let number = |number: i16| u32::try_from(number).ok();
        // 0 is restart_syscall, which nobody watches: it stands for none.
        Self { native: number(native), compat: number(compat).unwrap_or(0) }
    }
}
