//! The Container Runtime Interface, v1: what the kubelet has told the runtime about a pod.
//!
//! Messages have only the fields that are read; numbers are those of `k8s.io/cri-api/pkg/apis/runtime/v1/api.proto`.

use std::collections::{BTreeMap, HashMap};

use prost::Message;
use serde::Deserialize;

use crate::attribution::Runtime;
use crate::attribution::known::Wanted;
use crate::attribution::metadata::{Details, Image, Metadata, Mount, Pod};
use crate::metadata::grpc::Connection;
use crate::metadata::pod;
use crate::metadata::socket::{Failure, Kind};

#[derive(Clone, PartialEq, Message)]
pub(super) struct ListContainersRequest {
    #[prost(message, optional, tag = "1")]
    pub(super) filter: Option<ContainerFilter>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ContainerFilter {
    #[prost(string, tag = "1")]
    pub(super) id: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ListContainersResponse {
    #[prost(message, repeated, tag = "1")]
    pub(super) containers: Vec<Container>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Container {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    #[prost(string, tag = "2")]
    pub(super) pod_sandbox_id: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ContainerStatusRequest {
    #[prost(string, tag = "1")]
    pub(super) container_id: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ContainerStatusResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) status: Option<ContainerStatus>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ContainerStatus {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    #[prost(message, optional, tag = "2")]
    pub(super) metadata: Option<ContainerMetadata>,
    /// Nanoseconds since the epoch.
    #[prost(int64, tag = "5")]
    pub(super) started_at: i64,
    #[prost(message, optional, tag = "8")]
    pub(super) image: Option<ImageSpec>,
    #[prost(string, tag = "9")]
    pub(super) image_ref: String,
    #[prost(map = "string, string", tag = "12")]
    pub(super) labels: HashMap<String, String>,
    #[prost(message, repeated, tag = "14")]
    pub(super) mounts: Vec<ContainerMount>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ContainerMetadata {
    #[prost(string, tag = "1")]
    pub(super) name: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ImageSpec {
    #[prost(string, tag = "1")]
    pub(super) image: String,
}

/// `Mount`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ContainerMount {
    #[prost(string, tag = "1")]
    pub(super) container_path: String,
    #[prost(string, tag = "2")]
    pub(super) host_path: String,
    #[prost(bool, tag = "3")]
    pub(super) readonly: bool,
    /// 0 private, 1 from the host to the container, 2 both ways.
    #[prost(int32, tag = "5")]
    pub(super) propagation: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PodSandboxStatusRequest {
    #[prost(string, tag = "1")]
    pub(super) pod_sandbox_id: String,
    #[prost(bool, tag = "2")]
    pub(super) verbose: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PodSandboxStatusResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) status: Option<PodSandboxStatus>,
    /// `info` is JSON.
    #[prost(map = "string, string", tag = "2")]
    pub(super) info: HashMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PodSandboxStatus {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    #[prost(message, optional, tag = "2")]
    pub(super) metadata: Option<PodSandboxMetadata>,
    #[prost(message, optional, tag = "5")]
    pub(super) network: Option<PodSandboxNetworkStatus>,
    #[prost(message, optional, tag = "6")]
    pub(super) linux: Option<LinuxPodSandboxStatus>,
    #[prost(map = "string, string", tag = "7")]
    pub(super) labels: HashMap<String, String>,
    #[prost(map = "string, string", tag = "8")]
    pub(super) annotations: HashMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PodSandboxMetadata {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) uid: String,
    #[prost(string, tag = "3")]
    pub(super) namespace: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct PodSandboxNetworkStatus {
    #[prost(string, tag = "1")]
    pub(super) ip: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct LinuxPodSandboxStatus {
    #[prost(message, optional, tag = "1")]
    pub(super) namespaces: Option<Namespace>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Namespace {
    #[prost(message, optional, tag = "2")]
    pub(super) options: Option<NamespaceOption>,
}

/// Each is a `NamespaceMode`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct NamespaceOption {
    #[prost(int32, tag = "1")]
    pub(super) network: i32,
    #[prost(int32, tag = "2")]
    pub(super) pid: i32,
    #[prost(int32, tag = "3")]
    pub(super) ipc: i32,
}

/// `NamespaceMode`: that of the host.
const NODE: i32 = 2;

pub(super) const LIST_CONTAINERS: &str = "/runtime.v1.RuntimeService/ListContainers";
pub(super) const CONTAINER_STATUS: &str = "/runtime.v1.RuntimeService/ContainerStatus";
pub(super) const SANDBOX_STATUS: &str = "/runtime.v1.RuntimeService/PodSandboxStatus";

/// The label by which the kubelet names a container.
const NAME_OF_SANDBOX: &str = "POD";

pub(super) async fn find(
    connection: &Connection,
    wanted: &Wanted,
    kind: Kind,
) -> Result<Option<Metadata>, Failure> {
    let id = &wanted.container_id;
    let filter = Some(ContainerFilter { id: id.clone() });
    let list: Option<ListContainersResponse> =
        connection.call(LIST_CONTAINERS, None, ListContainersRequest { filter }).await?;
    let mut metadata = Metadata::default();
    let container = list.and_then(|list| list.containers.into_iter().next());
    let sandbox_id = if let Some(container) = container {
        is_about(id, &container.id)?;
        if let Some(status) = container_status(connection, id).await? {
            metadata = of_container(status);
        }
        container.pod_sandbox_id
    } else {
        // The sandbox has a container of its own.
        metadata.name = Some(NAME_OF_SANDBOX.to_owned());
        id.clone()
    };
    let request = PodSandboxStatusRequest { pod_sandbox_id: sandbox_id.clone(), verbose: true };
    let answer: Option<PodSandboxStatusResponse> =
        connection.call(SANDBOX_STATUS, None, request).await?;
    let Some(answer) = answer else {
        return Ok((sandbox_id != *id).then_some(metadata));
    };
    let status = answer.status.unwrap_or_default();
    is_about(&sandbox_id, &status.id)?;
    let info = answer.info.get("info").map_or("", String::as_str);
    of_sandbox(&mut metadata, status, info);
    metadata.runtime = Some(match (kind, wanted.runtime) {
        (Kind::Containerd, _) => Runtime::Containerd,
        (_, Runtime::Oci) => Runtime::Crio,
        (_, named) => named,
    });
    metadata.details.sources = vec!["cri-socket".into()];
    Ok(Some(metadata))
}

async fn container_status(
    connection: &Connection,
    id: &str,
) -> Result<Option<ContainerStatus>, Failure> {
    // Not verbose: that would be the environment as well.
    let request = ContainerStatusRequest { container_id: id.to_owned() };
    let answer: Option<ContainerStatusResponse> =
        connection.call(CONTAINER_STATUS, None, request).await?;
    let status = answer.and_then(|answer| answer.status);
    if let Some(status) = &status {
        is_about(id, &status.id)?;
    }
    Ok(status)
}

fn is_about(asked: &str, answered: &str) -> Result<(), Failure> {
    if asked == answered {
        return Ok(());
    }
    Err(Failure::Lie { asked: asked.to_owned(), answered: answered.to_owned() })
}

fn of_container(status: ContainerStatus) -> Metadata {
    let named = status.image.unwrap_or_default().image;
    let reference = Image::parse(&status.image_ref);
    let mut image =
        if named.starts_with("sha256:") { reference.clone() } else { Image::parse(&named) };
    image.digest = image.digest.or(reference.digest);
    if status.image_ref.starts_with("sha256:") {
        image = image.with_id(&status.image_ref);
    }
    let details = Details {
        labels: status.labels.into_iter().collect(),
        mounts: status.mounts.into_iter().map(mount).collect(),
        started_ns: u64::try_from(status.started_at).ok().filter(|time| *time > 0),
        ..Details::default()
    };
    let name = status.metadata.map(|metadata| metadata.name);
    Metadata { name, image: Some(image), details, ..Metadata::default() }
}

fn mount(mount: ContainerMount) -> Mount {
    let propagation = match mount.propagation {
        1 => "rslave",
        2 => "rshared",
        _ => "rprivate",
    };
    Mount {
        source: mount.host_path,
        destination: mount.container_path,
        mode: String::new(),
        writable: !mount.readonly,
        propagation: propagation.to_owned(),
    }
}

fn of_sandbox(metadata: &mut Metadata, status: PodSandboxStatus, info: &str) {
    /// What is read of what the runtime says besides.
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Info {
        cni_result: Option<serde_json::Value>,
    }
    let options = status.linux.unwrap_or_default().namespaces.unwrap_or_default().options;
    let is_host = |mode: fn(&NamespaceOption) -> i32| options.as_ref().map(|o| mode(o) == NODE);
    let ip = Some(status.network.unwrap_or_default().ip).filter(|ip| !ip.is_empty());
    let info: Info = serde_json::from_str(info).unwrap_or_default();
    let labels: BTreeMap<_, _> = status.labels.into_iter().collect();
    let details = &mut metadata.details;
    details.host_network = is_host(|options| options.network);
    details.host_pid = is_host(|options| options.pid);
    details.host_ipc = is_host(|options| options.ipc);
    details.ip.clone_from(&ip);
    let applied = status.annotations.get(pod::APPLIED).map(String::as_str);
    if let (Some(applied), Some(name)) = (applied, &metadata.name) {
        pod::probes(applied, name, details);
    }
    let of_pod = status.metadata.unwrap_or_default();
    metadata.pod = Some(Pod {
        uid: of_pod.uid,
        name: Some(of_pod.name),
        namespace: Some(of_pod.namespace),
        sandbox_id: Some(status.id),
        labels: pod::own(labels),
        ip,
        cni: info.cni_result.map(|result| result.to_string()),
    });
}
