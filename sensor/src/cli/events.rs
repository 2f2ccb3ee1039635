//! `sensor events`: what happens, as it happens.

use std::io::{self, BufWriter, Write};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use sensor_common::Kind;

use crate::cli::compact::Compact;
use crate::cli::lookup;
use crate::cli::source::{ContainerArgs, SourceArgs, Watched, event_kinds};
use crate::driver::{Control, Live, Stages};
use crate::event::{Event, Turn};
use crate::fields::event_types;
use crate::fields::near::did_you_mean;
use crate::pipeline::Pipeline;
use crate::probe::wanted::Wanted;
use crate::rules::error::Severity;
use crate::rules::program::Scratch;
use crate::rules::{Ruleset, load};

#[derive(Args, Debug)]
pub(super) struct EventsArgs {
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    container: ContainerArgs,
    /// Only these types (`openat`, `setns`), or kinds of them (`open`: every call that opens)
    #[arg(short, long = "type", value_name = "TYPE", value_delimiter = ',', value_parser = type_name)]
    types: Vec<String>,
    /// Only events for which this condition holds, as in a rule
    #[arg(short, long, value_name = "CONDITION")]
    filter: Option<String>,
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

fn type_name(text: &str) -> Result<String, String> {
    if Wanted::default().add_event_type(text) || kind(text).is_some() {
        return Ok(text.to_owned());
    }
    let kinds = event_kinds();
    let known = kinds.iter().map(|kind| kind.name()).chain(event_types::delivered());
    let hint = did_you_mean(text, known).map(|hint| format!("; {hint}")).unwrap_or_default();
    Err(format!("no event has this type{hint}"))
}

fn kind(text: &str) -> Option<Kind> {
    event_kinds().into_iter().find(|kind| kind.name() == text)
}

/// What the kernel side has to send so that these types can be shown; identity comes with it.
fn wanted(types: &[String]) -> Wanted {
    if types.is_empty() {
        return Wanted::everything();
    }
    let mut wanted = Wanted::identity();
    for name in types {
        match kind(name) {
            Some(kind) => wanted.add(kind),
            // Checked when the arguments were read.
            None => drop(wanted.add_event_type(name)),
        }
    }
    wanted
}

/// The ruleset of the one condition.
fn filter(condition: &str) -> Result<Ruleset> {
    let (ruleset, findings, files) = load::condition(condition, Vec::new());
    let errors: Vec<String> = findings
        .iter()
        .filter(|finding| finding.severity() == Severity::Error)
        .map(|finding| finding.render(&files))
        .collect();
    ruleset.filter(|_| errors.is_empty()).with_context(|| errors.join("\n"))
}

pub(super) fn events(arguments: &EventsArgs) -> Result<()> {
    let control = Control::signals().context("register for signals")?;
    let lookups = arguments.source.lookup.settings()?;
    let watched = arguments.container.watched(arguments.source.cgroup.as_deref(), &lookups)?;
    let filter = arguments.filter.as_deref().map(filter).transpose()?;
    let mut source =
        arguments.source.open(watched.scope.as_ref(), &wanted(&arguments.types), &lookups)?;
    let runtime = lookup::start(&mut source, lookups, &control)?;
    let mut show = Show {
        out: BufWriter::new(io::stdout().lock()),
        format: arguments.output,
        shown: arguments.types.clone(),
        watched,
        filter: filter.map(|ruleset| (ruleset.scratch(), ruleset)),
        left: arguments.count,
        failed: None,
    };
    source.prime(&mut show);
    tracing::info!("watching; SIGINT ends it");
    let balance = source.live.run(&mut source.pipeline, &control, &mut show)?;
    runtime.shutdown_background();
    show.out.flush()?;
    tracing::info!("{balance}");
    show.failed.map_or(Ok(()), |error| Err(error.into()))
}

struct Show<W: Write> {
    out: W,
    format: Format,
    /// Types and kinds; empty for all.
    shown: Vec<String>,
    watched: Watched,
    filter: Option<(Scratch, Ruleset)>,
    left: Option<u64>,
    failed: Option<io::Error>,
}

impl<W: Write> Show<W> {
    fn is_shown(&mut self, event: &Event<'_>) -> bool {
        let (name, kind) = (event.detail.event_type(), event.detail.kind().name());
        if !self.shown.is_empty() && !self.shown.iter().any(|one| one == name || one == kind) {
            return false;
        }
        if !self.watched.has(event) {
            return false;
        }
        let Some((scratch, ruleset)) = &mut self.filter else { return true };
        let mut holds = false;
        ruleset.evaluate(event, scratch, |_| holds = true);
        holds
    }

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
        if event.turn == Turn::Early || self.done() || !self.is_shown(event) {
            return;
        }
        if let Err(error) = self.write(event) {
            self.failed = Some(error);
        }
        self.left = self.left.map(|left| left - 1);
    }

    fn tick(&mut self, _pipeline: &mut Pipeline, _source: &mut Live) {}

    fn drained(&mut self) {
        if let Err(error) = self.out.flush() {
            self.failed = Some(error);
        }
    }

    fn done(&self) -> bool {
        self.failed.is_some() || self.left == Some(0)
    }
}
