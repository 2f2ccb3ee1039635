//! `sensor record` and `sensor replay`: the kernel's records to a file, and the pipeline over it.

use std::io::{self, BufWriter, IsTerminal as _, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};

use crate::attribution::cache::Cache;
use crate::cli::compact::Compact;
use crate::cli::lookup;
use crate::cli::source::{ContainerArgs, SourceArgs};
use crate::cli::{colour, ruleset};
use crate::config::Rules;
use crate::detect::Detector;
use crate::driver::{self, Control, Live, Stages};
use crate::event::{Event, Turn};
use crate::pipeline::Pipeline;
use crate::probe::capture::{Origin, Reader, Writer};
use crate::probe::kernel;
use crate::probe::wanted::Wanted;
use crate::sinks::format::{json_line, pretty};

#[derive(Args, Debug)]
pub(super) struct RecordArgs {
    /// Where to write the capture
    file: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    container: ContainerArgs,
    /// Stop after this many events
    #[arg(short = 'n', long)]
    count: Option<u64>,
}

#[derive(Args, Debug)]
pub(super) struct ReplayArgs {
    /// A capture that `sensor record` wrote
    file: PathBuf,
    /// Rules files or directories, instead of the shipped ruleset
    #[arg(short, long, value_name = "PATH")]
    rules: Vec<PathBuf>,
    /// How to show alerts: pretty or json; pretty on a terminal, json otherwise
    #[arg(short, long)]
    output: Option<AlertFormat>,
    /// Show the events instead of alerts
    #[arg(long, conflicts_with = "rules")]
    events: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum AlertFormat {
    Pretty,
    Json,
}

/// Runs the same pipeline as `run` over a capture: no root, no kernel.
pub(super) fn replay(arguments: &ReplayArgs) -> Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut pipeline = Pipeline::new(Cache::default());
    let mut failed = None;
    let reader = Reader::open(&arguments.file)?;
    if arguments.events {
        driver::replay(reader, &mut pipeline, |event| {
            if failed.is_none() && event.turn != Turn::Early {
                failed = writeln!(out, "{}", Compact(event)).err();
            }
        })?;
    } else {
        let json = match arguments.output {
            Some(format) => format == AlertFormat::Json,
            None => !io::stdout().is_terminal(),
        };
        let rules = Rules { files: arguments.rules.clone(), ..Rules::default() };
        let mut detector = Detector::new(ruleset::load(&rules)?, &reader.origin.hostname);
        driver::replay(reader, &mut pipeline, |event| {
            detector.detect(event, |alert| {
                let mut line = String::new();
                if json {
                    json_line(&alert, &mut line);
                } else {
                    pretty(&alert, colour(&io::stdout()), &mut line);
                }
                if failed.is_none() {
                    failed = out.write_all(line.as_bytes()).err();
                }
            });
        })?;
    }
    out.flush()?;
    failed.map_or(Ok(()), |error| Err(error.into()))
}

/// Counts, and otherwise leaves the events alone.
struct Count {
    events: u64,
    limit: Option<u64>,
}

impl Stages for Count {
    fn event(&mut self, event: &Event<'_>) {
        self.events += u64::from(event.turn != Turn::Late);
    }

    fn tick(&mut self, _pipeline: &mut Pipeline, _source: &mut Live) {}

    fn done(&self) -> bool {
        self.limit.is_some_and(|limit| self.events >= limit)
    }
}

pub(super) fn record(arguments: &RecordArgs) -> Result<()> {
    let control = Control::signals().context("register for signals")?;
    let lookups = arguments.source.lookup.settings()?;
    let watched = arguments.container.watched(arguments.source.cgroup.as_deref(), &lookups)?;
    if let (Some(id), Some(scope)) = (&watched.container_id, &watched.scope) {
        tracing::warn!("container {id} has no cgroup of its own: recording all of {}", scope.path);
    }
    let writer = Writer::create(&arguments.file, &origin())?;
    let mut source =
        arguments.source.open(watched.scope.as_ref(), &Wanted::everything(), &lookups)?;
    source.live.tee(writer);
    let runtime = lookup::start(&mut source, lookups, &control)?;
    let mut stages = Count { events: 0, limit: arguments.count };
    source.prime(&mut stages);
    tracing::info!("recording to {}; SIGINT ends it", arguments.file.display());
    let balance = source.live.run(&mut source.pipeline, &control, &mut stages)?;
    runtime.shutdown_background();
    source.live.close()?;
    tracing::info!(events = stages.events, "{balance}");
    Ok(())
}

fn origin() -> Origin {
    Origin { hostname: hostname(), kernel: kernel::release(), boot_id: boot_id() }
}

/// The kernel's name of this host.
pub(super) fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Identifies this boot; empty where /proc does not say.
pub(super) fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}
