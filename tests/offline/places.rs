//! Whose an event is where the control group does not say it: runtimes on their way into the container
//! that they make, and containers that have no control group.

use sensor::attribution::cache::Cache;
use sensor::pipeline::Pipeline;
use sensor::probe::record::{self, ExecParts};
use sensor_common::exec::Exec;
use sensor_common::fork::Fork;
use sensor_common::{Header, Kind};
use zerocopy::{FromZeros as _, IntoBytes as _};

const A: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0";
const B: &str = "1111111111111111222222222222222233333333333333334444444444444444";

const ROOT: u64 = 1;
/// `/docker/<A>`, and `/docker/<A>/docker/<B>`.
const OUTER: u64 = 5;
const INNER: u64 = 6;

/// A process: its pid, the pid in its own namespace, its parent, its cgroup and its user.
#[derive(Clone, Copy)]
struct At {
    pid: u32,
    vpid: u32,
    parent: u32,
    cgroup: u64,
    uid: u32,
}

/// Of the host's own pids, and of root.
fn at(pid: u32, parent: u32, cgroup: u64) -> At {
    At { pid, vpid: pid, parent, cgroup, uid: 0 }
}

impl At {
    fn vpid(self, vpid: u32) -> Self {
        Self { vpid, ..self }
    }

    fn uid(self, uid: u32) -> Self {
        Self { uid, ..self }
    }

    fn header(self) -> Header {
        let mut header = Header::new_zeroed();
        (header.tgid, header.tid, header.ppid) = (self.pid, self.pid, self.parent);
        (header.vpid, header.vtid, header.uid) = (self.vpid, self.vpid, self.uid);
        header.cgroup_id = self.cgroup;
        header.start_boot_ns = u64::from(self.pid) * 1_000_000_000;
        header
    }
}

struct Scene(Pipeline);

impl Scene {
    fn new() -> Self {
        let mut scene = Self(Pipeline::new(Cache::default()));
        let inner = format!("/docker/{A}/docker/{B}");
        for (id, path) in [(ROOT, "/"), (OUTER, &format!("/docker/{A}")), (INNER, &inner)] {
            scene.take(&record::cgroup(id, path));
        }
        scene
    }

    /// Whose the event of a record is: `A`, `B`, the id of another container, or `host`.
    fn take(&mut self, record: &[u8]) -> String {
        let mut whose = Vec::new();
        self.0.take(record, &mut |event| {
            let container = event.attribution.container.as_ref();
            whose.push(match container.map(|container| container.id.as_str()) {
                None => "host".to_owned(),
                Some(A) => "A".to_owned(),
                Some(B) => "B".to_owned(),
                Some(id) => id.to_owned(),
            });
        });
        whose.pop().unwrap_or_default()
    }

    /// A process forks another, in the child's cgroup.
    fn fork(&mut self, parent: At, child: At) -> String {
        let mut fork = Fork::new_zeroed();
        fork.header = parent.header();
        (fork.header.kind, fork.header.len) = (Kind::Fork as u32, len(size_of::<Fork>()));
        fork.child_start_boot_ns = child.header().start_boot_ns;
        (fork.child_tgid, fork.child_vpid) = (child.pid, child.vpid);
        fork.child_cgroup_id = child.cgroup;
        self.take(fork.as_bytes())
    }

    /// A process executes the first of the words, with all of them as arguments.
    fn exec(&mut self, process: At, words: &str) -> String {
        self.take(&exec(process, words, Kind::Exec))
    }

    /// A process ends.
    fn exit(&mut self, process: At) -> String {
        let mut exit = sensor_common::exit::Exit::new_zeroed();
        exit.header = process.header();
        exit.header.kind = Kind::Exit as u32;
        exit.header.len = len(exit.as_bytes().len());
        self.take(exit.as_bytes())
    }
}

fn exec(process: At, words: &str, kind: Kind) -> Vec<u8> {
    let mut exec = Exec::new_zeroed();
    exec.header = process.header();
    let words = words.replace("<A>", A).replace("<B>", B);
    let program = words.split(' ').next().unwrap();
    let exe = record::components(program.as_bytes());
    let argv = words.replace(' ', "\0") + "\0";
    let parts = ExecParts { filename: b"", exe: &exe, cwd: b"", argv: argv.as_bytes(), env: b"" };
    let mut bytes = record::process(exec, &parts);
    // What runs already is laid out as what is executed.
    bytes[4..8].copy_from_slice(&(kind as u32).to_ne_bytes());
    bytes
}

fn len(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap()
}

#[test]
fn runc_in_the_container_s_cgroup_is_the_runtime() {
    let mut scene = Scene::new();
    let (runc, init) = (at(10, 1, ROOT), at(11, 10, ROOT));
    assert_eq!(scene.exec(runc, "/usr/sbin/runc create <A>"), "host");
    scene.fork(runc, init);
    // It may have come there before, or come there now.
    let init = At { cgroup: OUTER, ..init };
    assert_eq!(scene.exec(init, "/usr/sbin/runc init"), "host");
    let first = at(12, 10, OUTER).vpid(1);
    assert_eq!(scene.fork(init, first), "host");
    assert_eq!(scene.exit(init), "host");
    assert_eq!(scene.exec(first, "/bin/shop init"), "A");
    let second = at(13, 12, OUTER).vpid(2);
    assert_eq!(scene.fork(first, second), "A");
    assert_eq!(scene.exit(second), "A");
}

#[test]
fn what_a_runtime_forks_into_the_cgroup_is_the_runtime_until_it_executes_something() {
    for runtime in ["/usr/bin/crun run <A>", "/usr/bin/lxc-start -n a", "/usr/bin/systemd-nspawn"] {
        let mut scene = Scene::new();
        let (runtime_process, first) = (at(10, 1, ROOT), at(11, 10, OUTER).vpid(1));
        scene.exec(runtime_process, runtime);
        scene.fork(runtime_process, first);
        assert_eq!(scene.exit(first), "host", "{runtime}");
        assert_eq!(scene.exec(first, "/sbin/init"), "A", "{runtime}");
    }
}

#[test]
fn a_runtime_in_a_container_belongs_to_that_container() {
    let mut scene = Scene::new();
    let (runc, first) = (at(10, 1, OUTER).vpid(4), at(11, 10, INNER).vpid(1));
    assert_eq!(scene.exec(runc, "/usr/sbin/runc run <B>"), "A");
    scene.fork(runc, first);
    assert_eq!(scene.exit(first), "A");
    assert_eq!(scene.exec(first, "/bin/sh"), "B");
}

#[test]
fn nothing_else_in_a_container_is_a_runtime() {
    let mut scene = Scene::new();
    // Of the container's own program nothing hides behind such names.
    let shim = at(10, 1, ROOT);
    scene.exec(shim, "/usr/bin/containerd-shim-runc-v2 -id <A>");
    let first = at(11, 10, OUTER).vpid(1);
    scene.fork(shim, first);
    assert_eq!(scene.exec(first, "/usr/sbin/runc init"), "A");
    let child = at(12, 11, OUTER).vpid(2);
    scene.fork(first, child);
    assert_eq!(scene.exec(child, "/usr/sbin/runc init"), "A");
    // Restored by criu, which executes nothing; moved there by hand; known from before.
    let criu = at(20, 1, ROOT);
    scene.exec(criu, "/usr/sbin/criu restore");
    let restored = at(21, 20, OUTER).vpid(1);
    scene.fork(criu, restored);
    assert_eq!(scene.exit(restored), "A");
    let moved = at(30, 1, ROOT);
    scene.exec(moved, "/bin/sh");
    assert_eq!(scene.exit(At { cgroup: OUTER, ..moved }), "A");
    scene.take(&exec(at(40, 1, 0), "/usr/sbin/runc init", Kind::Process));
    assert_eq!(scene.exit(at(40, 1, OUTER)), "A");
}

/// What Podman starts for a user's container, up to the container's first process.
fn rootless(scene: &mut Scene, user: u32) -> At {
    let (conmon, runc) = (at(50, 1, ROOT).uid(user), at(51, 50, ROOT).uid(user));
    let (init, first) = (at(52, 51, ROOT).uid(user), at(53, 50, ROOT).uid(user).vpid(1));
    let arguments =
        "/usr/bin/conmon --api-version 1 -c <A> -n web -b /s/vfs-containers/<A>/userdata";
    assert_eq!(scene.exec(conmon, arguments), "host");
    scene.fork(conmon, runc);
    assert_eq!(scene.exec(runc, "/usr/bin/runc create --bundle /b <A>"), "host");
    scene.fork(runc, init);
    assert_eq!(scene.exec(init, "runc init"), "host");
    assert_eq!(scene.fork(init, first), "host");
    first
}

fn without_containers() -> Scene {
    let mut scene = Scene(Pipeline::new(Cache::default()));
    scene.0.cgroups.ask(None);
    scene.take(&record::cgroup(ROOT, "/"));
    scene
}

#[test]
fn a_container_without_a_cgroup_is_known_by_its_monitor() {
    let mut scene = without_containers();
    let first = rootless(&mut scene, 1000);
    // Before anything of its own runs.
    let wanted = scene.0.cgroups.take_wanted().unwrap();
    assert_eq!((wanted.container_id.as_str(), wanted.cgroup_path.as_str()), (A, "/"));
    let cause = exec(first, "/bin/sh", Kind::Exec);
    assert_eq!(scene.take(&cause), "A");
    let bundle = format!("/s/vfs-containers/{A}/userdata");
    assert_eq!(scene.0.bundle(&cause, A), Some(bundle));
    let second = at(54, 53, ROOT).vpid(2);
    assert_eq!(scene.fork(first, second), "A");
    // Nor does a name lead out of it.
    assert_eq!(scene.exec(second, "/usr/bin/conmon -c <B>"), "A");
    assert_eq!(scene.exec(at(60, 1, ROOT), "/bin/true"), "host");
    // Whether that cgroup is a container's is no longer known.
    assert_eq!(scene.0.cgroups.settled().count(), 0);
    let kept: Vec<_> = scene.0.cgroups.kept().collect();
    let [(_, attribution)] = kept.as_slice() else { panic!("{kept:?}") };
    assert_eq!(attribution.container.as_ref().unwrap().name.as_deref(), Some("web"));
    // What was started in it later has a monitor of its own.
    let (session, shell) = (at(70, 1, ROOT).uid(1000), at(71, 70, ROOT).vpid(9));
    scene.exec(session, "/usr/bin/conmon -c <A> -u <B> -e");
    scene.fork(session, shell);
    assert_eq!(scene.exec(shell, "/bin/sh"), "A");
    scene.exit(session);
    assert_eq!(scene.0.cgroups.kept().count(), 1);
    scene.exit(at(50, 1, ROOT));
    assert_eq!(scene.0.cgroups.kept().count(), 0);
}

#[test]
fn a_container_that_ran_before_is_known_by_its_monitor() {
    let mut scene = without_containers();
    scene.take(&exec(at(50, 1, 0), "/usr/bin/conmon -c <A> -n web", Kind::Process));
    scene.take(&exec(at(53, 50, 0).vpid(1), "/bin/sh", Kind::Process));
    assert_eq!(scene.exit(at(53, 50, ROOT).vpid(1)), "A");
}

#[test]
fn nobody_takes_another_container_s_name() {
    // Of a container that has a cgroup.
    let mut scene = Scene::new();
    let first = rootless(&mut scene, 1000);
    assert_eq!(scene.exec(first, "/bin/sh"), "host");
    // Of another user's.
    let mut scene = without_containers();
    let first = rootless(&mut scene, 1000);
    assert_eq!(scene.exec(first, "/bin/sh"), "A");
    let (conmon, fake) = (at(80, 1, ROOT).uid(2000), at(81, 80, ROOT).uid(2000).vpid(1));
    scene.exec(conmon, "/usr/bin/conmon -c <A>");
    scene.fork(conmon, fake);
    assert_eq!(scene.exec(fake, "/bin/sh"), "host");
}

/// The same by crun, in the host's pid namespace: it forks what becomes the container, and ends.
fn rootless_by_crun(scene: &mut Scene) -> At {
    let (conmon, crun, first) = (at(50, 1, ROOT), at(51, 50, ROOT), at(53, 51, ROOT));
    assert_eq!(scene.exec(conmon, "/usr/bin/conmon -c <A> -n web -b /s/<A>/userdata"), "host");
    scene.fork(conmon, crun);
    // It executes itself once more, from memory.
    for _ in 0..2 {
        assert_eq!(scene.exec(crun, "/usr/bin/crun create --bundle /b <A>"), "host");
    }
    // Ranges of ids, and hooks.
    for pid in [54, 55] {
        let own = at(pid, 51, ROOT);
        assert_eq!(scene.fork(crun, own), "host");
        assert_eq!(scene.exec(own, "/usr/bin/newuidmap 53 0 1000 1"), "host");
        assert_eq!(scene.exit(own), "host");
    }
    assert_eq!(scene.fork(crun, first), "host");
    assert_eq!(scene.exit(crun), "host");
    // The monitor takes it over.
    at(53, 50, ROOT)
}

#[test]
fn a_container_in_the_host_s_pid_namespace_is_known_by_its_monitor() {
    let mut scene = without_containers();
    let first = rootless_by_crun(&mut scene);
    // Before anything of its own runs.
    assert_eq!(scene.0.cgroups.take_wanted().unwrap().container_id, A);
    assert_eq!(scene.exec(first, "/bin/sh"), "A");
    let second = at(56, 53, ROOT);
    assert_eq!(scene.fork(first, second), "A");
    assert_eq!(scene.exec(second, "/usr/bin/crun init"), "A");
    // What was started in it later: its runtime may be there still.
    let (session, crun, shell) = (at(70, 1, ROOT), at(71, 70, ROOT), at(72, 71, ROOT));
    assert_eq!(scene.exec(session, "/usr/bin/conmon -c <A> -u <B> -e"), "host");
    scene.fork(session, crun);
    assert_eq!(scene.exec(crun, "/usr/bin/crun exec <A> sh"), "host");
    scene.fork(crun, shell);
    assert_eq!(scene.exec(shell, "/bin/sh"), "A");
    // What the monitor does at the end.
    let end = at(80, 50, ROOT);
    scene.fork(at(50, 1, ROOT), end);
    assert_eq!(scene.exec(end, "/usr/bin/podman container cleanup <A>"), "host");
}

#[test]
fn runc_s_own_step_is_none_of_a_container_in_the_host_s_pid_namespace() {
    let mut scene = without_containers();
    rootless(&mut scene, 0);
    let (session, runc, init) = (at(70, 1, ROOT), at(71, 70, ROOT), at(72, 71, ROOT));
    scene.exec(session, "/usr/bin/conmon -c <A> -u <B> -e");
    scene.fork(session, runc);
    scene.exec(runc, "/usr/bin/runc exec <A> sh");
    scene.fork(runc, init);
    assert_eq!(scene.exec(init, "runc init"), "host");
    let shell = at(73, 71, ROOT);
    scene.fork(init, shell);
    assert_eq!(scene.exec(shell, "/bin/sh"), "A");
}

#[test]
fn a_container_in_the_host_s_pid_namespace_that_ran_before_is_known() {
    for (words, expected) in [
        ("/bin/sh", "A"),
        ("/usr/bin/crun create <A>", "host"),
        ("/usr/bin/podman container cleanup <A>", "host"),
    ] {
        let mut scene = without_containers();
        scene.take(&exec(at(50, 1, 0), "/usr/bin/conmon -c <A> -n web", Kind::Process));
        scene.take(&exec(at(53, 50, 0), words, Kind::Process));
        scene.take(&exec(at(54, 53, 0), "/bin/sleep 1", Kind::Process));
        assert_eq!(scene.exit(at(54, 53, ROOT)), expected, "{words}");
        assert_eq!(scene.exit(at(53, 50, ROOT)), expected, "{words}");
    }
}
