//! Where alerts go: stdout, a file, HTTP, Alertmanager. Each sink has a bounded queue and works by
//! itself, so that one that is slow or down holds up neither the event path nor the others.

pub mod format;
mod lines;
mod throttle;

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::alert::Alert;
use crate::config;
use crate::config::value::Format;
use crate::metrics::counters::{self, Counters};
use crate::rules::priority::Priority;
use crate::sinks::lines::Form;
use crate::sinks::throttle::Throttle;

/// All configured sinks.
pub struct Sinks {
    counters: Arc<Counters>,
    runtime: Handle,
    /// Set by [`Sinks::reopen`], cleared by the file sink.
    reopen: Arc<AtomicBool>,
    // Only a reload writes; the event path reads for each alert.
    active: RwLock<Active>,
    // The event path is one thread; the lock is for a second one that replays or tests.
    throttle: Mutex<Throttle>,
}

/// The sinks of one configuration.
#[derive(Default)]
struct Active {
    settings: config::Sinks,
    queues: Vec<Queue>,
}

/// A sink's way in.
struct Queue {
    sender: mpsc::Sender<Arc<Alert>>,
    counters: Arc<counters::Sink>,
    min_priority: Priority,
    /// Incidents count every alert; other sinks are spared a storm.
    throttled: bool,
    /// Ends when the queue is closed and empty.
    task: JoinHandle<()>,
}

/// What a sink's own side gets: its queue, and where it counts.
struct Inbox {
    alerts: mpsc::Receiver<Arc<Alert>>,
    counters: Arc<counters::Sink>,
}

impl Sinks {
    /// Starts every configured sink on `runtime`. The error names the sink and what is wrong.
    pub fn start(
        settings: &config::Sinks,
        counters: Arc<Counters>,
        runtime: Handle,
    ) -> anyhow::Result<Self> {
        let sinks = Self {
            throttle: Mutex::new(Throttle::new(&settings.throttle, Instant::now())),
            counters,
            runtime,
            reopen: Arc::default(),
            active: RwLock::default(),
        };
        let active = sinks.open(settings)?;
        *sinks.active.write().unwrap_or_else(PoisonError::into_inner) = active;
        Ok(sinks)
    }

    /// Hands an alert to every sink that wants it. Never waits: where a queue is full, the alert
    /// is dropped for that sink and counted.
    pub fn dispatch(&self, alert: Alert) {
        let active = self.active.read().unwrap_or_else(PoisonError::into_inner);
        let alert = Arc::new(alert);
        let passes = self
            .throttle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(&alert.rule, Instant::now());
        if !passes {
            self.counters.throttled.add(&alert.rule, 1);
        }
        let wanted =
            |queue: &&Queue| alert.priority <= queue.min_priority && (passes || !queue.throttled);
        active.queues.iter().filter(wanted).for_each(|queue| queue.offer(&alert));
    }

    /// Opens the file anew before its next line, as after a rotation.
    pub fn reopen(&self) {
        self.reopen.store(true, Ordering::Relaxed);
    }

    /// Takes new settings. Sinks whose settings changed nothing go on as they are; on an error all
    /// do. The old ones deliver what they have.
    pub async fn reload(&self, settings: &config::Sinks, grace: Duration) -> anyhow::Result<()> {
        self.reopen();
        if self.active.read().unwrap_or_else(PoisonError::into_inner).settings == *settings {
            return Ok(());
        }
        let new = self.open(settings)?;
        let throttle = Throttle::new(&settings.throttle, Instant::now());
        let old = {
            let mut active = self.active.write().unwrap_or_else(PoisonError::into_inner);
            *self.throttle.lock().unwrap_or_else(PoisonError::into_inner) = throttle;
            std::mem::replace(&mut *active, new)
        };
        close(old.queues, grace).await;
        Ok(())
    }

    /// Closes the queues and waits up to `grace` for what is in them. Returns how many alerts were
    /// left; they are counted as dropped.
    pub async fn shutdown(&self, grace: Duration) -> u64 {
        let old = {
            let mut active = self.active.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *active)
        };
        close(old.queues, grace).await
    }

    fn open(&self, settings: &config::Sinks) -> anyhow::Result<Active> {
        let mut queues = Vec::new();
        let terminal = std::io::stdout().is_terminal();
        let form = match settings.stdout.format {
            Format::Off => None,
            Format::Json => Some(Form::Json),
            Format::Auto if !terminal => Some(Form::Json),
            Format::Auto | Format::Pretty => Some(Form::Pretty { colour: terminal && colours() }),
        };
        if let Some(form) = form {
            let (min_priority, capacity) = (settings.stdout.min_priority, settings.stdout.queue);
            queues.push(self.queue("stdout", "", (min_priority, capacity), |inbox| {
                lines::to_stdout(inbox, form)
            })?);
        }
        if let Some(path) = settings.file.path.clone() {
            let (min_priority, capacity) = (settings.file.min_priority, settings.file.queue);
            let reopen = Arc::clone(&self.reopen);
            queues.push(self.queue("file", "", (min_priority, capacity), |inbox| {
                lines::to_file(inbox, path, reopen)
            })?);
        }
        Ok(Active { settings: settings.clone(), queues })
    }

    /// A queue with its sink, which `start` sets off.
    fn queue(
        &self,
        sink: &'static str,
        endpoint: &str,
        (min_priority, capacity): (Priority, usize),
        start: impl FnOnce(Inbox) -> anyhow::Result<JoinHandle<()>>,
    ) -> anyhow::Result<Queue> {
        let (sender, alerts) = mpsc::channel(capacity);
        let counters = self.counters.sinks.register(sink, endpoint, capacity);
        let inbox = Inbox { alerts, counters: Arc::clone(&counters) };
        let _runtime = self.runtime.enter();
        let task = start(inbox).with_context(|| format!("start the sink {sink}"))?;
        Ok(Queue { sender, counters, min_priority, throttled: true, task })
    }
}

impl Queue {
    fn offer(&self, alert: &Arc<Alert>) {
        self.counters.sent.add(1);
        let reason = match self.sender.try_send(Arc::clone(alert)) {
            Ok(()) => None,
            Err(mpsc::error::TrySendError::Full(_)) => Some("queue_full"),
            Err(mpsc::error::TrySendError::Closed(_)) => Some("sink_ended"),
        };
        if let Some(reason) = reason {
            self.counters.dropped.add(&reason, 1);
        }
        self.counters.queued.set(self.sender.max_capacity() - self.sender.capacity());
    }
}

/// `NO_COLOR` with any text turns colours off.
fn colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Lets every sink deliver what it has, all at once, for at most `grace`.
async fn close(queues: Vec<Queue>, grace: Duration) -> u64 {
    let deadline = tokio::time::Instant::now() + grace;
    let mut left = 0;
    let mut closing = Vec::new();
    for queue in queues {
        // The queue is closed when its only sender goes.
        drop(queue.sender);
        closing.push((queue.counters, queue.task));
    }
    for (counters, task) in closing {
        let abort = task.abort_handle();
        let ended = tokio::time::timeout_at(deadline, task).await;
        if ended.is_err() {
            abort.abort();
            let accounted: u64 =
                counters.delivered.get() + counters.dropped.get().values().sum::<u64>();
            let lost = counters.sent.get().saturating_sub(accounted);
            tracing::warn!(
                sink = counters.sink,
                lost,
                "alerts were left when the grace period ended"
            );
            counters.dropped.add(&"shutdown", lost);
            left += lost;
        }
        counters.queued.set(0);
    }
    left
}

#[cfg(test)]
mod tests;
