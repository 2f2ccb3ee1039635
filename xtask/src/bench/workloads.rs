//! Whole workloads: how much of what they do leaves the kernel, and what the agent slows them down.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result};

use super::group::Group;
use super::measure::median;
use super::metrics::{fetch, sum};
use super::plan::{AGENT, Beside, NONE, OFFICIAL, official_rules};
use super::session::Session;
use crate::{command, workspace};

/// Scripts of sh, in a directory of its own that `$DIR` names; `$PORT` is free on loopback.
#[derive(Debug)]
pub(super) struct Workload {
    pub(super) name: &'static str,
    /// A program that must be there, and its package.
    needs: &'static [(&'static str, &'static str)],
    /// Before anything is counted: servers, data.
    prepare: &'static str,
    /// What is measured; it prints how many operations it did.
    run: &'static str,
    finish: &'static str,
    /// How much slower it may become, in percent.
    pub(super) limit: f64,
}

/// `PATH` lacks where Debian puts the programs of a server.
const PATHS: &str = "PATH=$PATH:/usr/sbin:/sbin:$(echo /usr/lib/postgresql/*/bin | tr ' ' ':')\n";

const WORKLOADS: [Workload; 5] = [
    Workload {
        name: "a compile: cargo build of sensor-common",
        needs: &[],
        prepare: "",
        run: "cargo build --quiet --offline --package sensor-common --target-dir $DIR/target && rm -r $DIR/target && echo 1",
        finish: "",
        limit: 2.0,
    },
    Workload {
        name: "apt-get install --reinstall of one package",
        needs: &[],
        prepare: "apt-get -qq --yes --reinstall --download-only install busybox-static >&2",
        run: "DEBIAN_FRONTEND=noninteractive apt-get -qq --yes --reinstall -o DPkg::Lock::Timeout=60 install busybox-static >&2 && echo 1",
        finish: "",
        limit: 2.0,
    },
    Workload {
        name: "nginx, a file a request, under wrk",
        needs: &[("nginx", "nginx-light"), ("wrk", "wrk")],
        prepare:
            "mkdir $DIR/www && head -c 1024 /dev/zero > $DIR/www/file && cat > $DIR/nginx.conf <<END
user root;
worker_processes 1;
pid $DIR/nginx.pid;
error_log $DIR/error.log;
events { worker_connections 256; }
http { access_log off; server { listen 127.0.0.1:$PORT; root $DIR/www; } }
END
nginx -p $DIR -c $DIR/nginx.conf >&2",
        run: "wrk --threads 1 --connections 16 --duration 4s http://127.0.0.1:$PORT/file | awk '/requests in/ { print $1 }'",
        finish: "nginx -p $DIR -c $DIR/nginx.conf -s quit >&2",
        limit: 3.0,
    },
    Workload {
        name: "redis under redis-benchmark",
        needs: &[("redis-server", "redis-server"), ("redis-benchmark", "redis-tools")],
        prepare:
            "redis-server --port $PORT --bind 127.0.0.1 --save '' --daemonize yes --dir $DIR >&2
until redis-cli -p $PORT ping >/dev/null 2>&1; do :; done",
        run: "redis-benchmark -p $PORT -n 100000 -t set,get -q >&2 && echo 200000",
        finish: "redis-cli -p $PORT shutdown nosave >&2",
        limit: 3.0,
    },
    Workload {
        name: "PostgreSQL under pgbench, a connection a transaction",
        needs: &[("initdb", "postgresql"), ("pgbench", "postgresql")],
        prepare: "chown postgres $DIR && runuser -u postgres -- sh -c \"PATH=$PATH && initdb -D $DIR/db && \
pg_ctl -w -D $DIR/db -l $DIR/log -o '-F -p $PORT -k $DIR -h 127.0.0.1' start && \
pgbench -h 127.0.0.1 -p $PORT -i -s 5 postgres\" >&2",
        run: "runuser -u postgres -- $(command -v pgbench) -h 127.0.0.1 -p $PORT -C -c 4 -T 4 postgres \
| awk '/transactions actually processed/ { sub(\"/.*\", \"\", $6); print $6 }'",
        finish: "runuser -u postgres -- $(command -v pg_ctl) -m fast -w -D $DIR/db stop >&2",
        limit: 3.0,
    },
];

/// Event types that are counted together, and the kind of their records.
pub(super) const KINDS: [(&str, &str, &[&str]); 3] = [
    (
        "opens",
        "kind=\"open\"",
        &["type=\"open\"", "type=\"openat\"", "type=\"openat2\"", "type=\"creat\""],
    ),
    ("execs", "kind=\"exec\"", &["type=\"execve\"", "type=\"execveat\""]),
    ("connects", "kind=\"connect\"", &["type=\"connect\""]),
];

/// What was counted of one of [`KINDS`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) filtered: f64,
    /// Left the kernel.
    pub(super) produced: f64,
}

impl Seen {
    pub(super) fn all(&self) -> f64 {
        self.filtered + self.produced
    }
}

/// One workload beside one variant.
#[derive(Debug, Default)]
pub(super) struct Row {
    pub(super) variant: &'static str,
    pub(super) seen: [Seen; KINDS.len()],
    pub(super) lost: f64,
    /// Operations a second and nanoseconds of processor time an operation, by round.
    rates: Vec<f64>,
    costs: Vec<f64>,
}

#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) workload: &'static Workload,
    pub(super) rows: Vec<Row>,
    /// Packages that are missing: then there are no rows.
    pub(super) missing: Vec<&'static str>,
}

impl Outcome {
    /// How much longer an operation takes than in the same round without the agent, in percent: on
    /// the clock, and in processor time.
    pub(super) fn slower(&self, row: &Row) -> Option<(f64, f64)> {
        let without = self.rows.iter().find(|row| row.variant == NONE)?;
        let percent = |ratios: Vec<f64>| Some((median(ratios)? - 1.0) * 100.0);
        let ratios = |over: &[f64], under: &[f64]| {
            over.iter().zip(under).map(|(over, under)| over / under).collect()
        };
        Some((
            percent(ratios(&without.rates, &row.rates))?,
            percent(ratios(&row.costs, &without.costs))?,
        ))
    }
}

pub(super) fn run(rounds: usize, programs: &Path) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for workload in &WORKLOADS {
        println!("{}", workload.name);
        outcomes.push(outcome(workload, rounds, programs).context(workload.name)?);
    }
    Ok(outcomes)
}

fn outcome(workload: &'static Workload, rounds: usize, programs: &Path) -> Result<Outcome> {
    let missing = workload.needs.iter().filter(|(program, _)| !is_installed(program));
    let missing: Vec<_> = missing.map(|(_, package)| *package).collect();
    let mut outcome = Outcome { workload, rows: Vec::new(), missing };
    if !outcome.missing.is_empty() {
        return Ok(outcome);
    }
    let running = Running::start(workload)?;
    let official = official_rules();
    let mut rules = vec![(NONE, None), (AGENT, Some(Vec::new()))];
    rules.extend((!official.is_empty()).then_some((OFFICIAL, Some(official))));
    for (variant, _) in &rules {
        outcome.rows.push(Row { variant, ..Row::default() });
    }
    // What only the first run does, such as reading files into memory, is nobody's.
    running.operations()?;
    for round in 0..rounds {
        for index in 0..rules.len() {
            let index = (index + round) % rules.len();
            let more = vec!["--cgroup".to_owned(), running.group.name()];
            let agent = |rules: &Vec<PathBuf>| Beside::Agent { rules: rules.clone(), more };
            let beside = rules[index].1.as_ref().map_or(Beside::Nothing, agent);
            running.beside(&beside, programs, &mut outcome.rows[index])?;
        }
    }
    running.finish()?;
    Ok(outcome)
}

fn is_installed(program: &str) -> bool {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{PATHS}command -v {program}")]);
    command::answer(&mut shell).is_some()
}

/// A workload whose servers are up.
struct Running {
    workload: &'static Workload,
    group: Group,
    directory: tempfile::TempDir,
    port: u16,
}

impl Running {
    fn start(workload: &'static Workload) -> Result<Self> {
        let directory = tempfile::tempdir().context("create a temporary directory")?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|own| own.local_addr());
        let port = port.context("find a free port")?.port();
        let running = Self { workload, group: Group::new("workload")?, directory, port };
        running.script(workload.prepare)?;
        Ok(running)
    }

    /// Runs a script in the control group; what it printed.
    fn script(&self, script: &str) -> Result<String> {
        let mut shell = self.group.command(Path::new("/bin/sh"));
        shell.args(["-e", "-c", &format!("{PATHS}{script}")]).current_dir(workspace::root());
        shell.env("DIR", self.directory.path()).env("PORT", self.port.to_string());
        let output = command::capture(&mut shell)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn operations(&self) -> Result<f64> {
        let printed = self.script(self.workload.run)?;
        printed.trim().parse().with_context(|| format!("`{printed}` is no number of operations"))
    }

    fn beside(&self, beside: &Beside, programs: &Path, row: &mut Row) -> Result<()> {
        let session =
            Session::start(beside, programs, Stdio::null())?.context("it is not built")?;
        let metrics = session.metrics();
        let before = counts(metrics)?;
        let (cpu_ns, start) = (self.group.cpu_ns()?, Instant::now());
        let operations = self.operations()?;
        let seconds = start.elapsed().as_secs_f64();
        row.rates.push(operations / seconds);
        row.costs.push(as_f64(self.group.cpu_ns()? - cpu_ns) / operations);
        let after = counts(metrics)?;
        for ((total, before), after) in row.seen.iter_mut().zip(before).zip(after) {
            total.filtered += after.filtered - before.filtered;
            total.produced += after.produced - before.produced;
        }
        row.lost += as_f64(session.stop()?.lost);
        Ok(())
    }

    fn finish(self) -> Result<()> {
        self.script(self.workload.finish).map(drop)
    }
}

fn counts(metrics: Option<SocketAddr>) -> Result<[Seen; KINDS.len()]> {
    let text = metrics.map(fetch).transpose()?.unwrap_or_default();
    Ok(KINDS.map(|(_, kind, types)| Seen {
        filtered: sum(&text, "sensor_records_filtered_total", types),
        produced: sum(&text, "sensor_records_produced_total", &[kind]),
    }))
}

#[expect(clippy::cast_precision_loss, reason = "nanoseconds of a run are far below 2^52")]
fn as_f64(number: u64) -> f64 {
    number as f64
}
