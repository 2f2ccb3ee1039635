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

fn filter(level: LogLevel) -> EnvFilter {
    EnvFilter::new(level.name())
}

/// The value of `--log`.
pub(super) fn log_level(text: &str) -> Result<LogLevel, String> {
    let found = LOG_LEVELS.iter().find(|(_, name)| *name == text);
    found.map(|(level, _)| *level).ok_or_else(|| {
        let names: Vec<_> = LOG_LEVELS.iter().map(|(_, name)| *name).collect();
        format!("not one of {}", names.join(", "))
    })
}
