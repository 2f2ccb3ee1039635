//! Numbers of system calls, from a file for each architecture.

#[cfg_attr(target_arch = "x86_64", path = "syscall/x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "syscall/aarch64.rs")]
mod architecture;

pub(super) use architecture::{CONNECT, CREAT, OPEN, OPENAT, OPENAT2};

/// A system call's number in the native table and in the 32-bit one.
#[derive(Clone, Copy, Debug)]
pub struct Syscall {
    /// `None` where the architecture has only the call's successor.
    pub native: Option<u32>,
    pub compat: u32,
}
