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
        let path = format!("/{}", cgroup.name());
        Self::start_below(&path, program, script, |program| Command::new(program))
    }

    /// In a control group below `parent`, by a runtime that `command` starts.
    fn start_below(
        parent: &str,
        program: &'static [&'static str],
        script: &str,
        command: impl Fn(&str) -> Command,
    ) -> Self {
        let (bundle, id) = (tempfile::tempdir().unwrap(), random_id());
        let bin = bundle.path().join("rootfs/bin");
        fs::create_dir_all(&bin).unwrap();
        for point in ["dev", "proc", "etc"] {
            fs::create_dir(bundle.path().join("rootfs").join(point)).unwrap();
        }
        for (file, line) in [("passwd", "captain:x:0:0::/bridge:/bin/sh"), ("group", "crew:x:0:")] {
            fs::write(bundle.path().join("rootfs/etc").join(file), line).unwrap();
        }
        fs::copy("/bin/busybox", bin.join("sh")).unwrap();
        fs::hard_link(bin.join("sh"), bin.join("sleep")).unwrap();
        let arguments = ["sh", "-c", script];
        let cgroup_path = format!("{parent}/{id}");
        let config = config(&arguments, &cgroup_path).to_string();
        fs::write(bundle.path().join("config.json"), config).unwrap();
        let mut start = command(program[0]);
        with_state(&mut start, program, bundle.path());
        let child = start
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
    with_state(&mut command, program, bundle);
    command
}

fn with_state(command: &mut Command, program: &[&str], bundle: &Path) {
    command.args(&program[1..]).arg("--root").arg(state(bundle));
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

/// runc puts its own process into the control group, and makes the container out of it.
#[test]
fn runc_in_the_container_s_cgroup_is_not_the_container() {
    let cgroup = Cgroup::new("init");
    let observer = Observer::start(&cgroup, &[Kind::Fork, Kind::Exec, Kind::Exit, Kind::Cgroup]);
    let parent = format!("/{}", cgroup.name());
    let script = "/bin/sh -c :; exit 0";
    let mut container = Container::start_below(&parent, RUNC, script, |runc| cgroup.command(runc));
    container.wait();
    let (seen, _) = observer.stop();
    let mut of_container = seen.iter().filter(|seen| is_in(&container.id, seen));
    let group = of_container.next().expect("it did something").process.cgroup_id;
    let inside: Vec<&Seen> = seen.iter().filter(|seen| seen.process.cgroup_id == group).collect();
    let is_runtime = |seen: &&&Seen| seen.process.program.argv.iter().nth(1) == Some(b"init");
    let (runtime, rest): (Vec<&Seen>, Vec<&Seen>) = inside.iter().partition(is_runtime);
    assert!(!runtime.is_empty() && !rest.is_empty(), "{seen:#?}");
    assert!(runtime.iter().all(|seen| seen.attribution.container.is_none()), "{runtime:#?}");
    assert!(rest.iter().all(|seen| is_in(&container.id, seen)), "{rest:#?}");
}

#[test]
fn the_innermost_of_nested_containers_wins_and_the_chain_is_kept() {
    let cgroup = Cgroup::new("nested");
    let observer = Observer::start(&cgroup, &[Kind::Fork, Kind::Exec, Kind::Exit, Kind::Cgroup]);
    let outer = Container::start(&cgroup, RUNC, "while :; do :; done");
    let wanted = |id: String| move |seen: &Seen| seen.what == What::Exec && is_in(&id, seen);
    observer.wait_for(wanted(outer.id.clone()));
    let below = format!("/{}/{}", cgroup.name(), outer.id);
    let runc = |program: &str| Command::new(program);
    let mut inner = Container::start_below(&below, RUNC, "exit 0", runc);
    let first = observer.wait_for(wanted(inner.id.clone()));
    inner.wait();
    drop(outer);
    let container = first.attribution.container.unwrap();
    let chain: Vec<&str> = container.outer.iter().map(|outer| outer.id.as_str()).collect();
    let path = first.attribution.cgroup_path;
    assert_eq!(chain, [path.rsplit('/').nth(1).unwrap()], "{path}");
    assert_eq!(chain[0].len(), 64);
    observer.stop();
}

/// As an agent in a container sees control groups: all of them, but by names that begin at its own, or
/// nothing besides its own. What is made later is announced by its whole path either way.
#[test]
fn an_agent_in_a_cgroup_namespace_knows_containers() {
    const OWN_ALONE: &str = "grep -E ' cgroup2? ' /proc/self/mounts | cut -d ' ' -f 2 | sort -r | \
                             while read point; do umount -l $point; done; \
                             mount -t cgroup2 none /sys/fs/cgroup";
    let is_unified_there = !mounts_of("cgroup2").is_empty();
    for (script, sees_all) in [(":", true), (OWN_ALONE, false)] {
        if !sees_all && !is_unified_there {
            continue;
        }
        let cgroup = Cgroup::new("namespace");
        let agent = Cgroup::new("agent");
        let mark = format!("of-{}", cgroup.name());
        let busy = format!("while :; do /bin/sh -c ': {mark}'; sleep 0.1; done");
        let before = Container::start(&cgroup, RUNC, &busy);
        wait_for(|| cgroup.path().join(&before.id).exists().then_some(()));
        let filter = format!("proc.args contains {mark}");
        let mut arguments = vec!["events", "--type", "exec", "-o", "json", "--filter", &filter];
        if sees_all {
            arguments.extend(["--cgroup", cgroup.name()]);
        }
        let mut sensor = Sensor::start_in_namespace(&agent, script, &arguments);
        sensor.wait_for_message("watching");
        if sees_all {
            sensor.wait_for(|event| event["container.full_id"] == *before.id);
        }
        let after = Container::start(&cgroup, RUNC, &busy);
        sensor.wait_for(|event| event["container.full_id"] == *after.id);
        assert!(sensor.stop().status.success());
    }
}

/// Names of users are those of the container, whatever the host calls the same numbers.
#[test]
fn users_have_the_names_that_their_container_gives_them() {
    let cgroup = Cgroup::new("users");
    let arguments = ["events", "--type", "exec", "-o", "json", "--cgroup", cgroup.name()];
    let mut sensor = Sensor::start(arguments);
    sensor.wait_for_message("watching");
    cgroup.run(&["true"]);
    let names = |event: &serde_json::Value| {
        ["user.uid", "user.name", "user.homedir", "group.name"].map(|field| event[field].clone())
    };
    let on_host = sensor.wait_for(|event| event["proc.name"] == "true");
    let container = Container::start(&cgroup, RUNC, "while :; do /bin/sh -c :; sleep 0.1; done");
    // The first that the container executes, already; before it runc may have executed itself again.
    let first = sensor.wait_for(|event| {
        event["container.full_id"] == *container.id && event["proc.name"] == "sh"
    });
    assert_eq!(names(&first), [json!(0), json!("captain"), json!("/bridge"), json!("crew")]);
    assert_eq!(names(&on_host)[1], "root");
    assert_ne!(names(&on_host)[3], "crew");
    assert!(sensor.stop().status.success());
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
