//! Rounds of workloads, each beside every variant in turn; medians over the rounds.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::group::Group;
use super::plan::{ACCOUNTED, Beside, VARIANTS, Variant, WORKLOADS, Workload};
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
    samples: BTreeMap<(&'static str, &'static str), Vec<Sample>>,
    /// Records produced and not delivered, by variant.
    pub(super) lost: BTreeMap<&'static str, u64>,
    /// Variants that this host cannot run, with the package that is missing.
    pub(super) skipped: BTreeMap<&'static str, &'static str>,
}

impl Results {
    pub(super) fn of(&self, workload: &'static str, variant: &'static str) -> &[Sample] {
        self.samples.get(&(workload, variant)).map_or(&[], Vec::as_slice)
    }

    /// The median over the rounds.
    pub(super) fn median(
        &self,
        workload: &'static str,
        variant: &'static str,
        part: impl Fn(&Sample) -> f64,
    ) -> Option<f64> {
        median(self.of(workload, variant).iter().map(part).collect())
    }

    /// The median over the rounds of what `variant` adds to the workload's processor time. Each
    /// round is compared with itself, so that a machine that slows down adds nothing.
    pub(super) fn added(
        &self,
        workload: &'static str,
        variant: &'static str,
        without: &'static str,
    ) -> Option<f64> {
        let pairs = self.of(workload, variant).iter().zip(self.of(workload, without));
        median(pairs.map(|(with, without)| with.cpu - without.cpu).collect())
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        even if even.is_multiple_of(2) => Some(f64::midpoint(values[middle - 1], values[middle])),
        _ => Some(values[middle]),
    }
}

pub(super) fn rounds(rounds: usize, filter: &[String], programs: &Path) -> Result<Results> {
    let mut results = Results::default();
    let wanted = |variant: &&Variant| {
        filter.is_empty() || filter.iter().any(|part| variant.name.contains(part.as_str()))
    };
    let variants: Vec<&Variant> = VARIANTS.iter().filter(wanted).collect();
    for round in 0..rounds {
        println!("round {} of {rounds}", round + 1);
        // Nobody always comes first.
        for index in 0..variants.len() {
            let variant = variants[(index + round) % variants.len()];
            beside(variant, programs, &mut results).context(variant.name)?;
        }
    }
    Ok(results)
}

fn beside(variant: &'static Variant, programs: &Path, results: &mut Results) -> Result<()> {
    let Some(session) = Session::start(&variant.beside, programs)? else {
        if let Beside::Peer { package, .. } = variant.beside {
            results.skipped.insert(variant.name, package);
        }
        return Ok(());
    };
    for workload in &WORKLOADS {
        let sample = run(workload, &session, programs).context(workload.name)?;
        results.samples.entry((workload.name, variant.name)).or_default().push(sample);
    }
    let end = session.stop()?;
    let lost = number(&end, "lost") + number(&end, "dropped");
    *results.lost.entry(variant.name).or_default() += lost;
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
    let session = Session::start(&ACCOUNTED, programs)?.context("watch is there")?;
    run(workload, &session, programs)?;
    std::thread::sleep(LOOKS);
    let end = session.stop()?;
    let rows = end.get("programs").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut programs: Vec<_> = rows
        .iter()
        .map(|row| {
            let name = row.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
            (name, number(row, "runs"), number(row, "time_ns"))
        })
        .collect();
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
        results.samples.insert(("open", "none"), samples([100.0, 200.0, 400.0]));
        results.samples.insert(("open", "with"), samples([110.0, 211.0, 412.0]));
        assert_eq!(results.added("open", "with", "none"), Some(11.0));
        assert_eq!(results.added("open", "absent", "none"), None);
    }
}
