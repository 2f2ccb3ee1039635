//! Containers by the program that keeps them, where no control group tells them apart: conmon, of Podman
//! and CRI-O, has the container's id, name and bundle among its arguments.
//!
//! On hosts with control groups of version 1 a user who is not root cannot make any: the containers of
//! rootless Podman are in the group of who started them.

/// Ids that no kernel gives: cgroups of containers that have none.
const OWN: u64 = 1 << 63;

/// What conmon was told about the container that it keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Monitor {
    pub container_id: String,
    pub name: Option<String>,
    /// Where its configuration is.
    pub bundle: Option<String>,
    /// Who runs it: anybody may.
    pub uid: u32,
    /// It keeps no container, but what was started in one later.
    pub is_session: bool,
}

impl Monitor {
    /// Of a program and its arguments.
    pub fn of<'a>(
        executable: &'a [u8],
        arguments: impl Iterator<Item = &'a [u8]>,
        uid: u32,
    ) -> Option<Self> {
        if basename(executable) != b"conmon" {
            return None;
        }
        let mut arguments = arguments.skip(1);
        let mut monitor = Self { uid, ..Self::default() };
        while let Some(argument) = arguments.next() {
            let mut value = || Some(String::from_utf8_lossy(arguments.next()?).into_owned());
            match argument {
                b"-c" | b"--cid" => monitor.container_id = value()?,
                b"-n" | b"--name" => monitor.name = value(),
                b"-b" | b"--bundle" => monitor.bundle = value(),
                b"-e" | b"--exec" | b"--exec-attach" => monitor.is_session = true,
                // What it runs at the end: all that follows is that command's.
                b"--exit-command" => break,
                _ => {}
            }
        }
        super::runtime::is_full_id(&monitor.container_id).then_some(monitor)
    }

    /// Stands for the cgroup that the container does not have; the same in a replay, and another for
    /// another user who says the same.
    pub fn cgroup_id(&self) -> u64 {
        let id = self.container_id.get(..16).unwrap_or_default();
        (u64::from_str_radix(id, 16).unwrap_or(0) ^ u64::from(self.uid)) | OWN
    }
}

/// Whether a cgroup's id is such a one.
pub fn stands_for_a_monitor(cgroup_id: u64) -> bool {
    cgroup_id & OWN != 0
}

/// Whether a program by this name makes containers of processes that it starts itself: what runs it in a
/// container's cgroup is on its way there, until it executes something else.
pub fn makes_containers(program: &[u8]) -> bool {
    let name = basename(program);
    let contains = |word: &[u8]| name.windows(word.len()).any(|part| part == word);
    contains(b"runc")
        || contains(b"crun")
        || name == b"youki"
        || name == b"systemd-nspawn"
        || name.starts_with(b"lxc-")
}

fn basename(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::{Monitor, makes_containers, stands_for_a_monitor};

    const ID: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";

    fn monitor(arguments: &str) -> Option<Monitor> {
        let arguments = arguments.replace("<ID>", ID);
        let executable = arguments.split(' ').next().unwrap();
        Monitor::of(executable.as_bytes(), arguments.split(' ').map(str::as_bytes), 0)
    }

    #[test]
    fn conmon_says_what_it_keeps() {
        let podman = "/usr/bin/conmon --api-version 1 -c <ID> -u <ID> -r /usr/bin/runc -b /s/<ID>/userdata \
                      -p /run/pidfile -n web --exit-dir /e --full-attach --exit-command /usr/bin/podman \
                      --exit-command-arg -c --exit-command-arg other";
        let expected = Monitor {
            container_id: ID.into(),
            name: Some("web".into()),
            bundle: Some(format!("/s/{ID}/userdata")),
            uid: 0,
            is_session: false,
        };
        assert_eq!(monitor(podman), Some(expected.clone()));
        let session = "conmon -c <ID> -n web -b /s/<ID>/userdata -e --exec-process-spec /x";
        assert_eq!(monitor(session), Some(Monitor { is_session: true, ..expected }));
        let crio = "/usr/libexec/crio/conmon --cid <ID> --name k8s_app_pod_ns_uid_0 --bundle /b";
        assert_eq!(monitor(crio).unwrap().name.as_deref(), Some("k8s_app_pod_ns_uid_0"));
        for other in ["conmon", "conmon -c web", "conmon -c", "/x/notconmon -c <ID>", ""] {
            assert_eq!(monitor(other), None, "{other}");
        }
    }

    #[test]
    fn what_stands_for_a_container_is_nobody_elses() {
        let mut monitor = monitor("conmon -c <ID>").unwrap();
        let id = monitor.cgroup_id();
        assert_eq!(id, 0x8f1e_2d3c_4b5a_6978);
        monitor.uid = 1000;
        assert_ne!(id, monitor.cgroup_id());
        assert!(stands_for_a_monitor(id) && !stands_for_a_monitor(id >> 1));
    }

    #[test]
    fn programs_that_make_containers() {
        for (program, expected) in [
            ("runc", true),
            ("/usr/sbin/runc", true),
            ("docker-runc", true),
            ("/usr/bin/crun", true),
            ("lxc-start", true),
            ("systemd-nspawn", true),
            ("criu", false),
            ("/run/runc/web/sh", false),
            ("", false),
        ] {
            assert_eq!(makes_containers(program.as_bytes()), expected, "{program}");
        }
    }
}
