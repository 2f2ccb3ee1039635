//! A program was executed.

use crate::credentials::Identity;
use crate::header::Header;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The most bytes of arguments, and of environment, that are carried.
pub const STRINGS_MAX: usize = 32 * 1024;

/// The executable is an anonymous file in memory (`memfd_create`).
pub const FROM_MEMFD: u32 = 1 << 0;
/// The executable lies in the writable layer of an overlay mount, not in the image.
pub const UPPER_LAYER: u32 = 1 << 1;
/// The executable lies in the image of an overlay mount.
pub const LOWER_LAYER: u32 = 1 << 2;
/// The call was execveat, not execve.
pub const EXECVEAT: u32 = 1 << 3;

/// `sched_process_exec`. Variable parts, in this order: `filename`, `exe`, `cwd`, `argv`, `env`.
///
/// `filename` is the text that the kernel was asked to execute; `exe` and `cwd` are components as
/// [`crate::path`] describes; `argv` and `env` are the NUL-separated strings of the new program.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Exec {
    pub header: Header,
    pub file: FileId,
    /// [`FROM_MEMFD`] and what follows it.
    pub flags: u32,
    /// [`crate::path`] flags of `exe`.
    pub exe_flags: u32,
    /// [`crate::path`] flags of `cwd`.
    pub cwd_flags: u32,
    pub filename_len: u32,
    pub exe_len: u32,
    pub cwd_len: u32,
    /// Bytes carried.
    pub argv_len: u32,
    /// Bytes of the whole argument list: larger than `argv_len` when it was cut.
    pub argv_total: u32,
    pub env_len: u32,
    pub env_total: u32,
    pub session: Session,
    pub owner: Owner,
    pub resources: Resources,
    pub identity: Identity,
}
const _: () = assert!(size_of::<Exec>() == size_of::<Header>() + 232);

/// Whose the executable is, and when it changed.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
    /// Last change of the inode and last write, in nanoseconds since the epoch.
    pub changed_ns: u64,
    pub modified_ns: u64,
}

/// What the process may use and uses, just after the exec.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Resources {
    /// Soft limit on descriptors.
    pub fd_limit: u64,
    pub vm_pages: u64,
    pub resident_pages: u64,
    pub swapped_pages: u64,
    pub major_faults: u64,
    pub minor_faults: u64,
    /// Inheritable capabilities, one bit each.
    pub cap_inheritable: u64,
    /// Start of the first process of the pid namespace, nanoseconds from boot.
    pub pid_namespace_boot_ns: u64,
}

/// Which file: device, inode, times, and the magic number of its filesystem.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct FileId {
    pub inode: u64,
    /// Device number as the kernel keeps it: major << 20 | minor.
    pub device: u32,
    /// File type and permission bits, as in `st_mode`.
    pub mode: u32,
    /// `s_magic` of the filesystem.
    pub fs_magic: u64,
}

/// What a process shares with the others of its login.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Session {
    /// Audit login uid; `u32::MAX` when it was never set.
    pub login_uid: u32,
    /// Device number of the controlling terminal (major << 20 | minor), or 0.
    pub tty: u32,
    /// Session and process group leaders, in the initial pid namespace.
    pub sid: u32,
    pub pgid: u32,
    /// Process group in the task's own pid namespace.
    pub vpgid: u32,
    pub reserved: u32,
}
