//! Where runtimes keep their state and listen, unless they are told otherwise.
//!
//! A user's own sockets are below `/run/user/UID`: see [`USER_SOCKETS`].

use crate::metadata::socket::Kind;

/// Paths of the host, by what is found there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    pub docker_roots: Vec<String>,
    pub podman_roots: Vec<String>,
    pub containerd_states: Vec<String>,
    pub runc_roots: Vec<String>,
    pub crun_roots: Vec<String>,
    pub lxc_roots: Vec<String>,
    pub docker_sockets: Vec<String>,
    pub podman_sockets: Vec<String>,
    pub containerd_sockets: Vec<String>,
    pub cri_sockets: Vec<String>,
}

/// A kind of place: its name in `containers.sources`, where it is kept, and the usual paths.
type Place = (&'static str, fn(&mut Places) -> &mut Vec<String>, &'static [&'static str]);

#[rustfmt::skip]
const KINDS: &[Place] = &[
    ("docker-root", |places| &mut places.docker_roots, &["/var/lib/docker"]),
    ("podman-root", |places| &mut places.podman_roots, &["/var/lib/containers/storage", "/run/containers/storage"]),
    ("containerd-state", |places| &mut places.containerd_states, &["/run/containerd", "/run/k3s/containerd", "/run/docker/containerd/daemon", "/var/snap/microk8s/common/run/containerd"]),
    ("runc-root", |places| &mut places.runc_roots, &["/run/runc"]),
    ("crun-root", |places| &mut places.crun_roots, &["/run/crun"]),
    ("lxc-root", |places| &mut places.lxc_roots, &["/var/lib/lxc"]),
    ("docker-socket", |places| &mut places.docker_sockets, &["/run/docker.sock"]),
    ("podman-socket", |places| &mut places.podman_sockets, &["/run/podman/podman.sock"]),
    ("containerd-socket", |places| &mut places.containerd_sockets, &["/run/containerd/containerd.sock", "/run/k3s/containerd/containerd.sock", "/run/k0s/containerd.sock", "/var/snap/microk8s/common/run/containerd.sock"]),
    ("cri-socket", |places| &mut places.cri_sockets, &["/run/crio/crio.sock", "/run/cri-dockerd.sock"]),
];

/// Where a user's own engines listen, below `/run/user/UID`.
pub const USER_SOCKETS: [(Kind, &str); 2] =
    [(Kind::Podman, "podman/podman.sock"), (Kind::Docker, "docker.sock")];

/// A text of `containers.sources` that names no place.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` names no source; expected KIND=PATH with a kind of {kinds}")]
pub struct NoPlace {
    text: String,
    kinds: String,
}

impl Places {
    /// The usual ones.
    pub fn usual() -> Self {
        let mut places = Self::default();
        for (_, list, paths) in KINDS {
            list(&mut places).extend(paths.iter().map(|path| (*path).to_owned()));
        }
        places
    }

    /// The sockets among them.
    pub fn sockets(&self) -> impl Iterator<Item = &String> {
        let Self { docker_sockets, podman_sockets, containerd_sockets, cri_sockets, .. } = self;
        [docker_sockets, podman_sockets, containerd_sockets, cri_sockets].into_iter().flatten()
    }

    /// The usual ones and those of a list of `KIND=PATH`.
    pub fn with(more: &[String]) -> Result<Self, NoPlace> {
        let mut places = Self::usual();
        for text in more {
            let found = text.split_once('=').and_then(|(kind, path)| {
                let (_, list, _) = KINDS.iter().find(|(name, ..)| *name == kind)?;
                path.starts_with('/').then_some((list, path))
            });
            let Some((list, path)) = found else {
                let kinds: Vec<_> = KINDS.iter().map(|(name, ..)| *name).collect();
                return Err(NoPlace { text: text.clone(), kinds: kinds.join(", ") });
            };
            list(&mut places).push(path.to_owned());
        }
        Ok(places)
    }
}

#[cfg(test)]
mod tests {
    use super::Places;

    #[test]
    fn adds_to_the_usual_places() {
        let more = ["docker-root=/x/docker".to_owned(), "runc-root=/x/runc".to_owned()];
        let places = Places::with(&more).unwrap();
        assert_eq!(places.docker_roots, ["/var/lib/docker", "/x/docker"]);
        assert_eq!(places.runc_roots, ["/run/runc", "/x/runc"]);
        for wrong in ["docker", "rkt=/x", "docker-root=x"] {
            let error = Places::with(&[wrong.to_owned()]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{wrong}` names no source")), "{error}");
        }
    }
}
