//! `cargo xtask capture`: the captures of the tests, and the alerts that replaying them must give.
//!
//! Each script in tests/captures makes one capture beside it, and one file in tests/expected.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use crate::{command, setup, workspace};

/// How the README shows a replay, up to its arguments.
const REPLAY: &str = "$ sensor replay ";
/// What scripts have in common is no script.
const SHARED: &str = "lib";

#[derive(Args)]
pub(crate) struct Arguments {
    /// Only captures whose name contains this
    filter: Option<String>,
    /// Leave the captures alone, and write the alerts that they give now; needs no root
    #[arg(long)]
    expected: bool,
}

pub(crate) fn capture(arguments: &Arguments) -> Result<()> {
    setup::build()?;
    let mut build = command::cargo();
    build.args(["build", "--quiet", "--package", "sensor", "--package", "sensor-tests", "--bins"]);
    command::run(&mut build)?;
    let sensor = workspace::sensor("debug")?;
    let tests = workspace::root().join("tests");
    let names = names(&tests.join("captures"), arguments.filter.as_deref())?;
    if !arguments.expected {
        setup::live()?;
        for name in &names {
            let path = |extension| tests.join("captures").join(name).with_extension(extension);
            let program = sensor.with_file_name("capture");
            command::run(Command::new(program).args([path("sh"), path("rec")]))?;
        }
    }
    for name in &names {
        let capture = tests.join("captures").join(name).with_extension("rec");
        let mut replay = Command::new(&sensor);
        replay.args(["replay", "--output", "json"]).arg(capture);
        let expected = tests.join("expected").join(name).with_extension("jsonl");
        fs::write(&expected, command::capture(&mut replay)?.stdout)
            .with_context(|| format!("write {}", expected.display()))?;
        println!("{}", expected.display());
    }
    readme(&sensor)
}

/// Writes what the README shows of a replay anew.
fn readme(sensor: &Path) -> Result<()> {
    const FENCE: &str = "```";
    let path = workspace::root().join("README.md");
    let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    let (before, rest) = text.split_once(REPLAY).context("the README shows no replay")?;
    let (arguments, output) = rest.split_once('\n').context("the README ends in a command")?;
    let (_, after) = output.split_once(FENCE).context("the README's replay has no end")?;
    let mut replay = Command::new(sensor);
    replay.current_dir(workspace::root()).arg("replay").args(arguments.split(' '));
    let output = command::capture(&mut replay)?.stdout;
    let output = String::from_utf8_lossy(&output);
    fs::write(&path, format!("{before}{REPLAY}{arguments}\n{output}{FENCE}{after}"))
        .with_context(|| format!("write {}", path.display()))
}

/// The names of the scripts, in order.
fn names(directory: &Path, filter: Option<&str>) -> Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(directory).with_context(|| format!("list {}", directory.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("list {}", directory.display()))?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let wanted = filter.is_none_or(|filter| name.contains(filter));
        if path.extension().is_some_and(|extension| extension == "sh") && name != SHARED && wanted {
            names.push(name.into());
        }
    }
    ensure!(!names.is_empty(), "no capture matches the filter");
    names.sort();
    Ok(names)
}
