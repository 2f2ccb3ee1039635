//! Which OCI runtime keeps state about a name: tells a container from a hand-made cgroup.
//!
//! runc, crun and containerd make a container's state directory before its cgroup, so it is there
//! when the first event comes. Only its existence is asked for; reading it is metadata's work.

use std::path::{Path, PathBuf};

use crate::attribution::{Container, Runtime, runtime};

/// What the directory's name is made of.
#[derive(Clone, Copy, Debug)]
enum Key {
    Name,
    /// containerd's namespace, which is also the cgroup above, then the name.
    NamespaceName,
}

/// Where engines that are told nothing keep their state.
const DIRECTORIES: &[(&str, Key, Runtime)] = &[
    ("run/containerd/io.containerd.runtime.v2.task", Key::NamespaceName, Runtime::Containerd),
    ("run/containerd/runc", Key::NamespaceName, Runtime::Containerd),
    ("run/runc", Key::Name, Runtime::Oci),
    ("run/crun", Key::Name, Runtime::Oci),
];

/// The state directories below one root: `/`, or where a container that runs the agent sees the
/// host's.
#[derive(Clone, Debug)]
pub struct StateDirectories {
    directories: Vec<(PathBuf, Key, Runtime)>,
    root: PathBuf,
}

impl Default for StateDirectories {
    fn default() -> Self {
        Self::below("/")
    }
}

impl StateDirectories {
    pub fn below(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        let below = |(directory, key, runtime): &(&str, Key, Runtime)| {
            (root.join(directory), *key, *runtime)
        };
        Self { directories: DIRECTORIES.iter().map(below).collect(), root }
    }

    /// Also roots of runc and crun; paths of the host.
    #[must_use]
    pub fn with_roots(mut self, roots: &[String]) -> Self {
        for root in roots {
            self.add(root, Key::Name, Runtime::Oci);
        }
        self
    }

    /// Also state directories of containerd; paths of the host.
    #[must_use]
    pub fn with_containerd(mut self, states: &[String]) -> Self {
        for state in states {
            let tasks = format!("{state}/io.containerd.runtime.v2.task");
            self.add(&tasks, Key::NamespaceName, Runtime::Containerd);
        }
        self
    }

    fn add(&mut self, directory: &str, key: Key, runtime: Runtime) {
        let directory = self.root.join(directory.trim_start_matches('/'));
        if !self.directories.iter().any(|(known, ..)| *known == directory) {
            self.directories.push((directory, key, runtime));
        }
    }

    /// The innermost container among the plain names of a cgroup path.
    pub fn container(&self, cgroup_path: &str) -> Option<Container> {
        runtime::plain_names(cgroup_path).find_map(|(above, name)| {
            let runtime = self.runtime(above, name)?;
            Some(Container { id: name.to_owned(), runtime, ..Container::default() })
        })
    }

    fn runtime(&self, above: &str, name: &str) -> Option<Runtime> {
        self.directories.iter().find_map(|(directory, key, runtime)| {
            let directory = match key {
                Key::Name => directory.join(name),
                Key::NamespaceName if above.is_empty() => return None,
                Key::NamespaceName => directory.join(Path::new(above).join(name)),
            };
            directory.is_dir().then_some(*runtime)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::StateDirectories;

    #[test]
    fn finds_the_innermost_name_with_state() {
        let root = tempfile::tempdir().unwrap();
        for directory in [
            "run/runc/web",
            "run/crun/job",
            "run/containerd/io.containerd.runtime.v2.task/default/c1",
            "run/runc/outer",
        ] {
            std::fs::create_dir_all(root.path().join(directory)).unwrap();
        }
        let state = StateDirectories::below(root.path());
        for (path, expected) in [
            ("/web", Some("oci web")),
            ("/web/container", Some("oci web")),
            ("/tests/job", Some("oci job")),
            ("/system.slice/ctlab-job.scope", Some("oci job")),
            ("/default/c1", Some("containerd c1")),
            ("/c1", None),
            ("/outer/web", Some("oci web")),
            ("/outer/made-by-hand", Some("oci outer")),
            ("/made-by-hand", None),
            ("/", None),
            ("/system.slice/web.service", None),
        ] {
            let found =
                state.container(path).map(|found| format!("{} {}", found.runtime, found.id));
            assert_eq!(found.as_deref(), expected, "{path}");
        }
    }
}
