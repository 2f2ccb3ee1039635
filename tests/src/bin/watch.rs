//! A sensor that does nothing with its events, for benchmarks of what watching costs.
//!
//! `watch floor HOOK` attaches the program that only counts system calls, `watch sensor KIND…` the
//! probes of these kinds; `--scope ID` limits them to a control group below the root, `--account`
//! has the kernel account for each program. It prints one JSON object when it is attached, and one
//! with what it counted after its standard input has ended.
#![expect(clippy::print_stdout, reason = "a command line program of benchmarks")]

use std::io::Read as _;

use anyhow::{Context as _, Result, bail};
use sensor::attribution::cache::Cache;
use sensor::driver::{Control, Live, Stages};
use sensor::event::Event;
use sensor::pipeline::Pipeline;
use sensor::probe::attach::{Outcome, floor};
use sensor::probe::cost::{Accounting, Cost};
use sensor::probe::load::{Hooks, Settings};
use sensor::probe::proc::Proc;
use sensor::probe::wanted::Wanted;
use sensor_common::Kind;
use sensor_common::config::Config;
use serde_json::json;

const RING_BYTES: u32 = 8 << 20;
const WAKE_INTERVAL_NS: u64 = 1_000_000;

fn main() -> Result<()> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    match arguments.floor {
        Some(hook) => {
            let probes = floor(&hook)?;
            ready(&probes.outcomes);
            wait_for_end()?;
            println!("{}", json!({}));
        }
        None => watch(&arguments)?,
    }
    Ok(())
}

#[derive(Default)]
struct Arguments {
    floor: Option<String>,
    kinds: Vec<Kind>,
    scope: u64,
    account: bool,
}

impl Arguments {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut arguments = Self::default();
        match words.next().as_deref() {
            Some("floor") => arguments.floor = Some(words.next().context("floor needs a hook")?),
            Some("sensor") => {}
            other => bail!("floor or sensor, not {other:?}"),
        }
        while let Some(word) = words.next() {
            match &*word {
                "--account" => arguments.account = true,
                "--scope" => {
                    let id = words.next().context("--scope needs the id of a control group")?;
                    arguments.scope = id.parse().context("the id of a control group")?;
                }
                name => {
                    let kind = Kind::KERNEL.iter().find(|kind| kind.name() == name);
                    arguments
                        .kinds
                        .push(*kind.with_context(|| format!("there is no kind {name}"))?);
                }
            }
        }
        Ok(arguments)
    }
}

fn watch(arguments: &Arguments) -> Result<()> {
    let config = Config {
        scope_cgroup_id: arguments.scope,
        scope_level: u32::from(arguments.scope != 0),
        self_tgid: std::process::id(),
        wake_bytes: RING_BYTES / 8,
        wake_interval_ns: WAKE_INTERVAL_NS,
        ..Config::default()
    };
    let settings = Settings {
        hooks: Hooks::Auto,
        config,
        wanted: Wanted::of(arguments.kinds.iter().copied()),
        ring_bytes: RING_BYTES,
    };
    let accounting = arguments.account.then(Accounting::start).transpose()?;
    let mut live = Live::start(&settings, Proc::default())?;
    let mut pipeline = Pipeline::new(Cache::default());
    let mut count = Count::default();
    live.prime(&mut pipeline, &mut count);
    let (control, remote) = Control::new()?;
    ready(&live.outcomes);
    let end = std::thread::spawn(move || wait_for_end().and_then(|()| Ok(remote.stop()?)));
    let balance = live.run(&mut pipeline, &control, &mut count)?;
    end.join()
        .map_err(|_panic| anyhow::anyhow!("the thread that waits for the end panicked"))??;
    drop(accounting);
    let programs: Vec<_> = count
        .costs
        .iter()
        .map(|cost| json!({ "name": cost.program, "runs": cost.runs, "time_ns": cost.time_ns }))
        .collect();
    println!(
        "{}",
        json!({
            "events": count.events,
            "produced": balance.produced,
            "delivered": balance.delivered,
            "lost": balance.lost,
            "dropped": balance.dropped,
            "programs": programs,
        })
    );
    Ok(())
}

fn ready(outcomes: &[Outcome]) {
    let hooks: Vec<_> =
        outcomes.iter().map(|outcome| format!("{}: {:?}", outcome.probe, outcome.state)).collect();
    println!("{}", json!({ "ready": hooks }));
}

fn wait_for_end() -> Result<()> {
    std::io::stdin().read_to_end(&mut Vec::new()).context("read standard input")?;
    Ok(())
}

/// Counts, and otherwise leaves the events alone.
#[derive(Default)]
struct Count {
    events: u64,
    costs: Vec<Cost>,
}

impl Stages for Count {
    fn event(&mut self, _event: &Event<'_>) {
        self.events += 1;
    }

    fn tick(&mut self, _pipeline: &mut Pipeline, source: &mut Live) {
        let costs = source.costs();
        // At the last tick the programs are gone.
        if !costs.is_empty() {
            self.costs = costs;
        }
    }
}
