//! `cargo xtask bench`: what watching costs, beside doing nothing and beside others.

mod alerts;
mod attribution;
mod containers;
pub(crate) mod group;
mod measure;
pub(crate) mod metrics;
mod page;
pub(crate) mod plan;
mod report;
mod rules;
pub(crate) mod session;
mod workloads;

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{command, setup, workspace};
use plan::{CONTAINERS, RECORDS};
use report::Setting;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// What to measure; everything by default
    part: Option<Part>,
    /// How often each workload runs beside each variant
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Only variants whose name contains this; `none` and the floor are what others are compared with
    #[arg(long)]
    variant: Vec<String>,
    /// Another sensor's command line, which runs beside the same work
    #[arg(long, value_name = "COMMAND LINE")]
    peer_cmd: Vec<String>,
    /// Print the page, and leave docs/benchmarks.md as it is
    #[arg(long)]
    print: bool,
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Part {
    /// Workloads with and without the sensor, and beside peers
    Kernel,
    /// When alerts come, on an idle and on a busy host
    Alerts,
    /// Containers that live for a moment, and whether their events are known to be theirs
    Containers,
    /// A compile, servers under load: what leaves the kernel, and what they lose
    Workloads,
    /// Many containers and processes: memory, look-ups, and the start
    Attribution,
    /// Records from memory through the agent's pipeline
    Pipeline,
    /// Events through rulesets
    Rules,
}

/// What only root can measure.
const ROOT: [Part; 5] =
    [Part::Kernel, Part::Alerts, Part::Containers, Part::Workloads, Part::Attribution];

pub(crate) fn bench(arguments: &Arguments) -> Result<()> {
    let wanted = |part| arguments.part.is_none_or(|only| only == part);
    ensure!(
        !ROOT.into_iter().any(wanted) || rustix::process::geteuid().is_root(),
        "programs are loaded into the kernel, which root may do: sudo {}, or `cargo xtask bench pipeline`",
        this_command()
    );
    setup::build()?;
    match arguments.part {
        Some(Part::Rules) => {}
        Some(Part::Attribution) => build(&["sensor", "attribution"])?,
        Some(Part::Pipeline) => build(&["throughput"])?,
        _ => build(&["sensor", "workload", "watch", "throughput", "attribution"])?,
    }
    let programs = workspace::target()?.join("release");
    let mut variants = plan::variants(&arguments.peer_cmd);
    variants.retain(|variant| {
        let mut only = arguments.variant.iter();
        arguments.variant.is_empty() || only.any(|part| variant.name.contains(part.as_str()))
    });
    let mut page = String::new();
    if wanted(Part::Kernel) {
        let results = measure::rounds(arguments.rounds, &variants, &programs)?;
        page += &report::kernel(&variants, &results, &measure::accounts(&programs)?);
    }
    if wanted(Part::Alerts) {
        page += &report::alerts(&alerts::runs(&variants, &programs)?);
    }
    if wanted(Part::Containers) {
        setup::live()?;
        page += &report::containers(&containers::run(CONTAINERS, &programs)?);
    }
    if wanted(Part::Workloads) {
        page += &report::workloads(&workloads::run(arguments.rounds, &programs)?);
    }
    if wanted(Part::Attribution) {
        page += &attribution::report(&attribution::run(&programs)?)?;
    }
    if wanted(Part::Pipeline) {
        page += &report::pipeline(RECORDS, throughput(&programs, arguments.rounds)?);
    }
    if wanted(Part::Rules) {
        page += &rules::section(arguments.rounds, &setting(arguments.rounds)?.to_string())?;
    }
    let page = page::with_setting(&page, &setting(arguments.rounds)?);
    println!("\n{page}");
    // Some variants alone are no page, and no section of it.
    if arguments.variant.is_empty() && !arguments.print {
        page::write(&page, arguments.part.is_none())?;
    }
    Ok(())
}

/// These programs as users have them.
pub(crate) fn build(programs: &[&str]) -> Result<()> {
    let mut cargo = command::cargo();
    cargo.args(["build", "--release", "--package", "sensor", "--package", "sensor-tests"]);
    cargo.args(programs.iter().flat_map(|program| ["--bin", program]));
    command::run(&mut cargo)
}

/// Processor time of the best of some runs, in nanoseconds: what disturbs a run only makes it longer.
fn throughput(programs: &Path, runs: usize) -> Result<u64> {
    let run = || -> Result<u64> {
        let mut program = Command::new(programs.join("throughput"));
        let output = command::capture(program.arg(RECORDS.to_string()))?.stdout;
        let said: Value = serde_json::from_slice(&output).context("read what throughput says")?;
        said.get("cpu_ns").and_then(Value::as_u64).context("throughput says no cpu_ns")
    };
    let times: Vec<u64> = (0..runs.max(1)).map(|_| run()).collect::<Result<_>>()?;
    times.into_iter().min().context("no run")
}

fn setting(rounds: usize) -> Result<Setting> {
    Ok(Setting {
        command: this_command(),
        kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        processor: processor(),
        processors: std::thread::available_parallelism().context("count the processors")?.get(),
        rounds,
    })
}

/// What the kernel calls it.
fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.and_then(|line| line.split_once(": ")).map(|(_, name)| name.to_owned());
    model.unwrap_or_else(|| "a processor without a name".to_owned())
}

/// As a person typed it.
fn this_command() -> String {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    format!("cargo xtask {}", arguments.join(" "))
}
