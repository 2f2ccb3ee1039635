//! A cgroup of the unified hierarchy was made or removed.

use crate::header::Header;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// What became of the cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, TryFromBytes, Immutable)]
#[repr(u32)]
pub enum Change {
    Removed = 0,
    Made = 1,
    /// It was there when the agent started; never from the kernel side.
    Existing = 2,
}

/// `cgroup_mkdir` and `cgroup_rmdir`. The header's process is the one that did it; the variable
/// part is the path below the hierarchy's root, as text.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Cgroup {
    pub header: Header,
    /// Id of the cgroup that is made or removed.
    pub id: u64,
    /// A [`Change`].
    pub change: u32,
    pub path_len: u32,
}
const _: () = assert!(size_of::<Cgroup>() == 112);

impl Cgroup {
    /// The change, or `None` for a number that this build does not know.
    pub fn change(&self) -> Option<Change> {
        Change::try_read_from_bytes(&self.change.to_ne_bytes()).ok()
    }
}
