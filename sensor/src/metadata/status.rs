//! What the look-ups count, and how the sources are, for metrics and `/readyz?verbose`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Why a container has no metadata, or had none in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// No source that could be asked knew it.
    NotFound,
    /// It was not known when its events had waited long enough.
    Late,
    /// A source that should have known it did not answer.
    SourceDown,
    /// What should have said it could not be read.
    Unreadable,
}

impl Miss {
    pub const ALL: [Self; 4] = [Self::NotFound, Self::Late, Self::SourceDown, Self::Unreadable];

    /// The `reason` label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Late => "late",
            Self::SourceDown => "source_down",
            Self::Unreadable => "unreadable",
        }
    }
}

/// Written by the look-ups, read a few times a minute.
#[derive(Debug, Default)]
pub struct Status {
    misses: [AtomicU64; Miss::ALL.len()],
    answered: AtomicU64,
    /// By source; the error of one that does not answer.
    sources: Mutex<BTreeMap<String, Result<(), String>>>,
}

impl Status {
    pub fn count_miss(&self, miss: Miss) {
        self.misses[miss as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub fn count_answer(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    pub fn misses(&self) -> [(&'static str, u64); Miss::ALL.len()] {
        Miss::ALL.map(|miss| (miss.name(), self.misses[miss as usize].load(Ordering::Relaxed)))
    }

    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    pub fn set(&self, source: &str, state: Result<(), String>) {
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        sources.insert(source.to_owned(), state);
    }

    /// Each source that was there, and why it does not answer.
    pub fn sources(&self) -> BTreeMap<String, Result<(), String>> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
