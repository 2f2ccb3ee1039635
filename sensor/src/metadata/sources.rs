//! Which sources are asked about a container, in which order, and when the answer is whole.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::attribution::Runtime;
use crate::attribution::known::Wanted;
use crate::attribution::metadata::Metadata;
use crate::metadata::host::Host;
use crate::metadata::places::Places;
use crate::metadata::sockets::Sockets;
use crate::metadata::status::{Miss, Status};
use crate::metadata::{Settings, docker, machine, oci, podman};

/// Everything that may be asked.
pub struct Sources {
    host: Host,
    places: Places,
    /// How long events of a container may wait.
    pub wait: Duration,
    pub sockets: Arc<Sockets>,
    pub status: Arc<Status>,
}

/// A source that is files.
type Files = fn(&Host, &Places, &Wanted) -> io::Result<Option<Metadata>>;

/// By whom the path names, the files that may know the container, best first.
fn files(runtime: Runtime) -> &'static [Files] {
    match runtime {
        Runtime::Docker => &[docker::find, oci::containerd],
        Runtime::Containerd => &[oci::containerd, docker::find],
        Runtime::Crio | Runtime::Podman => &[podman::find],
        Runtime::Lxc => &[machine::lxc],
        Runtime::Nspawn => &[|host, _, wanted| machine::nspawn(host, wanted)],
        Runtime::Kata | Runtime::Firecracker | Runtime::Oci => {
            &[docker::find, oci::containerd, podman::find, oci::find]
        }
    }
}

impl Sources {
    pub fn new(settings: Settings, status: Arc<Status>) -> Self {
        let Settings { host, places, wait, limits, kubernetes } = settings;
        let sockets = Arc::new(Sockets::new(&host, &places, limits, kubernetes));
        Self { host, places, wait, sockets, status }
    }

    /// With what the API server knows of its pod, where one is asked.
    pub fn with_pod(&self, mut metadata: Metadata, wanted: &Wanted) -> Metadata {
        if let Some(pods) = &self.sockets.pods {
            pods.fill(&mut metadata, wanted);
        }
        metadata
    }

    /// What files say: short, but it may block, so it runs on a thread for that.
    pub fn read(&self, wanted: &Wanted) -> Result<Metadata, Miss> {
        let mut miss = Miss::NotFound;
        for find in files(wanted.runtime) {
            match find(&self.host, &self.places, wanted) {
                Ok(Some(metadata)) => return Ok(metadata),
                Ok(None) => {}
                Err(error) => {
                    tracing::debug!(%error, container = wanted.container_id, "read its state");
                    miss = Miss::Unreadable;
                }
            }
        }
        Err(miss)
    }
}

/// Whether files alone have said what rules ask for most. Podman keeps labels in a database, and the
/// kubelet gives those of a pod to its runtime alone.
pub fn is_whole(metadata: &Metadata) -> bool {
    let has_labels = match &metadata.pod {
        Some(pod) => !pod.labels.is_empty(),
        None => metadata.runtime != Some(Runtime::Podman) || !metadata.details.labels.is_empty(),
    };
    let has_image = metadata.image.as_ref().is_some_and(|image| !image.repository.is_empty());
    metadata.name.is_some() && has_image && has_labels
}

/// Whether there may be an address that is not known: files are read before there is one.
pub fn lacks_address(metadata: &Metadata) -> bool {
    metadata.details.ip.is_none() && metadata.details.host_network != Some(true)
}

/// What files and a socket say of one container. Where both know, files are believed: they are the
/// engine's own, and a socket may be anybody's.
pub fn merge(files: &Metadata, mut told: Metadata) -> Metadata {
    let sources = std::mem::take(&mut told.details.sources);
    told.adopt(files);
    for source in sources {
        if !told.details.sources.contains(&source) {
            told.details.sources.push(source);
        }
    }
    told
}
