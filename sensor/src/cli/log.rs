//! The sensor's messages about itself: on standard error, from a level on that may change.

use std::io;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::reload;

use crate::cli::colour;
use crate::config::value::{LOG_LEVELS, LogLevel};

/// What messages are shown, once they can be.
pub(super) struct Log {
    /// The command line has the last word.
    chosen: Option<LogLevel>,
    replace: Box<dyn Fn(EnvFilter) -> Result<(), reload::Error>>,
}

impl Log {
    pub(super) fn start(chosen: Option<LogLevel>) -> Self {
        let subscriber = tracing_subscriber::fmt()
            .with_target(false)
            .with_ansi(colour(&io::stderr()))
            .with_writer(io::stderr)
            .with_env_filter(filter(chosen.unwrap_or(LogLevel::Info)))
            .with_filter_reloading();
        let handle = subscriber.reload_handle();
        subscriber.init();
        Self { chosen, replace: Box::new(move |filter| handle.reload(filter)) }
    }

    /// Takes the level of the settings, unless the command line gave one.
    pub(super) fn settings(&self, level: LogLevel) {
        if self.chosen.is_none()
            && let Err(error) = (self.replace)(filter(level))
        {
            tracing::warn!(%error, "the level of messages stays as it was");
        }
    }
}

/// Without what the client for Kubernetes says: of what it does not understand that is all, and the
/// environments of pods are in it.
fn filter(level: LogLevel) -> EnvFilter {
    EnvFilter::new(format!("{},kube_client=off,kube_runtime=off", level.name()))
}

/// The value of `--log`.
pub(super) fn log_level(text: &str) -> Result<LogLevel, String> {
    let found = LOG_LEVELS.iter().find(|(_, name)| *name == text);
    found.map(|(level, _)| *level).ok_or_else(|| {
        let names: Vec<_> = LOG_LEVELS.iter().map(|(_, name)| *name).collect();
        format!("not one of {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _};

    use super::*;

    #[test]
    fn a_library_that_shows_what_it_was_sent_is_not_heard() {
        let mut file = tempfile::tempfile().unwrap();
        let writer = std::sync::Mutex::new(file.try_clone().unwrap());
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(filter(LogLevel::Trace))
            .with_writer(writer)
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(target: "kube_client::client", "TOKEN=secret");
            tracing::error!(target: "kube_runtime::watcher", "TOKEN=secret");
            tracing::trace!("said");
        });
        let mut said = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut said).unwrap();
        assert!(said.contains("said") && !said.contains("secret"), "{said}");
    }
}
