//! Containers that have no control group of their own, for commands that see no events: by the monitors
//! that run now.

use std::collections::HashMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use sensor_common::Header;
use zerocopy::FromBytes as _;

use crate::attribution::cache::Cache;
use crate::attribution::cgroup::path_in;
use crate::attribution::monitor::Monitor;
use crate::attribution::runtime;

/// What is not in the cache: by the container's id, its bundle and its processes.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) bundles: HashMap<String, String>,
    pub(super) pids: HashMap<String, usize>,
}

/// The processes of one such container, as records show them.
pub(super) struct Members {
    container_id: String,
    proc: PathBuf,
    /// By pid: when the process started, and whether it is one.
    known: HashMap<u32, (u64, bool)>,
}

impl Members {
    pub(super) fn of(container_id: String, proc: impl Into<PathBuf>) -> Self {
        Self { container_id, proc: proc.into(), known: HashMap::new() }
    }

    /// Whether a record is about one: below the container's monitor, or that of what was started in it
    /// later. Nobody leaves that place: the monitor takes over who has lost his parent.
    pub(super) fn has(&mut self, record: &[u8]) -> bool {
        /// Starting over costs a few reads for each that lives.
        const KNOWN_MAX: usize = 1 << 16;
        let Ok((header, _)) = Header::read_from_prefix(record) else { return false };
        if let Some((start, is_member)) = self.known.get(&header.tgid)
            && *start == header.start_boot_ns
        {
            return *is_member;
        }
        let is_member = self.is_below_monitor(header.ppid);
        if self.known.len() >= KNOWN_MAX {
            self.known.clear();
        }
        self.known.insert(header.tgid, (header.start_boot_ns, is_member));
        is_member
    }

    fn is_below_monitor(&self, parent: u32) -> bool {
        /// Deeper than people nest.
        const DEPTH_MAX: usize = 256;
        let directory = |pid: &u32| self.proc.join(pid.to_string());
        let mut parents =
            std::iter::successors(Some(parent), |pid| parent_of(&directory(pid))).take(DEPTH_MAX);
        parents.any(|pid| {
            // It may be gone by now.
            let is_known = self.known.get(&pid).is_some_and(|(_, is_member)| *is_member);
            let keeps = |monitor: Monitor| monitor.container_id == self.container_id;
            is_known || any_monitor(&directory(&pid)).is_some_and(keeps)
        })
    }
}

/// Adds them to the cache.
pub(super) fn keep(cache: &mut Cache, proc: &Path) -> Kept {
    let mut kept = Kept::default();
    let Ok(processes) = fs::read_dir(proc) else { return kept };
    let ids: HashMap<String, u64> = cache
        .snapshot()
        .into_iter()
        .map(|(id, attribution)| (attribution.cgroup_path.clone(), id))
        .collect();
    for process in processes.flatten() {
        let Some(monitor) = monitor(&process.path()) else { continue };
        let children = children(&process.path());
        let place = children.first().and_then(|child| shared_path(&proc.join(child)));
        let Some(place) = place else { continue };
        let cgroup_id = ids.get(&place).copied().unwrap_or_default();
        if cache.keep(&monitor, cgroup_id).is_some() {
            kept.pids.insert(monitor.container_id.clone(), count(proc, children));
            kept.bundles.extend(monitor.bundle.map(|bundle| (monitor.container_id, bundle)));
        }
    }
    kept
}

/// Whose monitor a process is, if it is one, and not of a command in a container.
fn monitor(process: &Path) -> Option<Monitor> {
    any_monitor(process).filter(|monitor| !monitor.is_session)
}

fn any_monitor(process: &Path) -> Option<Monitor> {
    if fs::read(process.join("comm")).ok()? != b"conmon\n" {
        return None;
    }
    let executable = fs::read_link(process.join("exe")).ok()?;
    let arguments = fs::read(process.join("cmdline")).ok()?;
    let arguments = arguments.strip_suffix(b"\0").unwrap_or(&arguments).split(|byte| *byte == 0);
    let uid = fs::metadata(process).ok()?.uid();
    Monitor::of(executable.as_os_str().as_bytes(), arguments, uid)
}

fn parent_of(process: &Path) -> Option<u32> {
    let status = fs::read_to_string(process.join("status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}

/// The control group of a process, if it is no container's.
fn shared_path(process: &Path) -> Option<String> {
    let cgroups = fs::read_to_string(process.join("cgroup")).ok()?;
    let path = path_in(&cgroups)?;
    runtime::attribute(path).container.is_none().then(|| path.to_owned())
}

fn children(process: &Path) -> Vec<String> {
    let Some(pid) = process.file_name() else { return Vec::new() };
    let children = fs::read_to_string(process.join("task").join(pid).join("children"));
    children.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

/// Processes, and what they started.
fn count(proc: &Path, mut left: Vec<String>) -> usize {
    /// More than a host has.
    const PROCESSES_MAX: usize = 1 << 22;
    let mut count = 0;
    while let Some(process) = left.pop()
        && count < PROCESSES_MAX
    {
        count += 1;
        left.extend(children(&proc.join(process)));
    }
    count
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use sensor_common::Header;
    use zerocopy::{FromZeros as _, IntoBytes as _};

    use super::{Members, keep};
    use crate::attribution::cache::Cache;

    const ID: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";

    fn process(proc: &Path, pid: &str, files: &[(&str, &str)]) {
        for (file, content) in files {
            let path = proc.join(pid).join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    }

    #[test]
    fn containers_are_found_by_their_monitors() {
        let proc = tempfile::tempdir().unwrap();
        let arguments = format!("conmon\0-c\0{ID}\0-n\0web\0-b\0/s/{ID}/userdata\0");
        for (pid, cgroup) in [("10", "0::/user.slice/a.scope\n"), ("20", "0::/x/libpod-<ID>\n")] {
            let arguments = arguments.replace('f', if pid == "10" { "f" } else { "e" });
            let child = format!("{pid}1");
            process(
                proc.path(),
                pid,
                &[
                    ("comm", "conmon\n"),
                    ("cmdline", &arguments),
                    (&format!("task/{pid}/children"), &child),
                ],
            );
            symlink("/usr/bin/conmon", proc.path().join(pid).join("exe")).unwrap();
            let cgroup = cgroup.replace("<ID>", ID);
            let grandchild = format!("{pid}2");
            let below = format!("task/{child}/children");
            process(proc.path(), &child, &[("cgroup", &cgroup), (&below, &grandchild)]);
        }
        let mut cache = Cache::default();
        cache.made(7, "/user.slice/a.scope", None);
        let kept = keep(&mut cache, proc.path());
        let found: Vec<_> =
            cache.kept().map(|(_, found)| found.container.clone().unwrap()).collect();
        let [container] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!((container.id.as_str(), container.name.as_deref()), (ID, Some("web")));
        assert_eq!((kept.pids[ID], kept.pids.len()), (2, 1));
        assert_eq!(kept.bundles[ID], format!("/s/{ID}/userdata"));
    }

    /// Whether a process is a member, by its pid, start and parent.
    fn has(members: &mut Members, pid: u32, start: u64, parent: u32) -> bool {
        let mut header = Header::new_zeroed();
        (header.tgid, header.ppid, header.start_boot_ns) = (pid, parent, start);
        members.has(header.as_bytes())
    }

    #[test]
    fn members_are_below_a_monitor_of_the_container() {
        let proc = tempfile::tempdir().unwrap();
        let other = ID.replace('f', "e");
        let of = |id: &str, more: &str| format!("conmon\0-c\0{id}\0-n\0web\0{more}");
        for (pid, arguments) in [("10", of(ID, "")), ("20", of(&other, "")), ("30", of(ID, "-e\0"))]
        {
            let files = [("comm", "conmon\n"), ("cmdline", &arguments), ("status", "PPid:\t1\n")];
            process(proc.path(), pid, &files);
            symlink("/usr/bin/conmon", proc.path().join(pid).join("exe")).unwrap();
        }
        for (pid, parent) in [("11", "10"), ("12", "11"), ("21", "20")] {
            let status = format!("Name:\tsh\nPPid:\t{parent}\n");
            process(proc.path(), pid, &[("comm", "sh\n"), ("status", &status)]);
        }
        let mut members = Members::of(ID.to_owned(), proc.path());
        for (pid, parent, expected) in [
            (11, 10, true),
            (13, 12, true),
            (31, 30, true),
            (21, 20, false),
            (10, 1, false),
            // Of a parent that is gone: one that was a member, and a stranger.
            (14, 13, true),
            (15, 99, false),
        ] {
            assert_eq!(has(&mut members, pid, 1, parent), expected, "{pid}");
        }
        // Another of the same pid.
        assert!(!has(&mut members, 11, 2, 1));
        assert!(!members.has(b"short"));
    }
}
