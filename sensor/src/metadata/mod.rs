//! Who is asked about a container, and how the answers come back: look-ups run beside the event
//! path, which takes their answers as records of the stream.

pub mod host;
pub mod places;
pub mod sources;
pub mod docker;
pub mod podman;
pub mod oci;
pub mod spec;
pub mod machine;
pub mod sockets;
pub mod socket;
mod connect;
mod engine;
mod grpc;
pub mod kubernetes;
mod pod;
mod asked;
mod watch;
mod task;
pub mod status;
#[cfg(test)]
mod testing;

use std::collections::{HashMap, VecDeque};
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sensor_common::container::Stage;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::attribution::known::Wanted;
use crate::attribution::metadata::{Announcement, Metadata};
use crate::metadata::host::Host;
use crate::metadata::kubernetes::Access;
use crate::metadata::places::Places;
use crate::metadata::socket::Limits;
use crate::metadata::sockets::Sockets;
use crate::metadata::sources::Sources;
use crate::metadata::status::{Miss, Status};

/// Questions that may be on their way, and answers on their way back.
const QUEUE: usize = 1024;
/// Questions that may wait to be on their way, when containers come faster than anybody answers.
const BACKLOG_MAX: usize = 4096;

/// How long events of a container wait, unless it is said.
pub const WAIT: Duration = Duration::from_secs(1);

/// How to look things up.
#[derive(Clone, Debug)]
pub struct Settings {
    pub host: Host,
    pub places: Places,
    /// How long events of a container may wait; zero: they do not.
    pub wait: Duration,
    /// How much patience there is with sockets.
    pub limits: Limits,
    /// An API server that tells of this node's pods.
    pub kubernetes: Option<Access>,
}

impl Default for Settings {
    fn default() -> Self {
        let (host, limits, kubernetes) = Default::default();
        Self { host, places: Places::usual(), wait: WAIT, limits, kubernetes }
    }
}

impl Settings {
    /// For who does something with an answer although nothing is to wait for it.
    #[must_use]
    pub fn patient(self) -> Self {
        let wait = if self.wait.is_zero() { WAIT } else { self.wait };
        Self { wait, ..self }
    }
}

/// What goes into the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Say {
    pub cgroup_id: u64,
    pub stage: Stage,
    pub told: Announcement,
}

/// The answer to one question; or a later one, when a runtime says that something has changed.
#[derive(Debug)]
pub(crate) struct Answer {
    wanted: Wanted,
    found: Result<Metadata, Miss>,
    /// Whether more may come: nothing waits for that.
    is_last: bool,
}

/// The event path's end: it asks, and takes what there is to say without ever waiting.
pub struct Lookup {
    questions: mpsc::Sender<Wanted>,
    answers: mpsc::Receiver<Answer>,
    /// Questions for which the queue had no room.
    backlog: VecDeque<Wanted>,
    /// Those of which events wait, by container, and when they have waited long enough.
    open: HashMap<String, Wanted>,
    deadlines: VecDeque<(Instant, String)>,
    wait: Duration,
    pub status: Arc<Status>,
    pub sockets: Arc<Sockets>,
}

impl Lookup {
    /// Starts the look-ups on a runtime. `wake` is written to when there is an answer.
    pub fn start(settings: Settings, runtime: &Handle, wake: UnixStream) -> Self {
        let (questions, asked) = mpsc::channel(QUEUE);
        let (answer, answers) = mpsc::channel(QUEUE);
        let status = Arc::new(Status::default());
        let wait = settings.wait;
        let sources = Arc::new(Sources::new(settings, Arc::clone(&status)));
        let sockets = Arc::clone(&sources.sockets);
        runtime.spawn(task::serve(asked, task::Reply { answer, wake: Arc::new(wake) }, sources));
        let (backlog, open, deadlines) = Default::default();
        Self { questions, answers, backlog, open, deadlines, wait, status, sockets }
    }

    /// Asks about a container; what is returned belongs into the stream before anything else. With too many
    /// before it, it is given up at once.
    pub fn ask(&mut self, wanted: Wanted) -> Say {
        if self.backlog.len() >= BACKLOG_MAX {
            self.status.count_miss(Miss::Crowded);
            return say(&wanted, Stage::GivenUp, Metadata::default());
        }
        let waits = !self.wait.is_zero();
        let stage = if waits { Stage::Asked } else { Stage::GivenUp };
        let say = say(&wanted, stage, Metadata::default());
        if waits {
            self.deadlines.push_back((Instant::now() + self.wait, wanted.container_id.clone()));
            self.open.insert(wanted.container_id.clone(), wanted.clone());
        }
        self.backlog.push_back(wanted);
        self.send();
        say
    }

    /// The next thing to put into the stream, if there is one.
    pub fn poll(&mut self) -> Option<Say> {
        self.send();
        while let Ok(answer) = self.answers.try_recv() {
            if let Some(say) = self.take(answer) {
                return Some(say);
            }
        }
        while let Some((_, id)) = self.deadlines.pop_front_if(|(at, _)| *at <= Instant::now()) {
            if let Some(wanted) = self.open.remove(&id) {
                self.status.count_miss(Miss::Late);
                return Some(say(&wanted, Stage::GivenUp, Metadata::default()));
            }
        }
        None
    }

    /// Whether a question has neither been answered nor waited for long enough.
    pub fn has_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// When [`Self::poll`] may have something to say without an answer.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.front().map(|(at, _)| *at)
    }

    /// Gives up on everything that is still open, in the order of the questions.
    pub fn unanswered(&mut self) -> Vec<Say> {
        let open = std::mem::take(&mut self.open);
        let ids = std::mem::take(&mut self.deadlines);
        let wanted = ids.iter().filter_map(|(_, id)| open.get(id));
        wanted.map(|wanted| say(wanted, Stage::GivenUp, Metadata::default())).collect()
    }

    fn take(&mut self, answer: Answer) -> Option<Say> {
        let Answer { wanted, found, is_last } = answer;
        match found {
            Ok(metadata) => {
                self.open.remove(&wanted.container_id);
                Some(say(&wanted, Stage::Known, metadata.limited()))
            }
            Err(miss) if is_last => {
                self.status.count_miss(miss);
                let waited = self.open.remove(&wanted.container_id).is_some();
                waited.then(|| say(&wanted, Stage::GivenUp, Metadata::default()))
            }
            Err(_) => None,
        }
    }

    fn send(&mut self) {
        while let Some(wanted) = self.backlog.pop_front() {
            if let Err(error) = self.questions.try_send(wanted) {
                let (mpsc::error::TrySendError::Full(wanted)
                | mpsc::error::TrySendError::Closed(wanted)) = error;
                self.backlog.push_front(wanted);
                return;
            }
        }
    }
}

fn say(wanted: &Wanted, stage: Stage, metadata: Metadata) -> Say {
    let told = Announcement {
        id: wanted.container_id.clone(),
        cgroup_path: wanted.cgroup_path.clone(),
        runtime: wanted.runtime,
        metadata,
    };
    Say { cgroup_id: wanted.cgroup_id, stage, told }
}

/// Wakes the event path; one that has more to read than fits into the socket is awake.
fn wake(socket: &UnixStream) {
    let mut socket = socket;
    drop(socket.write(b"m"));
}

/// RFC 3339 → nanoseconds since the epoch; the year 1 stands for never.
pub fn time_ns(text: &str) -> Option<u64> {
    let time: jiff::Timestamp = text.parse().ok()?;
    u64::try_from(time.as_nanosecond()).ok().filter(|time| *time > 0)
}

#[cfg(test)]
mod tests;
