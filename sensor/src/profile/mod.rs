//! CPU profiles: samples in, stacks of named functions out.
//!
//! [`Profile`] takes the records of a run and keeps what naming them will need; [`report::Report`]
//! is what it becomes; `output` writes that.

pub mod fold;
pub mod jit;
pub mod maps;
pub mod module;
pub mod name;
pub mod output;
pub mod pprof;
pub mod report;
pub mod space;
pub mod speedscope;
pub mod stack;
pub mod symbol;

pub mod flamegraph;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::event::process::ProcessId;
use crate::profile::fold::{Fold, Folded};
use crate::profile::report::{Loss, Quality, Report};
use crate::profile::space::Spaces;

/// A profile that is being taken. Bounded, whatever comes in.
#[derive(Debug)]
pub struct Profile {
    target: String,
    frequency_hz: u64,
    start_ns: i64,
    fold: Fold,
    spaces: Spaces,
    quality: Quality,
}

/// How far a profile is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub taken: u64,
    pub kept: u64,
    pub lost: u64,
    /// Distinct stacks.
    pub stacks: usize,
    pub processes: usize,
}

impl Profile {
    /// Of what `target` says in words, sampled `frequency_hz` times a second on each processor.
    pub fn new(target: impl Into<String>, frequency_hz: u64) -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            target: target.into(),
            frequency_hz,
            start_ns: i64::try_from(since_epoch.as_nanos()).unwrap_or(i64::MAX),
            fold: Fold::default(),
            spaces: Spaces::default(),
            quality: Quality::default(),
        }
    }

    /// Takes one sample record. Soon after it was made: a process that ended cannot be read.
    pub fn add(&mut self, record: &[u8]) {
        self.quality.taken += 1;
        let Ok(sample) = stack::decode(record) else {
            return self.quality.count_lost(Loss::Malformed, 1);
        };
        let Some(space) = self.spaces.of(&sample) else {
            return self.quality.count_lost(Loss::TooManyProcesses, 1);
        };
        match self.fold.add(space, sample.kernel, sample.user) {
            Folded::Full => return self.quality.count_lost(Loss::TooManyStacks, 1),
            Folded::New => self.spaces.complete(space, &sample, true),
            Folded::Known => self.spaces.complete(space, &sample, false),
        }
        self.quality.kept += 1;
    }

    /// A process executed another program. What is not told is found out a little later.
    pub fn executed(&mut self, process: ProcessId) {
        self.spaces.executed(process);
    }

    /// Samples that were taken and did not arrive here.
    pub fn lost(&mut self, loss: Loss, samples: u64) {
        self.quality.taken += samples;
        self.quality.count_lost(loss, samples);
    }

    pub fn progress(&self) -> Progress {
        Progress {
            taken: self.quality.taken,
            kept: self.quality.kept,
            lost: self.quality.lost(),
            stacks: self.fold.len(),
            processes: self.spaces.len(),
        }
    }

    /// Names every frame. `group` may give the stacks of a cgroup a common root: the container,
    /// where a profile is of several.
    pub fn finish(self, duration: Duration, group: &dyn Fn(u64) -> Option<String>) -> Report {
        let named = name::name(&self.fold, &self.spaces, group);
        let mut quality = self.quality;
        quality.named = named.named;
        quality.unnamed = named.unnamed;
        quality.user = named.user;
        quality.rooted = named.rooted;
        quality.unread_processes = self.spaces.unread;
        Report {
            target: self.target,
            frequency_hz: self.frequency_hz,
            duration,
            start_ns: self.start_ns,
            frames: named.frames,
            stacks: named.stacks,
            quality,
        }
    }
}
