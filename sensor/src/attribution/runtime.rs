//! Cgroup path → runtime, container id, pod uid and unit: a table of patterns, no I/O.
//!
//! Each manager names the cgroup of a container in its own way, and differently for its cgroupfs
//! and its systemd driver. The components of a path are tried from the leaf towards the root, so
//! the innermost of nested containers wins, and what a container's own init makes below it (scopes,
//! `container`, `payload`) belongs to that container.

use std::sync::Arc;

use crate::attribution::metadata::{Details, Pod, Visibility};
use crate::attribution::{Attribution, Container, Outer, Runtime};

/// One way in which a path's component names a container.
struct Pattern {
    prefix: &'static str,
    id: Id,
    suffix: &'static str,
    runtime: Runtime,
}

/// What stands between prefix and suffix.
#[derive(Clone, Copy)]
enum Id {
    /// 64 lower-case hexadecimal digits.
    Full,
    /// A name that the user chose.
    Name,
    /// A name with systemd's `\x2d` escapes.
    Escaped,
    /// Nomad's allocation (a uuid), a dot and the task.
    Allocation,
    /// The task of Amazon's ECS (32 digits), a dash and the container's number.
    EcsTask,
}

const fn pattern(prefix: &'static str, id: Id, suffix: &'static str, runtime: Runtime) -> Pattern {
    Pattern { prefix, id, suffix, runtime }
}

/// The first that fits wins. A helper process of a runtime (`crio-conmon-…`, `libpod-conmon-…`,
/// `lxc.monitor.…`) fits none.
#[rustfmt::skip]
const PATTERNS: &[Pattern] = &[
    pattern("docker-",         Id::Full,       ".scope",   Runtime::Docker),
    pattern("cri-containerd-", Id::Full,       ".scope",   Runtime::Containerd),
    pattern("cri-containerd-", Id::Full,       "",         Runtime::Containerd),
    pattern("nerdctl-",        Id::Full,       ".scope",   Runtime::Containerd),
    pattern("crio-",           Id::Full,       ".scope",   Runtime::Crio),
    pattern("crio-",           Id::Full,       "",         Runtime::Crio),
    pattern("kata_",           Id::Full,       "",         Runtime::Kata),
    pattern("kata-",           Id::Full,       ".scope",   Runtime::Kata),
    pattern("libpod-payload-", Id::Full,       "",         Runtime::Podman),
    pattern("libpod-",         Id::Full,       ".scope",   Runtime::Podman),
    pattern("libpod-",         Id::Full,       "",         Runtime::Podman),
    pattern("lxc.payload.",    Id::Name,       "",         Runtime::Lxc),
    pattern("systemd-nspawn@", Id::Escaped,    ".service", Runtime::Nspawn),
    pattern("machine-",        Id::Escaped,    ".scope",   Runtime::Nspawn),
    pattern("runc-",           Id::Name,       ".scope",   Runtime::Oci),
    pattern("crun-",           Id::Name,       ".scope",   Runtime::Oci),
    pattern("",                Id::Allocation, ".scope",   Runtime::Oci),
    pattern("",                Id::Allocation, "",         Runtime::Oci),
    pattern("",                Id::EcsTask,    "",         Runtime::Containerd),
];

/// Whose container a bare id is, by the nearest component above it that has this word.
///
/// With the cgroupfs driver Kubernetes over containerd and over Docker's shim of old look alike;
/// containerd is what runs today, and metadata may correct it.
const MANAGERS: &[(&str, Runtime)] = &[
    ("kubepods", Runtime::Containerd),
    ("kubelet", Runtime::Containerd),
    ("k8s", Runtime::Containerd),
    ("default", Runtime::Containerd),
    ("docker", Runtime::Docker),
    ("moby", Runtime::Docker),
    ("ecs", Runtime::Docker),
    ("actions_job", Runtime::Docker),
    ("libpod_parent", Runtime::Podman),
    ("kata_overhead", Runtime::Kata),
    ("vc", Runtime::Kata),
    ("firecracker", Runtime::Firecracker),
];

/// What a path alone says.
pub fn attribute(path: &str) -> Attribution {
    let components: Vec<&str> = components(path).collect();
    let mut chain = (0..components.len()).filter_map(|at| {
        let (above, below) = (&components[..at], &components[at + 1..]);
        container(components[at], above, below)
    });
    let mut outer: Vec<Outer> = Vec::new();
    let innermost = chain.by_ref().reduce(|(runtime, id), inner| {
        // A scope and the group in it may both name one container.
        if id != inner.1 {
            outer.push(Outer { runtime, id });
        }
        inner
    });
    let container = innermost.map(|(runtime, id)| {
        let pod = pod_uid(&components).map(|uid| Pod { uid, ..Pod::default() });
        let visibility = visibility(runtime);
        let details = Arc::new(Details { visibility, ..Details::default() });
        Container { id, runtime, outer, pod, details, ..Container::default() }
    });
    let unit = if container.is_none() { unit(&components) } else { None };
    Attribution { cgroup_path: path.to_owned(), container, unit }
}

/// Of what is known to have a kernel of its own.
fn visibility(runtime: Runtime) -> Option<Visibility> {
    match runtime {
        Runtime::Kata | Runtime::Firecracker => Some(Visibility::Machine),
        Runtime::Docker
        | Runtime::Containerd
        | Runtime::Crio
        | Runtime::Podman
        | Runtime::Lxc
        | Runtime::Nspawn
        | Runtime::Oci => None,
    }
}

/// The path as far as the cgroup of the innermost pod.
pub fn pod_path(path: &str) -> Option<&str> {
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    let of_pod = |prefix: &&str| pod_uid(&[prefix.rsplit('/').next().unwrap_or("")]).is_some();
    ends.map(|end| &path[..end]).rfind(of_pod)
}

/// Whether this is a container id as OCI engines make them.
pub fn is_full_id(text: &str) -> bool {
    text.len() == 64 && is_hex(text)
}

/// The components by which an OCI runtime may have named a container that it was asked for without
/// an engine, the innermost first, each with the component above it. The path cannot tell such a
/// container from a cgroup that somebody made by hand: the runtime's state directory can.
pub fn plain_names(path: &str) -> impl Iterator<Item = (&str, &str)> {
    /// Deeper ones do not occur; each costs a look at the file system.
    const DEPTH_MAX: usize = 4;
    let components: Vec<&str> = components(path).collect();
    let count = components.len();
    (0..count)
        .rev()
        .take(DEPTH_MAX)
        .map(move |at| (at.checked_sub(1).map_or("", |above| components[above]), components[at]))
        .filter_map(|(above, name)| match name.strip_suffix(".scope") {
            // `--systemd-cgroup slice:prefix:name`.
            Some(scope) => scope.split_once('-').map(|(_, name)| (above, name)),
            None if is_unit(name) || matches!(name, "container" | "payload") => None,
            None => Some((above, name)),
        })
}

fn components(path: &str) -> impl Iterator<Item = &str> {
    // A relative `..` is how the kernel shows a place outside the reader's cgroup namespace.
    path.split('/').filter(|component| !component.is_empty() && *component != "..")
}

/// Below these, people choose the name: LXC before version 4, and Firecracker's jailer.
const PARENTS: [(&str, Runtime); 2] =
    [("lxc", Runtime::Lxc), ("firecracker", Runtime::Firecracker)];

fn container(component: &str, above: &[&str], below: &[&str]) -> Option<(Runtime, String)> {
    if let Some(found) = colon_form(component) {
        return Some(found);
    }
    if is_full_id(component) {
        return Some((manager(above), component.to_owned()));
    }
    if let [.., parent] = above
        && let Some((_, runtime)) = PARENTS.iter().find(|(name, _)| name == parent)
    {
        return Some((*runtime, component.to_owned()));
    }
    // The part of a machine's scope where its supervisor runs is the host's.
    let supervisor = below.first() == Some(&"supervisor");
    PATTERNS
        .iter()
        .filter(|pattern| !(supervisor && pattern.runtime == Runtime::Nspawn))
        .find_map(|pattern| Some((pattern.runtime, pattern.id_in(component)?)))
}

fn manager(above: &[&str]) -> Runtime {
    let of_component = |component: &&str| {
        let mut words = component.split(['-', '.']);
        words.find_map(|word| MANAGERS.iter().find(|(name, _)| *name == word))
    };
    above.iter().rev().find_map(of_component).map_or(Runtime::Oci, |(_, runtime)| *runtime)
}

impl Pattern {
    fn id_in(&self, component: &str) -> Option<String> {
        let id = component.strip_prefix(self.prefix)?.strip_suffix(self.suffix)?;
        if id.is_empty() { None } else { self.id.read(id) }
    }
}

impl Id {
    fn read(self, text: &str) -> Option<String> {
        match self {
            Self::Full => is_full_id(text).then(|| text.to_owned()),
            Self::Name => Some(text.to_owned()),
            // libvirt's virtual machines register as machines too.
            Self::Escaped if text.starts_with("qemu\\x2d") => None,
            Self::Escaped => Some(unescape(text)),
            Self::Allocation => {
                let (allocation, task) = text.split_once('.')?;
                (is_uuid(allocation, '-') && !task.is_empty()).then(|| text.to_owned())
            }
            Self::EcsTask => {
                let (task, number) = text.split_once('-')?;
                let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
                (task.len() == 32 && is_hex(task) && is_number).then(|| text.to_owned())
            }
        }
    }
}

/// `kubepods-burstable-podUID.slice:cri-containerd:ID`: a path for systemd, taken literally by a
/// runtime with the cgroupfs driver.
fn colon_form(component: &str) -> Option<(Runtime, String)> {
    let (slice_and_prefix, id) = component.rsplit_once(':')?;
    let (_, prefix) = slice_and_prefix.rsplit_once(':')?;
    let runtime = match prefix {
        "cri-containerd" | "nerdctl" => Runtime::Containerd,
        "crio" => Runtime::Crio,
        "docker" => Runtime::Docker,
        "libpod" => Runtime::Podman,
        _ => return None,
    };
    is_full_id(id).then(|| (runtime, id.to_owned()))
}

/// The uid from `podUID`, `kubepods-burstable-podUID.slice` or the colon form, innermost first.
fn pod_uid(components: &[&str]) -> Option<String> {
    components.iter().rev().find_map(|component| {
        let name = component.split(':').next().unwrap_or(component);
        let name = name.strip_suffix(".slice").unwrap_or(name);
        let (before, uid) = name.rsplit_once("pod")?;
        if !(before.is_empty() || before.ends_with('-')) {
            return None;
        }
        if is_uuid(uid, '-') || is_uuid(uid, '_') {
            return Some(uid.replace('_', "-"));
        }
        // A static pod: the hash of its manifest.
        (uid.len() == 32 && is_hex(uid)).then(|| uid.to_owned())
    })
}

/// The innermost service or scope, else the innermost slice.
fn unit(components: &[&str]) -> Option<String> {
    let innermost = |suffixes: &[&str]| {
        let fits = |component: &&&str| suffixes.iter().any(|suffix| component.ends_with(suffix));
        components.iter().rev().find(fits).map(|unit| (*unit).to_owned())
    };
    innermost(&[".service", ".scope", ".socket", ".mount", ".swap"])
        .or_else(|| innermost(&[".slice"]))
}

fn is_unit(component: &str) -> bool {
    unit(&[component]).is_some()
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_uuid(text: &str, separator: char) -> bool {
    let mut lengths = [8, 4, 4, 4, 12].into_iter();
    text.split(separator).all(|part| lengths.next() == Some(part.len()) && is_hex(part))
        && lengths.next().is_none()
}

/// `\x2d` → `-`, as systemd escapes what may not stand in a unit's name.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\\x") {
        bytes.extend_from_slice(before.as_bytes());
        let digits = after.get(..2);
        if let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.extend_from_slice(b"\\x");
            rest = after;
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests;
