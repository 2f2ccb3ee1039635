//! Who is asked what containers are called: the same for every command.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Args;
use tokio::runtime::Runtime;

use crate::attribution::cache::Cache;
use crate::attribution::cgroup::Scope;
use crate::attribution::state::StateDirectories;
use crate::attribution::target::Target;
use crate::cli::kept::{self, Kept};
use crate::cli::record::hostname;
use crate::cli::source::Source;
use crate::config;
use crate::config::duration::Wait;
use crate::config::value::Kubernetes;
use crate::driver::Control;
use crate::metadata::host::Host;
use crate::metadata::kubernetes::Access;
use crate::metadata::places::Places;
use crate::metadata::socket::Limits;
use crate::metadata::{Lookup, Settings};

/// What of `containers` in the configuration other commands than `run` need.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct LookupArgs {
    /// Where the host's files are seen, if not at /
    #[arg(long, value_name = "PATH", env = "SENSOR_CONTAINERS_HOST_ROOT")]
    host_root: Option<PathBuf>,
    /// Where runtimes keep their state besides the usual places: `docker-root=/data/docker`
    #[arg(
        long = "source",
        value_name = "KIND=PATH",
        value_delimiter = ',',
        env = "SENSOR_CONTAINERS_SOURCES"
    )]
    sources: Vec<String>,
    /// How long events of a new container wait for its name and image (`500ms`; `0ms`: not at all)
    #[arg(
        long,
        value_name = "DURATION",
        value_parser = Wait::parse,
        env = "SENSOR_CONTAINERS_METADATA_WAIT"
    )]
    metadata_wait: Option<Wait>,
}

impl LookupArgs {
    pub(super) fn settings(&self) -> Result<Settings> {
        let defaults = config::Containers::default();
        let containers = config::Containers {
            host_root: self.host_root.clone(),
            sources: self.sources.clone(),
            metadata_wait: self.metadata_wait.unwrap_or(defaults.metadata_wait),
            ..defaults
        };
        settings(&containers, &std::env::var("SENSOR_NODE").unwrap_or_else(|_| hostname()))
    }
}

/// `node` is what Kubernetes calls this host.
pub(super) fn settings(config: &config::Containers, node: &str) -> Result<Settings> {
    let host = config.host_root.as_ref().map_or_else(Host::default, Host::below);
    let places = Places::with(&config.sources)?;
    let defaults = Limits::default();
    let at_a_time = if config.sockets { defaults.at_a_time } else { 0 };
    let limits = Limits { question: config.socket_timeout, at_a_time, ..defaults };
    let kubernetes = match &config.kubernetes {
        Kubernetes::Off => None,
        Kubernetes::Auto => Access::of_pod(node, |name| std::env::var(name).ok()),
        Kubernetes::At(endpoint) => Some(Access {
            api: endpoint.url().clone(),
            token_file: config.kubernetes_token_file.clone(),
            ca_file: config.kubernetes_ca_file.clone(),
            node: node.to_owned(),
        }),
    };
    Ok(Settings { host, places, wait: config.metadata_wait.0, limits, kubernetes })
}

/// A cache that knows where runtimes keep their state.
pub(super) fn cache(settings: &Settings) -> Result<Cache> {
    let places = &settings.places;
    let state = StateDirectories::below(settings.host.path("/"))
        .with_roots(&places.runc_roots)
        .with_roots(&places.crun_roots)
        .with_containerd(&places.containerd_states);
    Cache::live_with(state).context("find the cgroup hierarchy")
}

/// Look-ups of a command that has no runtime of its own.
pub(super) fn start(source: &mut Source, settings: Settings, control: &Control) -> Result<Runtime> {
    let runtime = runtime()?;
    source.ask(settings, runtime.handle(), control)?;
    Ok(runtime)
}

pub(super) fn runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("sensor-io")
        .enable_all()
        .build()
        .context("start the runtime of look-ups")
}

/// The containers that run now, with all that can be found out in a moment.
pub(super) fn everything(settings: Settings, scope: Option<&Scope>) -> Result<(Cache, Kept)> {
    /// A person waits for it.
    const LIMIT: Duration = Duration::from_secs(3);
    let mut cache = cache(&settings)?;
    cache.ask(scope.map(|scope| scope.path.clone()));
    for (id, path) in cache.scan() {
        cache.made(id, &path, None);
    }
    let kept = kept::keep(&mut cache, Path::new("/proc"));
    let runtime = runtime()?;
    let (mut wake, woken) = std::os::unix::net::UnixStream::pair().context("make a socket pair")?;
    woken.set_nonblocking(true).context("make a socket pair")?;
    let mut lookup = Lookup::start(settings.patient(), runtime.handle(), woken);
    while let Some(mut wanted) = cache.take_wanted() {
        wanted.bundle = kept.bundles.get(&wanted.container_id).cloned();
        lookup.ask(wanted);
    }
    let until = Instant::now() + LIMIT;
    while lookup.has_open() {
        while let Some(say) = lookup.poll() {
            cache.heard(say.cgroup_id, say.stage, &say.told);
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || !lookup.has_open() {
            break;
        }
        wait(&mut wake, left.min(Duration::from_millis(50)))?;
    }
    runtime.shutdown_background();
    Ok((cache, kept))
}

fn wait(wake: &mut std::os::unix::net::UnixStream, limit: Duration) -> Result<()> {
    use std::io::Read as _;
    wake.set_read_timeout(Some(limit)).context("wait for look-ups")?;
    // Whether it was woken or the time is over, there may be something to take.
    drop(wake.read(&mut [0; 64]));
    Ok(())
}

/// Resolves a container, pod or unit among those that run.
pub(super) fn target(text: &str, settings: Settings) -> Result<Target> {
    let (cache, _) = everything(settings, None)?;
    Ok(cache.resolve(text)?)
}
