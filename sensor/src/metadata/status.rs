//! What the look-ups count, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why a container has no metadata, or had none in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Miss {
    /// No source that could be asked knew it.
    NotFound,
    /// It was not known when its events had waited long enough.
    Late,
    /// Too many others were to be asked about before it.
    Crowded,
    /// A socket that may know it did not answer, or its files did not: a file system that hangs.
    SourceDown,
    /// What should have said it could not be read.
    Unreadable,
}

impl Miss {
    pub const ALL: [Self; 5] =
        [Self::NotFound, Self::Late, Self::Crowded, Self::SourceDown, Self::Unreadable];

    /// The `reason` label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Late => "late",
            Self::Crowded => "crowded",
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
    forgotten: AtomicU64,
}

impl Status {
    pub fn count_miss(&self, miss: Miss) {
        self.misses[miss as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub fn count_answer(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    pub fn count_forgotten(&self, count: u64) {
        self.forgotten.fetch_add(count, Ordering::Relaxed);
    }

    /// Containers of which changes are no longer noticed, because there were too many.
    pub fn forgotten(&self) -> u64 {
        self.forgotten.load(Ordering::Relaxed)
    }

    pub fn misses(&self) -> [(&'static str, u64); Miss::ALL.len()] {
        Miss::ALL.map(|miss| (miss.name(), self.misses[miss as usize].load(Ordering::Relaxed)))
    }

    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }
}
