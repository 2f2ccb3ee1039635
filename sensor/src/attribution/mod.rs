//! Cgroup id → container, pod or unit.

pub mod cache;

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
