//! What is said about a pod in more than one place: its own labels, and the probes of its containers.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::attribution::metadata::{Command, Details};

/// The annotation in which `kubectl apply` leaves what it was given.
pub(super) const APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The kubelet's labels among a sandbox's: everything else was put on the pod by people.
const OF_KUBELET: &str = "io.kubernetes.";

/// A pod as its manifest or the API server has it, as far as it is read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Manifest {
    pub(super) spec: PodSpec,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct PodSpec {
    pub(super) containers: Vec<ContainerSpec>,
    pub(super) host_network: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct ContainerSpec {
    pub(super) name: String,
    liveness_probe: Option<Probe>,
    readiness_probe: Option<Probe>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Probe {
    exec: Option<Exec>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Exec {
    command: Vec<String>,
}

/// The labels of a pod among those of its sandbox.
pub(super) fn own(labels: BTreeMap<String, String>) -> BTreeMap<String, String> {
    labels.into_iter().filter(|(name, _)| !name.starts_with(OF_KUBELET)).collect()
}

/// The exec probes of a container by the text of a manifest; one that cannot be read says nothing.
pub(super) fn probes(manifest: &str, container: &str, details: &mut Details) {
    let manifest: Manifest = serde_json::from_str(manifest).unwrap_or_default();
    if let Some(spec) = manifest.spec.containers.iter().find(|spec| spec.name == container) {
        spec.probes(details);
    }
}

impl ContainerSpec {
    pub(super) fn probes(&self, details: &mut Details) {
        let command = |probe: &Option<Probe>| {
            let command = probe.as_ref()?.exec.as_ref()?.command.clone();
            Some(Command(command))
        };
        let known = [&mut details.liveness_probe, &mut details.readiness_probe];
        for (known, probe) in known.into_iter().zip([&self.liveness_probe, &self.readiness_probe]) {
            *known = command(probe).or(known.take());
        }
    }
}
