//! What rules cost: the stream that they are measured on, and their section of the page.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::group::Group;
use crate::{command, workspace};

const TITLE: &str = "## What rules cost";
const BENCH: [&str; 6] = ["bench", "--quiet", "--package", "sensor", "--bench", "rules"];
/// At least so many events a second of one processor, with the two official files.
const EVENTS_A_SECOND: f64 = 3e6;
/// At most so many times the time from 100 to 1,000 rules.
const GROWTH: f64 = 3.0;

/// The section, measured.
pub(super) fn section(rounds: usize, setting: &str) -> Result<String> {
    let stream = if rustix::process::geteuid().is_root() { Some(record()?) } else { None };
    let mut bench = command::cargo();
    bench.args(BENCH);
    bench.env("SENSOR_BENCH_ROUNDS", rounds.to_string());
    if let Some(path) = &stream {
        bench.env("SENSOR_BENCH_CAPTURE", path);
    }
    let output = command::capture(&mut bench)?.stdout;
    let last = String::from_utf8_lossy(&output);
    let last =
        last.lines().rfind(|line| line.starts_with('{')).context("the bench printed no JSON")?;
    let results = serde_json::from_str(last).context("read what the bench measured")?;
    written(&results, setting)
}

/// Records this machine at a bit of everything, in a control group of its own.
fn record() -> Result<PathBuf> {
    // Cargo builds a package's program with its benchmarks: once, and not again for other features.
    command::run(command::cargo().args(BENCH).arg("--no-run"))?;
    let directory = workspace::target()?.join("bench");
    std::fs::create_dir_all(&directory).context("create the directory of the stream")?;
    let (script, path) = (directory.join("workload.sh"), directory.join("mixed.rec"));
    std::fs::write(&script, include_str!("workload.sh")).context("write the workload")?;
    let group = Group::new("stream")?;
    let mut recorder = Command::new(workspace::sensor("release")?);
    recorder.arg("record").arg(&path).args(["--cgroup", &group.name()]);
    let mut recorder = recorder.stderr(Stdio::piped()).spawn().context("start `sensor record`")?;
    command::wait_for_message(&mut recorder, "recording to")?;
    let mut workload = group.command(Path::new("/bin/sh"));
    workload.arg(&script).stdout(Stdio::null()).stderr(Stdio::null());
    let done = workload.status().context("run the workload")?;
    ensure!(done.success(), "the workload ended with {done}");
    let pid = rustix::process::Pid::from_child(&recorder);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).context("stop recording")?;
    let status = recorder.wait().context("wait for `sensor record`")?;
    ensure!(status.success(), "`sensor record` ended with {status}");
    Ok(path)
}

fn written(results: &Value, setting: &str) -> Result<String> {
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let number = |value: &Value, key: &str| value[key].as_f64().unwrap_or(f64::NAN);
    let mut page = format!(
        "{TITLE}\n\nThe time that evaluation adds to the pipeline, in processor time of its thread: a pass with the rules\nless a pass without, in rounds in which each ruleset has its turn; the median. {setting}.\n\nThe stream: {}.\n\n| rules | number | ns an event | events a second | memory, KiB | load, ms |\n|---|---:|---:|---:|---:|---:|\n",
        text(results, "stream")
    );
    let sets = results["rulesets"].as_array().context("no rulesets")?;
    for set in sets {
        let ns = number(set, "ns");
        writeln!(
            page,
            "| {} | {} | {ns:.0} | {:.1} million | {} | {:.1} |",
            text(set, "name"),
            set["rules"],
            1e3 / ns,
            set["kib"],
            number(set, "load_ms")
        )?;
    }
    let ns_of = |name: &str| {
        let set = sets.iter().find(|set| text(set, "name").starts_with(name));
        set.map_or(f64::NAN, |set| number(set, "ns"))
    };
    let rate = 1e9 / ns_of("official");
    let growth = ns_of("synthetic, 1000") / ns_of("synthetic, 100 ");
    let list = &results["list"];
    let rows = [
        (
            "events a second of one processor, the two official files together",
            "≥ 3.0 million",
            format!("{:.1} million", rate / 1e6),
            rate >= EVENTS_A_SECOND,
        ),
        (
            "time an event, 1,000 rules beside 100",
            "< 3 ×",
            format!("{growth:.2} ×"),
            growth < GROWTH,
        ),
        (
            "loading a list of 100,000 items",
            "< 2 s",
            format!("{:.2} s, {} KiB", number(list, "ms") / 1e3, list["kib"]),
            number(list, "ms") < 2000.0,
        ),
    ];
    page += "\n| what | bar | measured | |\n|---|---:|---:|---|\n";
    for (what, bar, measured, is_met) in rows {
        let met = if is_met { "met" } else { "missed" };
        writeln!(page, "| {what} | {bar} | {measured} | {met} |")?;
    }
    page += "\nOne check alone, that does not hold, with what `rules/cost.rs` takes it for when it puts checks in order:\n\n| check | ns | in order as |\n|---|---:|---:|\n";
    for check in results["checks"]["checks"].as_array().context("no checks")? {
        let (name, ns) = (text(check, "name"), number(check, "ns"));
        writeln!(page, "| {name} | {ns:.0} | {} |", check["table"])?;
    }
    // Measured with the official files, where they are at hand.
    if let Some(truths) = results.get("truths").filter(|truths| !truths.is_null()) {
        page += &shares(truths)?;
    }
    Ok(page)
}

/// How often checks hold, beside what the order takes them for.
fn shares(truths: &Value) -> Result<String> {
    let mut page = "\nHow often the checks of the official files hold on the stream, each made for every event whose type its\nrule is about. Kinds whose share another host will not have are taken for a half.\n\n| check | checks made | share that holds | in order as |\n|---|---:|---:|---:|\n".to_owned();
    let number = |value: &Value, key: &str| value[key].as_f64().unwrap_or(f64::NAN);
    for kind in truths["kinds"].as_array().context("no kinds")? {
        let name = kind["name"].as_str().unwrap_or_default();
        let (share, table) = (number(kind, "share"), number(kind, "table"));
        writeln!(page, "| {name} | {} | {share:.2} | {table:.2} |", kind["checks"])?;
    }
    for field in truths["fields"].as_array().context("no fields")? {
        let (name, value) = (field["field"].as_str().unwrap_or_default(), &field["value"]);
        // Of numbers, the sign counts.
        let value = match value.as_i64() {
            Some(0..) => "not negative".to_owned(),
            Some(_) => "negative".to_owned(),
            None => format!("= {}", value.as_str().map_or(value.to_string(), str::to_owned)),
        };
        let (share, table) = (number(field, "share"), number(field, "table"));
        writeln!(page, "| {name} {value} | | {share:.2} | {table:.2} |")?;
    }
    Ok(page)
}
