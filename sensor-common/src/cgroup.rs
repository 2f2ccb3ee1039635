//! A cgroup of the unified hierarchy was made or removed.

use crate::header::Header;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `cgroup_mkdir` and `cgroup_rmdir`. The header's process is the one that did it; the variable
/// part is the path below the hierarchy's root, as text.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Cgroup {
    pub header: Header,
    /// Id of the cgroup that is made or removed.
    pub id: u64,
    /// 1 when it was made, 0 when it was removed.
    pub made: u32,
    pub path_len: u32,
}
const _: () = assert!(size_of::<Cgroup>() == 88);
