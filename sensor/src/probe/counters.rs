//! What the kernel side counted: outcomes by kind, and run-queue histograms.

use aya::maps::{HashMap, MapData, PerCpuArray};
use sensor_common::Kind;
use sensor_common::counters::{Outcome, slot};
use sensor_common::filter;
use sensor_common::histogram::Histogram;

use super::Error;
use super::attach::Probes;
use super::wire::Wire;

/// A reader of the kernel's counters; usable from another thread than the ring's.
pub struct Counters {
    outcomes: PerCpuArray<MapData, u64>,
    run_queue: HashMap<MapData, u64, Wire<Histogram>>,
    blinded: HashMap<MapData, u64, u64>,
    filtered: PerCpuArray<MapData, u64>,
}

impl Counters {
    /// Takes the maps out of the attached programs.
    pub fn new(probes: &mut Probes) -> Result<Self, Error> {
        let missing = || Error::Load("the counters are taken".into());
        let wrong = |error: aya::maps::MapError| Error::Load(error.to_string());
        let outcomes = probes.ebpf.take_map("COUNTERS").ok_or_else(missing)?;
        let run_queue = probes.ebpf.take_map("RUN_QUEUE").ok_or_else(missing)?;
        let blinded = probes.ebpf.take_map("BLINDED").ok_or_else(missing)?;
        let filtered = probes.ebpf.take_map("FILTERED").ok_or_else(missing)?;
        Ok(Self {
            blinded: HashMap::try_from(blinded).map_err(wrong)?,
            filtered: PerCpuArray::try_from(filtered).map_err(wrong)?,
            outcomes: PerCpuArray::try_from(outcomes).map_err(wrong)?,
            run_queue: HashMap::try_from(run_queue).map_err(wrong)?,
        })
    }

    /// One counter, summed over the processors.
    pub fn get(&self, kind: Kind, outcome: Outcome) -> u64 {
        self.outcomes.get(&slot(kind, outcome), 0).map_or(0, |values| values.iter().sum())
    }

    /// Records that did not arrive, summed over kinds, reasons and processors.
    pub fn losses(&self) -> u64 {
        let of = |kind: &Kind| {
            Outcome::LOSSES.iter().map(|outcome| self.get(*kind, *outcome)).sum::<u64>()
        };
        Kind::KERNEL.iter().map(of).sum()
    }

    /// Events that no rule can match, by event type; those types that had some.
    pub fn filtered(&self) -> Vec<(&'static str, u64)> {
        let count = |event: u32| -> u64 {
            self.filtered.get(&event, 0).map_or(0, |values| values.iter().sum())
        };
        let all =
            (0..filter::EVENTS).filter_map(|event| Some((filter::name_of(event)?, count(event))));
        all.filter(|(_, count)| *count > 0).collect()
    }

    /// Losses by cgroup id, for those that lost some of late.
    pub fn blinded(&self) -> Vec<(u64, u64)> {
        self.blinded.iter().filter_map(Result::ok).collect()
    }

    /// Run-queue waits by cgroup id.
    pub fn run_queue(&self) -> Vec<(u64, Histogram)> {
        self.run_queue
            .iter()
            .filter_map(Result::ok)
            .map(|(id, histogram)| (id, histogram.0))
            .collect()
    }

    /// Forgets a cgroup that is gone.
    pub fn forget(&mut self, cgroup_id: u64) {
        // It may never have waited.
        drop(self.run_queue.remove(&cgroup_id));
    }
}
