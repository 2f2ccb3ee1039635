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
    /// Number of the hierarchy that the ids of cgroups are of, as in `/proc/PID/cgroup`: 0 is the
    /// unified one, which a host with v1 alone does not use.
    pub hierarchy: u32,
    /// A [`Controller`] of that hierarchy; 0 for the unified one.
    pub controller: u32,
}

/// A controller that has a hierarchy of its own on hosts with v1 alone, by which tasks are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Controller {
    Pids = 1,
    Memory = 2,
}

impl Controller {
    /// The one that runtimes and systemd make groups of most surely comes first.
    pub const ALL: [Self; 2] = [Self::Pids, Self::Memory];

    /// Its name in `/proc/PID/cgroup` and among mount options.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pids => "pids",
            Self::Memory => "memory",
        }
    }
}

/// Scratch slots a processor: a task, and programs that interrupt or preempt it.
pub const SCRATCH_SLOTS: u32 = 4;
