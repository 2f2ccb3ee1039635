//! A process was forked.

use sensor_common::fork::Call;

/// The event's process is the parent.
#[derive(Debug)]
pub struct Fork {
    pub child_pid: u32,
    /// In the child's own pid namespace.
    pub child_vpid: u32,
    pub call: Call,
    /// `CLONE_*`
    pub flags: u64,
}

impl Fork {
    pub fn new(record: &sensor_common::fork::Fork, call: Call) -> Self {
        Self {
            child_pid: record.child_tgid,
            child_vpid: record.child_vpid,
            call,
            flags: record.flags,
        }
    }
}
