//! `sensor record` and `sensor replay`: the kernel's records to a file, and the pipeline over it.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;

use crate::cli::source::{SourceArgs, event_kinds};
use crate::driver::{Control, Live, Stages};
use crate::event::Event;
use crate::pipeline::Pipeline;
use crate::probe::capture::{Origin, Writer};
use crate::probe::kernel;

#[derive(Args, Debug)]
pub(super) struct RecordArgs {
    /// Where to write the capture
    file: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
    /// Stop after this many events
    #[arg(short = 'n', long)]
    count: Option<u64>,
}

/// Counts, and otherwise leaves the events alone.
struct Count {
    events: u64,
    limit: Option<u64>,
}

impl Stages for Count {
    fn event(&mut self, _event: &Event<'_>) {
        self.events += 1;
    }

    fn tick(&mut self, _pipeline: &mut Pipeline, _source: &Live) {}

    fn done(&self) -> bool {
        self.limit.is_some_and(|limit| self.events >= limit)
    }
}

pub(super) fn record(arguments: &RecordArgs) -> Result<()> {
    let control = Control::signals().context("register for signals")?;
    let writer = Writer::create(&arguments.file, &origin())?;
    let mut source = arguments.source.open(&event_kinds(), false)?;
    source.live.tee(writer);
    let mut stages = Count { events: 0, limit: arguments.count };
    source.prime(&mut stages);
    tracing::info!("recording to {}; SIGINT ends it", arguments.file.display());
    let balance = source.live.run(&mut source.pipeline, &control, &mut stages)?;
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
