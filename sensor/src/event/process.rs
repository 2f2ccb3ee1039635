//! The process table: who runs what, and who started it.

use std::collections::HashMap;
use std::sync::Arc;

use sensor_common::exec::{FileId, Session};

use crate::event::Text;

/// A process, and not merely a number: pids are reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct ProcessId {
    /// In the initial pid namespace.
    pub pid: u32,
    /// Nanoseconds from boot to its start.
    pub start_boot_ns: u64,
}

/// One process. What an exec sets is shared with the children that were forked since.
#[derive(Clone, Debug)]
pub struct Process {
    pub id: ProcessId,
    /// Parent's pid at the time of the last record.
    pub ppid: u32,
    /// Process id in its own pid namespace.
    pub vpid: u32,
    pub cgroup_id: u64,
    /// Name of the process (`comm`), at most 15 bytes.
    pub name: Text,
    pub program: Arc<Program>,
}

/// What a process executes.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// The executable, as the kernel opened it.
    pub exe_path: Text,
    /// The text that was passed to execve.
    pub filename: Text,
    pub cwd: Text,
    pub argv: Strings,
    pub env: Strings,
    pub session: Session,
    pub executable: Executable,
    /// Nanoseconds from boot to the exec; 0 when it was before the sensor's start.
    pub exec_boot_ns: u64,
}

/// The executable's file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Executable {
    pub file: FileId,
    /// An anonymous file in memory.
    pub from_memfd: bool,
    /// In a container's writable layer, not in its image.
    pub upper_layer: bool,
    /// It has no name any more.
    pub deleted: bool,
}

/// NUL-separated strings, and how long they were before they were cut.
#[derive(Clone, Debug, Default)]
pub struct Strings {
    pub bytes: Text,
    /// Bytes of the whole; larger than `bytes` when it was cut.
    pub total: usize,
}

impl Strings {
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let bytes = self.bytes.strip_suffix(b"\0").unwrap_or(&self.bytes);
        let whole = (!self.bytes.is_empty()).then_some(bytes);
        whole.into_iter().flat_map(|bytes| bytes.split(|byte| *byte == 0))
    }

    pub fn is_cut(&self) -> bool {
        self.total > self.bytes.len()
    }
}

/// All processes that live, and those that ended a moment ago.
#[derive(Debug, Default)]
pub struct ProcessTable {
    by_pid: HashMap<u32, Process>,
}

impl ProcessTable {
    pub fn get(&self, pid: u32) -> Option<&Process> {
        self.by_pid.get(&pid)
    }

    /// The parent, its parent and so on, the nearest first.
    pub fn ancestors<'a>(&'a self, process: &'a Process) -> impl Iterator<Item = &'a Process> {
        /// Deeper trees exist only by accident or by attack.
        const DEPTH_MAX: usize = 64;
        std::iter::successors(self.parent(process), |process| self.parent(process)).take(DEPTH_MAX)
    }

    /// The parent, unless its pid now belongs to a process that is younger than the child.
    pub fn parent(&self, process: &Process) -> Option<&Process> {
        self.get(process.ppid).filter(|parent| parent.id.start_boot_ns <= process.id.start_boot_ns)
    }
}
