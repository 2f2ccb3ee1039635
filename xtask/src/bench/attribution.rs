//! Many containers and many processes: what the agent keeps of each, and how long it takes to find them.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::group::Group;
use super::metrics;
use super::plan::Beside;
use super::session::Session;
use crate::command;

/// Containers that live at the same time.
const CONTAINERS: usize = 1_000;
/// Processes that are there when the agent starts.
const PROCESSES: usize = 10_000;
/// How long the look at those may take.
const SCAN_LIMIT_MS: f64 = 1000.0;
const PATIENCE: Duration = Duration::from_mins(1);

/// What was measured.
pub(super) struct Measured {
    /// Of the whole agent, in MiB: without containers, and with all.
    memory_mib: (f64, f64),
    /// Of the tables alone: bytes a container, and nanoseconds to find the container of an event.
    tables: Value,
    /// Milliseconds to read all processes, and how many that were.
    scan: Value,
}

pub(super) fn run(programs: &Path) -> Result<Measured> {
    println!("attribution: {CONTAINERS} containers beside the agent");
    let memory_mib = agent(programs)?;
    let count = CONTAINERS.to_string();
    let tables = said(Command::new(programs.join("attribution")).args(["containers", &count]))?;
    println!("attribution: {PROCESSES} processes");
    let group = Group::new("processes")?;
    let sleepers = Sleepers::start(&group, PROCESSES)?;
    let scan = said(Command::new(programs.join("attribution")).arg("scan"));
    sleepers.end()?;
    Ok(Measured { memory_mib, tables, scan: scan? })
}

fn said(program: &mut Command) -> Result<Value> {
    let output = command::capture(program)?.stdout;
    serde_json::from_slice(&output).with_context(|| format!("read `{}`", command::line(program)))
}

/// Memory of `sensor run` before and after as many containers come, each with a group and the state that
/// Docker keeps of it.
fn agent(programs: &Path) -> Result<(f64, f64)> {
    let state = tempfile::tempdir().context("create a directory for Docker's state")?;
    let ids: Vec<String> = (0..CONTAINERS).map(|number| format!("{number:064x}")).collect();
    for (number, id) in ids.iter().enumerate() {
        let directory = state.path().join("containers").join(id);
        fs::create_dir_all(&directory).context("create a container's state")?;
        fs::write(directory.join("config.v2.json"), docker_state(id, number).to_string())
            .context("write a container's state")?;
    }
    let group = Group::new("containers")?;
    // With no other containers, and the state that Docker keeps elsewhere.
    let sources = format!("containers.sources=docker-root={}", state.path().display());
    let more = ["--cgroup", &group.name(), "--set", &sources].map(str::to_owned).to_vec();
    let beside = Beside::Agent { rules: Vec::new(), more };
    let session =
        Session::start(&beside, programs, Stdio::null())?.context("the agent is not built")?;
    let address = session.metrics().context("the agent serves no metrics")?;
    metrics::fetch(address)?;
    let before = session.memory_mib().context("the agent is gone")?;
    let groups = Groups::make(&group.directory().join("docker"), &ids)?;
    let start = Instant::now();
    while metrics::sum(&metrics::fetch(address)?, "container_info", &[]) < as_f64(CONTAINERS) {
        ensure!(start.elapsed() < PATIENCE, "the agent does not know all containers");
    }
    let after = session.memory_mib().context("the agent is gone")?;
    session.stop()?;
    drop(groups);
    Ok((before, after))
}

/// Of a container as it is usual.
fn docker_state(id: &str, number: usize) -> Value {
    let labels: Value = (0..10)
        .map(|label| (format!("com.example.label-{label}"), json!("of some value")))
        .collect();
    json!({
        "ID": id, "Name": format!("/service-{number}"), "Image": format!("sha256:{id}"),
        "Created": "2026-11-24T20:00:00Z",
        "Config": { "Image": "registry.example.com/shop/service:1.29", "Labels": labels, "User": "app" },
        "State": { "StartedAt": "2026-11-24T20:00:00Z" },
        "MountPoints": { "/data": { "Source": "/srv/data", "Destination": "/data", "RW": true } },
    })
}

/// Control groups of containers, gone when it is dropped.
struct Groups(Vec<PathBuf>);

impl Groups {
    fn make(parent: &Path, ids: &[String]) -> Result<Self> {
        let mut groups = Self(Vec::new());
        for path in std::iter::once(parent.to_owned()).chain(ids.iter().map(|id| parent.join(id))) {
            fs::create_dir(&path).with_context(|| format!("create {}", path.display()))?;
            groups.0.push(path);
        }
        Ok(groups)
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        for path in self.0.iter().rev() {
            if let Err(error) = fs::remove_dir(path) {
                eprintln!("warning: {} is left behind: {error}", path.display());
            }
        }
    }
}

/// Processes that wait for the end of their input.
struct Sleepers(Child);

impl Sleepers {
    fn start(group: &Group, count: usize) -> Result<Self> {
        let script = format!(
            "i=0; while [ $i -lt {count} ]; do read _ <&3 & i=$((i+1)); done; echo all; wait"
        );
        let mut shell = group.command(Path::new("/bin/sh"));
        shell.args(["-c", &format!("exec 3<&0; {script}")]);
        let mut shell = shell
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start the processes")?;
        let mut line = String::new();
        let said = shell.stdout.take().context("the shell has no output")?;
        BufReader::new(said).read_line(&mut line).context("wait for the processes")?;
        ensure!(line == "all\n", "not all of the processes could be started");
        Ok(Self(shell))
    }

    fn end(mut self) -> Result<()> {
        // All of them read the same line's end.
        drop(self.0.stdin.take());
        self.0.wait().context("wait for the processes").map(drop)
    }
}

pub(super) fn report(measured: &Measured) -> Result<String> {
    let number = |value: &Value, key: &str| value[key].as_f64().context(format!("no {key}"));
    let (before, after) = measured.memory_mib;
    let a_container_kib = (after - before) * 1024.0 / as_f64(CONTAINERS);
    let scan_ms = number(&measured.scan, "ms")?;
    let met = if scan_ms < SCAN_LIMIT_MS { "met" } else { "missed" };
    let mut page = format!(
        "\n## Many containers and processes\n\n\
         {CONTAINERS} containers at the same time, each with a name, an image, ten labels and a mount in Docker's files, beside\n\
         `sensor run`; then {PROCESSES} processes more than the host has.\n\n\
         | what | bar | measured | |\n|---|---:|---:|---|\n"
    );
    let rows = [
        ("memory of the agent without containers", "", format!("{before:.1} MiB"), ""),
        ("memory of the agent with all of them", "", format!("{after:.1} MiB"), ""),
        ("the whole agent's memory a container", "", format!("{a_container_kib:.1} KiB"), ""),
        (
            "of that, the table of containers",
            "",
            format!("{:.1} KiB", number(&measured.tables, "bytes")? / 1024.0),
            "",
        ),
        (
            "finding the container of an event",
            "",
            format!("{:.0} ns", number(&measured.tables, "ns")?),
            "",
        ),
        (
            "reading all processes at the start",
            "< 1 s",
            format!("{:.2} s for {}", scan_ms / 1e3, measured.scan["processes"]),
            met,
        ),
    ];
    for (what, bar, value, met) in rows {
        writeln!(page, "| {what} | {bar} | {value} | {met} |")?;
    }
    Ok(page)
}

#[expect(clippy::cast_precision_loss, reason = "a thousand is far below 2^52")]
fn as_f64(count: usize) -> f64 {
    count as f64
}
