//! Fields of the container that the process runs in.

use crate::attribution::Container;
use crate::attribution::metadata::Image;
use crate::event::Event;
use crate::fields::ArgumentForm::{Dotted, RequiredKey};
use crate::fields::Get::{Missing, Str, Text};
use crate::fields::{Field, Type};

pub const FIELDS: &[Field] = &[
    Field::new(
        "container.id",
        Str(|e| Some(id(e))),
        "First 12 characters of the container's id; `host` outside of containers.",
    ),
    Field::new(
        "container.full_id",
        Str(|e| container(e).map(|c| c.id.as_bytes())),
        "The container's whole id.",
    ),
    Field::new("container.name", Str(name), "Name of the container; `host` outside of containers."),
    Field::new(
        "container.image",
        Text(image_text),
        "Image with its tag: `docker.io/library/nginx:1.29`.",
    ),
    Field::new("container.image.id", Missing(Type::Text), "Id of the image."),
    Field::new(
        "container.image.repository",
        Str(|e| image(e).map(|image| image.repository.as_bytes())),
        "Repository of the image: `docker.io/library/nginx`.",
    ),
    Field::new(
        "container.image.tag",
        Str(|e| image(e).and_then(|image| image.tag.as_deref()).map(str::as_bytes)),
        "Tag of the image.",
    ),
    Field::new(
        "container.image.digest",
        Str(|e| image(e).and_then(|image| image.digest.as_deref()).map(str::as_bytes)),
        "Digest of the image: `sha256:…`.",
    ),
    Field::new(
        "container.type",
        Str(|e| Some(runtime(e))),
        "Runtime: `docker`, `containerd`, `cri-o`, `podman`, `lxc`, …; `host` outside of containers.",
    ),
    Field::new("container.privileged", Missing(Type::Bool), "True for privileged containers."),
    Field::new(
        "container.mounts",
        Missing(Type::Text),
        "Mounts: `source:dest:mode:rdwr:propagation`, separated by commas.",
    ),
    Field::new(
        "container.mount",
        Missing(Type::Text),
        "One mount, by number or source path; the path may be a glob.",
    )
    .with(RequiredKey),
    Field::new(
        "container.mount.source",
        Missing(Type::Text),
        "Source of a mount, by number or destination.",
    )
    .with(RequiredKey),
    Field::new(
        "container.mount.dest",
        Missing(Type::Text),
        "Destination of a mount, by number or source.",
    )
    .with(RequiredKey),
    Field::new(
        "container.mount.mode",
        Missing(Type::Text),
        "Mode of a mount, by number or source.",
    )
    .with(RequiredKey),
    Field::new(
        "container.mount.rdwr",
        Missing(Type::Text),
        "`true` when a mount is writable, by number or source.",
    )
    .with(RequiredKey),
    Field::new(
        "container.mount.propagation",
        Missing(Type::Text),
        "Propagation of a mount, by number or source.",
    )
    .with(RequiredKey),
    Field::new(
        "container.healthcheck",
        Missing(Type::Text),
        "Health check of the container. Deprecated.",
    ),
    Field::new(
        "container.liveness_probe",
        Missing(Type::Text),
        "Liveness probe of the container. Deprecated.",
    ),
    Field::new(
        "container.readiness_probe",
        Missing(Type::Text),
        "Readiness probe of the container. Deprecated.",
    ),
    Field::new(
        "container.start_ts",
        Missing(Type::Time),
        "Start of the container, in nanoseconds since the epoch.",
    ),
    Field::new(
        "container.duration",
        Missing(Type::Duration),
        "Nanoseconds since the container started.",
    ),
    Field::new("container.ip", Missing(Type::Text), "Address of the container."),
    Field::new("container.cni.json", Missing(Type::Text), "Result of the network plugin, as JSON."),
    Field::new(
        "container.host_pid",
        Missing(Type::Bool),
        "True when the container shares the host's pid namespace.",
    ),
    Field::new(
        "container.host_network",
        Missing(Type::Bool),
        "True when the container shares the host's network namespace.",
    ),
    Field::new(
        "container.host_ipc",
        Missing(Type::Bool),
        "True when the container shares the host's IPC namespace.",
    ),
    Field::new("container.label", Missing(Type::Text), "One label: `container.label.app`.")
        .with(Dotted),
    Field::new("container.labels", Missing(Type::Text), "All labels: `app:shop, tier:web`."),
];

const ID_LENGTH: usize = 12;

/// The container's short id, or `host`.
pub fn id<'a>(event: &Event<'a>) -> &'a [u8] {
    match &event.attribution.container {
        Some(container) => {
            let id = container.id.as_bytes();
            let is_hash = id.len() == 64 && id.iter().all(u8::is_ascii_hexdigit);
            if is_hash { &id[..ID_LENGTH] } else { id }
        }
        None => b"host",
    }
}

fn container<'a>(event: &Event<'a>) -> Option<&'a Container> {
    event.attribution.container.as_ref()
}

fn name<'a>(event: &'a Event<'a>) -> Option<&'a [u8]> {
    match container(event) {
        Some(container) => container.name.as_deref().map(str::as_bytes),
        None => Some(b"host"),
    }
}

fn image<'a>(event: &Event<'a>) -> Option<&'a Image> {
    container(event).and_then(|container| container.image.as_ref())
}

fn image_text(event: &Event<'_>, out: &mut Vec<u8>) -> bool {
    let Some(image) = image(event) else { return false };
    out.extend_from_slice(image.repository.as_bytes());
    if let Some(tag) = &image.tag {
        out.push(b':');
        out.extend_from_slice(tag.as_bytes());
    }
    true
}

fn runtime(event: &Event<'_>) -> &'static [u8] {
    container(event).map_or(b"host", |container| container.runtime.name().as_bytes())
}
