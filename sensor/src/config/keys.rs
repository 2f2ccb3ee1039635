//! The settings: one row each.

use crate::config::Config;
use crate::config::error::Error;
use crate::config::value::Value;
use crate::config::yaml::Node;
use crate::metadata::places::Places;
use crate::rules::added;

/// A setting. The type of what `field` gives is the setting's type.
pub(crate) struct Key {
    /// Dotted: the sections of the file, then the name.
    pub(crate) name: &'static str,
    field: fn(&mut Config) -> &mut dyn Value,
    pub(crate) doc: &'static str,
}

pub(crate) const KEYS: &[Key] = &[
    Key {
        name: "log_level",
        field: |config| &mut config.general.log_level,
        doc: "What the sensor says about itself on stderr: `error`, `warn`, `info`, `debug` or `trace`.",
    },
    Key {
        name: "node",
        field: |config| &mut config.general.node,
        doc: "Name of this host in alerts and labels; empty means the kernel's host name.",
    },
    Key {
        name: "shutdown_grace",
        field: |config| &mut config.general.shutdown_grace,
        doc: "How long the sinks may flush after SIGTERM.",
    },
    Key {
        name: "rules.files",
        field: |config| &mut config.rules.files,
        doc: "Rule files and directories of them, in order; empty means the shipped ruleset.",
    },
    Key {
        name: "rules.matching",
        field: |config| &mut config.rules.matching,
        doc: "`all` rules that match an event raise an alert, or only the `first` of the files, which is Falco's default (`rule_matching`).",
    },
    Key {
        name: "rules.min_priority",
        field: |config| &mut config.rules.min_priority,
        doc: "Rules that are less urgent are not loaded (Falco's `priority`).",
    },
    Key {
        name: "rules.select",
        field: |config| &mut config.rules.select,
        doc: "Rules to switch on and off, in order, as Falco's `rules`: `[{disable: {tag: network}}, {enable: {rule: \"Netcat*\"}}]`; names may hold `*` and `?`.",
    },
    Key {
        name: "rules.append_output",
        field: |config| &mut config.rules.append_output,
        doc: "What is added to outputs, as Falco's `append_output`: entries of `match` (`source`, `rule`, `tags`), `extra_output` (text), `extra_fields` (fields of the JSON, or `name: text`) and `suggested_output` (the container's fields; true unless said otherwise).",
    },
    Key {
        name: "rules.pushdown",
        field: |config| &mut config.rules.pushdown,
        doc: "Events that no rule can match stay in the kernel, which costs their processes less; alerts are the same without.",
    },
    Key {
        name: "events.ring_size",
        field: |config| &mut config.events.ring_size,
        doc: "Ring buffer between kernel and sensor; a power of two, at least 64KiB.",
    },
    Key {
        name: "events.hooks",
        field: |config| &mut config.events.hooks,
        doc: "`auto` takes the best hooks that the kernel accepts; `exit` leaves kernel functions alone and sees system calls at the exit of all of them.",
    },
    Key {
        name: "events.cgroup",
        field: |config| &mut config.events.cgroup,
        doc: "Observe only this cgroup and those below it; a path from the root of the hierarchy.",
    },
    Key {
        name: "containers.metadata_wait",
        field: |config| &mut config.containers.metadata_wait,
        doc: "How long alerts of a new container wait for its name and image. Critical ones do not wait: they are sent at once, and again with the same uuid when the answer is there; with `0ms` all are, but those of rules that test what is looked up.",
    },
    Key {
        name: "containers.host_root",
        field: |config| &mut config.containers.host_root,
        doc: "Where the host's files are seen, for a sensor that itself runs in a container (`/host`).",
    },
    Key {
        name: "containers.sources",
        field: |config| &mut config.containers.sources,
        doc: "Where runtimes keep their state and listen besides the usual places, each as `KIND=PATH` with a kind of `docker-root`, `podman-root`, `containerd-state`, `runc-root`, `crun-root`, `lxc-root`, `docker-socket`, `podman-socket`, `containerd-socket` or `cri-socket`.",
    },
    Key {
        name: "containers.sockets",
        field: |config| &mut config.containers.sockets,
        doc: "Ask the sockets of Docker, Podman, containerd and the CRI for what files do not say, and listen to changes; without, files are all there is.",
    },
    Key {
        name: "containers.socket_timeout",
        field: |config| &mut config.containers.socket_timeout,
        doc: "How long one question to a socket may take.",
    },
    Key {
        name: "containers.kubernetes",
        field: |config| &mut config.containers.kubernetes,
        doc: "API server that tells of this node's pods: `auto` is the one of the pod that the sensor runs in, if it has a service account; `off`, or a URL. Without it the runtime says which pod a container is of and what labels that began with.",
    },
    Key {
        name: "containers.kubernetes_token_file",
        field: |config| &mut config.containers.kubernetes_token_file,
        doc: "File with a bearer token for an API server that is given by its URL; read for each request.",
    },
    Key {
        name: "containers.kubernetes_ca_file",
        field: |config| &mut config.containers.kubernetes_ca_file,
        doc: "PEM certificates to trust for it, instead of the system's.",
    },
    Key {
        name: "sinks.throttle.rate",
        field: |config| &mut config.sinks.throttle.rate,
        doc: "Alerts a second that one rule may send to stdout, file and http in the long run; 0 means without limit. Incidents count every alert.",
    },
    Key {
        name: "sinks.throttle.burst",
        field: |config| &mut config.sinks.throttle.burst,
        doc: "Alerts that one rule may send at once before the rate counts.",
    },
    Key {
        name: "sinks.stdout.format",
        field: |config| &mut config.sinks.stdout.format,
        doc: "`pretty`, `json` (one object a line, as Falco prints), `off`, or `auto`: pretty on a terminal, otherwise JSON.",
    },
    Key {
        name: "sinks.stdout.min_priority",
        field: |config| &mut config.sinks.stdout.min_priority,
        doc: "Alerts that are less urgent are not printed.",
    },
    Key {
        name: "sinks.stdout.queue",
        field: |config| &mut config.sinks.stdout.queue,
        doc: "Alerts that may wait for stdout; more are dropped and counted.",
    },
    Key {
        name: "sinks.file.path",
        field: |config| &mut config.sinks.file.path,
        doc: "File to append JSON lines to; opened anew on SIGHUP, so that it can be rotated.",
    },
    Key {
        name: "sinks.file.min_priority",
        field: |config| &mut config.sinks.file.min_priority,
        doc: "Alerts that are less urgent are not written.",
    },
    Key {
        name: "sinks.file.queue",
        field: |config| &mut config.sinks.file.queue,
        doc: "Alerts that may wait for the file; more are dropped and counted.",
    },
    Key {
        name: "sinks.http.urls",
        field: |config| &mut config.sinks.http.urls,
        doc: "Where each alert is posted as JSON, as Falco's `http_output` does; Falcosidekick takes it.",
    },
    Key {
        name: "sinks.http.min_priority",
        field: |config| &mut config.sinks.http.min_priority,
        doc: "Alerts that are less urgent are not posted.",
    },
    Key {
        name: "sinks.http.queue",
        field: |config| &mut config.sinks.http.queue,
        doc: "Alerts that may wait for each URL while it is slow or down; more are dropped and counted.",
    },
    Key {
        name: "sinks.http.timeout",
        field: |config| &mut config.sinks.http.client.timeout,
        doc: "How long one request may take.",
    },
    Key {
        name: "sinks.http.ca_file",
        field: |config| &mut config.sinks.http.client.ca_file,
        doc: "PEM certificates to trust beside the system's.",
    },
    Key {
        name: "sinks.http.bearer_token_file",
        field: |config| &mut config.sinks.http.client.bearer_token_file,
        doc: "File with a bearer token; read for each request, so that it can be rotated.",
    },
    Key {
        name: "sinks.http.username",
        field: |config| &mut config.sinks.http.client.username,
        doc: "User name for basic authentication.",
    },
    Key {
        name: "sinks.http.password_file",
        field: |config| &mut config.sinks.http.client.password_file,
        doc: "File with the password for it; read for each request.",
    },
    Key {
        name: "sinks.http.headers",
        field: |config| &mut config.sinks.http.client.headers,
        doc: "Further request headers, by name.",
    },
    Key {
        name: "sinks.alertmanager.urls",
        field: |config| &mut config.sinks.alertmanager.urls,
        doc: "Alertmanagers, each by its base URL; every one gets every incident, as a cluster of them needs it.",
    },
    Key {
        name: "sinks.alertmanager.min_priority",
        field: |config| &mut config.sinks.alertmanager.min_priority,
        doc: "Alerts that are less urgent make no incident.",
    },
    Key {
        name: "sinks.alertmanager.queue",
        field: |config| &mut config.sinks.alertmanager.queue,
        doc: "Alerts that may wait to be counted to their incident; more are dropped and counted.",
    },
    Key {
        name: "sinks.alertmanager.batch_wait",
        field: |config| &mut config.sinks.alertmanager.incidents.batch_wait,
        doc: "New incidents wait this long for others to share a request; critical ones do not wait.",
    },
    Key {
        name: "sinks.alertmanager.resend_interval",
        field: |config| &mut config.sinks.alertmanager.incidents.resend_interval,
        doc: "A lasting incident is sent again this often, with its count.",
    },
    Key {
        name: "sinks.alertmanager.resolve_after",
        field: |config| &mut config.sinks.alertmanager.incidents.resolve_after,
        doc: "An incident without a further alert for this long is resolved. Keep it above Alertmanager's `group_wait`, or nobody is notified.",
    },
    Key {
        name: "sinks.alertmanager.max_incidents",
        field: |config| &mut config.sinks.alertmanager.incidents.max,
        doc: "Incidents kept at a time; beyond that the one that was quiet the longest is forgotten and counted.",
    },
    Key {
        name: "sinks.alertmanager.labels",
        field: |config| &mut config.sinks.alertmanager.labels,
        doc: "Further labels of every incident, by name.",
    },
    Key {
        name: "sinks.alertmanager.timeout",
        field: |config| &mut config.sinks.alertmanager.client.timeout,
        doc: "How long one request may take.",
    },
    Key {
        name: "sinks.alertmanager.ca_file",
        field: |config| &mut config.sinks.alertmanager.client.ca_file,
        doc: "PEM certificates to trust beside the system's.",
    },
    Key {
        name: "sinks.alertmanager.bearer_token_file",
        field: |config| &mut config.sinks.alertmanager.client.bearer_token_file,
        doc: "File with a bearer token; read for each request, so that it can be rotated.",
    },
    Key {
        name: "sinks.alertmanager.username",
        field: |config| &mut config.sinks.alertmanager.client.username,
        doc: "User name for basic authentication.",
    },
    Key {
        name: "sinks.alertmanager.password_file",
        field: |config| &mut config.sinks.alertmanager.client.password_file,
        doc: "File with the password for it; read for each request.",
    },
    Key {
        name: "sinks.alertmanager.headers",
        field: |config| &mut config.sinks.alertmanager.client.headers,
        doc: "Further request headers, by name (`X-Scope-OrgID`).",
    },
    Key {
        name: "metrics.enabled",
        field: |config| &mut config.metrics.enabled,
        doc: "Serve `/metrics`, `/livez` and `/readyz`.",
    },
    Key {
        name: "metrics.listen",
        field: |config| &mut config.metrics.listen,
        doc: "Address and port to serve them on.",
    },
    Key {
        name: "metrics.container_interval",
        field: |config| &mut config.metrics.container_interval,
        doc: "Cgroup files are read at most this often, however often the metrics are asked for.",
    },
    Key {
        name: "metrics.max_containers",
        field: |config| &mut config.metrics.max_containers,
        doc: "Containers with metrics of their own; what is beyond is summed up as container `_overflow`.",
    },
];

/// The key of a dotted name.
pub(crate) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

impl Key {
    /// The environment variable that sets it.
    pub(crate) fn variable(&self) -> String {
        format!("SENSOR_{}", self.name.to_uppercase().replace('.', "_"))
    }

    /// Sets it; what stands in the way is returned, with `origin` in front.
    pub(crate) fn assign(&self, config: &mut Config, node: &Node, origin: &str) -> Option<Error> {
        let expected = (self.field)(config).assign(node).err()?;
        let found = match node {
            Node::Scalar(text) => format!("`{text}`"),
            Node::List(_) => "a list".to_owned(),
            Node::Nested(_) => "another structure".to_owned(),
            Node::Map(_) => "a map".to_owned(),
        };
        Some(Error::new(origin, format!("`{}` is {found}; expected {expected}", self.name)))
    }

    /// Whether its values are structures.
    pub(crate) fn is_nested(&self) -> bool {
        (self.field)(&mut Config::default()).is_nested()
    }

    /// Its value in `config`, as YAML.
    pub(crate) fn render(&self, config: &Config) -> String {
        // The accessor gives `&mut`, and one accessor a key is worth a copy where files are written.
        (self.field)(&mut config.clone()).render()
    }
}

/// What each key alone cannot say: values that do not go together, or that another party rejects.
pub(crate) fn inconsistencies(config: &Config) -> Vec<Error> {
    let sinks = &config.sinks;
    let mut errors = Vec::new();
    if !config.events.ring_size.is_power_of_two() || config.events.ring_size < 64 << 10 {
        errors.push(Error::new("events.ring_size", "expected a power of two, at least 64KiB"));
    }
    if let Err(error) = Places::with(&config.containers.sources) {
        errors.push(Error::new("containers.sources", error.to_string()));
    }
    let clients =
        [("sinks.http", &sinks.http.client), ("sinks.alertmanager", &sinks.alertmanager.client)];
    for (section, client) in clients {
        if client.username.is_some() != client.password_file.is_some() {
            let message = "`username` and `password_file` go together";
            errors.push(Error::new(section, message));
        }
        if client.username.is_some() && client.bearer_token_file.is_some() {
            let message = "either `bearer_token_file` or `username`, not both";
            errors.push(Error::new(section, message));
        }
        for (name, value) in &client.headers {
            let valid = reqwest::header::HeaderName::try_from(name).is_ok()
                && reqwest::header::HeaderValue::try_from(value).is_ok();
            if !valid {
                let message = format!("`{name}` is no header that HTTP allows");
                errors.push(Error::new(format!("{section}.headers"), message));
            }
        }
    }
    for entry in &config.rules.append_output {
        if let Err(message) = added::check(entry) {
            errors.push(Error::new("rules", message));
        }
    }
    for name in sinks.alertmanager.labels.keys().filter(|name| !is_label_name(name)) {
        let message = format!("`{name}` is no label name; expected letters, digits and `_`");
        errors.push(Error::new("sinks.alertmanager.labels", message));
    }
    errors
}

fn is_label_name(name: &str) -> bool {
    let first = name.bytes().next();
    first.is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
