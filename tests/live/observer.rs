//! The sensor inside the test: attached to one cgroup, its events received with a deadline.

use std::env;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sensor::attribution::Attribution;
use sensor::attribution::cache::Cache;
use sensor::attribution::cgroup::Hierarchy;
use sensor::driver::balance::Balance;
use sensor::driver::{Control, Live, Remote, Stages};
use sensor::event::Event;
use sensor::event::detail::Detail;
use sensor::event::oom::OomMemory;
use sensor::event::process::Process;
use sensor::fields::parameters;
use sensor::pipeline::{Pipeline, Tally};
use sensor::probe::attach::{Outcome, State};
use sensor::probe::load::{Hooks, Settings};
use sensor::probe::proc::Proc;
use sensor::probe::wanted::Wanted;
use sensor_common::Kind;
use sensor_common::config::Config;
use sensor_common::credentials::{Call, Identity};

use crate::harness::Cgroup;

/// Longer than anything takes on a loaded machine or an emulated one.
pub(crate) const DEADLINE: Duration = Duration::from_mins(4);

/// More events than a test produces before it looks. The channel takes the room for all at once, so
/// that they are behind pointers.
const QUEUE: usize = 400_000;

/// What is left of an event when the pipeline has moved on.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub process: Process,
    pub ancestors: Vec<String>,
    pub attribution: Attribution,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    Fork {
        child: u32,
    },
    Exec,
    Exit {
        code: Option<u8>,
        signal: Option<u8>,
    },
    Open {
        path: String,
        text: String,
        result: i64,
        flags: u32,
        created: bool,
        io_uring: bool,
    },
    Connect {
        peer: String,
        result: i64,
        io_uring: bool,
    },
    Credentials {
        call: Call,
        ids: Vec<u32>,
        result: i64,
        before: Option<Identity>,
        after: Identity,
        groups: Vec<u32>,
    },
    Oom {
        memory: OomMemory,
        memory_cgroup: String,
    },
    Cgroup {
        path: String,
        made: bool,
    },
    Call {
        name: &'static str,
        arguments: String,
        paths: Vec<String>,
        result: i64,
        io_uring: bool,
    },
}

/// A running sensor.
pub(crate) struct Observer {
    events: Receiver<Box<Seen>>,
    outcomes: Vec<Outcome>,
    remote: Remote,
    thread: JoinHandle<(Balance, Tally)>,
}

struct Forward {
    events: SyncSender<Box<Seen>>,
}

impl Stages for Forward {
    fn event(&mut self, event: &Event<'_>) {
        // A test that has seen enough hangs up.
        drop(self.events.send(Box::new(seen(event))));
    }

    fn tick(&mut self, _pipeline: &mut Pipeline, _source: &mut Live) {}
}

impl Observer {
    /// Attached when it returns: what `cgroup` does from now on is seen.
    pub(crate) fn start(cgroup: &Cgroup, wanted: &[Kind]) -> Self {
        Self::with_ring(cgroup, wanted, 8 << 20)
    }

    pub(crate) fn with_ring(cgroup: &Cgroup, wanted: &[Kind], ring_bytes: u32) -> Self {
        let hierarchy = Hierarchy::find().expect("the mounts can be read");
        let legacy = hierarchy.and_then(|hierarchy| hierarchy.legacy());
        let config = Config {
            scope_cgroup_id: cgroup.id(),
            scope_level: cgroup.level(),
            self_tgid: std::process::id(),
            wake_bytes: ring_bytes / 8,
            wake_interval_ns: 1_000_000,
            hierarchy: legacy.map_or(0, |legacy| legacy.number),
            controller: legacy.map_or(0, |legacy| legacy.controller as u32),
            ..Config::default()
        };
        let settings = Settings {
            config,
            wanted: Wanted::of(wanted.iter().copied()),
            ring_bytes,
            hooks: hooks(),
        };
        let mut live = Live::start(&settings, Proc::default()).expect("attach");
        let outcomes = live.outcomes.clone();
        let (control, remote) = Control::new().expect("a socket pair");
        let (events, receiver) = sync_channel(QUEUE);
        let thread = std::thread::spawn(move || {
            let mut pipeline = Pipeline::new(Cache::live().expect("the mounts can be read"));
            let balance = live
                .run(&mut pipeline, &control, &mut Forward { events })
                .expect("the ring can be read");
            (balance, pipeline.tally)
        });
        Self { events: receiver, outcomes, remote, thread }
    }

    /// The hook that serves a probe, if one does.
    pub(crate) fn hook(&self, probe: &str) -> Option<&'static str> {
        let outcome = self.outcomes.iter().find(|outcome| outcome.probe == probe).unwrap();
        match outcome.state {
            State::Attached(hook) => Some(hook),
            State::Off | State::Failed(_) => None,
        }
    }

    /// The first event from now on for which `wanted` holds.
    pub(crate) fn wait_for(&self, mut wanted: impl FnMut(&Seen) -> bool) -> Seen {
        let deadline = Instant::now() + DEADLINE;
        let mut others = Vec::new();
        loop {
            match self.events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(seen) if wanted(&seen) => return *seen,
                Ok(seen) => others.push(seen.what),
                Err(RecvTimeoutError::Timeout) => panic!("no such event among {others:#?}"),
                Err(RecvTimeoutError::Disconnected) => panic!("the sensor stopped: {others:#?}"),
            }
        }
    }

    /// Stops; everything that was not waited for, and the loss equation, which must hold.
    pub(crate) fn stop(self) -> (Vec<Seen>, Balance) {
        self.remote.stop().expect("the loop is there");
        let mut rest = Vec::new();
        while let Ok(seen) = self.events.recv() {
            rest.push(*seen);
        }
        let (balance, tally) = self.thread.join().expect("the sensor's thread");
        assert!(balance.is_exact(), "{balance}");
        assert_eq!(tally.malformed, [0; 4], "records that could not be decoded");
        (rest, balance)
    }
}

/// The value of `--hooks` that the tests run with.
fn hooks() -> Hooks {
    let named = env::var("SENSOR_TEST_HOOKS").ok();
    named.map_or(Hooks::Auto, |name| name.parse().expect("SENSOR_TEST_HOOKS is auto or exit"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn seen(event: &Event<'_>) -> Seen {
    let what = match &event.detail {
        Detail::Fork(fork) => What::Fork { child: fork.child_pid },
        Detail::Exec(_) => What::Exec,
        Detail::Exit(exit) => What::Exit { code: exit.code, signal: exit.signal },
        Detail::Open(open) => What::Open {
            path: text(&open.path),
            text: text(open.text),
            result: open.result,
            flags: open.flags,
            created: open.created,
            io_uring: open.is_io_uring,
        },
        Detail::Connect(connect) => What::Connect {
            peer: format!("{:?}", connect.peer),
            result: connect.result,
            io_uring: connect.is_io_uring,
        },
        Detail::Credentials(credentials) => What::Credentials {
            call: credentials.call,
            ids: credentials.ids().to_vec(),
            result: credentials.result,
            before: credentials.before,
            after: credentials.after,
            groups: credentials.groups().collect(),
        },
        Detail::Oom(oom) => {
            What::Oom { memory: oom.memory, memory_cgroup: text(&oom.memory_cgroup) }
        }
        Detail::Cgroup(cgroup) => What::Cgroup { path: text(cgroup.path), made: cgroup.made },
        Detail::Call(call) => {
            let mut arguments = Vec::new();
            parameters::all_text(event, &mut arguments);
            let paths = call.source().into_iter().chain(call.paths());
            What::Call {
                name: call.row.name,
                arguments: text(&arguments),
                paths: paths.map(|path| text(&path.path)).collect(),
                result: call.result(),
                io_uring: call.is_io_uring,
            }
        }
    };
    Seen {
        process: event.process.clone(),
        ancestors: event.processes.ancestors(event.process).map(|one| text(&one.name)).collect(),
        attribution: event.attribution.clone(),
        what,
    }
}
