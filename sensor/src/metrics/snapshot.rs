//! What a scrape asks of the kernel side and of attribution, as plain values.

use sensor_common::Kind;
use sensor_common::counters::Outcome;
use sensor_common::histogram::Histogram;

use crate::alert::Origin;

/// Gives a snapshot. Called for each scrape, on a thread that may block.
pub type Source = Box<dyn Fn() -> Snapshot + Send + Sync>;

/// The state of the kernel side and of the containers at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The kernel side's own counters, summed over the processors.
    pub records: Vec<Records>,
    /// Events that no rule can match, by type; they are not among those.
    pub filtered: Vec<(&'static str, u64)>,
    /// Absent without a ring, as in a replay.
    pub ring: Option<Ring>,
    pub probes: Vec<Probe>,
    pub containers: Vec<Container>,
    /// Time that tasks waited for a processor, by cgroup id. Ids that no container claims are
    /// counted to the host.
    pub runqueue_wait: Vec<(u64, Histogram)>,
}

/// Occurrences of one kind that had one outcome.
#[derive(Clone, Copy, Debug)]
pub struct Records {
    pub kind: Kind,
    pub outcome: Outcome,
    pub count: u64,
}

#[derive(Clone, Copy, Debug)]
pub struct Ring {
    pub size_bytes: u64,
    pub unread_bytes: u64,
}

/// A row of the probe table and what became of it.
#[derive(Clone, Debug)]
pub struct Probe {
    pub name: String,
    /// The hook that was taken; empty when none was.
    pub hook: String,
    pub state: ProbeState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeState {
    Attached,
    /// This kernel has no hook for it.
    Unsupported,
    Failed,
    /// Nothing asks for it.
    Off,
}

impl ProbeState {
    pub const ALL: [Self; 4] = [Self::Attached, Self::Unsupported, Self::Failed, Self::Off];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Attached => "attached",
            Self::Unsupported => "unsupported",
            Self::Failed => "failed",
            Self::Off => "off",
        }
    }
}

/// A container, or a unit that is shown like one.
#[derive(Clone, Debug)]
pub struct Container {
    pub origin: Origin,
    /// Path of its topmost cgroup below the root of the hierarchy: `/docker/<id>`.
    pub cgroup_path: String,
    /// Ids of that cgroup and of those below it.
    pub cgroup_ids: Vec<u64>,
}
