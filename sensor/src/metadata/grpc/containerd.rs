//! containerd's own services: what it keeps of a container in whichever of its namespaces.
//!
//! Messages have only the fields that are read; numbers are those of
//! `github.com/containerd/containerd/api/services/{namespaces,containers,images}/v1`.

use std::collections::{BTreeMap, HashMap};

use prost::Message;

use crate::attribution::Runtime;
use crate::attribution::known::Wanted;
use crate::attribution::metadata::{Image, Metadata, Visibility};
use crate::metadata::docker::of_kubelet;
use crate::metadata::grpc::Connection;
use crate::metadata::socket::Failure;
use crate::metadata::spec::Spec;

/// Namespaces that are looked through.
const NAMESPACES_MAX: usize = 16;

/// Docker's containers in containerd have neither name nor image there.
const OF_DOCKER: &str = "moby";

#[derive(Clone, PartialEq, Message)]
pub(super) struct ListNamespacesRequest {}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ListNamespacesResponse {
    #[prost(message, repeated, tag = "1")]
    pub(super) namespaces: Vec<Namespace>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Namespace {
    #[prost(string, tag = "1")]
    pub(super) name: String,
}

/// Of the same shape for containers and images.
#[derive(Clone, PartialEq, Message)]
pub(super) struct GetRequest {
    /// The id of a container, the name of an image.
    #[prost(string, tag = "1")]
    pub(super) name: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct GetContainerResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) container: Option<Container>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Container {
    #[prost(string, tag = "1")]
    pub(super) id: String,
    #[prost(map = "string, string", tag = "2")]
    pub(super) labels: HashMap<String, String>,
    #[prost(string, tag = "3")]
    pub(super) image: String,
    #[prost(message, optional, tag = "4")]
    pub(super) runtime: Option<ContainerRuntime>,
    #[prost(message, optional, tag = "5")]
    pub(super) spec: Option<Any>,
    #[prost(message, optional, tag = "8")]
    pub(super) created_at: Option<Timestamp>,
}

/// `Container.Runtime`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ContainerRuntime {
    #[prost(string, tag = "1")]
    pub(super) name: String,
}

/// `google.protobuf.Any`; of a container it holds the OCI specification as JSON.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Any {
    #[prost(bytes = "vec", tag = "2")]
    pub(super) value: Vec<u8>,
}

/// `google.protobuf.Timestamp`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Timestamp {
    #[prost(int64, tag = "1")]
    pub(super) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(super) nanos: i32,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct GetImageResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) image: Option<StoredImage>,
}

/// `Image`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct StoredImage {
    #[prost(message, optional, tag = "3")]
    pub(super) target: Option<Descriptor>,
}

/// `containerd.types.Descriptor`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Descriptor {
    #[prost(string, tag = "2")]
    pub(super) digest: String,
}

pub(super) const LIST_NAMESPACES: &str = "/containerd.services.namespaces.v1.Namespaces/List";
pub(super) const GET_CONTAINER: &str = "/containerd.services.containers.v1.Containers/Get";
pub(super) const GET_IMAGE: &str = "/containerd.services.images.v1.Images/Get";

pub(super) async fn find(
    connection: &Connection,
    wanted: &Wanted,
) -> Result<Option<Metadata>, Failure> {
    let id = &wanted.container_id;
    let list: Option<ListNamespacesResponse> =
        connection.call(LIST_NAMESPACES, None, ListNamespacesRequest {}).await?;
    let names = list.unwrap_or_default().namespaces.into_iter().map(|namespace| namespace.name);
    for namespace in names.filter(|name| name != OF_DOCKER).take(NAMESPACES_MAX) {
        let request = GetRequest { name: id.clone() };
        let answer: Option<GetContainerResponse> =
            connection.call(GET_CONTAINER, Some(&namespace), request).await?;
        let Some(container) = answer.and_then(|answer| answer.container) else { continue };
        if container.id != *id {
            return Err(Failure::Lie { asked: id.clone(), answered: container.id });
        }
        let digest = digest(connection, &namespace, &container.image).await?;
        return Ok(Some(metadata(container, &namespace, digest)));
    }
    Ok(None)
}

/// The digest of what an image's name stands for.
async fn digest(
    connection: &Connection,
    namespace: &str,
    image: &str,
) -> Result<Option<String>, Failure> {
    if image.is_empty() {
        return Ok(None);
    }
    let request = GetRequest { name: image.to_owned() };
    let answer: Option<GetImageResponse> =
        connection.call(GET_IMAGE, Some(namespace), request).await?;
    let target = answer.and_then(|answer| answer.image).and_then(|image| image.target);
    Ok(target.map(|target| target.digest).filter(|digest| !digest.is_empty()))
}

fn metadata(container: Container, namespace: &str, digest: Option<String>) -> Metadata {
    let spec = container.spec.unwrap_or_default().value;
    let spec: Spec = serde_json::from_slice(&spec).unwrap_or_default();
    let mut metadata = spec.metadata();
    let mut labels: BTreeMap<_, _> = container.labels.into_iter().collect();
    let (pod, pod_container) = of_kubelet(&labels);
    metadata.runtime = Some(Runtime::Containerd);
    metadata.name = metadata.name.or(pod_container).or_else(|| labels.get("nerdctl/name").cloned());
    metadata.name.get_or_insert(container.id);
    if !container.image.is_empty() {
        let image = metadata.image.get_or_insert_with(|| Image::parse(&container.image));
        image.digest = image.digest.take().or(digest);
    }
    metadata.pod = metadata.pod.or(pod);
    if metadata.pod.is_none() {
        labels.entry("containerd.namespace".into()).or_insert_with(|| namespace.to_owned());
    }
    let visibility = Visibility::of_runtime(&container.runtime.unwrap_or_default().name);
    let details = &mut metadata.details;
    if visibility != Visibility::Full {
        details.visibility = Some(visibility);
    }
    details.labels.extend(labels);
    details.started_ns = container.created_at.and_then(|time| {
        let (seconds, nanos) = (u64::try_from(time.seconds).ok()?, u64::try_from(time.nanos).ok()?);
        seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
    });
    details.sources = vec!["containerd-socket".into()];
    metadata
}
