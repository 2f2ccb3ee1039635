//! `sensor rules eval`: one condition against one event.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Map, Value as Json};

use crate::cli::rules::{Outcome, print, wrong_use};
use crate::cli::ruleset;
use crate::fields::object::ObjectEvent;
use crate::rules::error::Severity;
use crate::rules::load;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// The condition, as in a rule
    #[arg(long, short)]
    condition: String,
    /// The event: a flat JSON object of field names
    #[arg(long, short)]
    event: String,
    /// Rules files whose macros and lists the condition may use
    #[arg(long, short)]
    rules: Vec<PathBuf>,
}

pub(super) fn run(args: &Args) -> Outcome {
    let files = ruleset::files(&args.rules)?;
    let (condition, findings, files) = load::condition(&args.condition, files);
    let mut failed = false;
    for finding in &findings {
        eprintln!("{}", finding.render(&files));
        failed |= finding.severity() == Severity::Error;
    }
    let event = match event(&args.event) {
        Ok(event) => event,
        Err(message) => {
            eprintln!("error: {message}");
            return Ok(wrong_use());
        }
    };
    let Some(ruleset) = condition.filter(|_| !failed) else { return Ok(wrong_use()) };
    let mut held = false;
    ruleset.evaluate(&event, &mut ruleset.scratch(), |_| held = true);
    print(&format!("{held}\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// Reads an event; every wrong key is named.
pub(super) fn event(text: &str) -> Result<ObjectEvent, String> {
    let object: Map<String, Json> = serde_json::from_str(text)
        .map_err(|error| format!("the event is not a JSON object: {error}"))?;
    ObjectEvent::from_json(&object)
        .map_err(|bad| bad.iter().map(ToString::to_string).collect::<Vec<_>>().join("\nerror: "))
}
