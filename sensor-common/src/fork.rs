//! A process was forked. Threads are not reported.

use crate::header::Header;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

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
}
const _: () = assert!(size_of::<Fork>() == 96);
