//! Containers that have no control group of their own, for commands that see no events: by the monitors
//! that run now.

use std::collections::HashMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

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
    if fs::read(process.join("comm")).ok()? != b"conmon\n" {
        return None;
    }
    let executable = fs::read_link(process.join("exe")).ok()?;
    let arguments = fs::read(process.join("cmdline")).ok()?;
    let arguments = arguments.strip_suffix(b"\0").unwrap_or(&arguments).split(|byte| *byte == 0);
    let uid = fs::metadata(process).ok()?.uid();
    let monitor = Monitor::of(executable.as_os_str().as_bytes(), arguments, uid)?;
    (!monitor.is_session).then_some(monitor)
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

    use super::keep;
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
}
