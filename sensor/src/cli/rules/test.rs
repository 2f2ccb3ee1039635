//! `sensor rules test`: case files against a ruleset.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use crate::cli::rules::{FAILED, Outcome, load_valid, print};
use crate::rules::Ruleset;
use crate::rules::cases::{CaseFile, Coverage, run_case};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Case files
    #[arg(required = true)]
    cases: Vec<PathBuf>,
    /// Rules files or directories; the shipped ruleset when none is given
    #[arg(long, short)]
    rules: Vec<PathBuf>,
    /// Show the parts of conditions that no case has decided
    #[arg(long)]
    coverage: bool,
}

pub(super) fn run(args: &Args) -> Outcome {
    let ruleset = match load_valid(&args.rules)? {
        Ok(ruleset) => ruleset,
        Err(code) => return Ok(code),
    };
    let mut out = String::new();
    let mut scratch = ruleset.scratch();
    let mut coverage = Coverage::default();
    let (mut passed, mut failed) = (0_usize, 0_usize);
    for path in &args.cases {
        let context = || format!("read {}", path.display());
        let text = std::fs::read_to_string(path).with_context(context)?;
        let file = CaseFile::parse(&text).map_err(anyhow::Error::msg).with_context(context)?;
        for case in &file.cases {
            let outcome = run_case(case, &ruleset, &mut scratch, &mut coverage);
            if outcome.failures.is_empty() {
                passed += 1;
                writeln!(out, "pass  {}", case.name)?;
                continue;
            }
            failed += 1;
            writeln!(out, "FAIL  {}", case.name)?;
            for failure in &outcome.failures {
                writeln!(out, "      {failure}")?;
            }
        }
    }
    if args.coverage {
        print_coverage(&ruleset, &coverage, &mut out)?;
    }
    writeln!(out, "{passed} passed, {failed} failed")?;
    print(&out)?;
    Ok(if failed > 0 { FAILED } else { ExitCode::SUCCESS })
}

fn print_coverage(ruleset: &Ruleset, coverage: &Coverage, out: &mut String) -> anyhow::Result<()> {
    for rule in ruleset.rules() {
        let missing = coverage.missing(rule);
        if missing.is_empty() {
            continue;
        }
        writeln!(out, "rule `{}`: {} undecided", rule.name, missing.len())?;
        for (text, value) in missing {
            writeln!(out, "      never {value}: {text}")?;
        }
    }
    Ok(())
}
