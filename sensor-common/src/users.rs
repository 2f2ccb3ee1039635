//! The users and groups of a container or of the host, as its own files name them.

use crate::header::Header;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The most bytes of each file that are carried.
pub const FILE_MAX: usize = 128 * 1024;

/// Never from the kernel side. Variable parts, in this order: the contents of `/etc/passwd` without
/// its second and fifth columns, and those of `/etc/group` without its second and fourth. The header
/// names the cgroup whose container they belong to.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Users {
    pub header: Header,
    /// Device and inode of the root directory: another means other files.
    pub root: [u64; 2],
    pub passwd_len: u32,
    pub group_len: u32,
}
const _: () = assert!(size_of::<Users>() == size_of::<Header>() + 24);
