//! `sensor rules list`: the rules that are loaded.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use crate::cli::rules::{ConfigArgs, Outcome, print};
use crate::rules::{Rule, Ruleset};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Rules files or directories; the shipped ruleset when none is given
    files: Vec<PathBuf>,
    #[command(flatten)]
    config: ConfigArgs,
    /// Whole rules, as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Outcome {
    let ruleset = match args.config.load_valid(&args.files)? {
        Ok(ruleset) => ruleset,
        Err(code) => return Ok(code),
    };
    let output = if args.json { format!("{:#}\n", as_json(&ruleset)) } else { text(&ruleset)? };
    print(&output)?;
    Ok(ExitCode::SUCCESS)
}

fn text(ruleset: &Ruleset) -> anyhow::Result<String> {
    let mut out = String::new();
    for Rule { name, priority, desc, enabled, .. } in ruleset.rules() {
        let state = if *enabled { "" } else { " (disabled)" };
        let desc = desc.split_whitespace().collect::<Vec<_>>().join(" ");
        writeln!(out, "{priority:<13} {name}{state}\n{:<13} {desc}", "")?;
    }
    Ok(out)
}

fn as_json(ruleset: &Ruleset) -> serde_json::Value {
    let rules: Vec<_> = ruleset
        .rules()
        .iter()
        .map(|rule| {
            json!({
                "name": &*rule.name,
                "description": rule.desc,
                "priority": rule.priority,
                "source": rule.source,
                "tags": &*rule.tags,
                "enabled": rule.enabled,
                "condition": rule.condition,
                "output": rule.output,
            })
        })
        .collect();
    json!(rules)
}
