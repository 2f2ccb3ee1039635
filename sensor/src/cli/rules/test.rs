//! `sensor rules test`: case files against a ruleset.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use serde_json::{Value as Json, json};

use crate::attribution::cache::Cache;
use crate::cli::rules::{FAILED, Outcome, RulesetArgs, print};
use crate::driver;
use crate::pipeline::Pipeline;
use crate::probe::capture::Reader;
use crate::rules::Ruleset;
use crate::rules::cases::{Case, CaseFile, Coverage, Given, Outcome as Verdict, Trial, run_event};
use crate::rules::program::Scratch;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Case files
    #[arg(required = true)]
    cases: Vec<PathBuf>,
    #[command(flatten)]
    ruleset: RulesetArgs,
    /// Show the parts of conditions that no case has decided
    #[arg(long)]
    coverage: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Outcome {
    let ruleset = match args.ruleset.load_valid()? {
        Ok(ruleset) => ruleset,
        Err(code) => return Ok(code),
    };
    let mut bench =
        Bench { scratch: ruleset.scratch(), ruleset: &ruleset, coverage: Coverage::default() };
    let mut results = Vec::new();
    for path in &args.cases {
        let context = || format!("read {}", path.display());
        let text = std::fs::read_to_string(path).with_context(context)?;
        let file = CaseFile::parse(&text).map_err(anyhow::Error::msg).with_context(context)?;
        for case in &file.cases {
            results.push((case.name.clone(), bench.run(case, path)?));
        }
    }
    let missing = if args.coverage { bench.missing() } else { Vec::new() };
    let output = if args.json { as_json(&results, &missing) } else { text(&results, &missing)? };
    print(&output)?;
    let failed = results.iter().any(|(_, verdict)| !verdict.failures.is_empty());
    Ok(if failed { FAILED } else { ExitCode::SUCCESS })
}

/// A ruleset under test.
struct Bench<'a> {
    ruleset: &'a Ruleset,
    scratch: Scratch,
    coverage: Coverage,
}

/// A rule, and the parts of its condition that never had a value.
type Missing<'a> = (&'a str, Vec<(String, bool)>);

impl<'a> Bench<'a> {
    fn run(&mut self, case: &Case, file: &Path) -> Result<Verdict> {
        let Self { ruleset, scratch, coverage } = self;
        match &case.given {
            Given::Event(event) => Ok(run_event(case, event, ruleset, scratch, coverage)),
            Given::Capture(path) => {
                let path = file.parent().unwrap_or(Path::new(".")).join(path);
                let context = || format!("case `{}`", case.name);
                let reader = Reader::open(&path).with_context(context)?;
                let mut trial = Trial::new(case, ruleset);
                driver::replay(reader, &mut Pipeline::new(Cache::default()), |event| {
                    trial.event(event, scratch, coverage);
                })
                .with_context(context)?;
                Ok(trial.outcome())
            }
        }
    }

    /// The rules with parts that no case has decided.
    fn missing(&self) -> Vec<Missing<'a>> {
        let rules = self.ruleset.rules().iter();
        rules
            .map(|rule| (&*rule.name, self.coverage.missing(rule, self.ruleset)))
            .filter(|(_, missing)| !missing.is_empty())
            .collect()
    }
}

fn text(results: &[(String, Verdict)], missing: &[Missing<'_>]) -> Result<String> {
    let mut out = String::new();
    let mut failed = 0;
    for (name, verdict) in results {
        let has_failed = !verdict.failures.is_empty();
        failed += usize::from(has_failed);
        writeln!(out, "{}  {name}", if has_failed { "FAIL" } else { "pass" })?;
        let lines = if has_failed { &verdict.failures } else { &verdict.notes };
        for line in lines {
            writeln!(out, "      {line}")?;
        }
    }
    for (rule, parts) in missing {
        writeln!(out, "rule `{rule}`: {} undecided", parts.len())?;
        for (text, value) in parts {
            writeln!(out, "      never {value}: {text}")?;
        }
    }
    writeln!(out, "{} passed, {failed} failed", results.len() - failed)?;
    Ok(out)
}

fn as_json(results: &[(String, Verdict)], missing: &[Missing<'_>]) -> String {
    let case = |(name, verdict): &(String, Verdict)| {
        json!({
            "name": name,
            "passed": verdict.failures.is_empty(),
            "failures": verdict.failures,
            "decided": verdict.notes,
        })
    };
    let part = |(text, value): &(String, bool)| json!({ "condition": text, "never": value });
    let undecided = missing.iter().map(|(rule, parts)| {
        json!({ "rule": rule, "parts": parts.iter().map(part).collect::<Vec<_>>() })
    });
    let failed = results.iter().filter(|(_, verdict)| !verdict.failures.is_empty()).count();
    let all: Json = json!({
        "cases": results.iter().map(case).collect::<Vec<_>>(),
        "undecided": undecided.collect::<Vec<_>>(),
        "passed": results.len() - failed,
        "failed": failed,
    });
    format!("{all:#}\n")
}
