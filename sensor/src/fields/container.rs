//! Fields of the container that the process runs in.

use std::collections::BTreeMap;

use crate::attribution::Container;
use crate::attribution::metadata::{Command, Details, Image, Mount, Pod};
use crate::event::Event;
use crate::event::kept::Role;
use crate::event::process::Process;
use crate::fields::ArgumentForm::{Dotted, RequiredKey};
use crate::fields::Get::{Bool, Duration, Keyed, Str, Text, Time};
use crate::fields::{Argument, Field};

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
    Field::new(
        "container.image.id",
        Str(|e| image(e).and_then(|image| image.id.as_deref()).map(str::as_bytes)),
        "Id of the image.",
    ),
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
    Field::new(
        "container.privileged",
        Bool(|e| details(e).and_then(|details| details.privileged)),
        "True for privileged containers.",
    ),
    Field::new(
        "container.mounts",
        Text(mounts),
        "Mounts: `source:dest:mode:rdwr:propagation`, separated by commas.",
    ),
    Field::new(
        "container.mount",
        Keyed(mount),
        "One mount, by number or source path; the path may be a glob.",
    )
    .with(RequiredKey),
    Field::new(
        "container.mount.source",
        Keyed(|e, key, out| put(mount_to(e, key).map(|mount| &*mount.source), out)),
        "Source of a mount, by number or destination.",
    )
    .with(RequiredKey),
    Field::new(
        "container.mount.dest",
        Keyed(|e, key, out| put(mount_from(e, key).map(|mount| &*mount.destination), out)),
        "Destination of a mount, by number or source.",
    )
    .with(RequiredKey),
    Field::new(
        "container.mount.mode",
        Keyed(|e, key, out| put(mount_from(e, key).map(|mount| &*mount.mode), out)),
        "Mode of a mount, by number or source.",
    )
    .with(RequiredKey),
    Field::new(
        "container.mount.rdwr",
        Keyed(|e, key, out| put(mount_from(e, key).map(|mount| yes_or_no(mount.writable)), out)),
        "`true` when a mount is writable, by number or source.",
    )
    .with(RequiredKey),
    Field::new(
        "container.mount.propagation",
        Keyed(|e, key, out| put(mount_from(e, key).map(|mount| &*mount.propagation), out)),
        "Propagation of a mount, by number or source.",
    )
    .with(RequiredKey),
    Field::new(
        "container.healthcheck",
        Text(|e, out| command(details(e).and_then(|details| details.healthcheck.as_ref()), out)),
        "Health check of the container. Deprecated.",
    ),
    Field::new(
        "container.liveness_probe",
        Text(|e, out| command(details(e).and_then(|details| details.liveness_probe.as_ref()), out)),
        "Liveness probe of the container. Deprecated.",
    ),
    Field::new(
        "container.readiness_probe",
        Text(|e, out| {
            command(details(e).and_then(|details| details.readiness_probe.as_ref()), out)
        }),
        "Readiness probe of the container. Deprecated.",
    ),
    Field::new(
        "container.start_ts",
        Time(|e| details(e)?.started_ns),
        "Start of the container, in nanoseconds since the epoch.",
    ),
    Field::new(
        "container.duration",
        Duration(|e| u64::try_from(e.time_ns).ok()?.checked_sub(details(e)?.started_ns?)),
        "Nanoseconds since the container started.",
    ),
    Field::new("container.ip", Str(|e| ip(e).map(str::as_bytes)), "Address of the container."),
    Field::new(
        "container.cni.json",
        Str(|e| pod(e).and_then(|pod| pod.cni.as_deref()).map(str::as_bytes)),
        "Result of the network plugin, as JSON.",
    ),
    Field::new(
        "container.host_pid",
        Bool(|e| details(e).and_then(|details| details.host_pid)),
        "True when the container shares the host's pid namespace.",
    ),
    Field::new(
        "container.host_network",
        Bool(|e| details(e).and_then(|details| details.host_network)),
        "True when the container shares the host's network namespace.",
    ),
    Field::new(
        "container.host_ipc",
        Bool(|e| details(e).and_then(|details| details.host_ipc)),
        "True when the container shares the host's IPC namespace.",
    ),
    Field::new(
        "container.label",
        Keyed(|e, key, out| label(details(e).map(|details| &details.labels), key, out)),
        "One label: `container.label.app`.",
    )
    .with(Dotted),
    Field::new(
        "container.labels",
        Text(|e, out| labels(details(e).map(|details| &details.labels), out)),
        "All labels: `app:shop, tier:web`.",
    ),
    Field::new(
        "container.user",
        Str(|e| details(e).and_then(|details| details.user.as_deref()).map(str::as_bytes)),
        "User that the runtime was told to start the container as: a name, or `uid:gid`.",
    ),
    Field::new(
        "container.visibility",
        Str(|e| details(e).map(|details| details.visibility.unwrap_or_default().name().as_bytes())),
        "How much of the container this kernel sees: `full`, `sandbox` (gVisor), `machine` (Kata, Firecracker) or `interpreted` (`WasmEdge`).",
    ),
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

fn details<'a>(event: &Event<'a>) -> Option<&'a Details> {
    container(event).map(|container| &*container.details)
}

fn pod<'a>(event: &Event<'a>) -> Option<&'a Pod> {
    container(event).and_then(|container| container.pod.as_ref())
}

/// The container's own address, or that of its pod.
fn ip<'a>(event: &Event<'a>) -> Option<&'a str> {
    let own = details(event).and_then(|details| details.ip.as_deref());
    own.or_else(|| pod(event).and_then(|pod| pod.ip.as_deref()))
}

fn put(text: Option<&str>, out: &mut Vec<u8>) -> bool {
    out.extend_from_slice(text.unwrap_or_default().as_bytes());
    text.is_some()
}

fn yes_or_no(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

fn write_mount(mount: &Mount, out: &mut Vec<u8>) {
    let writable = yes_or_no(mount.writable);
    let parts = [&mount.source, &mount.destination, &mount.mode, writable, &mount.propagation];
    for (index, part) in parts.into_iter().enumerate() {
        if index > 0 {
            out.push(b':');
        }
        out.extend_from_slice(part.as_bytes());
    }
}

fn mounts(event: &Event<'_>, out: &mut Vec<u8>) -> bool {
    let Some(details) = details(event) else { return false };
    for (index, mount) in details.mounts.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_mount(mount, out);
    }
    true
}

fn mount(event: &Event<'_>, key: Option<&Argument>, out: &mut Vec<u8>) -> bool {
    let found = mount_from(event, key);
    if let Some(mount) = found {
        write_mount(mount, out);
    }
    found.is_some()
}

/// By number or source.
fn mount_from<'a>(event: &Event<'a>, key: Option<&Argument>) -> Option<&'a Mount> {
    find_mount(event, key, |mount| &mount.source)
}

/// By number or destination.
fn mount_to<'a>(event: &Event<'a>, key: Option<&Argument>) -> Option<&'a Mount> {
    find_mount(event, key, |mount| &mount.destination)
}

fn find_mount<'a>(
    event: &Event<'a>,
    key: Option<&Argument>,
    path: fn(&Mount) -> &String,
) -> Option<&'a Mount> {
    let mounts = &details(event)?.mounts;
    match key? {
        Argument::Index(index) => mounts.get(usize::try_from(*index).ok()?),
        Argument::Key(key) => {
            mounts.iter().find(|mount| matches(key.as_bytes(), path(mount).as_bytes()))
        }
    }
}

/// Whether a text is what a pattern with `*` and `?` says. Never worse than their product.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    // Where the last star stands, and how much it was taken to stand for.
    let mut star = None;
    while read < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[read] => {
                at += 1;
                read += 1;
            }
            _ => {
                let Some((star_at, taken)) = star else { return false };
                star = Some((star_at, taken + 1));
                at = star_at + 1;
                read = taken + 1;
            }
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// All labels of a container or pod: `app:shop, tier:web`.
pub fn labels(labels: Option<&BTreeMap<String, String>>, out: &mut Vec<u8>) -> bool {
    let Some(labels) = labels else { return false };
    for (index, (name, value)) in labels.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(b", ");
        }
        for part in [name.as_str(), ":", value] {
            out.extend_from_slice(part.as_bytes());
        }
    }
    !labels.is_empty()
}

/// One label of a container or pod.
pub fn label(
    labels: Option<&BTreeMap<String, String>>,
    key: Option<&Argument>,
    out: &mut Vec<u8>,
) -> bool {
    let Some(Argument::Key(key)) = key else { return false };
    put(labels.and_then(|labels| labels.get(&**key)).map(String::as_str), out)
}

fn command(command: Option<&Command>, out: &mut Vec<u8>) -> bool {
    let Some(Command(words)) = command else { return false };
    let text = if words.is_empty() { "NONE".to_owned() } else { words.join(" ") };
    put(Some(&text), out)
}

/// Whether the process is, or descends from, what the runtime starts to see how the container is:
/// a process that first had exactly these arguments, and whose parent is outside of the container. A
/// shell may have become what it was to run.
pub fn is_below(event: &Event<'_>, probe: fn(&Details) -> Option<&Command>) -> Option<bool> {
    let Some(Command(words)) = probe(details(event)?) else { return Some(false) };
    // In the host's pid namespace its cgroup tells it, or, where it has none, its monitor.
    let cgroup_id = event.process.cgroup_id;
    let is_inside = |process: &Process| {
        process.vpid != process.id.pid
            || match &process.kept {
                Some(kept) => kept.role == Role::Inside,
                None => process.cgroup_id == cgroup_id,
            }
    };
    let lineage = std::iter::once(event.process).chain(event.processes.ancestors(event.process));
    let first = lineage.take_while(|process| is_inside(process)).last();
    Some(first.is_some_and(|process| {
        let argv = process.first.as_ref().unwrap_or(&process.program).argv.iter();
        !words.is_empty() && argv.eq(words.iter().map(String::as_bytes))
    }))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn globs_of_mounts() {
        for (pattern, text, expected) in [
            ("/srv", "/srv", true),
            ("/srv", "/srv/a", false),
            ("/srv/*", "/srv/a/b", true),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("?", "a", true),
            ("?", "", false),
            ("*/b", "/a/b/b", true),
            ("/a*c*", "/abcb", true),
            ("/a*c", "/abcb", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }
}
