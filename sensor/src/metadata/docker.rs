//! What dockerd keeps below its data root about a container: complete before the first exec.

use std::collections::BTreeMap;
use std::io;

use serde::Deserialize;

use crate::attribution::Runtime;
use crate::attribution::known::Wanted;
use crate::attribution::metadata::{Command, Details, Image, Metadata, Mount, Pod, Visibility};
use crate::metadata::host::Host;
use crate::metadata::places::Places;
use crate::metadata::time_ns;

/// `config.v2.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Container {
    name: String,
    image: String,
    config: Config,
    state: State,
    created: String,
    mount_points: Option<BTreeMap<String, MountPoint>>,
    network_settings: NetworkSettings,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Config {
    image: String,
    labels: Option<BTreeMap<String, String>>,
    user: String,
    healthcheck: Option<Healthcheck>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Healthcheck {
    test: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct State {
    started_at: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct MountPoint {
    source: String,
    destination: String,
    /// On disk it has the name that it had at first.
    #[serde(alias = "Relabel")]
    mode: String,
    #[serde(rename = "RW")]
    writable: bool,
    propagation: String,
    spec: MountSpec,
}

/// Of a volume the source is only here, and only by its name.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct MountSpec {
    source: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct NetworkSettings {
    networks: Option<BTreeMap<String, Option<Network>>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Network {
    #[serde(rename = "IPAddress")]
    ip_address: String,
}

/// `hostconfig.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct HostConfig {
    privileged: bool,
    pid_mode: String,
    network_mode: String,
    ipc_mode: String,
    runtime: String,
}

/// `repositories.json` of the image store.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Repositories {
    /// By repository: reference → image id.
    repositories: BTreeMap<String, BTreeMap<String, String>>,
}

pub fn find(host: &Host, places: &Places, wanted: &Wanted) -> io::Result<Option<Metadata>> {
    for root in &places.docker_roots {
        let directory = format!("{root}/containers/{}", wanted.container_id);
        let Some(container) = host.json::<Container>(format!("{directory}/config.v2.json"))? else {
            continue;
        };
        let host_config = host.json::<HostConfig>(format!("{directory}/hostconfig.json"))?;
        let digest = digest(host, root, &container.image)?;
        return Ok(Some(container.metadata(&host_config.unwrap_or_default(), digest)));
    }
    Ok(None)
}

impl Container {
    fn metadata(self, host_config: &HostConfig, digest: Option<String>) -> Metadata {
        let mut image = Image::parse(&self.config.image).with_id(&self.image);
        if image.digest.is_none() {
            image.digest = digest;
        }
        let networks = self.network_settings.networks.unwrap_or_default();
        let mut addresses = networks.into_values().flatten().map(|network| network.ip_address);
        let visibility = Visibility::of_runtime(&host_config.runtime);
        let labels = self.config.labels.unwrap_or_default();
        let (pod, pod_container) = of_kubelet(&labels);
        Metadata {
            runtime: Some(Runtime::Docker),
            name: pod_container.or(Some(self.name.trim_start_matches('/').to_owned())),
            image: Some(image),
            pod,
            details: Details {
                labels,
                mounts: self.mount_points.unwrap_or_default().into_values().map(mount).collect(),
                privileged: Some(host_config.privileged),
                host_pid: Some(host_config.pid_mode == "host"),
                host_network: Some(host_config.network_mode == "host"),
                host_ipc: Some(host_config.ipc_mode == "host"),
                user: (!self.config.user.is_empty()).then_some(self.config.user),
                ip: addresses.find(|address| !address.is_empty()),
                started_ns: time_ns(&self.state.started_at).or_else(|| time_ns(&self.created)),
                healthcheck: self.config.healthcheck.and_then(|check| command(&check.test)),
                visibility: (visibility != Visibility::Full).then_some(visibility),
                sources: vec!["docker-state".into()],
                ..Details::default()
            },
        }
    }
}

/// The pod that the kubelet's labels name, and what the container is called in it.
pub fn of_kubelet(labels: &BTreeMap<String, String>) -> (Option<Pod>, Option<String>) {
    let get = |name: &str| {
        labels.get(&format!("io.kubernetes.{name}")).filter(|value| !value.is_empty()).cloned()
    };
    let pod = get("pod.uid").map(|uid| Pod {
        uid,
        name: get("pod.name"),
        namespace: get("pod.namespace"),
        sandbox_id: get("sandbox.id"),
        ..Pod::default()
    });
    (pod, get("container.name"))
}

fn mount(point: MountPoint) -> Mount {
    let source = if point.source.is_empty() { point.spec.source } else { point.source };
    Mount {
        source,
        destination: point.destination,
        mode: point.mode,
        writable: point.writable,
        propagation: point.propagation,
    }
}

/// A health check as Docker writes it: how to run it, then what.
pub fn command(test: &[String]) -> Option<Command> {
    let (how, rest) = test.split_first()?;
    match how.as_str() {
        "NONE" => Some(Command(Vec::new())),
        "CMD" => Some(Command(rest.to_vec())),
        "CMD-SHELL" => {
            let shell = ["/bin/sh".to_owned(), "-c".to_owned()];
            Some(Command(shell.into_iter().chain(rest.iter().cloned()).collect()))
        }
        _ => None,
    }
}

/// The digest under which an image was pulled; one that was built here has none.
fn digest(host: &Host, root: &str, image: &str) -> io::Result<Option<String>> {
    for driver in host.names(format!("{root}/image")) {
        let path = format!("{root}/image/{driver}/repositories.json");
        let Some(store) = host.json::<Repositories>(path)? else { continue };
        let mut references = store.repositories.into_values().flatten();
        let found = references.find(|(reference, id)| id == image && reference.contains('@'));
        if let Some((reference, _)) = found {
            return Ok(reference.split_once('@').map(|(_, digest)| digest.to_owned()));
        }
    }
    Ok(None)
}
