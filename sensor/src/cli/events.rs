//! `sensor events`: what happens, as it happens.

use std::io::{self, BufWriter, Write};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use sensor_common::Kind;

use crate::cli::compact::Compact;
use crate::cli::source::{SourceArgs, event_kinds, open, target};
use crate::driver::{Control, Live, Stages};
use crate::event::Event;
use crate::pipeline::Pipeline;

#[derive(Args, Debug)]
pub(super) struct EventsArgs {
    #[command(flatten)]
    source: SourceArgs,
    /// Only this container, pod (`namespace/pod`) or unit, by name, id or unique id prefix
    #[arg(short, long, value_name = "NAME", conflicts_with = "cgroup")]
    container: Option<String>,
    /// Only these kinds
    #[arg(short, long = "type", value_name = "KIND", value_delimiter = ',', value_parser = kind)]
    types: Vec<Kind>,
    /// How to show them
    #[arg(short, long, default_value = "compact")]
    output: Format,
    /// Stop after this many events
    #[arg(short = 'n', long)]
    count: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One line that a person understands
    Compact,
    /// One JSON object a line, with every field that has a value
    Json,
}

fn kind(text: &str) -> Result<Kind, String> {
    let kinds = event_kinds();
    kinds.iter().copied().find(|kind| kind.name() == text).ok_or_else(|| {
        let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
        format!("not one of {}", names.join(", "))
    })
}

pub(super) fn events(arguments: &EventsArgs) -> Result<()> {
    let control = Control::signals().context("register for signals")?;
    let scope = match &arguments.container {
        Some(name) => Some(target(name)?.scope),
        None => arguments.source.scope()?,
    };
    // Forks, executions and ends are always needed to know who acts.
    let mut wanted = vec![Kind::Fork, Kind::Exec, Kind::Exit, Kind::Cgroup];
    let shown = if arguments.types.is_empty() { event_kinds() } else { arguments.types.clone() };
    wanted.extend(&shown);
    let settings = arguments.source.settings(scope.as_ref(), &wanted);
    let mut source = open(scope.as_ref(), &settings, false)?;
    let mut show = Show {
        out: BufWriter::new(io::stdout().lock()),
        format: arguments.output,
        shown,
        left: arguments.count,
        failed: None,
    };
    source.prime(&mut show);
    tracing::info!("watching; SIGINT ends it");
    let balance = source.live.run(&mut source.pipeline, &control, &mut show)?;
    show.out.flush()?;
    tracing::info!("{balance}");
    show.failed.map_or(Ok(()), |error| Err(error.into()))
}

struct Show<W: Write> {
    out: W,
    format: Format,
    shown: Vec<Kind>,
    left: Option<u64>,
    failed: Option<io::Error>,
}

impl<W: Write> Show<W> {
    fn write(&mut self, event: &Event<'_>) -> io::Result<()> {
        match self.format {
            Format::Compact => writeln!(self.out, "{}", Compact(event)),
            Format::Json => {
                serde_json::to_writer(&mut self.out, &crate::fields::json::object(event))?;
                self.out.write_all(b"\n")
            }
        }
    }
}

impl<W: Write> Stages for Show<W> {
    fn event(&mut self, event: &Event<'_>) {
        if self.done() || !self.shown.contains(&event.detail.kind()) {
            return;
        }
        if let Err(error) = self.write(event) {
            self.failed = Some(error);
        }
        self.left = self.left.map(|left| left - 1);
    }

    fn tick(&mut self, _pipeline: &mut Pipeline, _source: &Live) {}

    fn drained(&mut self) {
        if let Err(error) = self.out.flush() {
            self.failed = Some(error);
        }
    }

    fn done(&self) -> bool {
        self.failed.is_some() || self.left == Some(0)
    }
}
