//! What a scrape asks of the kernel side and of attribution, as plain values.

use std::sync::Arc;

use sensor_common::Kind;
use sensor_common::counters::Outcome;
use sensor_common::histogram::Histogram;

use crate::alert::Origin;
use crate::attribution::Attribution;
use crate::attribution::cache::Counts;
use crate::metadata::socket::Report;

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
    pub tables: Tables,
    pub lookups: Lookups,
    pub sockets: Vec<Report>,
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

/// What the event path knows of containers, as of about a second ago.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    pub containers: Vec<Container>,
    /// Each container that lives once, the oldest first.
    pub live: Vec<Live>,
    /// Of control groups that nobody announced.
    pub cgroups: Counts,
    /// Containers of which something is remembered.
    pub known_containers: u64,
    /// Containers that could not be asked about, because too many others were to be.
    pub unasked: u64,
    /// Processes that are known, and those that were forgotten because there were too many.
    pub processes: u64,
    pub processes_evicted: u64,
    /// Events of processes that neither the table nor /proc knew.
    pub unknown_process: u64,
    /// Names that were forgotten because there were too many, by what they are of.
    pub names_evicted: [(&'static str, u64); 2],
    /// Events that waited for what was being asked about their container.
    pub held: u64,
    /// Events that did not wait, because too many others did.
    pub overflowed: u64,
}

/// A container that lives, by the attribution of its topmost cgroup.
#[derive(Clone, Debug)]
pub struct Live {
    pub origin: Origin,
    pub attribution: Arc<Attribution>,
}

/// What became of the questions about containers.
#[derive(Clone, Debug, Default)]
pub struct Lookups {
    pub answered: u64,
    /// By reason.
    pub misses: Vec<(&'static str, u64)>,
    /// Containers of which changes are no longer noticed.
    pub forgotten: u64,
    /// Users' engines that were not asked, and pods that are not remembered.
    pub left_out: u64,
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
