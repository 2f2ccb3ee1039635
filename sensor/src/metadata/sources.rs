//! Which sources are asked about a container, in which order, and when the answer is whole.

use std::io;
use std::sync::Arc;

use crate::attribution::Runtime;
use crate::attribution::known::Wanted;
use crate::attribution::metadata::Metadata;
use crate::metadata::host::Host;
use crate::metadata::places::Places;
use crate::metadata::status::{Miss, Status};
use crate::metadata::{Settings, docker, machine, oci, podman};

/// Everything that may be asked.
pub struct Sources {
    host: Host,
    places: Places,
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
        Self { host: settings.host, places: settings.places, status }
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
