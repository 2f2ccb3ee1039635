//! Fields of the Kubernetes pod that the process runs in.

use crate::attribution::metadata::Pod;
use crate::event::Event;
use crate::fields::ArgumentForm::Dotted;
use crate::fields::Get::{Keyed, Missing, Str, Text};
use crate::fields::container::{label, labels};
use crate::fields::{Field, Type};

pub const FIELDS: &[Field] = &[
    Field::new(
        "k8s.pod.name",
        Str(|e| pod(e).and_then(|pod| pod.name.as_deref()).map(str::as_bytes)),
        "Name of the pod.",
    ),
    Field::new(
        "k8s.ns.name",
        Str(|e| pod(e).and_then(|pod| pod.namespace.as_deref()).map(str::as_bytes)),
        "Namespace of the pod.",
    ),
    Field::new(
        "k8s.pod.id",
        Str(|e| pod(e).map(|pod| pod.uid.as_bytes())),
        "The same as `k8s.pod.uid`.",
    ),
    Field::new(
        "k8s.pod.uid",
        Str(|e| pod(e).map(|pod| pod.uid.as_bytes())),
        "Unique id of the pod.",
    ),
    Field::new(
        "k8s.pod.sandbox_id",
        Str(|e| {
            pod(e)
                .and_then(|pod| pod.sandbox_id.as_deref())
                .map(|id| id.get(..12).unwrap_or(id).as_bytes())
        }),
        "First 12 characters of the pod sandbox's container id.",
    ),
    Field::new(
        "k8s.pod.full_sandbox_id",
        Str(|e| pod(e).and_then(|pod| pod.sandbox_id.as_deref()).map(str::as_bytes)),
        "The pod sandbox's whole container id.",
    ),
    Field::new(
        "k8s.pod.label",
        Keyed(|e, key, out| label(pod(e).map(|pod| &pod.labels), key, out)),
        "One label of the pod: `k8s.pod.label.app`.",
    )
    .with(Dotted),
    Field::new(
        "k8s.pod.labels",
        Text(|e, out| labels(pod(e).map(|pod| &pod.labels), out)),
        "All labels of the pod: `app:shop, tier:web`.",
    ),
    Field::new(
        "k8s.pod.ip",
        Str(|e| pod(e).and_then(|pod| pod.ip.as_deref()).map(str::as_bytes)),
        "Address of the pod.",
    ),
    Field::new(
        "k8s.pod.cni.json",
        Str(|e| pod(e).and_then(|pod| pod.cni.as_deref()).map(str::as_bytes)),
        "Result of the network plugin, as JSON.",
    ),
    Field::new(
        "k8s.rc.name",
        Missing(Type::Text),
        "Name of the replication controller. Deprecated.",
    ),
    Field::new("k8s.rc.id", Missing(Type::Text), "Id of the replication controller. Deprecated."),
    Field::new(
        "k8s.rc.label",
        Missing(Type::Text),
        "One label of the replication controller. Deprecated.",
    )
    .with(Dotted),
    Field::new(
        "k8s.rc.labels",
        Missing(Type::Text),
        "All labels of the replication controller. Deprecated.",
    ),
    Field::new("k8s.svc.name", Missing(Type::Text), "Name of the service. Deprecated."),
    Field::new("k8s.svc.id", Missing(Type::Text), "Id of the service. Deprecated."),
    Field::new("k8s.svc.label", Missing(Type::Text), "One label of the service. Deprecated.")
        .with(Dotted),
    Field::new("k8s.svc.labels", Missing(Type::Text), "All labels of the service. Deprecated."),
    Field::new("k8s.ns.id", Missing(Type::Text), "Id of the namespace. Deprecated."),
    Field::new("k8s.ns.label", Missing(Type::Text), "One label of the namespace. Deprecated.")
        .with(Dotted),
    Field::new("k8s.ns.labels", Missing(Type::Text), "All labels of the namespace. Deprecated."),
    Field::new("k8s.rs.name", Missing(Type::Text), "Name of the replica set. Deprecated."),
    Field::new("k8s.rs.id", Missing(Type::Text), "Id of the replica set. Deprecated."),
    Field::new("k8s.rs.label", Missing(Type::Text), "One label of the replica set. Deprecated.")
        .with(Dotted),
    Field::new("k8s.rs.labels", Missing(Type::Text), "All labels of the replica set. Deprecated."),
    Field::new("k8s.deployment.name", Missing(Type::Text), "Name of the deployment. Deprecated."),
    Field::new("k8s.deployment.id", Missing(Type::Text), "Id of the deployment. Deprecated."),
    Field::new(
        "k8s.deployment.label",
        Missing(Type::Text),
        "One label of the deployment. Deprecated.",
    )
    .with(Dotted),
    Field::new(
        "k8s.deployment.labels",
        Missing(Type::Text),
        "All labels of the deployment. Deprecated.",
    ),
];

fn pod<'a>(event: &Event<'a>) -> Option<&'a Pod> {
    event.attribution.container.as_ref().and_then(|container| container.pod.as_ref())
}
