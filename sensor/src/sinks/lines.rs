//! Alerts as lines: on stdout and in a file. Both may block, so each has a thread of its own.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use tokio::task::JoinHandle;

use crate::alert::Alert;
use crate::sinks::Inbox;
use crate::sinks::format::{json_line, pretty};

/// How an alert is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    Json,
    Pretty { colour: bool },
}

impl Form {
    fn append(self, alert: &Alert, text: &mut String) {
        match self {
            Self::Json => json_line(alert, text),
            Self::Pretty { colour } => pretty(alert, colour, text),
        }
    }
}

/// Writes each alert to stdout at once.
pub(crate) fn to_stdout(inbox: Inbox, form: Form) -> anyhow::Result<JoinHandle<()>> {
    thread(inbox, form, write_stdout)
}

/// Writes one alert to stdout.
pub(crate) fn print(alert: &Alert, form: Form) -> io::Result<()> {
    let mut text = String::new();
    form.append(alert, &mut text);
    write_stdout(text.as_bytes())
}

fn write_stdout(text: &[u8]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text)?;
    stdout.flush()
}

/// Appends each alert to a file. After `reopen` was set, the path is opened anew.
pub(crate) fn to_file(
    inbox: Inbox,
    path: PathBuf,
    reopen: Arc<AtomicBool>,
) -> anyhow::Result<JoinHandle<()>> {
    let mut file = open(&path).with_context(|| format!("open {} to append", path.display()))?;
    thread(inbox, Form::Json, move |text| {
        if reopen.swap(false, Ordering::Relaxed) {
            file = open(&path)?;
        }
        file.write_all(text)
    })
}

/// Appends one alert to a file.
pub(crate) fn append(alert: &Alert, path: &Path) -> io::Result<()> {
    let mut line = String::new();
    json_line(alert, &mut line);
    open(path)?.write_all(line.as_bytes())
}

/// Only the owner reads it: alerts hold command lines.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).mode(0o600).open(path)
}

/// Alerts that are written at once when they come faster than they are written.
const BATCH: usize = 64;

fn thread(
    mut inbox: Inbox,
    form: Form,
    mut write: impl FnMut(&[u8]) -> io::Result<()> + Send + 'static,
) -> anyhow::Result<JoinHandle<()>> {
    let (ended, end) = tokio::sync::oneshot::channel();
    let name = format!("sink-{}", inbox.counters.sink);
    std::thread::Builder::new().name(name).spawn(move || {
        let mut alerts = Vec::with_capacity(BATCH);
        let mut failing = false;
        while inbox.alerts.blocking_recv_many(&mut alerts, BATCH) > 0 {
            let mut text = String::new();
            for alert in &alerts {
                form.append(alert, &mut text);
            }
            let result = write(text.as_bytes());
            report(&inbox, &result, &mut failing, alerts.len() as u64);
            inbox.counters.queued.set(inbox.alerts.len());
            alerts.clear();
        }
        // Nobody waits for it after the grace period.
        ended.send(()).unwrap_or_default();
    })?;
    Ok(tokio::spawn(async move { end.await.unwrap_or_default() }))
}

/// Counts a batch, and logs when writing begins to fail and when it works again.
fn report(inbox: &Inbox, result: &io::Result<()>, failing: &mut bool, count: u64) {
    let sink = inbox.counters.sink;
    match result {
        Ok(()) => {
            inbox.counters.delivered.add(count);
            if std::mem::take(failing) {
                tracing::info!(sink, "writing alerts works again");
            }
        }
        Err(error) => {
            inbox.counters.errors.add(&(String::new(), "write"), 1);
            inbox.counters.dropped.add(&"write_failed", count);
            if !std::mem::replace(failing, true) {
                tracing::error!(sink, %error, "cannot write alerts; they are dropped and counted");
            }
        }
    }
}
