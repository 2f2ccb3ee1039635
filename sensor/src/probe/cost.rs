//! What the programs cost, as the kernel accounts it while somebody asks it to.

use std::os::fd::OwnedFd;

use aya::sys::{Stats, enable_stats};

use super::Error;
use super::attach::Probes;
use super::load::chain;

/// Runs of one program and the time that they took in all. A program that another one called
/// counts as part of its caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    pub program: String,
    pub runs: u64,
    pub time_ns: u64,
}

/// The kernel accounts for every program on the host until this is dropped. That itself costs two
/// readings of the clock for each run.
#[derive(Debug)]
pub struct Accounting(#[expect(dead_code, reason = "it is its being open that counts")] OwnedFd);

impl Accounting {
    pub fn start() -> Result<Self, Error> {
        enable_stats(Stats::RunTime).map(Self).map_err(|error| {
            Error::Load(format!("switch on run-time statistics: {}", chain(&error)))
        })
    }
}

/// The costs of the programs that ran.
pub(crate) fn costs(probes: &Probes) -> Vec<Cost> {
    probes
        .ebpf
        .programs()
        .filter_map(|(name, program)| {
            // A program that is not loaded has none.
            let info = program.info().ok()?;
            let (runs, time_ns) = (info.run_count(), info.run_time().as_nanos());
            let time_ns = u64::try_from(time_ns).unwrap_or(u64::MAX);
            (runs > 0).then(|| Cost { program: name.to_owned(), runs, time_ns })
        })
        .collect()
}
