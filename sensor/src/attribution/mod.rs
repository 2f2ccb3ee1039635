//! Cgroup id → container, pod or unit.

pub mod cache;
pub mod cgroup;
pub mod runtime;
pub mod state;
pub mod target;

use std::fmt;

/// What a cgroup belongs to. Empty for the host's own processes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attribution {
    /// Path of the cgroup below the hierarchy's root, with a leading `/`.
    pub cgroup_path: String,
    pub container: Option<Container>,
    /// systemd unit (`ssh.service`), where there is no container.
    pub unit: Option<String>,
}

impl Attribution {
    /// Of a cgroup about which nothing is known.
    pub const HOST: Self = Self { cgroup_path: String::new(), container: None, unit: None };
}

/// A container. The path of its cgroup gives the id; the rest is looked up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// The full id, 64 hexadecimal digits where the runtime uses such.
    pub id: String,
    pub runtime: Runtime,
    pub name: Option<String>,
    pub image: Option<Image>,
    pub pod: Option<Pod>,
}

impl Container {
    /// The id as `docker ps` shows it: 12 digits of a long one, a name whole.
    pub fn short_id(&self) -> &str {
        if runtime::is_full_id(&self.id) { &self.id[..12] } else { &self.id }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Runtime {
    Docker,
    Containerd,
    Crio,
    Podman,
    Lxc,
    Nspawn,
    /// An OCI runtime (runc, crun) without a manager that the path would name.
    #[default]
    Oci,
}

impl Runtime {
    /// The name in fields, labels and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Containerd => "containerd",
            Self::Crio => "cri-o",
            Self::Podman => "podman",
            Self::Lxc => "lxc",
            Self::Nspawn => "nspawn",
            Self::Oci => "oci",
        }
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    pub repository: String,
    pub tag: Option<String>,
    pub digest: Option<String>,
}

/// A Kubernetes pod. The path gives the uid; the rest is looked up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pod {
    pub uid: String,
    pub name: Option<String>,
    pub namespace: Option<String>,
}

/// What a source of metadata knows about a container; what it does not know stays as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    pub name: Option<String>,
    pub image: Option<Image>,
    pub pod: Option<Pod>,
}

impl Metadata {
    /// Adds what is known to a container, and keeps the pod uid that the path gave.
    fn fill(&self, container: &mut Container) {
        if let Some(name) = &self.name {
            container.name = Some(name.clone());
        }
        if let Some(image) = &self.image {
            container.image = Some(image.clone());
        }
        let Some(pod) = &self.pod else { return };
        let known = container.pod.get_or_insert_with(|| pod.clone());
        if pod.name.is_some() {
            known.name.clone_from(&pod.name);
        }
        if pod.namespace.is_some() {
            known.namespace.clone_from(&pod.namespace);
        }
    }
}
