//! The OCI runtime specification of a container (`config.json`) → what rules ask about.
//!
//! The environment is in it as well; it is not even parsed.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::attribution::metadata::{Details, Image, Metadata, Mount, Pod, Visibility};

/// The bounding set of a privileged container holds this one, no other's does by default.
const PRIVILEGED: &str = "CAP_SYS_MODULE";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Spec {
    process: Process,
    mounts: Vec<SpecMount>,
    pub annotations: BTreeMap<String, String>,
    linux: Linux,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Process {
    user: User,
    capabilities: Capabilities,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct User {
    uid: u32,
    gid: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Capabilities {
    bounding: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SpecMount {
    source: String,
    destination: String,
    #[serde(rename = "type")]
    kind: String,
    options: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Linux {
    namespaces: Vec<Namespace>,
    #[serde(rename = "maskedPaths")]
    masked_paths: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Namespace {
    #[serde(rename = "type")]
    kind: String,
    /// Of one that is there already.
    path: String,
}

impl Spec {
    /// What holds whatever engine wrote it.
    pub fn metadata(&self) -> Metadata {
        let User { uid, gid } = self.process.user;
        let details = Details {
            mounts: self.mounts.iter().filter_map(SpecMount::bind).collect(),
            privileged: Some(self.is_privileged()),
            host_pid: Some(self.shares("pid")),
            host_network: Some(self.shares("network")),
            host_ipc: Some(self.shares("ipc")),
            user: Some(format!("{uid}:{gid}")),
            visibility: self
                .annotations
                .get("run.oci.handler")
                .map(|handler| Visibility::of_runtime(handler)),
            ..Details::default()
        };
        let mut metadata = Metadata { details, ..Metadata::default() };
        self.add_cri(&mut metadata);
        self.add_crio(&mut metadata);
        self.add_podman(&mut metadata);
        metadata
    }

    fn is_privileged(&self) -> bool {
        let has_all = self.process.capabilities.bounding.iter().any(|name| name == PRIVILEGED);
        has_all && self.linux.masked_paths.is_empty()
    }

    /// Whether it is in the host's namespace of this kind.
    pub fn shares(&self, kind: &str) -> bool {
        !self.linux.namespaces.iter().any(|namespace| namespace.kind == kind)
    }

    /// Whether it goes into another's namespace of this kind.
    pub fn joins(&self, kind: &str) -> bool {
        let mut namespaces = self.linux.namespaces.iter();
        namespaces.any(|namespace| namespace.kind == kind && !namespace.path.is_empty())
    }

    fn annotation(&self, name: &str) -> Option<String> {
        self.annotations.get(name).filter(|value| !value.is_empty()).cloned()
    }

    /// containerd's CRI plugin leaves the pod's identity here.
    fn add_cri(&self, metadata: &mut Metadata) {
        let get = |name: &str| self.annotation(&format!("io.kubernetes.cri.{name}"));
        let Some(kind) = get("container-type") else { return };
        metadata.name = get("container-name").or_else(|| (kind == "sandbox").then(|| "POD".into()));
        metadata.image = get("image-name").map(|image| Image::parse(&image));
        metadata.pod = Some(Pod {
            uid: get("sandbox-uid").unwrap_or_default(),
            name: get("sandbox-name"),
            namespace: get("sandbox-namespace"),
            sandbox_id: get("sandbox-id"),
            ..Pod::default()
        });
    }

    fn add_crio(&self, metadata: &mut Metadata) {
        let get = |name: &str| self.annotation(name);
        let Some(sandbox) = get("io.kubernetes.cri-o.SandboxID") else { return };
        metadata.name = get("io.kubernetes.container.name")
            .or_else(|| get("io.kubernetes.cri-o.Metadata.Name"));
        let image =
            get("io.kubernetes.cri-o.ImageName").or_else(|| get("io.kubernetes.cri-o.Image"));
        let id = get("io.kubernetes.cri-o.ImageRef").unwrap_or_default();
        metadata.image = image.map(|image| Image::parse(&image).with_id(&id));
        let labels = get("io.kubernetes.cri-o.Labels");
        let labels = labels.and_then(|labels| serde_json::from_str(&labels).ok());
        metadata.details.labels = labels.unwrap_or_default();
        metadata.details.ip = get("io.kubernetes.cri-o.IP.0");
        metadata.pod = Some(Pod {
            uid: get("io.kubernetes.pod.uid").unwrap_or_default(),
            name: get("io.kubernetes.pod.name").or_else(|| get("io.kubernetes.cri-o.KubeName")),
            namespace: get("io.kubernetes.pod.namespace")
                .or_else(|| get("io.kubernetes.cri-o.Namespace")),
            sandbox_id: Some(sandbox),
            ip: get("io.kubernetes.cri-o.IP.0"),
            cni: get("io.kubernetes.cri-o.CNIResult"),
            ..Pod::default()
        });
    }

    fn add_podman(&self, metadata: &mut Metadata) {
        if self.annotation("io.podman.annotations.privileged").is_some_and(|value| value == "TRUE")
        {
            metadata.details.privileged = Some(true);
        }
    }
}

const PROPAGATIONS: [&str; 6] = ["private", "rprivate", "slave", "rslave", "shared", "rshared"];

impl SpecMount {
    /// What comes from outside; kernel file systems are no mounts that anybody chose.
    fn bind(&self) -> Option<Mount> {
        let has = |name: &str| self.options.iter().any(|option| option == name);
        if self.kind != "bind" && !has("bind") && !has("rbind") {
            return None;
        }
        let propagation = PROPAGATIONS.iter().find(|name| has(name)).copied().unwrap_or_default();
        Some(Mount {
            source: self.source.clone(),
            destination: self.destination.clone(),
            mode: String::new(),
            writable: !has("ro"),
            propagation: propagation.to_owned(),
        })
    }
}
