//! `sensor rules check`: every error, warning and lint of rules files.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::rules::{FAILED, Outcome, load};
use crate::rules::error::Severity;
use crate::rules::load::Loaded;
use crate::rules::report;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Rules files or directories; the shipped ruleset when none is given
    files: Vec<PathBuf>,
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
    let loaded = load(&args.files)?;
    if args.json {
        println!("{:#}", report::falco(&loaded));
    } else if args.sarif {
        println!("{:#}", report::sarif(&loaded));
    } else {
        print(&loaded, args.quiet);
    }
    let warned = loaded.findings.iter().any(|one| one.severity() == Severity::Warning);
    let failed = loaded.ruleset.is_none() || (args.strict && warned);
    Ok(if failed { FAILED } else { ExitCode::SUCCESS })
}

fn print(loaded: &Loaded, quiet: bool) {
    for finding in &loaded.findings {
        if finding.severity() == Severity::Error || !quiet {
            println!("{}", finding.render(&loaded.files));
        }
    }
    let errors = loaded.errors().count();
    let warnings = loaded.warnings().count();
    match &loaded.ruleset {
        Some(ruleset) => {
            let files = counted(loaded.files.len(), "file");
            println!(
                "ok: {} in {files}, {}",
                counted(ruleset.rules().len(), "rule"),
                counted(warnings, "warning")
            );
        }
        None => println!("{}, {}", counted(errors, "error"), counted(warnings, "warning")),
    }
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("{count} {noun}") } else { format!("{count} {noun}s") }
}
