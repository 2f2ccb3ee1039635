//! What the loader decides before the programs are loaded; constants to the verifier.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Settings of one load of the programs.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Config {
    /// Only tasks of this cgroup and those below it; 0 means all.
    pub scope_cgroup_id: u64,
    /// Distance of the scope's cgroup from the root of the hierarchy.
    pub scope_level: u32,
    /// The sensor's own process, which is never reported.
    pub self_tgid: u32,
    /// Only samples of this process; 0 means all.
    pub sample_tgid: u32,
    /// Unread bytes at which the reader is woken even though it was woken just now.
    pub wake_bytes: u32,
    /// Otherwise the reader is woken when it last was this long ago.
    pub wake_interval_ns: u64,
}

/// Scratch slots a processor: a task, and programs that interrupt or preempt it.
pub const SCRATCH_SLOTS: u32 = 4;
