//! `sensor rules`: check, list, fields, eval, test, explain.

mod check;
mod eval;
mod explain;
mod fields;
mod list;
mod test;

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;

use crate::rules::Ruleset;
use crate::rules::load::Loaded;
use crate::rules::options::Options;
use crate::rules::shipped;
use crate::rules::text::File;

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

/// Reads rules files; a directory stands for its `.yaml` files in order of name.
fn read_files(paths: &[PathBuf]) -> anyhow::Result<Vec<File>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            for path in rules_in(path)? {
                files.push(read_file(&path)?);
            }
        } else {
            files.push(read_file(path)?);
        }
    }
    Ok(files)
}

fn rules_in(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let context = || format!("read directory {}", directory.display());
    let mut paths = Vec::new();
    for entry in directory.read_dir().with_context(context)? {
        let path = entry.with_context(context)?.path();
        let name = path.to_string_lossy();
        let is_rules =
            (name.ends_with(".yaml") || name.ends_with(".yml")) && !name.ends_with(".cases.yaml");
        if is_rules {
            paths.push(path);
        }
    }
    paths.sort_unstable();
    Ok(paths)
}

fn read_file(path: &Path) -> anyhow::Result<File> {
    let name = path.display().to_string();
    let bytes = if name == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).context("read standard input")?;
        bytes
    } else {
        std::fs::read(path).with_context(|| format!("read {name}"))?
    };
    let content = String::from_utf8(bytes).map_err(|error| {
        anyhow::anyhow!("read {name}: byte {} is not UTF-8 text", error.utf8_error().valid_up_to())
    })?;
    // A byte order mark is no part of the text.
    let content = content.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(content);
    Ok(File { name, content })
}

/// The files given, or the shipped ones.
fn load(paths: &[PathBuf]) -> anyhow::Result<Loaded> {
    let files = if paths.is_empty() { shipped::files() } else { read_files(paths)? };
    Ok(Ruleset::load(files, &Options::default()))
}

/// The ruleset, or its errors on standard error.
fn load_valid(paths: &[PathBuf]) -> anyhow::Result<Result<Ruleset, ExitCode>> {
    let loaded = load(paths)?;
    for error in loaded.errors() {
        eprintln!("{}", error.render(&loaded.files));
    }
    Ok(loaded.ruleset.ok_or(FAILED))
}
