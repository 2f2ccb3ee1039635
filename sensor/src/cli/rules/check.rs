//! `sensor rules check`: every error, warning and lint of rules files.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::cli::rules::{ConfigArgs, FAILED, Outcome, print};
use crate::rules::error::Severity;
use crate::rules::load::Loaded;
use crate::rules::report;

#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(in crate::cli) struct Args {
    /// Rules files or directories; the shipped ruleset when none is given
    files: Vec<PathBuf>,
    #[command(flatten)]
    config: ConfigArgs,
    /// Results as JSON, in the shape of Falco's `falco_load_results`
    #[arg(long, conflicts_with = "sarif")]
    json: bool,
    /// Results as SARIF, for code review tools
    #[arg(long)]
    sarif: bool,
    /// Errors only
    #[arg(long, short)]
    quiet: bool,
    /// Fail on warnings too
    #[arg(long)]
    strict: bool,
}

pub(super) fn run(args: &Args) -> Outcome {
    let start = Instant::now();
    let loaded = args.config.load(&args.files)?;
    let took = start.elapsed();
    let output = if args.json {
        format!("{:#}\n", report::falco(&loaded))
    } else if args.sarif {
        format!("{:#}\n", report::sarif(&loaded))
    } else {
        text(&loaded, took, args.quiet)?
    };
    print(&output)?;
    let warned = loaded.warnings().next().is_some();
    let failed = loaded.ruleset.is_none() || (args.strict && warned);
    Ok(if failed { FAILED } else { ExitCode::SUCCESS })
}

fn text(loaded: &Loaded, took: Duration, quiet: bool) -> anyhow::Result<String> {
    let mut out = String::new();
    for finding in &loaded.findings {
        if finding.severity() == Severity::Error || !quiet {
            writeln!(out, "{}", finding.render(&loaded.files))?;
        }
    }
    if loaded.omitted > 0 {
        writeln!(out, "and {} more", loaded.omitted)?;
    }
    let errors = counted(loaded.errors().count(), "error");
    let warnings = counted(loaded.warnings().count(), "warning");
    match &loaded.ruleset {
        Some(ruleset) => {
            let rules = counted(ruleset.rules().len(), "rule");
            let files = counted(loaded.files.len(), "file");
            let (kib, ms) = (ruleset.memory().div_ceil(1024), took.as_millis());
            writeln!(out, "ok: {rules} in {files}, {warnings}; {kib} KiB, loaded in {ms} ms")?;
        }
        None => writeln!(out, "{errors}, {warnings}")?,
    }
    Ok(out)
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("{count} {noun}") } else { format!("{count} {noun}s") }
}
