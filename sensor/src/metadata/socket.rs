//! A runtime's socket as somebody to ask: how often at a time, for how long, and whether at all after
//! it has failed.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::metadata::connect::Allowance;

/// What a socket speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Docker,
    /// Docker's protocol as well.
    Podman,
    /// containerd's own services, and the CRI where its plugin is there.
    Containerd,
    Cri,
    /// HTTP, to a server elsewhere.
    Kubernetes,
}

impl Kind {
    /// The `kind` label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Containerd => "containerd",
            Self::Cri => "cri",
            Self::Kubernetes => "kubernetes",
        }
    }
}

/// How much patience there is with a socket.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For one question, from the connection to the end of the answer.
    pub question: Duration,
    pub answer_bytes: u64,
    /// Bytes of a stream of events before it is asked for anew.
    pub events_bytes: u64,
    /// Questions under way at one socket; none means that no socket is asked.
    pub at_a_time: usize,
    /// How long a socket that has failed is left alone at first; doubled with each further failure.
    pub first_pause: Duration,
    pub longest_pause: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            question: Duration::from_secs(1),
            answer_bytes: 4 << 20,
            events_bytes: 1 << 20,
            at_a_time: 4,
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_mins(1),
        }
    }
}

/// Why a question had no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("no such socket")]
    Absent,
    #[error("cannot connect: {0}")]
    Unreachable(io::Error),
    #[error("no answer in time")]
    Late,
    #[error("the answer is longer than it may be")]
    TooLong,
    #[error("the connection ended before the answer did")]
    Cut,
    #[error("the answer is not understood: {0}")]
    Malformed(String),
    #[error("refused: {0}")]
    Refused(String),
    /// It speaks of something else than it was asked about.
    #[error("asked about {asked}, it answers about {answered}")]
    Lie { asked: String, answered: String },
    /// Nothing that the socket can be blamed for.
    #[error("too many questions are under way")]
    Busy,
}

impl Failure {
    const REASONS: [&'static str; 9] =
        ["absent", "connect", "timeout", "too_long", "cut", "malformed", "refused", "lie", "busy"];

    const fn number(&self) -> usize {
        match self {
            Self::Absent => 0,
            Self::Unreachable(_) => 1,
            Self::Late => 2,
            Self::TooLong => 3,
            Self::Cut => 4,
            Self::Malformed(_) => 5,
            Self::Refused(_) => 6,
            Self::Lie { .. } => 7,
            Self::Busy => 8,
        }
    }

    /// Of an attempt to connect.
    pub(super) fn of_connect(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Absent,
            _ => Self::Unreachable(error),
        }
    }
}

/// What came of a question.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked<T> {
    Told(T),
    /// It answers that there is no such thing.
    Unknown,
    /// It was not asked, or did not answer.
    Down,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody has asked it yet.
    Untried,
    Up,
    /// There is no such socket.
    Absent,
    BackingOff {
        until: Instant,
    },
}

/// Whether a socket may be asked.
#[derive(Debug)]
struct Gate {
    state: State,
    /// One question is under way to see whether the pause may end.
    is_probed: bool,
    failures_in_a_row: u32,
    last_error: Option<String>,
}

impl Gate {
    const fn new() -> Self {
        Self { state: State::Untried, is_probed: false, failures_in_a_row: 0, last_error: None }
    }

    fn is_shut(&self, now: Instant) -> bool {
        matches!(self.state, State::BackingOff { until } if now < until)
    }

    /// Whether somebody may ask now. After a pause one question is let through to see how it is.
    fn admits(&mut self, now: Instant, limits: &Limits) -> bool {
        match &mut self.state {
            State::Untried | State::Up | State::Absent => true,
            State::BackingOff { until } if now < *until => false,
            State::BackingOff { until } => {
                *until = now + limits.question;
                self.is_probed = true;
                true
            }
        }
    }

    fn succeeded(&mut self) {
        self.state = State::Up;
        self.is_probed = false;
        self.failures_in_a_row = 0;
    }

    fn failed(&mut self, now: Instant, limits: &Limits, failure: &Failure) {
        if matches!(failure, Failure::Busy) {
            return;
        }
        if matches!(failure, Failure::Absent) {
            self.state = State::Absent;
            self.is_probed = false;
            return;
        }
        // What was asked together fails together, and is one failure.
        if matches!(self.state, State::BackingOff { .. }) && !self.is_probed {
            return;
        }
        let doublings = self.failures_in_a_row.min(16);
        let pause = limits.first_pause.saturating_mul(1 << doublings).min(limits.longest_pause);
        self.failures_in_a_row += 1;
        self.is_probed = false;
        self.state = State::BackingOff { until: now + pause };
        self.last_error = Some(failure.to_string());
    }
}

/// questions = answers + unknown + the sum of failures.
#[derive(Debug, Default)]
struct Counts {
    questions: AtomicU64,
    answers: AtomicU64,
    unknown: AtomicU64,
    failures: [AtomicU64; Failure::REASONS.len()],
}

/// A socket as `/readyz?verbose` and metrics show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub kind: &'static str,
    pub path: String,
    pub state: State,
    pub last_error: Option<String>,
    pub questions: u64,
    pub answers: u64,
    pub unknown: u64,
    /// By reason, all of them.
    pub failures: Vec<(&'static str, u64)>,
}

/// One socket.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) kind: Kind,
    /// As the host names it.
    pub(super) name: String,
    /// As this process opens it.
    pub(super) path: PathBuf,
    /// Whose it is, if it is not the system's.
    pub(super) user: Option<u32>,
    pub(super) limits: Limits,
    places: Semaphore,
    // Look-ups and requests for health contend; nobody holds it for longer than an assignment.
    gate: Mutex<Gate>,
    counts: Counts,
}

impl Socket {
    pub(super) fn new(kind: Kind, name: String, path: PathBuf, limits: Limits) -> Self {
        Self {
            kind,
            name,
            path,
            user: None,
            limits,
            places: Semaphore::new(limits.at_a_time),
            gate: Mutex::new(Gate::new()),
            counts: Counts::default(),
        }
    }

    pub(super) fn of_user(self, user: u32) -> Self {
        Self { user: Some(user), ..self }
    }

    /// What one connection is allowed.
    pub(super) fn allowance(&self) -> Allowance {
        let time = Some(self.limits.question);
        Allowance { bytes: self.limits.answer_bytes, time, spent: Arc::default() }
    }

    /// Asks, within the limits. `Ok(None)` is an answer: there is no such thing.
    pub(super) async fn ask<T>(
        &self,
        question: impl Future<Output = Result<Option<T>, Failure>>,
    ) -> Asked<T> {
        if self.gate().is_shut(Instant::now()) {
            return Asked::Down;
        }
        let time = self.limits.question;
        let Ok(_place) = timeout(time, self.places.acquire()).await else {
            return self.settle(Err(Failure::Busy));
        };
        // Those before may have failed.
        if !self.gate().admits(Instant::now(), &self.limits) {
            return Asked::Down;
        }
        let answer = timeout(time, question).await;
        self.settle(answer.unwrap_or(Err(Failure::Late)))
    }

    /// Counts an answer, and what it says of the socket.
    pub(super) fn settle<T>(&self, answer: Result<Option<T>, Failure>) -> Asked<T> {
        let count = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
        if !matches!(answer, Err(Failure::Absent)) {
            count(&self.counts.questions);
        }
        match answer {
            Ok(found) => {
                self.gate().succeeded();
                count(if found.is_some() { &self.counts.answers } else { &self.counts.unknown });
                found.map_or(Asked::Unknown, Asked::Told)
            }
            Err(failure) => {
                count(&self.counts.failures[failure.number()]);
                if !matches!(failure, Failure::Absent | Failure::Busy) {
                    tracing::debug!(socket = self.name, %failure, "ask a runtime");
                }
                self.gate().failed(Instant::now(), &self.limits, &failure);
                Asked::Down
            }
        }
    }

    /// Lets one question through, or says when to come again.
    pub(super) fn admits(&self) -> Result<(), Instant> {
        let mut gate = self.gate();
        let is_let_through = gate.admits(Instant::now(), &self.limits);
        match gate.state {
            State::BackingOff { until } if !is_let_through => Err(until),
            _ => Ok(()),
        }
    }

    pub(super) fn is_absent(&self) -> bool {
        self.gate().state == State::Absent
    }

    pub(super) fn report(&self) -> Report {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counts = &self.counts;
        let failures = Failure::REASONS.iter().zip(&counts.failures);
        let gate = self.gate();
        Report {
            kind: self.kind.name(),
            path: self.name.clone(),
            state: gate.state,
            last_error: gate.last_error.clone(),
            questions: get(&counts.questions),
            answers: get(&counts.answers),
            unknown: get(&counts.unknown),
            // That there is no socket is a state and no failure of it.
            failures: failures.skip(1).map(|(reason, count)| (*reason, get(count))).collect(),
        }
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_one_question_finds_out_whether_it_is_over() {
        let limits = Limits::default();
        let mut gate = Gate::new();
        let mut now = Instant::now();
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            assert!(gate.admits(now, &limits));
            for _asked_together in 0..3 {
                gate.failed(now, &limits, &Failure::Late);
            }
            let almost = Duration::from_millis(seconds * 1000 - 1);
            assert!(!gate.admits(now + almost, &limits), "{seconds}");
            now += Duration::from_secs(seconds);
        }
        assert_eq!(gate.last_error.as_deref(), Some("no answer in time"));
        // The one that is let through, and nobody else while it asks.
        assert!(gate.admits(now, &limits) && !gate.admits(now, &limits));
        gate.succeeded();
        assert!(gate.admits(now, &limits) && gate.admits(now, &limits));
        gate.failed(now, &limits, &Failure::Cut);
        assert_eq!(gate.state, State::BackingOff { until: now + limits.first_pause });
        // No socket is nothing to wait for.
        gate.failed(now, &limits, &Failure::Absent);
        assert!(gate.admits(now, &limits) && gate.admits(now, &limits));
    }
}
