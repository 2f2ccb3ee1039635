//! Every setting: defaults, then the file, then the environment, then the command line.
//!
//! `keys::KEYS` is the one list of settings. The reader, the environment, `--set`, `docs/config.md`
//! and `deploy/sensor.yaml` come from it.

mod keys;
pub mod value;
pub mod duration;
mod yaml;
pub mod error;
pub mod docs;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::duration::Wait;
use crate::config::error::{Error, Errors};
use crate::config::keys::KEYS;
use crate::config::value::{Endpoint, Format, Kubernetes, LogLevel};
use crate::config::yaml::Node;
use crate::metadata::WAIT;
use crate::metadata::socket::Limits;
use crate::probe::load::Hooks;
use crate::rules::options::{AppendOutput, Matching, Options, Selection};
use crate::rules::priority::Priority;

/// Where the file is looked for when the command line names none; it may be absent there.
pub const DEFAULT_PATH: &str = "/etc/sensor/sensor.yaml";

/// What `sensor` is told. Only what may be absent is an option.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    pub general: General,
    pub rules: Rules,
    pub events: Events,
    pub containers: Containers,
    pub sinks: Sinks,
    pub metrics: Metrics,
}

#[derive(Clone, Debug, PartialEq)]
pub struct General {
    pub log_level: LogLevel,
    /// The host's name in alerts and labels; empty means the kernel's host name.
    pub node: String,
    /// How long the sinks may flush after SIGTERM.
    pub shutdown_grace: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// Files and directories, in order; none means the shipped ruleset.
    pub files: Vec<PathBuf>,
    pub matching: Matching,
    /// Less urgent rules are not loaded.
    pub min_priority: Priority,
    /// Applied in order, each to the rules that it names.
    pub select: Vec<Selection>,
    pub append_output: Vec<AppendOutput>,
    /// What no rule can match stays in the kernel.
    pub pushdown: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Events {
    /// Bytes of the ring buffer between kernel and sensor.
    pub ring_size: u64,
    /// Which ways to hook probes may be taken.
    pub hooks: Hooks,
    /// Only what happens in this cgroup and below it.
    pub cgroup: Option<PathBuf>,
}

/// Who is asked what containers are called.
#[derive(Clone, Debug, PartialEq)]
pub struct Containers {
    /// How long alerts wait for the answer.
    pub metadata_wait: Wait,
    /// Where the host's files are seen; none means the agent's own root.
    pub host_root: Option<PathBuf>,
    /// `KIND=PATH`, beside the usual places.
    pub sources: Vec<String>,
    /// Whether sockets are asked at all.
    pub sockets: bool,
    /// For one question.
    pub socket_timeout: Duration,
    pub kubernetes: Kubernetes,
    /// Of an API server that is named.
    pub kubernetes_token_file: Option<PathBuf>,
    pub kubernetes_ca_file: Option<PathBuf>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sinks {
    pub throttle: Throttle,
    pub stdout: Stdout,
    pub file: File,
    pub http: Http,
    pub alertmanager: Alertmanager,
}

/// A token bucket for each rule, before stdout, file and http. Incidents count every alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Throttle {
    /// Alerts a second of one rule in the long run; 0 means without limit.
    pub rate: f64,
    /// Alerts of one rule that may come at once.
    pub burst: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Stdout {
    pub format: Format,
    pub min_priority: Priority,
    pub queue: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct File {
    pub path: Option<PathBuf>,
    pub min_priority: Priority,
    pub queue: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Http {
    pub urls: Vec<Endpoint>,
    pub client: Client,
    pub min_priority: Priority,
    pub queue: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Alertmanager {
    pub urls: Vec<Endpoint>,
    pub client: Client,
    pub min_priority: Priority,
    pub queue: usize,
    pub incidents: Incidents,
    /// Labels that every alert gets.
    pub labels: BTreeMap<String, String>,
}

/// The life of an incident.
#[derive(Clone, Debug, PartialEq)]
pub struct Incidents {
    /// Incidents that begin within this time share a request; critical ones do not wait.
    pub batch_wait: Duration,
    /// A lasting incident is sent again this often.
    pub resend_interval: Duration,
    /// Without a further alert for this long an incident is resolved.
    pub resolve_after: Duration,
    /// Incidents kept at a time; beyond that the one that was quiet the longest is forgotten.
    pub max: usize,
}

/// How to talk HTTP to a destination.
#[derive(Clone, Debug, PartialEq)]
pub struct Client {
    pub timeout: Duration,
    /// PEM certificates to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    pub bearer_token_file: Option<PathBuf>,
    /// User name for basic authentication.
    pub username: Option<String>,
    pub password_file: Option<PathBuf>,
    pub headers: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Metrics {
    pub enabled: bool,
    pub listen: SocketAddr,
    /// Cgroup files are read at most this often, however often the metrics are asked for.
    pub container_interval: Duration,
    /// Label sets of containers in one scrape; what is beyond is summed up in one.
    pub max_containers: usize,
}

impl Default for General {
    fn default() -> Self {
        Self {
            log_level: LogLevel::Info,
            node: String::new(),
            shutdown_grace: Duration::from_secs(5),
        }
    }
}

impl Default for Rules {
    fn default() -> Self {
        let Options { minimum_priority, matching, selections, append_output } = Options::default();
        Self {
            files: Vec::new(),
            matching,
            min_priority: minimum_priority,
            select: selections,
            append_output,
            pushdown: true,
        }
    }
}

impl Default for Events {
    fn default() -> Self {
        Self { ring_size: 8 << 20, hooks: Hooks::Auto, cgroup: None }
    }
}

impl Default for Containers {
    fn default() -> Self {
        Self {
            metadata_wait: Wait(WAIT),
            host_root: None,
            sources: Vec::new(),
            sockets: true,
            socket_timeout: Limits::default().question,
            kubernetes: Kubernetes::Auto,
            kubernetes_token_file: None,
            kubernetes_ca_file: None,
        }
    }
}

impl Default for Throttle {
    fn default() -> Self {
        Self { rate: 0.0, burst: 100 }
    }
}

/// Alerts that wait for a sink; at a few KiB each this bounds its memory.
const QUEUE: usize = 4096;

impl Default for Stdout {
    fn default() -> Self {
        Self { format: Format::Auto, min_priority: Priority::Debug, queue: QUEUE }
    }
}

impl Default for File {
    fn default() -> Self {
        Self { path: None, min_priority: Priority::Debug, queue: QUEUE }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self {
            urls: Vec::new(),
            client: Client::default(),
            min_priority: Priority::Debug,
            queue: QUEUE,
        }
    }
}

impl Default for Alertmanager {
    fn default() -> Self {
        Self {
            urls: Vec::new(),
            client: Client::default(),
            min_priority: Priority::Warning,
            queue: QUEUE,
            incidents: Incidents::default(),
            labels: BTreeMap::new(),
        }
    }
}

impl Default for Incidents {
    fn default() -> Self {
        Self {
            batch_wait: Duration::from_secs(1),
            resend_interval: Duration::from_mins(1),
            resolve_after: Duration::from_mins(5),
            max: 4096,
        }
    }
}

impl Default for Client {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(10),
            ca_file: None,
            bearer_token_file: None,
            username: None,
            password_file: None,
            headers: BTreeMap::new(),
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: SocketAddr::from(([127, 0, 0, 1], 4469)),
            container_interval: Duration::from_secs(1),
            max_containers: 1024,
        }
    }
}

/// Settings from the command line, which win over all others.
#[derive(Clone, Debug, Default)]
pub struct Overrides(Vec<(String, String)>);

impl Overrides {
    /// `key` as in the file, dotted (`metrics.listen`); `value` as in the environment: lists are
    /// separated by commas, maps are `name=value,…`. `None` changes nothing.
    pub fn set(&mut self, key: &str, value: Option<impl ToString>) {
        if let Some(value) = value {
            self.0.push((key.to_owned(), value.to_string()));
        }
    }
}

/// Reads everything anew: at start and at every reload. `file` is what the command line named;
/// without it [`DEFAULT_PATH`] is read if it is there. Every mistake is reported, not the first.
pub fn load(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
    overrides: &Overrides,
) -> Result<Config, Errors> {
    let mut config = Config::default();
    let mut errors = Errors::default();
    if let Some((path, text)) = read(file)? {
        errors.extend(apply_file(&mut config, &path, &text));
    }
    errors.extend(apply_environment(&mut config, environment));
    for (name, value) in &overrides.0 {
        match keys::find(name) {
            Some(key) => {
                errors.extend(key.assign(&mut config, &Node::text(value), "the command line"));
            }
            None => errors.extend([Error::unknown_override(name)]),
        }
    }
    errors.extend(keys::inconsistencies(&config));
    errors.into_result(config)
}

fn read(file: Option<&Path>) -> Result<Option<(PathBuf, String)>, Errors> {
    /// A config of this size is not a config.
    const SIZE_MAX: u64 = 1 << 20;
    let path = file.unwrap_or(Path::new(DEFAULT_PATH));
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.len() > SIZE_MAX => {
            return Err(Error::unreadable(path, &"larger than 1 MiB").into());
        }
        Err(error) if file.is_none() && error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(None);
        }
        _ => {}
    }
    let text = std::fs::read_to_string(path).map_err(|error| Error::unreadable(path, &error))?;
    Ok(Some((path.to_owned(), text)))
}

/// Applies the text of a file; what is wrong in it does not keep the rest from being checked.
fn apply_file(config: &mut Config, path: &Path, text: &str) -> Vec<Error> {
    let (settings, mut errors) = yaml::settings(text, &path.display().to_string());
    for setting in settings {
        let origin = format!("{}:{}", path.display(), setting.at);
        errors.extend(setting.key.assign(config, &setting.node, &origin));
    }
    errors
}

fn apply_environment(
    config: &mut Config,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Vec<Error> {
    // Names that are no key are not errors: Kubernetes sets SENSOR_SERVICE_HOST and the like for
    // a service of that name.
    let environment: BTreeMap<String, String> =
        environment.into_iter().filter(|(name, _)| name.starts_with("SENSOR_")).collect();
    KEYS.iter()
        .filter_map(|key| {
            let variable = key.variable();
            let value = environment.get(&variable)?;
            key.assign(config, &Node::text(value), &variable)
        })
        .collect()
}

#[cfg(test)]
mod tests;
