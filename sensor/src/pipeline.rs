//! The loop that joins the stages: records in, events out, and the tables between.
//!
//! One thread owns all of it. Records come from the ring or from a capture; what this module does
//! with them is the same.

use sensor_common::call::Filter;
use sensor_common::cgroup::Change;
use sensor_common::container::Stage;
use sensor_common::credentials::Identity;
use sensor_common::{Header, Kind};
use zerocopy::FromBytes as _;

use crate::attribution::Attribution;
use crate::attribution::bundle::bundle_in;
use crate::attribution::cache::Cache;
use crate::attribution::metadata::Announcement;
use crate::event::call::Call;
use crate::event::cgroup::Cgroup;
use crate::event::connect::Connect;
use crate::event::credentials::Credentials;
use crate::event::decode::{Malformed, Record, decode};
use crate::event::detail::Detail;
use crate::event::dns;
use crate::event::exec::Exec;
use crate::event::exit::Exit;
use crate::event::fork::Fork;
use crate::event::kept::Role;
use crate::event::names::{self, Names};
use crate::event::oom::Oom;
use crate::event::open::Open;
use crate::event::path::from_components;
use crate::event::process::{Process, ProcessTable, id};
use crate::event::socket::Address;
use crate::event::{Event, Since, Thread, Turn};
use crate::hold::{Held, Hold, Position};

/// What was made of the records so far; the right side of the loss equation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records that came from the kernel, decoded or not.
    pub received: u64,
    /// Of those, by kind, the ones whose kind is known.
    pub delivered: [u64; Kind::SLOTS as usize],
    /// Records that could not be decoded, by [`Malformed::ALL_NAMES`].
    pub malformed: [u64; Malformed::ALL_NAMES.len()],
    /// Events from processes that neither the table nor /proc knew.
    pub unknown_process: u64,
}

impl Tally {
    pub fn delivered(&self, kind: Kind) -> u64 {
        self.delivered[kind as usize]
    }

    /// Counts a record that came from the kernel, whatever becomes of it.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.received += 1;
        if let Ok((header, _)) = Header::read_from_prefix(bytes)
            && let Some(kind) = header.kind()
        {
            self.delivered[kind as usize] += 1;
        }
    }

    fn count_malformed(&mut self, malformed: Malformed) {
        let name = malformed.name();
        for (count, known) in self.malformed.iter_mut().zip(Malformed::ALL_NAMES) {
            *count += u64::from(known == name);
        }
    }
}

/// Of a cgroup about which nothing is known.
static HOST: Attribution = Attribution::HOST;

/// The state between records and events.
pub struct Pipeline {
    pub processes: ProcessTable,
    pub cgroups: Cache,
    names: Names,
    pub tally: Tally,
    /// Events that wait for what is being asked about their containers.
    pub hold: Hold,
    events: u64,
    /// When the first event was, and the last one, nanoseconds since boot.
    first_boot_ns: u64,
    last_boot_ns: u64,
    clock_offset_ns: i64,
    now_boot_ns: u64,
    page_bytes: u64,
    /// Stands in for a process that nothing is known about.
    stranger: Process,
}

impl Pipeline {
    pub fn new(cgroups: Cache) -> Self {
        Self {
            processes: ProcessTable::default(),
            cgroups,
            names: Names::default(),
            tally: Tally::default(),
            hold: Hold::default(),
            events: 0,
            first_boot_ns: 0,
            last_boot_ns: 0,
            clock_offset_ns: 0,
            now_boot_ns: 0,
            page_bytes: rustix::param::page_size() as u64,
            stranger: Process::default(),
        }
    }

    /// The header of a record about a process that the table lacks: worth a look into /proc first.
    pub fn lacks(&mut self, bytes: &[u8]) -> Option<Header> {
        let (header, _) = Header::read_from_prefix(bytes).ok()?;
        match header.kind()? {
            Kind::Exec
            | Kind::Process
            | Kind::Clock
            | Kind::Container
            | Kind::Users
            | Kind::Sample => None,
            Kind::Fork
            | Kind::Exit
            | Kind::Open
            | Kind::Connect
            | Kind::Credentials
            | Kind::Oom
            | Kind::Cgroup
            | Kind::Call => self.processes.seen(&header).is_none().then_some(header),
        }
    }

    /// The header of a record about a process of a container whose users should be looked at, and
    /// the root directory below which they were found before, if another is the only reason to.
    ///
    /// The first that runs in a container is its runtime, still with the host's root: so every
    /// execution there is a reason to look whether the root is another by now.
    pub fn lacks_users(&mut self, bytes: &[u8]) -> Option<(Header, Option<[u64; 2]>)> {
        let (mut header, _) = Header::read_from_prefix(bytes).ok()?;
        self.cgroups.find(header.cgroup_id);
        header.cgroup_id = self.place(&header);
        let place = names::place(self.cgroups.get(header.cgroup_id));
        if self.names.lacks_users(place, header.boot_ns) {
            self.names.looked(place, header.boot_ns);
            return Some((header, None));
        }
        let is_exec = header.kind() == Some(Kind::Exec) && !place.is_empty();
        is_exec.then(|| (header, self.names.root(place)))
    }

    /// Where the bundle of a container is, by the record that shows it first: it is from the runtime
    /// that makes it, or from what that has started.
    pub fn bundle(&self, cause: &[u8], container_id: &str) -> Option<String> {
        /// Shims and monitors stand between.
        const PARENTS: usize = 4;
        let (header, _) = Header::read_from_prefix(cause).ok()?;
        let process = self.processes.get(header.tgid)?;
        if let Some(kept) = &process.kept
            && kept.by.container_id == container_id
            && kept.by.bundle.is_some()
        {
            return kept.by.bundle.clone();
        }
        let parents = self.processes.ancestors(process).take(PARENTS);
        std::iter::once(process)
            .chain(parents)
            .find_map(|maker| bundle_in(maker.program.argv.iter(), &maker.cwd, container_id))
    }

    /// Takes one record in; hands `on_event` what became of it, if it is an event.
    pub fn take(&mut self, bytes: &[u8], on_event: &mut impl FnMut(&Event<'_>)) {
        let record = match decode(bytes) {
            Ok(record) => record,
            Err(malformed) => return self.tally.count_malformed(malformed),
        };
        if let Ok((header, _)) = Header::read_from_prefix(bytes) {
            self.now_boot_ns = self.now_boot_ns.max(header.boot_ns);
        }
        self.learn(&record);
        if let Record::Container { container, stage, json } = record {
            self.hear(container.header.cgroup_id, stage, json, on_event);
        }
        self.emit(&record, bytes, on_event);
        self.settle(&record);
    }

    /// Forgets what is over. Called now and then, and at the end of a capture.
    pub fn tidy(&mut self) {
        self.processes.forget(self.now_boot_ns);
        self.cgroups.tidy(self.now_boot_ns);
    }

    /// Names that made room for others, by what they are of.
    pub fn names_evicted(&self) -> [(&'static str, u64); 2] {
        self.names.evicted()
    }

    /// Nanoseconds since the epoch of a record's time.
    pub fn wall_ns(&self, boot_ns: u64) -> i64 {
        boot_ns.cast_signed().wrapping_add(self.clock_offset_ns)
    }

    /// What the tables must know before the event is looked at.
    fn learn(&mut self, record: &Record<'_>) {
        match record {
            Record::Fork { fork, .. } => {
                self.processes.forked(fork);
                self.keep(fork);
            }
            Record::Exec(exec) | Record::Process(exec) => self.processes.executed(exec),
            Record::Clock(clock) => self.clock_offset_ns = clock.offset_ns,
            Record::Users { users, passwd, group } => {
                let place = names::place(self.cgroups.get(users.header.cgroup_id));
                self.names.learn_users(place, users.root, (passwd, group), self.now_boot_ns);
            }
            Record::Call { call, row, parts } if row.filter == Filter::FirstReceived => {
                let port = match Address::parse(parts.address) {
                    Some(Address::Inet((_, port))) => port,
                    _ => call.socket.remote_port,
                };
                if port == dns::PORT
                    && let Some(message) = dns::parse(parts.data)
                {
                    self.names.learn_host(&message.name, &message.addresses);
                }
            }
            Record::Cgroup { cgroup, change: Change::Made, path } => {
                let made_ns = u64::try_from(self.wall_ns(cgroup.header.boot_ns)).ok();
                self.cgroups.made(cgroup.id, &String::from_utf8_lossy(path), made_ns);
            }
            Record::Cgroup { cgroup, change: Change::Existing, path } => {
                self.cgroups.made(cgroup.id, &String::from_utf8_lossy(path), None);
            }
            Record::Cgroup { change: Change::Removed, .. }
            | Record::Call { .. }
            | Record::Exit(_)
            | Record::Open { .. }
            | Record::Connect(_)
            | Record::Credentials { .. }
            | Record::Oom { .. }
            | Record::Container { .. }
            | Record::Sample(_) => {}
        }
    }

    /// The first process of a container that has no cgroup is a reason to ask about it, before it
    /// executes what is the container's own: where the pid does not tell it, what its runtime forks.
    fn keep(&mut self, fork: &sensor_common::fork::Fork) {
        let child = self.processes.get(fork.child_tgid);
        let child = child.filter(|child| fork.child_vpid != fork.child_tgid || child.is_maker());
        if let Some(kept) = child.and_then(|child| child.kept.as_ref()) {
            let cgroup = self.cgroups.get(fork.child_cgroup_id);
            if cgroup.is_none_or(|cgroup| cgroup.container.is_none()) {
                self.cgroups.keep(&kept.by, fork.child_cgroup_id);
            }
        }
    }

    /// What ends with the event.
    fn settle(&mut self, record: &Record<'_>) {
        match record {
            Record::Exit(exit) => {
                if let Some(process) = self.processes.get(exit.header.tgid)
                    && let Some(monitor) = process.monitors()
                {
                    self.cgroups.removed(monitor.cgroup_id(), self.now_boot_ns);
                }
                self.processes.exited(&exit.header);
            }
            Record::Call { call, row, parts }
                if matches!(row.name, "chdir" | "fchdir") && call.result() == 0 =>
            {
                self.processes.moved(&call.header, &from_components(parts.file_path));
            }
            Record::Credentials { credentials, .. } => {
                self.processes.identified(&credentials.header, credentials.after);
            }
            Record::Cgroup { cgroup, change: Change::Removed, .. } => {
                self.cgroups.removed(cgroup.id, self.now_boot_ns);
            }
            _ => {}
        }
    }

    /// Takes in what is said about a container; what waited for it goes on.
    fn hear(
        &mut self,
        cgroup_id: u64,
        stage: Stage,
        json: &[u8],
        on_event: &mut impl FnMut(&Event<'_>),
    ) {
        let Some(told) = Announcement::from_json(json) else {
            return self.tally.count_malformed(Malformed::Value);
        };
        self.cgroups.heard(cgroup_id, stage, &told);
        if stage != Stage::Asked {
            self.release(&told.id, on_event);
        }
    }

    /// The events of a container that waited, in their order, for good.
    fn release(&mut self, container_id: &str, on_event: &mut impl FnMut(&Event<'_>)) {
        for held in self.hold.take(container_id) {
            // Both were decoded before, when the event came.
            let (Ok(record), Some(header)) = (decode(&held.record), held.header()) else {
                continue;
            };
            let identity = held.process.identity;
            let Some(detail) = detail(&record, identity, self.page_bytes) else { continue };
            on_event(&Event {
                process: &held.process,
                processes: &held.processes,
                ..self.event(&header, held.position, Turn::Late, detail)
            });
        }
    }

    fn emit(&mut self, record: &Record<'_>, bytes: &[u8], on_event: &mut impl FnMut(&Event<'_>)) {
        let Ok((header, _)) = Header::read_from_prefix(bytes) else { return };
        let header = &header;
        let identity = self.processes.seen(header).and_then(|process| process.identity);
        let Some(detail) = detail(record, identity, self.page_bytes) else { return };
        let since = self.count(header.boot_ns);
        self.cgroups.find(header.cgroup_id);
        if self.processes.seen(header).is_none() {
            self.tally.unknown_process += 1;
            self.stranger = ProcessTable::placeholder(header);
        }
        let place = self.place(header);
        let turn = match self.cgroups.waits(place) {
            None => Turn::Only,
            Some(container) if self.hold.has_room(container, bytes) => Turn::Early,
            Some(container) => {
                // What came before it goes before it.
                let container = container.to_owned();
                self.release(&container, on_event);
                Turn::Only
            }
        };
        let position = Position { number: self.events, since, place };
        let event = self.event(header, position, turn, detail);
        on_event(&event);
        if turn == Turn::Early
            && let Some(container) = self.cgroups.waits(place)
        {
            let held = Held::new(position, bytes, event.process, &self.processes);
            self.hold.push(container, held);
        }
    }

    /// One event more. Those of different processors do not come in the order of their times.
    fn count(&mut self, boot_ns: u64) -> Since {
        if self.events == 0 {
            (self.first_boot_ns, self.last_boot_ns) = (boot_ns, boot_ns);
        }
        self.events += 1;
        let previous_ns = boot_ns.saturating_sub(self.last_boot_ns);
        self.last_boot_ns = boot_ns;
        Since { first_ns: boot_ns.saturating_sub(self.first_boot_ns), previous_ns }
    }

    /// The cgroup that says whose an event is. That is the task's own, but for a runtime on its way into
    /// the container that it makes, and for a container that has none.
    fn place(&mut self, header: &Header) -> u64 {
        let own = header.cgroup_id;
        let process = self.processes.get(header.tgid).filter(|process| process.id.is(id(header)));
        let Some(process) = process else { return own };
        let container = self.cgroups.get(own).and_then(|known| known.container.as_ref());
        let Some(container) = container else {
            let inside = process.kept.as_ref().filter(|kept| kept.role == Role::Inside);
            return inside.and_then(|kept| self.cgroups.keep(&kept.by, own)).unwrap_or(own);
        };
        let from = process.program.cgroup_id;
        if from == own || from == 0 || !process.is_maker() {
            return own;
        }
        let before = self.cgroups.get(from);
        let was_there = before.is_none_or(|before| {
            before.container.as_ref().is_some_and(|before| before.id == container.id)
        });
        if was_there { own } else { from }
    }

    fn event<'a>(
        &'a self,
        header: &Header,
        Position { number, since, place }: Position,
        turn: Turn,
        detail: Detail<'a>,
    ) -> Event<'a> {
        let known = self.processes.get(header.tgid);
        Event {
            number,
            time_ns: self.wall_ns(header.boot_ns),
            boot_ns: header.boot_ns,
            since,
            thread: Thread::new(header),
            process: known.filter(|process| process.id.is(id(header))).unwrap_or(&self.stranger),
            processes: &self.processes,
            names: &self.names,
            attribution: self.cgroups.get(place).unwrap_or(&HOST),
            turn,
            detail,
        }
    }
}

/// What happened, for a record that is an event. `identity` is the process's before it.
fn detail<'a>(
    record: &'a Record<'_>,
    identity: Option<Identity>,
    page_bytes: u64,
) -> Option<Detail<'a>> {
    Some(match record {
        Record::Fork { fork, call } => Detail::Fork(Fork::new(fork, *call)),
        Record::Exec(exec) => Detail::Exec(Exec::new(&exec.exec)),
        Record::Exit(exit) => Detail::Exit(Exit::new(exit.status)),
        Record::Open { open, call, path, text } => Detail::Open(Open::new(open, *call, path, text)),
        Record::Connect(connect) => Detail::Connect(Connect::new(connect)),
        Record::Credentials { credentials, call, groups } => {
            Detail::Credentials(Credentials::new(credentials, *call, groups, identity))
        }
        Record::Oom { oom, path } => Detail::Oom(Oom::new(oom, path, page_bytes)),
        Record::Call { call, row, parts } => Detail::Call(Box::new(Call::new(call, row, parts))),
        Record::Cgroup { change: Change::Existing, .. }
        | Record::Sample(_)
        | Record::Process(_)
        | Record::Container { .. }
        | Record::Users { .. }
        | Record::Clock(_) => return None,
        Record::Cgroup { cgroup, change, path } => {
            Detail::Cgroup(Cgroup { id: cgroup.id, made: *change == Change::Made, path })
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{Cache, Pipeline};

    #[test]
    fn events_are_apart_by_their_times() {
        let mut pipeline = Pipeline::new(Cache::default());
        let apart = [5, 9, 8, 12].map(|boot_ns| {
            let since = pipeline.count(boot_ns);
            (since.first_ns, since.previous_ns)
        });
        assert_eq!(apart, [(0, 0), (4, 4), (3, 0), (7, 4)]);
    }
}
