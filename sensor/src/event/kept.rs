//! Which processes below a container's monitor are in the container, where no control group says it.

use std::sync::Arc;

use sensor_common::{Header, Kind};

use crate::attribution::monitor::{Monitor, makes_containers};
use crate::event::process::{Process, ProcessTable, Program, id};

/// By whom a process is kept.
#[derive(Clone, Debug)]
pub struct Kept {
    pub by: Arc<Monitor>,
    pub role: Role,
}

/// What a process below a monitor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The monitor itself.
    Monitor,
    /// The runtime that makes the container, and what it starts for itself.
    Runtime,
    /// In the container.
    Inside,
}

impl ProcessTable {
    /// Whose monitor the program is, or what was known of who keeps its process.
    pub(super) fn kept(&self, header: &Header, program: &Program) -> Option<Kept> {
        let before = self.get(header.tgid).filter(|process| process.id.is(id(header)));
        let parent = self.get(header.ppid).and_then(|parent| parent.kept.as_ref());
        let known = before.and_then(|process| process.kept.as_ref()).or(parent);
        // Nobody gets out of a container by calling himself its monitor.
        if known.is_none_or(|kept| kept.role != Role::Inside)
            && let Some(monitor) = Monitor::of(&program.exe_path, program.argv.iter(), header.uid)
        {
            return Some(Kept { by: Arc::new(monitor), role: Role::Monitor });
        }
        let mut kept = known?.clone();
        let is_monitors_own = parent.is_some_and(|parent| parent.role == Role::Monitor);
        let is_inside = kept.role == Role::Inside
            // With a pid of its own.
            || header.vpid != header.tgid
            || before.is_some_and(|before| is_left_behind(before, program, &kept, is_monitors_own))
            || (is_monitors_own && ran_before(header, program, &kept.by));
        kept.role = if is_inside { Role::Inside } else { Role::Runtime };
        Some(kept)
    }
}

/// In the host's pid namespace: whether a process that the runtime has forked executes what the
/// container is made for.
///
/// That is what runc's last own step turns into. crun has no such step. In between it starts other
/// programs for itself, but when it makes a container, it has ended before that container's own
/// program begins, and the monitor has taken over what it left; in one that is there already it starts
/// nothing else.
fn is_left_behind(before: &Process, program: &Program, kept: &Kept, is_monitors_own: bool) -> bool {
    let is_first = before.first.is_none();
    let is_own_step = is_init(program) && program.argv.iter().next().is_some_and(makes_containers);
    is_first
        && !is_own_step
        && (is_init(&before.program)
            || (before.is_maker() && (is_monitors_own || kept.by.is_session)))
}

fn is_init(program: &Program) -> bool {
    program.argv.iter().nth(1) == Some(b"init")
}

/// In the host's pid namespace: whether a process that its monitor keeps, and that is there already,
/// is the container. Besides it, a monitor starts the runtime, and at the end what it was told to; both
/// have the container's id among their arguments.
fn ran_before(header: &Header, program: &Program, monitor: &Monitor) -> bool {
    let id = monitor.container_id.as_bytes();
    header.kind() == Some(Kind::Process) && !program.argv.iter().any(|argument| argument == id)
}
