//! What runc, crun and containerd's shims keep about a container: its bundle and its state.

use std::collections::BTreeMap;
use std::io;

use serde::Deserialize;

use crate::attribution::Runtime;
use crate::attribution::known::Wanted;
use crate::attribution::metadata::{Image, Metadata, Visibility};
use crate::metadata::host::Host;
use crate::metadata::places::Places;
use crate::metadata::spec::Spec;
use crate::metadata::time_ns;

/// `state.json` of runc.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RuncState {
    created: String,
    config: RuncConfig,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RuncConfig {
    /// `bundle=PATH` and the annotations.
    labels: Vec<String>,
}

/// `status` of crun.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CrunStatus {
    created: String,
    bundle: String,
}

/// runc's or crun's own state of a container that no engine manages.
pub fn find(host: &Host, places: &Places, wanted: &Wanted) -> io::Result<Option<Metadata>> {
    for root in &places.runc_roots {
        let path = format!("{root}/{}/state.json", wanted.container_id);
        if let Some(state) = host.json::<RuncState>(path)? {
            let bundle = state.bundle().unwrap_or_default().to_owned();
            return plain(
                host,
                wanted,
                &state.created,
                &format!("{bundle}/config.json"),
                "runc-state",
            );
        }
    }
    for root in &places.crun_roots {
        // The configuration is there before the first exec, the status only after it.
        let directory = format!("{root}/{}", wanted.container_id);
        let config = format!("{directory}/config.json");
        let status: Option<CrunStatus> = host.json(format!("{directory}/status"))?;
        if !host.exists(&config) && status.is_none() {
            continue;
        }
        let status = status.unwrap_or_default();
        let config = if host.exists(&config) || status.bundle.is_empty() {
            config
        } else {
            format!("{}/config.json", status.bundle)
        };
        return plain(host, wanted, &status.created, &config, "crun-state");
    }
    // Where the runtime has taken its state away again.
    let Some(bundle) = &wanted.bundle else { return Ok(None) };
    plain(host, wanted, "", &format!("{bundle}/config.json"), "bundle")
}

impl RuncState {
    fn bundle(&self) -> Option<&str> {
        self.config.labels.iter().find_map(|label| label.strip_prefix("bundle="))
    }
}

fn plain(
    host: &Host,
    wanted: &Wanted,
    created: &str,
    config: &str,
    source: &str,
) -> io::Result<Option<Metadata>> {
    let Some(spec) = host.json::<Spec>(config)? else { return Ok(None) };
    let mut metadata = spec.metadata();
    // Without an engine the id is the name that somebody chose.
    metadata.name.get_or_insert_with(|| wanted.container_id.clone());
    if metadata.image.is_none() {
        const NAMES: [&str; 2] =
            ["org.opencontainers.image.ref.name", "org.opencontainers.image.base.name"];
        let name = NAMES.iter().find_map(|name| spec.annotations.get(*name));
        metadata.image = name.map(|name| Image::parse(name));
    }
    metadata.details.labels.extend(spec.annotations.clone());
    metadata.details.started_ns = time_ns(created);
    metadata.details.sources = vec![source.to_owned()];
    Ok(Some(metadata))
}

/// The bundle that containerd made for a task, in whichever of its namespaces.
pub fn containerd(host: &Host, places: &Places, wanted: &Wanted) -> io::Result<Option<Metadata>> {
    let id = &wanted.container_id;
    for state in &places.containerd_states {
        let tasks = format!("{state}/io.containerd.runtime.v2.task");
        for namespace in host.names(&tasks) {
            let bundle = format!("{tasks}/{namespace}/{id}");
            let Some(spec) = host.json::<Spec>(format!("{bundle}/config.json"))? else { continue };
            let mut metadata = spec.metadata();
            metadata.runtime = Some(Runtime::Containerd);
            share(host, &tasks, &namespace, &spec, &mut metadata)?;
            // ctr's containers: the id is the name, and annotations hold the labels.
            if namespace != "moby" && metadata.pod.is_none() {
                metadata.name.get_or_insert_with(|| id.clone());
                metadata.details.labels.extend(spec.annotations.clone());
                metadata
                    .details
                    .labels
                    .entry("containerd.namespace".into())
                    .or_insert(namespace.clone());
                nerdctl(&mut metadata, &spec.annotations);
            }
            metadata.details.started_ns = created(host, &namespace, id)?;
            let shim = host.read(format!("{bundle}/shim-binary-path"))?.unwrap_or_default();
            let shim = String::from_utf8_lossy(&shim).into_owned();
            let visibility = Visibility::of_runtime(&shim);
            if visibility != Visibility::Full {
                metadata.details.visibility = Some(visibility);
            }
            metadata.details.sources = vec!["containerd-state".into()];
            return Ok(Some(metadata));
        }
    }
    Ok(None)
}

/// A container of a pod joins namespaces of its sandbox: those may be the host's.
fn share(
    host: &Host,
    tasks: &str,
    namespace: &str,
    spec: &Spec,
    metadata: &mut Metadata,
) -> io::Result<()> {
    let sandbox = metadata.pod.as_ref().and_then(|pod| pod.sandbox_id.as_ref());
    let Some(sandbox) = sandbox else { return Ok(()) };
    let path = format!("{tasks}/{namespace}/{sandbox}/config.json");
    let Some(sandbox) = host.json::<Spec>(path)? else { return Ok(()) };
    let details = &mut metadata.details;
    for (kind, shared) in [
        ("pid", &mut details.host_pid),
        ("network", &mut details.host_network),
        ("ipc", &mut details.host_ipc),
    ] {
        if spec.joins(kind) {
            *shared = Some(sandbox.shares(kind));
        }
    }
    Ok(())
}

/// nerdctl keeps names in labels that become annotations.
fn nerdctl(metadata: &mut Metadata, annotations: &BTreeMap<String, String>) {
    if let Some(name) = annotations.get("nerdctl/name") {
        metadata.name = Some(name.clone());
    }
}

/// The shim's runc keeps its state below /run/containerd whatever directory the daemon has.
fn created(host: &Host, namespace: &str, id: &str) -> io::Result<Option<u64>> {
    let path = format!("/run/containerd/runc/{namespace}/{id}/state.json");
    let state: Option<RuncState> = host.json(path)?;
    Ok(state.and_then(|state| time_ns(&state.created)))
}
