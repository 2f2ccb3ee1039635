//! Rounds of workloads, each beside every variant in turn; medians over the rounds.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::group::Group;
use super::plan::{ACCOUNTED, Beside, Variant, WORKLOADS, Workload};
use super::session::Session;
use crate::command;

/// Nanoseconds of one operation in one run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sample {
    pub(super) wall: f64,
    /// Of the workload, its children included.
    pub(super) cpu: f64,
    /// Of what ran beside it.
    pub(super) own: f64,
}

/// The samples of one workload beside one variant, in the order of the rounds.
#[derive(Debug, Default)]
pub(super) struct Results {
    /// By workload and variant.
    samples: BTreeMap<&'static str, BTreeMap<String, Vec<Sample>>>,
    /// Records produced and not delivered, by variant.
    pub(super) lost: BTreeMap<String, u64>,
    /// The most that it kept in memory at the end of a round, in MiB, by variant.
    pub(super) memory_mib: BTreeMap<String, f64>,
    /// Variants that this host cannot run, with the package that is missing.
    pub(super) skipped: BTreeMap<String, &'static str>,
}

impl Results {
    pub(super) fn of(&self, workload: &str, variant: &str) -> &[Sample] {
        let samples = self.samples.get(workload).and_then(|samples| samples.get(variant));
        samples.map_or(&[], Vec::as_slice)
    }

    /// The median over the rounds.
    pub(super) fn median(
        &self,
        workload: &str,
        variant: &str,
        part: impl Fn(&Sample) -> f64,
    ) -> Option<f64> {
        median(self.of(workload, variant).iter().map(part).collect())
    }

    /// The median over the rounds of what `variant` adds to the workload's processor time. Each
    /// round is compared with itself, so that a machine that slows down adds nothing.
    pub(super) fn added(&self, workload: &str, variant: &str, without: &str) -> Option<f64> {
        let pairs = self.of(workload, variant).iter().zip(self.of(workload, without));
        median(pairs.map(|(with, without)| with.cpu - without.cpu).collect())
    }
}

pub(super) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        even if even.is_multiple_of(2) => Some(f64::midpoint(values[middle - 1], values[middle])),
        _ => Some(values[middle]),
    }
}

pub(super) fn rounds(rounds: usize, variants: &[Variant], programs: &Path) -> Result<Results> {
    let mut results = Results::default();
    for round in 0..rounds {
        println!("round {} of {rounds}", round + 1);
        // Nobody always comes first.
        for index in 0..variants.len() {
            let variant = &variants[(index + round) % variants.len()];
            beside(variant, programs, &mut results).with_context(|| variant.name.clone())?;
        }
    }
    Ok(results)
}

fn beside(variant: &Variant, programs: &Path, results: &mut Results) -> Result<()> {
    let Some(session) = Session::start(&variant.beside, programs, Stdio::null())? else {
        if let Beside::Peer { package, .. } = variant.beside {
            results.skipped.insert(variant.name.clone(), package);
        }
        return Ok(());
    };
    for workload in &WORKLOADS {
        let sample = run(workload, &session, programs).context(workload.name)?;
        let samples = results.samples.entry(workload.name).or_default();
        samples.entry(variant.name.clone()).or_default().push(sample);
    }
    if let Some(mib) = session.memory_mib() {
        let most = results.memory_mib.entry(variant.name.clone()).or_default();
        *most = most.max(mib);
    }
    *results.lost.entry(variant.name.clone()).or_default() += session.stop()?.lost;
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "nanoseconds of a run are far below 2^52")]
fn run(workload: &Workload, session: &Session, programs: &Path) -> Result<Sample> {
    let group = Group::new("work")?;
    let own = session.cpu_ns()?;
    let mut program = group.command(&programs.join("workload"));
    program.args([workload.name, &workload.count.to_string()]);
    let output = command::capture(&mut program)?.stdout;
    let said: Value = serde_json::from_slice(&output).context("read the workload's output")?;
    let operations = (workload.count * workload.each) as f64;
    Ok(Sample {
        wall: number(&said, "wall_ns") as f64 / operations,
        cpu: group.cpu_ns()? as f64 / operations,
        own: (session.cpu_ns()? - own) as f64 / operations,
    })
}

fn number(object: &Value, key: &str) -> u64 {
    object.get(key).and_then(Value::as_u64).unwrap_or(0)
}

/// What the programs took, beside one workload.
pub(super) struct Account {
    pub(super) workload: &'static Workload,
    /// Name, runs, nanoseconds in all.
    pub(super) programs: Vec<(String, u64, u64)>,
}

/// One run of each workload with the kernel accounting for programs, which slows them down.
pub(super) fn accounts(programs: &Path) -> Result<Vec<Account>> {
    WORKLOADS.iter().map(|workload| account(workload, programs)).collect()
}

fn account(workload: &'static Workload, programs: &Path) -> Result<Account> {
    /// `watch` looks at the accounts once a second.
    const LOOKS: std::time::Duration = std::time::Duration::from_millis(2100);
    let session = Session::start(&ACCOUNTED, programs, Stdio::null())?.context("watch is there")?;
    run(workload, &session, programs)?;
    std::thread::sleep(LOOKS);
    let mut programs = session.stop()?.programs;
    programs.sort_by_key(|(_, _, time)| std::cmp::Reverse(*time));
    Ok(Account { workload, programs })
}

#[cfg(test)]
mod tests {
    use super::{Results, Sample, median};

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn a_round_is_compared_with_itself() {
        let mut results = Results::default();
        let samples =
            |values: [f64; 3]| values.map(|cpu| Sample { cpu, ..Sample::default() }).to_vec();
        let open = results.samples.entry("open").or_default();
        open.insert("none".to_owned(), samples([100.0, 200.0, 400.0]));
        open.insert("with".to_owned(), samples([110.0, 211.0, 412.0]));
        assert_eq!(results.added("open", "with", "none"), Some(11.0));
        assert_eq!(results.added("open", "absent", "none"), None);
    }
}
