//! `sensor profile`: where the processor time of a container, pod, process or cgroup goes.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::{ArgGroup, Args};
use sensor_common::Kind;

use crate::attribution::cgroup::Scope;
use crate::cli::kept::Members;
use crate::cli::lookup::{LookupArgs, target};
use crate::cli::source::{scope, settings};
use crate::driver::balance::Balance;
use crate::driver::{Control, Live};
use crate::probe::proc::Proc;
use crate::probe::sampler;
use crate::probe::wanted::Wanted;
use crate::profile::Profile;
use crate::profile::output::Format;
use crate::profile::report::{Loss, Report};

/// Ten seconds of samples of every processor of a large host fit in it.
const RING_BYTES: u32 = 16 << 20;

/// Rows of the table on the terminal.
const ROWS: usize = 25;

#[derive(Args, Debug)]
#[command(group(ArgGroup::new("what").required(true).args(["name", "pid", "cgroup", "all"])))]
pub(super) struct ProfileArgs {
    /// Container, pod (`namespace/pod`) or unit, by name, id or unique id prefix
    name: Option<String>,
    /// One process
    #[arg(long)]
    pid: Option<u32>,
    /// A cgroup and those below it
    #[arg(long, value_name = "PATH")]
    cgroup: Option<String>,
    /// Everything on this host
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    lookup: LookupArgs,
    /// Write the profile: .svg (flame graph), .folded (one stack a line), .pb.gz (pprof) or .json
    /// (speedscope)
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Seconds to sample
    #[arg(short, long, default_value = "10", value_parser = seconds)]
    duration: Duration,
    /// Samples a second on each processor
    #[arg(short = 'F', long, default_value_t = 99, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    frequency: u64,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|error| format!("{error}"))?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "not a number of seconds above 0".to_owned())
}

/// What is sampled: a part of the cgroup tree, a process, or everything.
struct Selection {
    description: String,
    scope: Option<Scope>,
    pid: Option<u32>,
    /// The processes that are meant, where the scope has others as well.
    members: Option<Members>,
}

pub(super) fn profile(arguments: &ProfileArgs) -> Result<()> {
    // What can be wrong is found before the time is spent.
    let format = arguments.output.as_deref().map(Format::of).transpose()?;
    let mut selection = select(arguments)?;
    let control = Control::signals().context("register for signals")?;
    let mut settings = settings(selection.scope.as_ref(), RING_BYTES, &Wanted::of([Kind::Sample]));
    settings.config.sample_tgid = selection.pid.unwrap_or(0);
    let mut live = Live::start(&settings, Proc::default())?;
    let mut profile = Profile::new(&selection.description, arguments.frequency);
    let processors = match live.probes_mut() {
        Some(probes) => sampler::start(probes, arguments.frequency)?,
        None => bail!("the sample program is not loaded"),
    };
    eprintln!(
        "profiling {} for {} s at {} Hz on {processors} processors",
        selection.description,
        arguments.duration.as_secs_f64(),
        arguments.frequency
    );
    let start = Instant::now();
    let until = start + arguments.duration;
    let balance = sample(&mut live, &control, until, &mut selection.members, &mut profile)?;
    profile.lost(Loss::RingFull, balance.lost);
    profile.lost(Loss::Dropped, balance.dropped);
    let report = profile.finish(start.elapsed().min(arguments.duration), &|_| None);
    show(&report)?;
    match (&arguments.output, format) {
        (Some(path), Some(format)) => write(path, format, &report),
        _ => Ok(()),
    }
}

fn select(arguments: &ProfileArgs) -> Result<Selection> {
    if let Some(name) = &arguments.name {
        let target = target(name, arguments.lookup.settings()?)?;
        let description = target.to_string();
        let members = target.sharing().map(|id| Members::of(id, "/proc"));
        return Ok(Selection { description, scope: Some(target.scope), pid: None, members });
    }
    if let Some(path) = &arguments.cgroup {
        let scope = scope(path)?;
        let description = format!("cgroup {}", scope.path);
        return Ok(Selection { description, scope: Some(scope), pid: None, members: None });
    }
    if let Some(pid) = arguments.pid {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm"))
            .with_context(|| format!("no process {pid}"))?;
        let description = format!("process {pid} ({})", name.trim());
        return Ok(Selection { description, scope: None, pid: Some(pid), members: None });
    }
    let description = "this host".to_owned();
    Ok(Selection { description, scope: None, pid: None, members: None })
}

/// Samples until the time is over or a signal comes; shows on a terminal how far it is.
fn sample(
    live: &mut Live,
    control: &Control,
    until: Instant,
    members: &mut Option<Members>,
    profile: &mut Profile,
) -> Result<Balance> {
    let shows_progress = io::stderr().is_terminal();
    let profile = std::cell::RefCell::new(profile);
    let balance = live.sample(
        control,
        until,
        |record| {
            if members.as_mut().is_none_or(|members| members.has(record)) {
                profile.borrow_mut().add(record);
            }
        },
        |left| {
            if shows_progress {
                let progress = profile.borrow().progress();
                eprint!(
                    "\r\x1b[K{:>4.1} s left, {} samples, {} stacks, {} processes",
                    left.as_secs_f64(),
                    progress.kept,
                    progress.stacks,
                    progress.processes
                );
            }
        },
    )?;
    if shows_progress {
        eprint!("\r\x1b[K");
    }
    Ok(balance)
}

fn show(report: &Report) -> Result<()> {
    let width = terminal_width();
    let mut out = io::stdout().lock();
    if report.samples() > 0 {
        writeln!(out, "{}", report.table(ROWS, width))?;
    }
    writeln!(out, "{}", report.quality)?;
    if report.samples() == 0 {
        let target = &report.target;
        bail!("no samples: {target} did not run in this time; try a longer --duration");
    }
    Ok(())
}

fn terminal_width() -> usize {
    const DEFAULT: usize = 120;
    rustix::termios::tcgetwinsize(io::stdout())
        .map_or(DEFAULT, |size| usize::from(size.ws_col).max(60))
}

fn write(path: &Path, format: Format, report: &Report) -> Result<()> {
    let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
    let mut file = BufWriter::new(file);
    format.write(report, &mut file)?;
    file.flush().with_context(|| format!("write {}", path.display()))?;
    eprintln!("wrote {}", path.display());
    Ok(())
}
