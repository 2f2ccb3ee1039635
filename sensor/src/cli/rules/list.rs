//! `sensor rules list`: the rules that are loaded.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use crate::cli::rules::{Outcome, load_valid};
use crate::rules::{Rule, Ruleset};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Rules files or directories; the shipped ruleset when none is given
    files: Vec<PathBuf>,
    /// Whole rules, as JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Outcome {
    let ruleset = match load_valid(&args.files)? {
        Ok(ruleset) => ruleset,
        Err(code) => return Ok(code),
    };
    if args.json {
        println!("{:#}", as_json(&ruleset));
    } else {
        for rule in ruleset.rules() {
            print(rule);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print(rule: &Rule) {
    let state = if rule.enabled { "" } else { " (disabled)" };
    println!("{:<13} {}{state}", rule.priority, rule.name);
    println!("{:<13} {}", "", rule.desc.split_whitespace().collect::<Vec<_>>().join(" "));
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
