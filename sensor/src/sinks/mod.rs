//! Where alerts go: stdout, a file, HTTP, Alertmanager. Each sink has a bounded queue and works by
//! itself, so that one that is slow or down holds up neither the event path nor the others.

pub mod format;
pub mod test;
mod throttle;
mod lines;
mod client;
mod http;
mod incident;
mod schedule;
mod alertmanager;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::alert::Alert;
use crate::config;
use crate::config::value::{Endpoint, Format};
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
    queues: RwLock<Vec<Queue>>,
    // The event path is one thread; a reload replaces it.
    throttle: Mutex<Throttle>,
}

/// A sink that was asked for, with all that a reload compares.
#[derive(Clone, Debug, PartialEq)]
enum Wanted {
    Stdout(config::Stdout),
    File(PathBuf, config::File),
    Http(Endpoint, config::Http),
    Alertmanager(config::Alertmanager),
}

/// A sink's way in.
struct Queue {
    wanted: Wanted,
    sender: mpsc::Sender<Arc<Alert>>,
    counters: Arc<counters::Sink>,
    min_priority: Priority,
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
            queues: RwLock::default(),
        };
        let queues = wanted(settings)
            .into_iter()
            .map(|wanted| sinks.open(wanted))
            .collect::<anyhow::Result<_>>()?;
        *sinks.queues.write().unwrap_or_else(PoisonError::into_inner) = queues;
        Ok(sinks)
    }

    /// Hands an alert to every sink that wants it. Never waits: where a queue is full, the alert
    /// is dropped for that sink and counted.
    pub fn dispatch(&self, alert: Alert) {
        let queues = self.queues.read().unwrap_or_else(PoisonError::into_inner);
        let alert = Arc::new(alert);
        let passes = self
            .throttle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(&alert.rule, Instant::now());
        if !passes {
            self.counters.throttled.add(&alert.rule, 1);
        }
        // Incidents count every alert; the other sinks are spared a storm.
        let wants = |queue: &&Queue| {
            alert.priority <= queue.min_priority
                && (passes || matches!(queue.wanted, Wanted::Alertmanager(_)))
        };
        queues.iter().filter(wants).for_each(|queue| queue.offer(&alert));
    }

    /// Opens the file anew before its next line, as after a rotation.
    pub fn reopen(&self) {
        self.reopen.store(true, Ordering::Relaxed);
    }

    /// Takes new settings. A sink that is wanted as before goes on as it is, with what it knows;
    /// one that is not delivers what it has within `grace`. On an error nothing changes.
    pub async fn reload(&self, settings: &config::Sinks, grace: Duration) -> anyhow::Result<()> {
        self.reopen();
        let wanted = wanted(settings);
        let runs = |wanted: &&Wanted| {
            let queues = self.queues.read().unwrap_or_else(PoisonError::into_inner);
            queues.iter().any(|queue| queue.wanted == **wanted)
        };
        let opened = wanted
            .iter()
            .filter(|wanted| !runs(wanted))
            .map(|wanted| self.open(wanted.clone()))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let throttle = Throttle::new(&settings.throttle, Instant::now());
        *self.throttle.lock().unwrap_or_else(PoisonError::into_inner) = throttle;
        let closed: Vec<Queue> = {
            let mut queues = self.queues.write().unwrap_or_else(PoisonError::into_inner);
            let closed = queues.extract_if(.., |queue| !wanted.contains(&queue.wanted)).collect();
            queues.extend(opened);
            closed
        };
        close(closed, grace).await;
        Ok(())
    }

    /// Closes the queues and waits up to `grace` for what is in them. Returns how many alerts were
    /// left; they are counted as dropped.
    pub async fn shutdown(&self, grace: Duration) -> u64 {
        let queues =
            std::mem::take(&mut *self.queues.write().unwrap_or_else(PoisonError::into_inner));
        close(queues, grace).await
    }

    /// A queue, with its sink at work behind it.
    fn open(&self, wanted: Wanted) -> anyhow::Result<Queue> {
        let (sink, endpoint, min_priority, capacity) = wanted.queue();
        let (sender, alerts) = mpsc::channel(capacity);
        let counters = self.counters.sinks.register(sink, &endpoint, capacity);
        let inbox = Inbox { alerts, counters: Arc::clone(&counters) };
        let _runtime = self.runtime.enter();
        let task = match &wanted {
            Wanted::Stdout(settings) => lines::to_stdout(inbox, form(settings.format)),
            Wanted::File(path, _) => lines::to_file(inbox, path.clone(), Arc::clone(&self.reopen)),
            Wanted::Http(endpoint, settings) => http::to_url(inbox, endpoint, settings),
            Wanted::Alertmanager(settings) => {
                alertmanager::to_alertmanagers(inbox, settings, Arc::clone(&self.counters))
            }
        };
        let task = task.with_context(|| format!("start the sink {sink}"))?;
        Ok(Queue { wanted, sender, counters, min_priority, task })
    }
}

/// The sinks that the settings ask for.
fn wanted(settings: &config::Sinks) -> Vec<Wanted> {
    let stdout =
        (settings.stdout.format != Format::Off).then(|| Wanted::Stdout(settings.stdout.clone()));
    let file = settings.file.path.clone().map(|path| Wanted::File(path, settings.file.clone()));
    let http = settings.http.urls.iter().map(|url| {
        Wanted::Http(url.clone(), config::Http { urls: Vec::new(), ..settings.http.clone() })
    });
    let alertmanager = (!settings.alertmanager.urls.is_empty())
        .then(|| Wanted::Alertmanager(settings.alertmanager.clone()));
    stdout.into_iter().chain(file).chain(http).chain(alertmanager).collect()
}

impl Wanted {
    /// The sink's name, its endpoint for metrics, and its queue: least priority and capacity.
    fn queue(&self) -> (&'static str, String, Priority, usize) {
        match self {
            Self::Stdout(stdout) => ("stdout", String::new(), stdout.min_priority, stdout.queue),
            Self::File(_, file) => ("file", String::new(), file.min_priority, file.queue),
            Self::Http(endpoint, http) => {
                ("http", endpoint.public(), http.min_priority, http.queue)
            }
            Self::Alertmanager(settings) => {
                ("alertmanager", String::new(), settings.min_priority, settings.queue)
            }
        }
    }
}

/// The form for stdout as it is. `NO_COLOR` with any text turns colours off.
fn form(format: Format) -> Form {
    let terminal = std::io::stdout().is_terminal();
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    match format {
        Format::Pretty => Form::Pretty { colour: terminal && !plain },
        Format::Auto if terminal => Form::Pretty { colour: !plain },
        Format::Auto | Format::Json | Format::Off => Form::Json,
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
