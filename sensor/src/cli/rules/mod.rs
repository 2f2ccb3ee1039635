//! `sensor rules`: check, list, fields, eval, test, explain.

mod check;
mod eval;
mod explain;
mod fields;
mod list;
mod test;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Subcommand;

use crate::cli::ruleset;
use crate::config::{self, Overrides, Rules};
use crate::rules::Ruleset;
use crate::rules::load::Loaded;

#[derive(Debug, Subcommand)]
pub(super) enum RulesCommand {
    /// Report everything that is wrong with rules files
    Check(check::Args),
    /// Show the rules of the shipped ruleset, or of files
    List(list::Args),
    /// Show the fields that rules may name
    Fields(fields::Args),
    /// Evaluate one condition against one event
    Eval(eval::Args),
    /// Run case files: events that must and must not fire
    Test(test::Args),
    /// Show why a rule does or does not match an event
    Explain(explain::Args),
}

/// How a command ended: 0 done, 1 failed, 2 wrong use.
type Outcome = anyhow::Result<ExitCode>;

const FAILED: ExitCode = ExitCode::FAILURE;

/// What a wrong condition, event or option comes to.
fn wrong_use() -> ExitCode {
    ExitCode::from(2)
}

pub(super) fn run(command: &RulesCommand) -> Outcome {
    match command {
        RulesCommand::Check(args) => check::run(args),
        RulesCommand::List(args) => list::run(args),
        RulesCommand::Fields(args) => fields::run(args),
        RulesCommand::Eval(args) => eval::run(args),
        RulesCommand::Test(args) => test::run(args),
        RulesCommand::Explain(args) => explain::run(args),
    }
}

/// Writes a command's output. Not `print!`, which panics when nobody reads any more.
fn print(text: &str) -> anyhow::Result<()> {
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

/// Settings that say how rules are loaded.
#[derive(Debug, clap::Args)]
pub(super) struct ConfigArgs {
    /// Settings whose section `rules` applies: matching, selection, added output, files
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// The rules that a command is about.
#[derive(Debug, clap::Args)]
pub(super) struct RulesetArgs {
    /// Rules files or directories; the shipped ruleset when none is given
    #[arg(long, short)]
    rules: Vec<PathBuf>,
    #[command(flatten)]
    config: ConfigArgs,
}

impl ConfigArgs {
    /// The files given, those of the settings, or the shipped ones.
    fn load(&self, paths: &[PathBuf]) -> anyhow::Result<Loaded> {
        let mut rules = match &self.config {
            Some(path) => config::load(Some(path), std::env::vars(), &Overrides::default())?.rules,
            None => Rules::default(),
        };
        if !paths.is_empty() {
            rules.files = paths.to_vec();
        }
        ruleset::read(&rules)
    }

    /// The ruleset, or its errors on standard error.
    fn load_valid(&self, paths: &[PathBuf]) -> anyhow::Result<Result<Ruleset, ExitCode>> {
        let loaded = self.load(paths)?;
        for error in loaded.errors() {
            eprintln!("{}", error.render(&loaded.files));
        }
        Ok(loaded.ruleset.ok_or(FAILED))
    }
}

impl RulesetArgs {
    pub(super) fn load_valid(&self) -> anyhow::Result<Result<Ruleset, ExitCode>> {
        self.config.load_valid(&self.rules)
    }
}
