//! Sensitive reads, and when their alerts come: on an idle host, and with every processor busy
//! opening files.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::group::Group;
use super::plan::{Beside, READS, Variant};
use super::session::Session;

/// Between two reads.
const PAUSE: Duration = Duration::from_millis(40);
/// What a late alert is given.
const PATIENCE: Duration = Duration::from_secs(3);
/// What an alert's line contains.
const MARK: &str = "head -c1 /etc/shadow";

/// One run of a variant.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) variant: String,
    pub(super) is_busy: bool,
    pub(super) alerts: usize,
    /// From the time of the event to its line, in milliseconds; sorted.
    pub(super) latency_ms: Vec<f64>,
    /// Opens a second that the busy processes did meanwhile.
    pub(super) opens_a_second: f64,
    pub(super) lost: u64,
}

/// Those of `variants` that print alerts: the agent, and what the command line gave.
pub(super) fn runs(variants: &[Variant], programs: &Path) -> Result<Vec<Run>> {
    let alerts =
        |variant: &&Variant| matches!(variant.beside, Beside::Agent { .. } | Beside::Command(_));
    let mut runs = Vec::new();
    for variant in variants.iter().filter(alerts) {
        for is_busy in [false, true] {
            println!("alerts: {}{}", variant.name, if is_busy { ", busy" } else { "" });
            runs.push(run(variant, is_busy, programs).with_context(|| variant.name.clone())?);
        }
    }
    Ok(runs)
}

fn run(variant: &Variant, is_busy: bool, programs: &Path) -> Result<Run> {
    let session = Session::start(&variant.beside, programs, Stdio::piped())?;
    let mut session = session.context("it is not installed")?;
    let printed = session.printed().context("it prints nothing")?;
    let came: Came = Arc::default();
    let reader = listen(printed, &came);
    let group = Group::new("alerts")?;
    let busy = if is_busy { Busy::start(&group, programs)? } else { Busy::default() };
    for _ in 0..READS {
        group.read_sensitive_file()?;
        std::thread::sleep(PAUSE);
    }
    let opens_a_second = busy.end()?;
    let deadline = Instant::now() + PATIENCE;
    while count(&came) < READS && Instant::now() < deadline {
        std::thread::sleep(PAUSE);
    }
    let lost = session.stop()?.lost;
    reader.join().map_err(|_panic| anyhow::anyhow!("the reader of alerts panicked"))?;
    let mut latency_ms = came.lock().unwrap_or_else(PoisonError::into_inner).clone();
    latency_ms.sort_by(f64::total_cmp);
    let (variant, alerts) = (variant.name.clone(), latency_ms.len());
    Ok(Run { variant, is_busy, alerts, latency_ms, opens_a_second, lost })
}

/// The latencies of the alerts that came.
type Came = Arc<Mutex<Vec<f64>>>;

fn count(came: &Came) -> usize {
    came.lock().unwrap_or_else(PoisonError::into_inner).len()
}

/// Takes the time of each line that is an alert about the reads.
fn listen(printed: ChildStdout, came: &Came) -> JoinHandle<()> {
    let came = Arc::clone(came);
    std::thread::spawn(move || {
        for line in BufReader::new(printed).lines().map_while(Result::ok) {
            let now = SystemTime::now();
            if line.contains(MARK) {
                let latency = latency_ms(&line, now).unwrap_or(f64::NAN);
                came.lock().unwrap_or_else(PoisonError::into_inner).push(latency);
            }
        }
    })
}

/// From the alert's `time`, which Falco's JSON has as well.
fn latency_ms(line: &str, now: SystemTime) -> Option<f64> {
    let alert: Value = serde_json::from_str(line).ok()?;
    let time: jiff::Timestamp = alert["time"].as_str()?.parse().ok()?;
    let now = jiff::Timestamp::try_from(now).ok()?;
    Some(now.duration_since(time).as_secs_f64() * 1e3)
}

/// A process for each processor that opens and closes a file that no rule is about.
#[derive(Default)]
struct Busy(Vec<Child>);

impl Busy {
    fn start(group: &Group, programs: &Path) -> Result<Self> {
        let count = std::thread::available_parallelism().context("count the processors")?.get();
        let one = |_| {
            let mut opens = group.command(&programs.join("workload"));
            opens.args(["open", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped());
            opens.spawn().context("start the workload")
        };
        (0..count).map(one).collect::<Result<_>>().map(Self)
    }

    /// Ends them: opens a second of all of them.
    fn end(self) -> Result<f64> {
        let mut sum = 0.0;
        for mut child in self.0 {
            drop(child.stdin.take());
            let output = child.wait_with_output().context("wait for the workload")?;
            ensure!(output.status.success(), "the workload ended with {}", output.status);
            let said: Value =
                serde_json::from_slice(&output.stdout).context("read the workload's output")?;
            let number = |key: &str| said[key].as_f64().context("the workload says no times");
            sum += number("count")? / number("wall_ns")?;
        }
        Ok(sum * 1e9)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::latency_ms;

    #[test]
    fn latency_is_from_the_alerts_own_time() {
        let line = r#"{"time":"1970-01-01T00:00:01.500000000Z"}"#;
        let now = UNIX_EPOCH + Duration::from_millis(1502);
        assert_eq!(latency_ms(line, now), Some(2.0));
        assert_eq!(latency_ms("16:00:01 Warning", now), None);
    }
}
