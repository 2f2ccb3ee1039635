//! Cgroup id → container, pod or unit.

pub mod bundle;
pub mod cache;
pub mod cgroup;
pub mod known;
pub mod metadata;
pub mod monitor;
pub mod runtime;
pub mod state;
pub mod target;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::attribution::metadata::{Details, Image, Pod};

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
    /// The containers that it runs in, the outermost first.
    pub outer: Vec<Outer>,
    pub name: Option<String>,
    pub image: Option<Image>,
    pub pod: Option<Pod>,
    pub details: Arc<Details>,
}

/// A container that another one runs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outer {
    pub runtime: Runtime,
    pub id: String,
}

impl Container {
    /// The id as `docker ps` shows it: 12 digits of a long one, a name whole.
    pub fn short_id(&self) -> &str {
        if runtime::is_full_id(&self.id) { &self.id[..12] } else { &self.id }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Runtime {
    Docker,
    Containerd,
    #[serde(rename = "cri-o")]
    Crio,
    Podman,
    Lxc,
    Nspawn,
    Kata,
    Firecracker,
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
            Self::Kata => "kata",
            Self::Firecracker => "firecracker",
            Self::Oci => "oci",
        }
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
