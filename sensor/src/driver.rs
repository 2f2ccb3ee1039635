//! Runs the pipeline: over the kernel's ring, with what /proc adds, or over a capture.

pub mod balance;

use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sensor_common::counters::Outcome;
use sensor_common::{Header, Kind};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use zerocopy::FromBytes as _;

use crate::driver::balance::Balance;
use crate::event::Event;
use crate::metadata::{Lookup, Say};
use crate::pipeline::Pipeline;
use crate::probe::attach::{Outcome as ProbeOutcome, Probes, attach};
use crate::probe::capture::{self, Reader, Writer};
use crate::probe::cost::{self, Cost};
use crate::probe::counters::Counters;
use crate::probe::fill::Fill;
use crate::probe::filter::{Content, Filters};
use crate::probe::load::Settings;
use crate::probe::missed::Missed;
use crate::probe::proc::Proc;
use crate::probe::ring::Ring;
use crate::probe::wanted::Wanted;
use crate::probe::{self, record};

/// How often the tables are tidied and the stages get their turn.
pub const TICK: Duration = Duration::from_secs(1);

/// Records between two looks at the clock and the signals.
const BATCH: usize = 4096;

/// How long the last programs may take to end after they were detached.
const SETTLE: Duration = Duration::from_millis(500);

/// A wall clock that moved by less than this against boot time is left alone.
const CLOCK_STEP_NS: u64 = 1_000_000;

/// What stands below the pipeline.
pub trait Stages {
    /// One event, in the order of the stream.
    fn event(&mut self, event: &Event<'_>);
    /// About once a second, and once at the end.
    fn tick(&mut self, pipeline: &mut Pipeline, source: &mut Live);
    /// Everything that had come is dealt with: a good moment to flush.
    fn drained(&mut self) {}
    /// SIGHUP.
    fn reload(&mut self) {}
    /// Whether the stages have had enough (`--count`, a closed pipe).
    fn done(&self) -> bool {
        false
    }
}

/// What the loop is told from outside; the socket wakes it.
pub struct Control {
    stop: Arc<AtomicBool>,
    reload: Arc<AtomicBool>,
    wake: UnixStream,
    /// The other end, for whoever has something for the loop.
    waker: UnixStream,
}

/// Tells a loop to stop, from another thread.
pub struct Remote {
    stop: Arc<AtomicBool>,
    wake: UnixStream,
}

impl Remote {
    pub fn stop(&self) -> io::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        (&self.wake).write_all(b"x")
    }
}

impl Control {
    pub fn new() -> io::Result<(Self, Remote)> {
        let (wake, write) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        write.set_nonblocking(true)?;
        let waker = write.try_clone()?;
        let control = Self { stop: Arc::default(), reload: Arc::default(), wake, waker };
        let remote = Remote { stop: Arc::clone(&control.stop), wake: write };
        Ok((control, remote))
    }

    /// SIGTERM and SIGINT stop, SIGHUP reloads.
    pub fn signals() -> io::Result<Self> {
        let (control, remote) = Self::new()?;
        for (signal, flag) in
            [(SIGTERM, &control.stop), (SIGINT, &control.stop), (SIGHUP, &control.reload)]
        {
            // A second SIGTERM or SIGINT ends the process at once.
            if signal != SIGHUP {
                signal_hook::flag::register_conditional_default(signal, Arc::clone(flag))?;
            }
            signal_hook::flag::register(signal, Arc::clone(flag))?;
            signal_hook::low_level::pipe::register(signal, remote.wake.try_clone()?)?;
        }
        Ok(control)
    }

    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// What is written to it wakes the loop.
    pub fn waker(&self) -> io::Result<UnixStream> {
        self.waker.try_clone()
    }

    pub fn wake_fd(&self) -> &UnixStream {
        &self.wake
    }

    fn take_reload(&self) -> bool {
        let mut bytes = [0; 64];
        // Emptied so that the next wait sleeps; what it held is in the flags.
        while (&self.wake).read(&mut bytes).is_ok_and(|read| read > 0) {}
        self.reload.swap(false, Ordering::Relaxed)
    }
}

/// The kernel as a source of records.
pub struct Live {
    probes: Option<Probes>,
    ring: Ring,
    ring_bytes: u32,
    pub outcomes: Vec<ProbeOutcome>,
    pub missed: Missed,
    missed_at_end: u64,
    /// Scrapes read it from another thread, a few times a minute.
    pub counters: Arc<Mutex<Counters>>,
    filters: Filters,
    proc: Proc,
    /// Who is asked about containers.
    pub lookup: Option<Lookup>,
    tee: Option<Writer>,
    tee_error: Option<capture::Error>,
    clock_offset_ns: i64,
}

impl Live {
    /// Loads and attaches. What happens from here on is in the ring.
    pub fn start(settings: &Settings, proc: Proc) -> Result<Self, probe::Error> {
        let mut probes = attach(settings)?;
        let interval = Duration::from_nanos(settings.config.wake_interval_ns);
        let ring = Ring::new(&mut probes, interval)?;
        let counters = Arc::new(Mutex::new(Counters::new(&mut probes)?));
        let filters = Filters::new(&mut probes)?;
        let outcomes = probes.outcomes.clone();
        let missed = Missed::new(&probes);
        let probes = Some(probes);
        let (tee, tee_error) = (None, None);
        let (missed_at_end, clock_offset_ns) = (0, 0);
        Ok(Self {
            probes,
            ring,
            ring_bytes: settings.ring_bytes,
            outcomes,
            missed,
            missed_at_end,
            counters,
            filters,
            proc,
            lookup: None,
            tee,
            tee_error,
            clock_offset_ns,
        })
    }

    /// Also writes every record to a capture.
    pub fn tee(&mut self, writer: Writer) {
        self.tee = Some(writer);
    }

    /// How full the ring is, for another thread.
    pub fn fill(&self) -> Result<Fill, probe::Error> {
        self.ring.fill(self.ring_bytes)
    }

    pub fn probes_mut(&mut self) -> Option<&mut Probes> {
        self.probes.as_mut()
    }

    /// Brings what is attached in line with what is wanted now.
    pub fn watch(&mut self, wanted: &Wanted) {
        if let Some(probes) = &mut self.probes {
            probes.watch(wanted);
            self.outcomes.clone_from(&probes.outcomes);
        }
    }

    /// Lets only events pass that some rule may match; on an error everything passes.
    pub fn filter(&mut self, content: impl FnOnce(u32) -> Content) -> Result<(), probe::Error> {
        self.filters.replace(content)
    }

    /// Whether everything is detached: what is counted now is all.
    pub fn is_over(&self) -> bool {
        self.probes.is_none()
    }

    /// What the programs cost so far, while they are attached.
    pub fn costs(&self) -> Vec<Cost> {
        self.probes.as_ref().map(cost::costs).unwrap_or_default()
    }

    /// Feeds the pipeline what was there before the first record of the ring: the clock, the
    /// cgroups, the processes.
    pub fn prime(&mut self, pipeline: &mut Pipeline, stages: &mut impl Stages) {
        self.synchronise_clock(pipeline, stages);
        for (id, path) in pipeline.cgroups.scan() {
            self.feed(&record::cgroup(id, &path), pipeline, stages);
        }
        for process in self.proc.processes() {
            self.feed(&process, pipeline, stages);
        }
        self.converse(pipeline, stages);
        self.filters.contain(pipeline.cgroups.settled());
    }

    /// Runs until a signal, or until the stages are done; then detaches and drains.
    pub fn run(
        &mut self,
        pipeline: &mut Pipeline,
        control: &Control,
        stages: &mut impl Stages,
    ) -> Result<Balance, probe::Error> {
        let mut next_tick = Instant::now() + TICK;
        while !control.stopped() && !stages.done() {
            let next = self.lookup.as_ref().and_then(Lookup::next_deadline);
            let next = next.map_or(next_tick, |deadline| deadline.min(next_tick));
            let limit = next.saturating_duration_since(Instant::now());
            self.ring.wait(control.wake_fd().as_fd(), limit)?;
            let drained = self.drain(pipeline, stages) > 0;
            if self.converse(pipeline, stages) || drained {
                stages.drained();
            }
            // Until the kernel side knows whose a cgroup is, all of its events come here.
            for (id, is_container) in pipeline.cgroups.take_news() {
                self.filters.tell(id, is_container);
            }
            if control.take_reload() {
                stages.reload();
            }
            if Instant::now() >= next_tick {
                next_tick = Instant::now() + TICK;
                self.synchronise_clock(pipeline, stages);
                pipeline.tidy();
                self.filters.contain(pipeline.cgroups.settled());
                self.save();
                stages.tick(pipeline, self);
            }
        }
        self.detach();
        let balance = self.settle(pipeline, |live, pipeline| {
            let read = live.drain(pipeline, stages);
            live.converse(pipeline, stages);
            (read, pipeline.tally.received)
        });
        self.give_up(pipeline, stages);
        stages.tick(pipeline, self);
        Ok(balance)
    }

    /// Hands over raw records until a signal or `until`, without a pipeline: for the profiler.
    pub fn sample(
        &mut self,
        control: &Control,
        until: Instant,
        mut take: impl FnMut(&[u8]),
        mut on_tick: impl FnMut(Duration),
    ) -> Result<Balance, probe::Error> {
        /// Often enough for a progress bar.
        const PROGRESS: Duration = Duration::from_millis(100);
        let mut received = 0;
        while !control.stopped() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            on_tick(left);
            self.ring.wait(control.wake_fd().as_fd(), left.min(PROGRESS))?;
            received += self.ring.drain(BATCH, &mut take) as u64;
        }
        self.detach();
        Ok(self.settle(&mut (), |live, ()| {
            let read = live.ring.drain(BATCH, &mut take);
            received += read as u64;
            (read, received)
        }))
    }

    /// Ends the capture, if there is one: what it could not write is an error now.
    pub fn close(&mut self) -> Result<(), capture::Error> {
        if let Some(error) = self.tee_error.take() {
            return Err(error);
        }
        self.tee.take().map_or(Ok(()), |mut writer| writer.flush())
    }

    /// What is in the capture stays there, should the sensor be killed.
    fn save(&mut self) {
        if let Some(Err(error)) = self.tee.as_mut().map(Writer::flush) {
            (self.tee, self.tee_error) = (None, Some(error));
        }
    }

    fn detach(&mut self) {
        self.missed_at_end = self.missed.total();
        self.probes = None;
    }

    /// Everything is detached: reads until all that was produced is accounted for, because the
    /// last programs may still be on their way out. `drain` returns the records that it read now
    /// and those that were received in all.
    fn settle<T>(
        &mut self,
        state: &mut T,
        mut drain: impl FnMut(&mut Self, &mut T) -> (usize, u64),
    ) -> Balance {
        let deadline = Instant::now() + SETTLE;
        loop {
            let (read, received) = drain(self, state);
            let balance = self.balance(received);
            if (read == 0 && balance.is_exact()) || Instant::now() >= deadline {
                return balance;
            }
            if read == 0 {
                std::thread::yield_now();
            }
        }
    }

    /// The loss equation, over all kinds that the kernel sends.
    pub fn balance(&self, received: u64) -> Balance {
        let counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = |outcome| Kind::KERNEL.iter().map(|kind| counters.get(*kind, outcome)).sum();
        let lost = sum(Outcome::LostRing);
        let all_losses: u64 = Outcome::LOSSES.into_iter().map(sum).sum();
        Balance {
            produced: sum(Outcome::Produced),
            delivered: received,
            lost,
            dropped: all_losses - lost,
            missed: self.missed_at_end,
            filtered: counters.filtered().iter().map(|(_, count)| count).sum(),
        }
    }

    fn drain(&mut self, pipeline: &mut Pipeline, stages: &mut impl Stages) -> usize {
        let Self { ring, proc, lookup, tee, tee_error, .. } = self;
        ring.drain(BATCH, |bytes| {
            pipeline.tally.receive(bytes);
            if let Some(header) = pipeline.lacks(bytes)
                && let Some(process) = proc.process(header.tgid)
                && is_still(&header, &process)
            {
                pass(&process, tee, tee_error, pipeline, stages);
            }
            if let Some((header, known)) = pipeline.lacks_users(bytes)
                && let Some(users) = proc.users(&header, known)
            {
                pass(&users, tee, tee_error, pipeline, stages);
            }
            pass(bytes, tee, tee_error, pipeline, stages);
            // At once, so that what the container does next already waits.
            while let Some(asked) = ask(lookup, pipeline, bytes) {
                pass(&asked, tee, tee_error, pipeline, stages);
            }
        })
    }

    fn feed(&mut self, bytes: &[u8], pipeline: &mut Pipeline, stages: &mut impl Stages) {
        pass(bytes, &mut self.tee, &mut self.tee_error, pipeline, stages);
    }

    /// Asks about new containers and takes in what is answered; whether anything was.
    fn converse(&mut self, pipeline: &mut Pipeline, stages: &mut impl Stages) -> bool {
        while let Some(asked) = ask(&mut self.lookup, pipeline, &[]) {
            self.feed(&asked, pipeline, stages);
        }
        let mut heard = false;
        while let Some(say) = self.lookup.as_mut().and_then(Lookup::poll) {
            self.feed(&spoken(&say), pipeline, stages);
            heard = true;
        }
        heard
    }

    /// At the end: what still waits goes on with what is known.
    fn give_up(&mut self, pipeline: &mut Pipeline, stages: &mut impl Stages) {
        let unanswered = self.lookup.as_mut().map(Lookup::unanswered).unwrap_or_default();
        for say in unanswered {
            self.feed(&spoken(&say), pipeline, stages);
        }
    }

    /// Wall time is boot time plus an offset, until somebody sets the clock.
    fn synchronise_clock(&mut self, pipeline: &mut Pipeline, stages: &mut impl Stages) {
        let offset_ns = clock_offset_ns();
        if offset_ns.abs_diff(self.clock_offset_ns) >= CLOCK_STEP_NS {
            self.clock_offset_ns = offset_ns;
            self.feed(&record::clock(offset_ns), pipeline, stages);
        }
    }
}

fn pass(
    bytes: &[u8],
    tee: &mut Option<Writer>,
    tee_error: &mut Option<capture::Error>,
    pipeline: &mut Pipeline,
    stages: &mut impl Stages,
) {
    if let Some(writer) = tee
        && let Err(error) = writer.write(bytes)
    {
        *tee_error = Some(error);
        *tee = None;
    }
    pipeline.take(bytes, &mut |event| stages.event(event));
}

/// Whether what /proc shows now is what the process was at the record: not if it has executed
/// something else in the meantime, which its name tells.
fn is_still(then: &Header, now: &[u8]) -> bool {
    then.tid != then.tgid
        || Header::read_from_prefix(now).is_ok_and(|(now, _)| now.comm == then.comm)
}

/// The record of a question about the next container that somebody should be asked about; it was
/// first seen in the record `cause`.
fn ask(lookup: &mut Option<Lookup>, pipeline: &mut Pipeline, cause: &[u8]) -> Option<Vec<u8>> {
    let lookup = lookup.as_mut()?;
    let mut wanted = pipeline.cgroups.take_wanted()?;
    wanted.bundle = pipeline.bundle(cause, &wanted.container_id);
    Some(spoken(&lookup.ask(wanted)))
}

fn spoken(say: &Say) -> Vec<u8> {
    record::container(say.cgroup_id, say.stage, &say.told.to_json())
}

fn clock_offset_ns() -> i64 {
    use rustix::time::{ClockId, clock_gettime};
    let ns = |id| {
        let time = clock_gettime(id);
        time.tv_sec * 1_000_000_000 + time.tv_nsec
    };
    ns(ClockId::Realtime) - ns(ClockId::Boottime)
}

/// Runs the pipeline over a capture: no root, no kernel, no /proc.
pub fn replay(
    mut reader: Reader,
    pipeline: &mut Pipeline,
    mut on_event: impl FnMut(&Event<'_>),
) -> Result<(), capture::Error> {
    let mut records = 0_usize;
    while let Some(record) = reader.read()? {
        pipeline.take(record, &mut on_event);
        records += 1;
        if records.is_multiple_of(BATCH) {
            pipeline.tidy();
        }
    }
    Ok(())
}
