//! What rules, profiles and sinks see: a decoded, attributed record.

pub mod decode;
pub mod path;
pub mod fork;
pub mod exec;
pub mod exit;
pub mod open;
pub mod connect;
pub mod credentials;
pub mod socket;
pub mod call;
pub mod oom;
pub mod cgroup;
pub mod detail;
pub mod process;
pub mod kept;
pub mod names;
pub mod dns;

use sensor_common::Header;

use crate::attribution::Attribution;
use crate::event::detail::Detail;
use crate::event::names::Names;
use crate::event::process::{Process, ProcessTable};

/// Text from the kernel: usually UTF-8, never guaranteed to be.
pub type Text = Box<[u8]>;

/// One occurrence, with who did it and where. Borrows from the record and from the pipeline's
/// tables, so that what no rule asks about is never copied.
pub struct Event<'a> {
    /// Counts the events of this run, from 1.
    pub number: u64,
    /// Nanoseconds since the epoch.
    pub time_ns: i64,
    /// Nanoseconds since boot.
    pub boot_ns: u64,
    pub since: Since,
    /// The thread and its credentials at the moment of the event.
    pub thread: Thread,
    /// The process; its ancestors are found through `processes`.
    pub process: &'a Process,
    pub processes: &'a ProcessTable,
    /// What users, groups and hosts are called.
    pub names: &'a Names,
    /// The container, pod or unit of the cgroup.
    pub attribution: &'a Attribution,
    pub turn: Turn,
    pub detail: Detail<'a>,
}

/// Whether an event comes once or twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Turn {
    /// All that will be known of its container is known.
    #[default]
    Only,
    /// Its container's metadata is on the way, and it will come again.
    Early,
    /// It comes again.
    Late,
}

/// Nanoseconds between an event and others of this run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Since {
    pub first_ns: u64,
    /// The one before.
    pub previous_ns: u64,
}

/// Who exactly acted, at the moment of the event.
#[derive(Clone, Copy, Debug, Default)]
pub struct Thread {
    /// Thread id in the initial pid namespace.
    pub tid: u32,
    /// Process and thread ids in the process's own pid namespace.
    pub vpid: u32,
    pub vtid: u32,
    /// The processor where it happened.
    pub cpu: u32,
    /// Effective user and group ids, in the initial user namespace.
    pub uid: u32,
    pub gid: u32,
    pub cgroup_id: u64,
    /// Effective and permitted capabilities, one bit each.
    pub cap_effective: u64,
    pub cap_permitted: u64,
}

impl Thread {
    pub fn new(header: &Header) -> Self {
        Self {
            tid: header.tid,
            vpid: header.vpid,
            vtid: header.vtid,
            cpu: header.cpu,
            uid: header.uid,
            gid: header.gid,
            cgroup_id: header.cgroup_id,
            cap_effective: header.cap_effective,
            cap_permitted: header.cap_permitted,
        }
    }
}

/// A `comm` without its padding.
pub fn name(comm: &[u8]) -> &[u8] {
    comm.split(|byte| *byte == 0).next().unwrap_or(&[])
}
