//! The process table: who runs what, and who started it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use sensor_common::credentials::Identity;
use sensor_common::exec::{FileId, Owner, Resources, Session};
use sensor_common::fork::Fork;
use sensor_common::{Header, Kind};

use crate::attribution::monitor::{Monitor, makes_containers};
use crate::event::decode::ExecRecord;
use crate::event::kept::{Kept, Role};
use crate::event::path::from_components;
use crate::event::{Text, name};
use crate::probe::proc::TICK_NS;

/// The most processes that are remembered; beyond it the oldest that ended go first.
const PROCESSES_MAX: usize = 65_536;

/// How long a process is remembered after its end: its children and late records still name it.
const REMEMBER_NS: u64 = 10_000_000_000;

/// Deeper trees exist only by accident or by attack.
const DEPTH_MAX: usize = 64;

/// A start time from /proc and one from the kernel that are closer than this are of the same process.
const START_TOLERANCE_NS: u64 = 2 * TICK_NS;

/// A process, and not merely a number: pids are reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct ProcessId {
    /// In the initial pid namespace.
    pub pid: u32,
    /// Nanoseconds from boot to its start.
    pub start_boot_ns: u64,
}

impl ProcessId {
    /// Whether both name the same process, one of them perhaps by way of /proc.
    pub fn is(self, other: Self) -> bool {
        let apart_ns = self.start_boot_ns.abs_diff(other.start_boot_ns);
        self.pid == other.pid && apart_ns <= self.tolerance_ns(other)
    }

    /// Whether it may have started the other one.
    fn may_be_parent_of(self, child: Self) -> bool {
        self.start_boot_ns <= child.start_boot_ns + self.tolerance_ns(child)
    }

    /// How far apart the start times of one process may be. The kernel's are exact: whoever chooses pids
    /// can have one used again within a tick.
    fn tolerance_ns(self, other: Self) -> u64 {
        let is_rounded = |id: Self| id.start_boot_ns.is_multiple_of(TICK_NS);
        if is_rounded(self) || is_rounded(other) { START_TOLERANCE_NS } else { 0 }
    }
}

/// One process. What an exec sets is shared with the children that were forked since.
#[derive(Clone, Debug, Default)]
pub struct Process {
    pub id: ProcessId,
    /// Parent's pid at the time of the last record.
    pub ppid: u32,
    /// Process id in its own pid namespace.
    pub vpid: u32,
    pub cgroup_id: u64,
    /// Name of the process (`comm`), at most 15 bytes.
    pub name: Text,
    /// Working directory, in the mount namespace's own terms.
    pub cwd: Arc<[u8]>,
    pub program: Arc<Program>,
    /// What it was first seen to execute; `None` while it runs what it ran before, or its parent.
    pub first: Option<Arc<Program>>,
    /// Below a monitor of a container.
    pub kept: Option<Kept>,
    /// On whose behalf it acted when it was last heard of; `None` until then.
    pub identity: Option<Identity>,
}

impl Process {
    /// Whether it runs what makes containers of processes that it starts itself.
    pub fn is_maker(&self) -> bool {
        self.program.argv.iter().next().is_some_and(makes_containers)
    }

    /// The container that it keeps.
    pub fn monitors(&self) -> Option<&Monitor> {
        let kept = self.kept.as_ref().filter(|kept| kept.role == Role::Monitor)?;
        (!kept.by.is_session).then_some(&kept.by)
    }
}

/// What a process executes.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// The executable, as the kernel opened it. Empty for a kernel thread.
    pub exe_path: Text,
    /// The text that was passed to execve; the path where that is not known.
    pub filename: Text,
    pub argv: Strings,
    pub env: Strings,
    pub session: Session,
    /// As of the exec.
    pub resources: Resources,
    pub executable: Executable,
    /// Nanoseconds from boot to the exec; 0 when it was before the sensor's start.
    pub exec_boot_ns: u64,
    /// Where it was executed, or, for what a runtime runs first in a container's cgroup, where that
    /// runtime was; 0 when it was before the sensor's start.
    pub cgroup_id: u64,
}

/// The executable's file.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact about a file, in no relation")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Executable {
    pub file: FileId,
    /// An anonymous file in memory.
    pub from_memfd: bool,
    /// In a container's writable layer, not in its image.
    pub upper_layer: bool,
    /// In an image, not in the writable layer over it.
    pub lower_layer: bool,
    pub owner: Owner,
    /// The process may write to it.
    pub writable: bool,
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
    /// Ended processes in the order of their ends, with the boot time after which they may go.
    ended: VecDeque<(u64, ProcessId)>,
    /// Processes that were dropped because the table was full.
    pub evicted: u64,
}

impl ProcessTable {
    pub fn get(&self, pid: u32) -> Option<&Process> {
        self.by_pid.get(&pid)
    }

    /// A table of the process, its ancestors, and the leaders of their sessions and groups.
    #[must_use]
    pub fn excerpt(&self, process: &Process) -> Self {
        let session = &process.program.session;
        let leaders = [session.sid, session.pgid].into_iter().filter_map(|pid| self.get(pid));
        let kept = self.ancestors(process).chain(leaders).chain([process]);
        let by_pid = kept.map(|process| (process.id.pid, process.clone())).collect();
        Self { by_pid, ..Self::default() }
    }

    pub fn len(&self) -> usize {
        self.by_pid.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_pid.is_empty()
    }

    /// The parent, its parent and so on, the nearest first.
    pub fn ancestors<'a>(&'a self, process: &'a Process) -> impl Iterator<Item = &'a Process> {
        std::iter::successors(self.parent(process), |process| self.parent(process)).take(DEPTH_MAX)
    }

    /// The parent, unless its pid now belongs to a process that is younger than the child.
    pub fn parent(&self, process: &Process) -> Option<&Process> {
        self.get(process.ppid).filter(|parent| parent.id.may_be_parent_of(process.id))
    }

    /// The process of a record, brought up to date with its header; `None` if it is unknown.
    pub fn seen(&mut self, header: &Header) -> Option<&Process> {
        let process = self.by_pid.get_mut(&header.tgid)?;
        if !process.id.is(id(header)) {
            return None;
        }
        // A parent that ended leaves its children to another.
        process.ppid = header.ppid;
        process.cgroup_id = header.cgroup_id;
        // A process may rename itself; threads of other names do not change what it is called.
        let comm = name(&header.comm);
        if header.tid == header.tgid && *process.name != *comm {
            process.name = comm.into();
        }
        Some(process)
    }

    /// A process of which nothing is known but one record's header.
    pub fn placeholder(header: &Header) -> Process {
        Process {
            id: id(header),
            ppid: header.ppid,
            vpid: header.vpid,
            cgroup_id: header.cgroup_id,
            name: name(&header.comm).into(),
            cwd: Arc::default(),
            program: Arc::default(),
            first: None,
            kept: None,
            identity: None,
        }
    }

    /// The child runs what its parent runs, until it executes something else.
    pub fn forked(&mut self, fork: &Fork) {
        let header = &fork.header;
        let parent = self.seen(header).map(|parent| {
            let (cwd, program) = (Arc::clone(&parent.cwd), Arc::clone(&parent.program));
            (cwd, program, parent.kept.clone(), parent.identity)
        });
        let (cwd, program, kept, identity) = parent.unwrap_or_default();
        self.insert(Process {
            id: ProcessId { pid: fork.child_tgid, start_boot_ns: fork.child_start_boot_ns },
            ppid: header.tgid,
            vpid: fork.child_vpid,
            cgroup_id: fork.child_cgroup_id,
            name: name(&header.comm).into(),
            cwd,
            program,
            first: None,
            kept,
            identity,
        });
    }

    /// A new program in an old process, or a process that already ran.
    pub fn executed(&mut self, record: &ExecRecord<'_>) {
        let header = &record.exec.header;
        let mut program = Program::new(record);
        if let Some(maker) = self.maker(header, &program) {
            program.cgroup_id = maker.cgroup_id;
        }
        let kept = self.kept(header, &program);
        let program = Arc::new(program);
        let before = self.by_pid.get(&header.tgid).filter(|process| process.id.is(id(header)));
        let first = before.and_then(|process| process.first.clone());
        let is_seen = header.kind() == Some(Kind::Exec);
        self.insert(Process {
            cwd: from_components(record.cwd).into(),
            first: first.or_else(|| is_seen.then(|| Arc::clone(&program))),
            program,
            kept,
            identity: Some(record.exec.identity),
            ..Self::placeholder(header)
        });
    }

    /// The runtime in another cgroup that has started what is executed, `runc init`, in a container's
    /// cgroup: that is still the runtime's own. What runs in a container has a pid of its own there.
    fn maker(&self, header: &Header, program: &Program) -> Option<&Process> {
        let is_first = program.argv.iter().nth(1) == Some(b"init") && header.vpid == header.tgid;
        let parent = self.get(header.ppid).filter(|_| is_first)?;
        let is_maker = makes_containers(parent.program.argv.iter().next()?);
        (is_maker && parent.cgroup_id != header.cgroup_id).then_some(parent)
    }

    /// The process went to another directory.
    pub fn moved(&mut self, header: &Header, cwd: &[u8]) {
        if self.seen(header).is_some()
            && let Some(process) = self.by_pid.get_mut(&header.tgid)
        {
            process.cwd = cwd.into();
        }
    }

    /// The process acts on another's behalf now.
    pub fn identified(&mut self, header: &Header, identity: Identity) {
        if let Some(process) = self.by_pid.get_mut(&header.tgid)
            && process.id.is(id(header))
        {
            process.identity = Some(identity);
        }
    }

    /// The process stays a while, for its children and late records.
    pub fn exited(&mut self, header: &Header) {
        self.ended.push_back((header.boot_ns + REMEMBER_NS, id(header)));
    }

    /// Forgets those that ended long enough before `now_boot_ns`.
    pub fn forget(&mut self, now_boot_ns: u64) {
        while self.ended.front().is_some_and(|(until, _)| *until <= now_boot_ns) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) -> bool {
        let Some((_, ended)) = self.ended.pop_front() else { return false };
        if self.by_pid.get(&ended.pid).is_some_and(|process| process.id.is(ended)) {
            self.by_pid.remove(&ended.pid);
        }
        true
    }

    fn insert(&mut self, process: Process) {
        while self.by_pid.len() >= PROCESSES_MAX && !self.by_pid.contains_key(&process.id.pid) {
            self.evicted += 1;
            // With nothing ended, a live process has to go; it is found again in /proc.
            if !self.forget_oldest()
                && let Some(pid) = self.by_pid.keys().next().copied()
            {
                self.by_pid.remove(&pid);
            }
        }
        self.by_pid.insert(process.id.pid, process);
    }
}

/// The process that a header is about.
pub fn id(header: &Header) -> ProcessId {
    ProcessId { pid: header.tgid, start_boot_ns: header.start_boot_ns }
}

#[cfg(test)]
mod tests;
