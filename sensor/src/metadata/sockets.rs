//! Which sockets may know a container, and what they say of it.

use std::collections::BTreeMap;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;

use crate::attribution::Runtime;
use crate::attribution::known::Wanted;
use crate::attribution::metadata::Metadata;
use crate::attribution::runtime::is_full_id;
use crate::metadata::host::Host;
use crate::metadata::kubernetes::{Access, Pods};
use crate::metadata::places::{Places, USER_SOCKETS};
use crate::metadata::socket::{Asked, Failure, Kind, Limits, Report, Socket};
use crate::metadata::{engine, grpc};

/// Users whose own engines are asked.
const USERS_MAX: usize = 64;

/// Every socket that there may be.
#[derive(Debug)]
pub struct Sockets {
    host: Host,
    limits: Limits,
    of_system: Vec<Arc<Socket>>,
    pub(super) pods: Option<Arc<Pods>>,
    // Look-ups and requests for health contend, for no longer than it takes to clone a list.
    of_users: Mutex<BTreeMap<u32, Vec<Arc<Socket>>>>,
    /// How often a user's engine was not asked because there were too many users.
    left_out: AtomicU64,
}

/// What the sockets that may know a container say.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) metadata: Option<Metadata>,
    /// Whether one that may know it could not be asked or did not answer.
    pub(super) is_down: bool,
}

impl Sockets {
    pub fn new(host: &Host, places: &Places, limits: Limits, kubernetes: Option<Access>) -> Self {
        let kinds = [
            (Kind::Docker, &places.docker_sockets),
            (Kind::Podman, &places.podman_sockets),
            (Kind::Containerd, &places.containerd_sockets),
            (Kind::Cri, &places.cri_sockets),
        ];
        let socket = |kind, name: &String| {
            Arc::new(Socket::new(kind, name.clone(), host.path(name), limits))
        };
        let of_system = kinds
            .into_iter()
            .flat_map(|(kind, names)| names.iter().map(move |name| socket(kind, name)));
        Self {
            host: host.clone(),
            limits,
            of_system: of_system.collect(),
            of_users: Mutex::default(),
            left_out: AtomicU64::new(0),
            pods: kubernetes.map(|access| Arc::new(Pods::new(access, limits))),
        }
    }

    /// Those that may know a container, the likeliest first.
    pub(super) fn of(&self, wanted: &Wanted, runtime: Runtime) -> Vec<Arc<Socket>> {
        if self.limits.at_a_time == 0 {
            return Vec::new();
        }
        // A user's engine knows that user's containers, and is to say nothing of others'.
        let mut sockets =
            user_of(&wanted.cgroup_path).map(|user| self.of_user(user)).unwrap_or_default();
        sockets.extend(self.of_system.iter().map(Arc::clone));
        let kinds = kinds(wanted, runtime);
        let rank = |socket: &Arc<Socket>| kinds.iter().position(|kind| *kind == socket.kind);
        sockets.retain(|socket| rank(socket).is_some());
        // It is stable: of one kind a user's stay first.
        sockets.sort_by_key(rank);
        sockets
    }

    /// Asks them one after the other until one knows it.
    pub(super) async fn find(&self, wanted: &Wanted, runtime: Runtime) -> Answer {
        let mut is_down = false;
        for socket in self.of(wanted, runtime) {
            match socket.ask(question(&socket, wanted)).await {
                Asked::Told(metadata) => {
                    return Answer { metadata: Some(metadata), is_down: false };
                }
                Asked::Unknown => {}
                Asked::Down => is_down |= !socket.is_absent(),
            }
        }
        Answer { metadata: None, is_down }
    }

    /// What there is to say of each, for people and metrics.
    pub fn report(&self) -> Vec<Report> {
        let server = self.pods.as_ref().map(|pods| pods.server.report());
        self.all().iter().map(|socket| socket.report()).chain(server).collect()
    }

    /// Asks every one that there may be, users' engines included, about a container that nobody has:
    /// whoever says so answers. What it came to is in the report.
    pub async fn examine(self: &Arc<Self>) {
        let users = self.host.names("/run/user");
        for user in users.iter().filter_map(|name| name.parse().ok()) {
            self.of_user(user);
        }
        let nobodys = Wanted {
            cgroup_id: 0,
            cgroup_path: String::new(),
            container_id: "0".repeat(64),
            runtime: Runtime::Oci,
            bundle: None,
        };
        let mut questions = JoinSet::new();
        for socket in self.all() {
            let wanted = nobodys.clone();
            questions.spawn(async move {
                socket.ask(question(&socket, &wanted)).await;
            });
        }
        if let Some(pods) = &self.pods {
            let pods = Arc::clone(pods);
            questions.spawn(async move { pods.examine().await });
        }
        while questions.join_next().await.is_some() {}
    }

    /// How often something was left out because there was too much of it.
    pub fn left_out(&self) -> u64 {
        let pods = self.pods.as_ref().map_or(0, |pods| pods.left_out());
        self.left_out.load(Ordering::Relaxed) + pods
    }

    fn all(&self) -> Vec<Arc<Socket>> {
        let of_users = self.of_users.lock().unwrap_or_else(PoisonError::into_inner);
        self.of_system.iter().chain(of_users.values().flatten()).map(Arc::clone).collect()
    }

    fn of_user(&self, user: u32) -> Vec<Arc<Socket>> {
        let mut of_users = self.of_users.lock().unwrap_or_else(PoisonError::into_inner);
        if of_users.len() >= USERS_MAX && !of_users.contains_key(&user) {
            self.left_out.fetch_add(1, Ordering::Relaxed);
            return Vec::new();
        }
        let sockets = of_users.entry(user).or_insert_with(|| {
            let sockets = USER_SOCKETS.map(|(kind, below)| {
                let name = format!("/run/user/{user}/{below}");
                let path = self.host.path(&name);
                Arc::new(Socket::new(kind, name, path, self.limits).of_user(user))
            });
            sockets.to_vec()
        });
        sockets.clone()
    }
}

/// By who made a container, who may know it. Where nothing says who that was, an id of 64 digits
/// may be anybody's, and a name is one of containerd's.
pub(super) fn kinds(wanted: &Wanted, runtime: Runtime) -> &'static [Kind] {
    let is_pod = wanted.cgroup_path.contains("kubepods");
    match (runtime, is_full_id(&wanted.container_id)) {
        (Runtime::Containerd, _) | (Runtime::Kata | Runtime::Firecracker | Runtime::Oci, false) => {
            &[Kind::Containerd]
        }
        // The kubelet talks to Docker through something that speaks the CRI.
        (Runtime::Docker, true) if is_pod => &[Kind::Cri, Kind::Docker],
        (Runtime::Docker, true) => &[Kind::Docker],
        (Runtime::Podman, true) => &[Kind::Podman],
        (Runtime::Crio, true) => &[Kind::Cri],
        (Runtime::Kata | Runtime::Firecracker | Runtime::Oci, true) => {
            &[Kind::Containerd, Kind::Cri, Kind::Docker, Kind::Podman]
        }
        (Runtime::Lxc | Runtime::Nspawn, _)
        | (Runtime::Docker | Runtime::Podman | Runtime::Crio, false) => &[],
    }
}

/// Whose session a cgroup is part of: `/user.slice/user-1000.slice/…`.
pub(super) fn user_of(cgroup_path: &str) -> Option<u32> {
    let name = cgroup_path.strip_prefix("/user.slice/user-")?;
    let (user, _) = name.split_once(".slice/")?;
    user.parse().ok()
}

async fn question(socket: &Arc<Socket>, wanted: &Wanted) -> Result<Option<Metadata>, Failure> {
    is_of_its_user(socket)?;
    // Boxed: most look-ups wait for a place, and need not be as large as a question.
    match socket.kind {
        Kind::Docker | Kind::Podman => {
            Box::pin(engine::inspect(socket, &wanted.container_id)).await
        }
        Kind::Containerd | Kind::Cri => Box::pin(grpc::find(socket, wanted)).await,
        // It is not asked about containers, but tells of pods.
        Kind::Kubernetes => Ok(None),
    }
}

/// What a user could put in the place of a socket: a link to another's.
pub(super) fn is_of_its_user(socket: &Socket) -> Result<(), Failure> {
    let Some(user) = socket.user else { return Ok(()) };
    let found = std::fs::symlink_metadata(&socket.path).map_err(Failure::of_connect)?;
    if found.file_type().is_socket() && found.uid() == user {
        return Ok(());
    }
    Err(Failure::Refused(format!("it is no socket of user {user}")))
}

#[cfg(test)]
mod tests;
