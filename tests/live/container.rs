//! Containers of Debian's runtimes, attributed by their full id.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use sensor::attribution::Runtime;
use sensor_common::Kind;
use serde_json::json;
use tempfile::TempDir;

use crate::harness::{Cgroup, Sensor, mounts_of, wait_for};
use crate::observer::{Observer, Seen, What};

/// How a runtime is started, up to its own arguments.
const RUNC: &[&str] = &["runc"];
const CRUN: &[&str] = &["crun"];
/// crun refuses hosts that have both layouts of control groups; where only the unified one is mounted
/// it makes its group in that.
const CRUN_OF_HYBRID: &[&str] = &[
    "unshare",
    "-m",
    "sh",
    "-c",
    "mount -t cgroup2 none /sys/fs/cgroup && exec \"$@\"",
    "sh",
    "crun",
];

fn runtimes() -> [(&'static str, &'static [&'static str]); 2] {
    let is_hybrid = ["cgroup", "cgroup2"].iter().all(|kind| !mounts_of(kind).is_empty());
    [("runc", RUNC), ("crun", if is_hybrid { CRUN_OF_HYBRID } else { CRUN })]
}

/// A container that runs a shell script of busybox, in a control group below the test's.
struct Container {
    id: String,
    program: &'static [&'static str],
    bundle: TempDir,
    child: Child,
}

impl Container {
    fn start(cgroup: &Cgroup, program: &'static [&'static str], script: &str) -> Self {
        let (bundle, id) = (tempfile::tempdir().unwrap(), random_id());
        let bin = bundle.path().join("rootfs/bin");
        fs::create_dir_all(&bin).unwrap();
        for point in ["dev", "proc"] {
            fs::create_dir(bundle.path().join("rootfs").join(point)).unwrap();
        }
        fs::copy("/bin/busybox", bin.join("sh")).unwrap();
        let arguments = ["sh", "-c", script];
        let cgroup_path = format!("/{}/{id}", cgroup.name());
        let config = config(&arguments, &cgroup_path).to_string();
        fs::write(bundle.path().join("config.json"), config).unwrap();
        let child = command(program, bundle.path())
            .args(["run", "--bundle"])
            .arg(bundle.path())
            .arg(&id)
            .stdin(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{program:?}: {error}"));
        Self { id, program, bundle, child }
    }

    fn wait(&mut self) {
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{}: {status}", self.program[0]);
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
            return;
        }
        let mut delete = command(self.program, self.bundle.path());
        let deleted = delete.args(["delete", "--force", &self.id]).status();
        assert!(deleted.is_ok_and(|status| status.success()), "the container stays");
        self.child.wait().expect("wait for the runtime");
    }
}

/// The runtime with a state directory of this container's own.
fn command(program: &[&str], bundle: &Path) -> Command {
    let mut command = Command::new(program[0]);
    command.args(&program[1..]).arg("--root").arg(state(bundle));
    command
}

fn state(bundle: &Path) -> PathBuf {
    bundle.join("state")
}

fn config(arguments: &[&str], cgroup_path: &str) -> serde_json::Value {
    let namespaces = ["pid", "mount", "ipc", "uts"].map(|name| json!({ "type": name }));
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": { "uid": 0, "gid": 0 },
            "args": arguments,
            "env": ["PATH=/bin"],
            "cwd": "/",
        },
        "root": { "path": "rootfs" },
        "mounts": [{ "destination": "/proc", "type": "proc", "source": "proc" }],
        "linux": { "cgroupsPath": cgroup_path, "namespaces": namespaces },
    })
}

/// 64 hexadecimal digits, as engines make ids.
fn random_id() -> String {
    let random = || fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap();
    (random() + &random()).chars().filter(char::is_ascii_hexdigit).collect()
}

fn is_in(id: &str, seen: &Seen) -> bool {
    seen.attribution.container.as_ref().is_some_and(|found| found.id == id)
}

#[test]
fn a_container_is_attributed_by_its_full_id() {
    for (name, program) in runtimes() {
        let cgroup = Cgroup::new(name);
        let observer =
            Observer::start(&cgroup, &[Kind::Fork, Kind::Exec, Kind::Exit, Kind::Cgroup]);
        let mut container =
            Container::start(&cgroup, program, "/bin/sh -c :; /bin/sh -c :; exit 0");
        container.wait();
        let made = observer.wait_for(|seen| {
            matches!(&seen.what, What::Cgroup { path, made: true } if path.ends_with(&container.id))
        });
        assert_eq!(
            made.what,
            What::Cgroup { path: format!("/{}/{}", cgroup.name(), container.id), made: true }
        );
        let shell = |seen: &Seen| seen.what == What::Exec && &*seen.process.name == b"sh";
        let first = observer.wait_for(shell);
        let found = first.attribution.container.expect("it is in a container");
        assert_eq!((&found.id, found.runtime), (&container.id, Runtime::Oci), "{name}");
        assert_eq!(found.id.len(), 64);
        let (rest, _) = observer.stop();
        let others: Vec<&Seen> = rest.iter().filter(|seen| shell(seen)).collect();
        assert_eq!(others.len(), 2, "{rest:#?}");
        assert!(others.iter().all(|seen| is_in(&container.id, seen)), "{others:#?}");
    }
}

#[test]
fn a_container_is_profiled_by_the_beginning_of_its_id() {
    let cgroup = Cgroup::new("busy");
    let container = Container::start(&cgroup, RUNC, "while :; do :; done");
    let prefix = &container.id[..12];
    wait_for(|| cgroup.path().join(&container.id).exists().then_some(()));
    let ended = Sensor::start(["profile", "--duration", "2", prefix]).wait();
    assert!(ended.status.success(), "{:?}", ended.stderr);
    let expected = format!("profiling container {prefix} (oci)");
    assert!(ended.stderr.iter().any(|line| line.starts_with(&expected)), "{:?}", ended.stderr);
    assert!(ended.stdout.iter().any(|line| line.contains(" kept, 0 lost")), "{:?}", ended.stdout);
}

#[test]
fn near_names_are_listed_for_one_that_is_not_there() {
    let cgroup = Cgroup::new("near");
    let container = Container::start(&cgroup, RUNC, "while :; do :; done");
    wait_for(|| cgroup.path().join(&container.id).exists().then_some(()));
    let other = if container.id.starts_with('0') { "1" } else { "0" };
    let mistyped = format!("{other}{}", &container.id[1..12]);
    let ended = Sensor::start(["profile", &mistyped]).wait();
    assert_eq!(ended.status.code(), Some(1));
    let [line] = ended.stderr.as_slice() else { panic!("{:?}", ended.stderr) };
    assert!(line.contains(&format!("nothing here is called {mistyped}")), "{line}");
    assert!(line.contains("did you mean") && line.contains(&container.id[..12]), "{line}");
}
