//! What commands that watch the kernel have in common: scope, settings, the loop's parts.

use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context as _, Result};
use clap::Args;
use sensor_common::Kind;
use sensor_common::config::Config;

use crate::attribution::cgroup::{Hierarchy, Scope, ScopeError};
use crate::cli::lookup::{self, LookupArgs};
use crate::driver::{Control, Live, Stages};
use crate::event::Event;
use crate::metadata::{self, Lookup};
use crate::pipeline::Pipeline;
use crate::probe::load::{Hooks, Settings};
use crate::probe::proc::Proc;
use crate::probe::wanted::Wanted;

/// The reader looks again this often while records come, and the kernel side counts on it.
const WAKE_INTERVAL_NS: u64 = 1_000_000;

/// Which part of the host, and how much room for its records.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct SourceArgs {
    /// Watch only this cgroup and those below it (a path below the cgroup2 mount, or of v1 pids)
    #[arg(long, value_name = "PATH")]
    pub(super) cgroup: Option<String>,
    /// Size of the ring buffer between kernel and sensor, a power of two of bytes
    #[arg(long, value_name = "BYTES", default_value_t = 8 << 20, value_parser = ring_size)]
    pub(super) ring_size: u32,
    /// `exit` leaves kernel functions alone and sees system calls at the exit of all of them
    #[arg(long, value_name = "auto|exit", default_value = "auto")]
    pub(super) hooks: Hooks,
    #[command(flatten)]
    pub(super) lookup: LookupArgs,
}

/// The kernel takes a power of two of pages.
fn ring_size(text: &str) -> Result<u32, String> {
    let bytes: u32 = text.parse().map_err(|error| format!("{error}"))?;
    let page = rustix::param::page_size();
    if bytes.is_power_of_two() && bytes as usize >= page {
        return Ok(bytes);
    }
    Err(format!("not a power of two of at least {page}"))
}

/// A container instead of a cgroup.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct ContainerArgs {
    /// Only this container, pod (`namespace/pod`) or unit, by name, id or unique id prefix
    #[arg(short, long, value_name = "NAME", conflicts_with = "cgroup")]
    container: Option<String>,
}

/// What of the host is watched.
#[derive(Debug, Default)]
pub(super) struct Watched {
    pub(super) scope: Option<Scope>,
    /// Of the one container that is meant, where others are in its cgroup as well.
    pub(super) container_id: Option<String>,
}

impl ContainerArgs {
    /// What is meant; where no container is, the `cgroup`.
    pub(super) fn watched(
        &self,
        cgroup: Option<&str>,
        lookups: &metadata::Settings,
    ) -> Result<Watched> {
        let Some(name) = &self.container else {
            return Ok(Watched { scope: cgroup.map(scope).transpose()?, container_id: None });
        };
        let target = lookup::target(name, lookups.clone())?;
        Ok(Watched { container_id: target.sharing(), scope: Some(target.scope) })
    }
}

impl Watched {
    /// Whether an event is of what is meant, and not of others in that cgroup.
    pub(super) fn has(&self, event: &Event<'_>) -> bool {
        let Some(id) = &self.container_id else { return true };
        event.attribution.container.as_ref().is_some_and(|container| container.id == *id)
    }
}

impl SourceArgs {
    pub(super) fn open(
        &self,
        scope: Option<&Scope>,
        wanted: &Wanted,
        lookups: &metadata::Settings,
    ) -> Result<Source> {
        open(scope, &self.settings(scope, wanted), lookups)
    }

    pub(super) fn settings(&self, scope: Option<&Scope>, wanted: &Wanted) -> Settings {
        Settings { hooks: self.hooks, ..settings(scope, self.ring_size, wanted) }
    }
}

/// Resolves the text of `--cgroup`.
pub(super) fn scope(text: &str) -> Result<Scope> {
    let hierarchy = Hierarchy::find().context("read this process's mounts")?;
    Ok(hierarchy.ok_or(ScopeError::NoHierarchy)?.scope(text)?)
}

/// The attached kernel side and an empty pipeline.
pub(super) struct Source {
    pub(super) live: Live,
    pub(super) pipeline: Pipeline,
    scope: Option<String>,
}

impl Source {
    /// Feeds the pipeline what was there before.
    pub(super) fn prime(&mut self, stages: &mut impl Stages) {
        self.live.prime(&mut self.pipeline, stages);
    }

    /// From here on runtimes are asked about containers.
    pub(super) fn ask(
        &mut self,
        settings: metadata::Settings,
        runtime: &tokio::runtime::Handle,
        control: &Control,
    ) -> Result<()> {
        let waker = control.waker().context("make a socket pair")?;
        self.live.lookup = Some(Lookup::start(settings, runtime, waker));
        self.pipeline.cgroups.ask(self.scope.clone());
        Ok(())
    }
}

pub(super) fn open(
    scope: Option<&Scope>,
    settings: &Settings,
    lookup: &metadata::Settings,
) -> Result<Source> {
    let cgroups = lookup::cache(lookup)?;
    let controller = cgroups.hierarchy().map_or("", Hierarchy::controller);
    let proc = Proc::scoped(scope.map(|scope| PathBuf::from(&scope.path)), controller);
    let live = Live::start(settings, proc)?;
    match cgroups.hierarchy() {
        None => tracing::warn!(
            "no cgroup hierarchy is mounted, neither v2 nor v1 of pids or memory: events do not say \
             which container they are from; mount one (mount -t cgroup2 none /sys/fs/cgroup)"
        ),
        Some(hierarchy) if hierarchy.legacy().is_some() => tracing::info!(
            "no cgroup v2 hierarchy is mounted: containers are told apart by the v1 hierarchy of \
             {controller}"
        ),
        Some(_) => {}
    }
    let scope = scope.map(|scope| scope.path.clone());
    Ok(Source { live, pipeline: Pipeline::new(cgroups), scope })
}

pub(super) fn settings(scope: Option<&Scope>, ring_bytes: u32, wanted: &Wanted) -> Settings {
    // An error comes to light where the cgroups are read.
    let legacy = Hierarchy::find().ok().flatten().and_then(|hierarchy| hierarchy.legacy());
    let config = Config {
        scope_cgroup_id: scope.map_or(0, |scope| scope.id),
        scope_level: scope.map_or(0, |scope| scope.level),
        self_tgid: std::process::id(),
        wake_bytes: ring_bytes / 8,
        wake_interval_ns: WAKE_INTERVAL_NS,
        hierarchy: legacy.map_or(0, |legacy| legacy.number),
        controller: legacy.map_or(0, |legacy| legacy.controller as u32),
        ..Config::default()
    };
    Settings { config, wanted: *wanted, ring_bytes, hooks: Hooks::Auto }
}

/// Everything but samples, which only a profile wants.
pub(super) fn event_kinds() -> Vec<Kind> {
    Kind::KERNEL.iter().copied().filter(|kind| *kind != Kind::Sample).collect()
}

/// Moves this process into a cgroup, and executes itself there.
pub(super) fn enter(path: &str) -> Result<()> {
    use std::os::unix::process::CommandExt as _;
    let hierarchy = Hierarchy::find().context("read this process's mounts")?;
    let directory = hierarchy.ok_or(ScopeError::NoHierarchy)?.directory(path);
    join(&directory).with_context(|| format!("enter {}", directory.display()))?;
    Err(std::process::Command::new("/proc/self/exe").arg("canary").exec()).context("execute itself")
}

/// A cgroup that hands controllers down, as a pod's does, takes no process; one below it does.
fn join(directory: &Path) -> io::Result<()> {
    let Err(refused) = fs::write(directory.join("cgroup.procs"), "0") else { return Ok(()) };
    if refused.kind() != io::ErrorKind::ResourceBusy {
        return Err(refused);
    }
    let entries = fs::read_dir(directory)?.flatten();
    let mut below = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let entered = below.find_map(|entry| join(&entry.path()).ok());
    entered.ok_or(refused)
}
