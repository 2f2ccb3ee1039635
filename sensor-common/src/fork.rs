//! A process was forked. Threads are not reported.

use crate::header::Header;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// Which system call it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, TryFromBytes, Immutable)]
#[repr(u32)]
pub enum Call {
    Clone = 0,
    Fork = 1,
    Vfork = 2,
    Clone3 = 3,
}

impl Call {
    /// The name of the system call, as in `evt.type`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clone => "clone",
            Self::Fork => "fork",
            Self::Vfork => "vfork",
            Self::Clone3 => "clone3",
        }
    }
}

/// `sched_process_fork`: the header is the parent's, these fields the child's.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Fork {
    pub header: Header,
    pub child_start_boot_ns: u64,
    /// Cgroup of the child: another than the parent's with `CLONE_INTO_CGROUP`.
    pub child_cgroup_id: u64,
    pub child_tgid: u32,
    /// Process id in the child's own pid namespace.
    pub child_vpid: u32,
    /// `CLONE_*` flags; of fork and vfork those that they stand for.
    pub flags: u64,
    /// A [`Call`].
    pub call: u32,
    pub reserved: u32,
}
const _: () = assert!(size_of::<Fork>() == 136);

impl Fork {
    /// The call, or `None` for a number that this build does not know.
    pub fn call(&self) -> Option<Call> {
        Call::try_read_from_bytes(&self.call.to_ne_bytes()).ok()
    }
}
