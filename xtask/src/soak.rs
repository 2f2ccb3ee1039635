//! `cargo xtask soak`: far more events than the agent can take, for minutes. In the end the loss
//! equation is exact, memory was bounded, and the agent sees everything again.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::bench::group::Group;
use crate::bench::metrics::{fetch, sum};
use crate::bench::plan::Beside;
use crate::bench::session::Session;
use crate::{bench, setup, workspace};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How long the storm lasts
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u64).range(5..))]
    pub(crate) seconds: u64,
}

/// What every open in the storm is evaluated by, and cannot be decided in the kernel; and what must
/// be seen before and after it.
const RULES: &str = "\
- rule: Storm
  desc: Every open reaches the rules.
  condition: evt.type in (open, openat, openat2) and proc.cmdline contains no-such-argument
  output: storm
  priority: INFO
- rule: Marker
  desc: Seen before and after the storm.
  condition: evt.type in (open, openat, openat2) and fd.name = /etc/shadow and proc.name = head
  output: marker
  priority: WARNING
";
/// Sensitive reads before and after the storm, each of which must be seen.
const MARKERS: usize = 20;
/// Of the storm, on each processor: the agent competes with all of them.
const OPENERS: usize = 3;
/// By itself the agent keeps up with processes that share the processors with it: in the storm it gets
/// less than they do.
const STARVED: i32 = 8;
/// Events are produced at least so many times as fast as the agent takes them.
const OVERLOAD: f64 = 2.0;
/// What the agent may keep in memory, whatever comes: the ring, its tables at their limits.
const MEMORY_LIMIT_MIB: f64 = 256.0;
const PATIENCE: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(500);

pub(crate) fn soak(arguments: &Arguments) -> Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "programs are loaded into the kernel, which root may do: sudo cargo xtask soak"
    );
    setup::build()?;
    bench::build(&["sensor", "workload"])?;
    with(arguments, &workspace::target()?.join("release"))
}

/// The same with the programs that are in a directory already.
pub(crate) fn with(arguments: &Arguments, programs: &Path) -> Result<()> {
    let scratch = tempfile::tempdir().context("create a temporary directory")?;
    let rules = scratch.path().join("rules.yaml");
    fs::write(&rules, RULES).with_context(|| format!("write {}", rules.display()))?;
    let agent = Beside::Agent { rules: vec![rules], more: Vec::new() };
    let mut session =
        Session::start(&agent, programs, Stdio::piped())?.context("the agent is not built")?;
    let alerts = listen(session.printed().context("the agent prints nothing")?);
    let metrics = session.metrics().context("the agent serves no metrics")?;

    markers(&alerts).context("before the storm")?;
    session.set_nice(STARVED)?;
    let peak_mib = storm(arguments.seconds, &session, programs)?;
    session.set_nice(0)?;
    let drained = wait_until_drained(metrics)?;
    let lost = lost(metrics)?;
    markers(&alerts).context("after the storm")?;
    let lost_after = self::lost(metrics)?;
    ensure!(lost_after <= lost, "{} records were lost after the storm", lost_after - lost);
    let end = session.stop()?;
    let (produced, delivered) = (as_f64(end.produced), as_f64(end.delivered));
    println!(
        "{} s of storm: {} produced = {} delivered + {} not, {:.1} × what the agent took; at most \
         {peak_mib:.1} MiB; {MARKERS} of {MARKERS} alerts before and after; drained after {} ms",
        arguments.seconds,
        end.produced,
        end.delivered,
        end.lost,
        produced / delivered,
        drained.as_millis()
    );
    ensure!(end.is_exact, "the sum of the losses is not exact: {}", end.message);
    ensure!(
        produced >= OVERLOAD * delivered,
        "the agent kept up too well for a storm: more than 1/{OVERLOAD} of the events arrived"
    );
    ensure!(peak_mib <= MEMORY_LIMIT_MIB, "more than {MEMORY_LIMIT_MIB} MiB of memory");
    Ok(())
}

/// Lines of the agent, as they come; a reader that is behind holds them up.
fn listen(printed: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = sync_channel(1024);
    std::thread::spawn(move || {
        let lines = BufReader::new(printed).lines().map_while(Result::ok);
        // An error means that nobody listens any more.
        lines.map(|line| sender.send(line)).take_while(Result::is_ok).for_each(drop);
    });
    receiver
}

/// Reads the sensitive file, and sees as many alerts.
fn markers(alerts: &Receiver<String>) -> Result<()> {
    let group = Group::new("marker")?;
    for _ in 0..MARKERS {
        group.read_sensitive_file()?;
    }
    let deadline = Instant::now() + PATIENCE;
    let mut seen = 0;
    while seen < MARKERS {
        let left = deadline.saturating_duration_since(Instant::now());
        let line = alerts.recv_timeout(left);
        let line =
            line.with_context(|| format!("{seen} of {MARKERS} sensitive reads were seen"))?;
        seen += usize::from(line.contains("\"Marker\""));
    }
    Ok(())
}

/// Opens and executions as fast as they go; the most memory that the agent had meanwhile.
fn storm(seconds: u64, session: &Session, programs: &Path) -> Result<f64> {
    let group = Group::new("storm")?;
    let processors = std::thread::available_parallelism().context("count the processors")?.get();
    let kinds = [["open"; OPENERS].as_slice(), &["exec"]].concat().repeat(processors);
    let start = |kind: &&str| -> Result<Child> {
        let mut workload: Command = group.command(&programs.join("workload"));
        workload.args([kind, &*format!("{seconds}s")]).stdout(Stdio::null());
        workload.spawn().context("start the workload")
    };
    let mut workers: Vec<Child> = kinds.iter().map(start).collect::<Result<_>>()?;
    let mut peak_mib = 0_f64;
    while !workers.is_empty() {
        std::thread::sleep(LOOK);
        peak_mib = peak_mib.max(session.memory_mib().context("the agent is gone")?);
        for worker in &mut workers {
            if let Some(status) = worker.try_wait().context("look after the workload")? {
                ensure!(status.success(), "the workload ended with {status}");
            }
        }
        workers.retain_mut(|worker| matches!(worker.try_wait(), Ok(None)));
    }
    Ok(peak_mib)
}

/// How long it takes until the ring is empty.
fn wait_until_drained(metrics: SocketAddr) -> Result<Duration> {
    let start = Instant::now();
    // A page or so: the host's other processes go on.
    while sum(&fetch(metrics)?, "sensor_ring_unread_bytes", &[]) > 4096.0 {
        ensure!(start.elapsed() < PATIENCE, "the ring is not empty after {PATIENCE:?}");
    }
    Ok(start.elapsed())
}

fn lost(metrics: SocketAddr) -> Result<f64> {
    Ok(sum(&fetch(metrics)?, "sensor_records_dropped_total", &[]))
}

#[expect(clippy::cast_precision_loss, reason = "counts of a soak are far below 2^52")]
fn as_f64(count: u64) -> f64 {
    count as f64
}
