//! What is looked up about a container: where it comes from is `crate::metadata`'s business, and how
//! it travels in the stream is this module's.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::attribution::{Container, Runtime};

/// More labels or mounts than people give a container; what is beyond is cut.
const ITEMS_MAX: usize = 256;
/// Longest name, label or path that is kept.
const TEXT_MAX: usize = 4096;
/// Bytes of all of it; a record of the stream holds it with room to spare.
const TOTAL_MAX: usize = 64 * 1024;

/// What sources of metadata know about a container; what they do not know stays as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metadata {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<Runtime>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<Pod>,
    pub details: Details,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Image {
    pub repository: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// What the runtime calls it, without `sha256:`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// A Kubernetes pod. The path gives the uid; the rest is looked up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pod {
    pub uid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox_id: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// What the network plugin answered, as JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cni: Option<String>,
}

/// What few rules ask about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Details {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<Mount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privileged: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_pid: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_network: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_ipc: Option<bool>,
    /// As the runtime was told: a name or numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// Nanoseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_ns: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Command>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub liveness_probe: Option<Command>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub readiness_probe: Option<Command>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visibility: Option<Visibility>,
    /// Who told: `docker-socket`, `containerd-state`, …
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
}

/// Something mounted into a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mount {
    pub source: String,
    pub destination: String,
    pub mode: String,
    pub writable: bool,
    pub propagation: String,
}

/// A program with its arguments that the runtime starts now and then. None: there is to be no such.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command(pub Vec<String>);

/// How much of a container's doing this host's kernel shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    /// All of it.
    #[default]
    Full,
    /// A kernel in user space answers its system calls (gVisor): only what that asks of this kernel.
    Sandbox,
    /// It has a kernel of its own (Kata, Firecracker): only the virtual machine's monitor.
    Machine,
    /// It is interpreted by its runtime (`WasmEdge`): only what that does.
    Interpreted,
}

impl Visibility {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Sandbox => "sandbox",
            Self::Machine => "machine",
            Self::Interpreted => "interpreted",
        }
    }

    /// By the name of a low-level runtime: `io.containerd.kata.v2`, `/usr/bin/runsc`, ….
    pub fn of_runtime(name: &str) -> Self {
        const BY_WORD: [(&str, Visibility); 9] = [
            ("kata", Visibility::Machine),
            ("firecracker", Visibility::Machine),
            ("krun", Visibility::Machine),
            ("runsc", Visibility::Sandbox),
            ("gvisor", Visibility::Sandbox),
            ("wasmedge", Visibility::Interpreted),
            ("wasmtime", Visibility::Interpreted),
            ("wasm", Visibility::Interpreted),
            ("spin", Visibility::Interpreted),
        ];
        let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
        let found = words.find_map(|word| BY_WORD.iter().find(|(known, _)| *known == word));
        found.map_or(Self::Full, |(_, visibility)| *visibility)
    }
}

impl Image {
    /// Of a reference: `docker.io/library/nginx:1.29`, `repository@sha256:…`, or both.
    pub fn parse(reference: &str) -> Self {
        let (name, digest) = match reference.split_once('@') {
            Some((name, digest)) => (name, Some(digest.to_owned())),
            None => (reference, None),
        };
        // A colon before a slash belongs to a registry's port.
        let (repository, tag) = match name.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag.to_owned())),
            _ => (name, None),
        };
        Self { repository: repository.to_owned(), tag, digest, id: None }
    }

    #[must_use]
    pub fn with_id(self, id: &str) -> Self {
        let id = id.strip_prefix("sha256:").unwrap_or(id);
        Self { id: (!id.is_empty()).then(|| id.to_owned()), ..self }
    }

    /// The repository with its tag.
    pub fn reference(&self) -> String {
        match &self.tag {
            Some(tag) => format!("{}:{tag}", self.repository),
            None => self.repository.clone(),
        }
    }

    fn adopt(&mut self, other: &Self) {
        if !other.repository.is_empty() {
            self.repository.clone_from(&other.repository);
        }
        adopt(&mut self.tag, other.tag.as_ref());
        adopt(&mut self.digest, other.digest.as_ref());
        adopt(&mut self.id, other.id.as_ref());
    }
}

impl Pod {
    fn adopt(&mut self, other: &Self) {
        if !other.uid.is_empty() {
            self.uid.clone_from(&other.uid);
        }
        adopt(&mut self.name, other.name.as_ref());
        adopt(&mut self.namespace, other.namespace.as_ref());
        adopt(&mut self.sandbox_id, other.sandbox_id.as_ref());
        adopt(&mut self.ip, other.ip.as_ref());
        adopt(&mut self.cni, other.cni.as_ref());
        self.labels.extend(other.labels.clone());
    }
}

impl Details {
    fn adopt(&mut self, other: &Self) {
        self.labels.extend(other.labels.clone());
        if !other.mounts.is_empty() {
            self.mounts.clone_from(&other.mounts);
        }
        adopt(&mut self.privileged, other.privileged.as_ref());
        adopt(&mut self.host_pid, other.host_pid.as_ref());
        adopt(&mut self.host_network, other.host_network.as_ref());
        adopt(&mut self.host_ipc, other.host_ipc.as_ref());
        adopt(&mut self.user, other.user.as_ref());
        adopt(&mut self.ip, other.ip.as_ref());
        adopt(&mut self.started_ns, other.started_ns.as_ref());
        adopt(&mut self.healthcheck, other.healthcheck.as_ref());
        adopt(&mut self.liveness_probe, other.liveness_probe.as_ref());
        adopt(&mut self.readiness_probe, other.readiness_probe.as_ref());
        adopt(&mut self.visibility, other.visibility.as_ref());
        for source in &other.sources {
            if !self.sources.contains(source) {
                self.sources.push(source.clone());
            }
        }
    }
}

fn adopt<T: Clone>(known: &mut Option<T>, new: Option<&T>) {
    if let Some(new) = new {
        *known = Some(new.clone());
    }
}

impl Metadata {
    /// Takes over what `other` knows.
    pub fn adopt(&mut self, other: &Self) {
        adopt(&mut self.runtime, other.runtime.as_ref());
        adopt(&mut self.name, other.name.as_ref());
        if let Some(image) = &other.image {
            self.image.get_or_insert_default().adopt(image);
        }
        if let Some(pod) = &other.pod {
            self.pod.get_or_insert_default().adopt(pod);
        }
        self.details.adopt(&other.details);
    }

    /// Adds what is known to a container, and keeps the pod uid that the path gave.
    pub(super) fn fill(&self, container: &mut Container) {
        // A path that names the engine is surer than a source that may see through it to another.
        if let Some(runtime) = self.runtime
            && container.runtime == Runtime::Oci
        {
            container.runtime = runtime;
        }
        adopt(&mut container.name, self.name.as_ref());
        let details = Arc::make_mut(&mut container.details);
        // What may be taken away again. All that is known is said each time.
        (details.labels, details.ip) = Default::default();
        if let Some(image) = &self.image {
            container.image.get_or_insert_default().adopt(image);
        }
        if let Some(pod) = &self.pod {
            let uid =
                container.pod.as_ref().map(|pod| pod.uid.clone()).filter(|uid| !uid.is_empty());
            let known = container.pod.get_or_insert_default();
            (known.labels, known.ip) = Default::default();
            known.adopt(pod);
            if let Some(uid) = uid {
                known.uid = uid;
            }
        }
        details.adopt(&self.details);
    }

    /// Cuts what is longer than anybody's real container, so that no source can fill the memory.
    #[must_use]
    pub fn limited(mut self) -> Self {
        let mut left = TOTAL_MAX;
        let mut fits = |text: &str| {
            let fits = text.len() <= TEXT_MAX && text.len() <= left;
            left -= if fits { text.len() } else { 0 };
            fits
        };
        self.name = self.name.filter(|name| fits(name));
        self.image = self.image.filter(|image| {
            let parts = [&image.tag, &image.digest, &image.id];
            fits(&image.repository) && parts.into_iter().flatten().all(|part| fits(part))
        });
        let mut fit_map = |map: &mut BTreeMap<String, String>| {
            let mut count = 0;
            map.retain(|key, value| {
                count += 1;
                count <= ITEMS_MAX && fits(key) && fits(value)
            });
        };
        fit_map(&mut self.details.labels);
        if let Some(pod) = &mut self.pod {
            fit_map(&mut pod.labels);
        }
        if let Some(pod) = &mut self.pod {
            pod.cni = pod.cni.take().filter(|cni| fits(cni));
        }
        self.pod = self.pod.filter(|pod| {
            let parts = [&pod.name, &pod.namespace, &pod.sandbox_id, &pod.ip];
            fits(&pod.uid) && parts.into_iter().flatten().all(|part| fits(part))
        });
        let details = &mut self.details;
        details.mounts.truncate(ITEMS_MAX);
        details.mounts.retain(|mount| {
            let parts = [&mount.source, &mount.destination, &mount.mode, &mount.propagation];
            parts.into_iter().all(|part| fits(part))
        });
        details.user = details.user.take().filter(|user| fits(user));
        details.ip = details.ip.take().filter(|ip| fits(ip));
        for command in
            [&mut details.healthcheck, &mut details.liveness_probe, &mut details.readiness_probe]
        {
            *command = command.take().filter(|Command(words)| words.iter().all(|word| fits(word)));
        }
        self
    }
}

/// What a record of the stream says about a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Announcement {
    pub id: String,
    /// Of the cgroup in which it was noticed.
    pub cgroup_path: String,
    /// As far as the path or a state directory says.
    pub runtime: Runtime,
    pub metadata: Metadata,
}

impl Announcement {
    pub fn to_json(&self) -> Vec<u8> {
        /// Escapes may make more of it than the limit on its texts.
        const JSON_MAX: usize = sensor_common::header::RECORD_MAX - 1024;
        // Every value in it is text, a number or a list of such: it cannot fail.
        let json = serde_json::to_vec(self).unwrap_or_default();
        if json.len() <= JSON_MAX {
            return json;
        }
        let Metadata { runtime, name, image, .. } = self.metadata.clone();
        let metadata = Metadata { runtime, name, image, ..Metadata::default() };
        serde_json::to_vec(&Self { metadata, ..self.clone() }).unwrap_or_default()
    }

    pub fn from_json(json: &[u8]) -> Option<Self> {
        let announcement: Self = serde_json::from_slice(json).ok()?;
        (!announcement.id.is_empty()).then_some(announcement)
    }
}

#[cfg(test)]
mod tests;
