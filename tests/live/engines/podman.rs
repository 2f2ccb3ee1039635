//! Podman of the system, and of a user who is not root.

use std::os::unix::fs::chown;
use std::process::Command;

use serde_json::{Value, json};

use super::place::{self, Container, Daemon, IMAGE, NETWORK, PLUGINS, Place, USER, command, run};
use super::{Engine, SECRET};
use crate::harness::Sensor;

pub(super) const ROOTFUL: Engine = Engine {
    name: "podman",
    programs: &["podman", "conmon", "runc"],
    sources: &[("podman-root", "podman/storage")],
    start: |place| rootful(place, None, &["--network", "none"]),
    known: rootful_known,
    probes: &[],
    address: None,
};

/// Where control groups are of version 1 it has none of its own: what conmon was told says whose the
/// processes are.
pub(super) const ROOTLESS: Engine = Engine {
    name: "rootless_podman",
    programs: &["podman", "conmon", "runc", "setpriv"],
    sources: &[],
    start: |place| rootless(place, RUNC, &[]),
    known: |place, container| rootless_known(place, container, RUNC),
    probes: &[],
    address: None,
};

/// In the host's pid namespace, by a runtime that forks what becomes the container.
pub(super) const ROOTLESS_CRUN: Engine = Engine {
    name: "rootless_podman_by_crun",
    programs: &["podman", "conmon", "crun", "setpriv"],
    start: |place| rootless(place, CRUN, &["--pid", "host"]),
    known: |place, container| {
        let mut known = rootless_known(place, container, CRUN);
        known["container.host_pid"] = true.into();
        known
    },
    ..ROOTLESS
};

/// How a user's Podman is started.
#[derive(Clone, Copy)]
struct Start {
    runtime: &'static str,
    /// A shell script that runs before.
    before: &'static str,
}

const RUNC: Start = Start { runtime: "runc", before: "" };
/// crun refuses hosts that have control groups of both versions, so it sees those of version 2 alone.
const CRUN: Start = Start {
    runtime: "crun",
    before: "umount -l /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup && ",
};

/// A user without a name, and without ranges of ids to lend to containers.
const UID: u32 = 54_321;

/// No limits that only a process with `CAP_SYS_RESOURCE` may set.
const IMAGE_DIGEST: [&str; 5] = ["image", "inspect", "--format", "{{.Digest}}", IMAGE];

const CONFIG: &str = r#"
[containers]
default_ulimits = ["nofile=1024:4096", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
"#;

/// Podman of the system without arguments, all of it in the test's directory, in a network of its own
/// where it is given one.
pub(super) fn rootful_command<'a>(
    place: &Place,
    network: Option<&'a Daemon>,
) -> impl Fn() -> Command + use<'a> {
    let networks = place.bridge();
    let networks = format!(
        "[network]\nnetwork_backend = \"cni\"\nnetwork_config_dir = \"{networks}\"\n\
         cni_plugin_dirs = [\"{PLUGINS}\"]\ndefault_network = \"{NETWORK}\"\n"
    );
    let config = place.file("podman/containers.conf", &format!("{CONFIG}{networks}"));
    let (root, state) = (place.path("podman/storage"), place.path("podman/run"));
    let temporary = place.path("podman/tmp");
    move || {
        let words = ["podman", "--root", &root, "--runroot", &state, "--tmpdir", &temporary];
        let mut podman = network.map_or_else(|| command(&words), |network| network.inside(&words));
        podman.env("CONTAINERS_CONF", &config);
        podman
    }
}

pub(super) fn rootful(place: &Place, network: Option<&Daemon>, options: &[&str]) -> Container {
    let podman = rootful_command(place, network);
    let archive = place.archive();
    run(podman().args(["import", "--change", "LABEL a=b", &archive, IMAGE]));
    let parent = place.parent("libpod_parent");
    let data = format!("{}:/data:ro", place.path("data"));
    let mut start = podman();
    start.args(["run", "--cgroup-parent", &parent, "--user", USER, "--volume", &data]);
    start.args(options);
    start_with(start, podman, place)
}

/// Finishes a command that runs a container.
fn start_with(mut start: Command, podman: impl Fn() -> Command, place: &Place) -> Container {
    start.args(["--detach", "--name", place.name()]);
    start.args(["--env", &format!("TOKEN={SECRET}"), IMAGE, "main"]);
    let id = run(&mut start);
    let mut remove = podman();
    remove.args(["rm", "--force", "--time", "0", &id]);
    Container { id, remove: vec![remove], daemons: Vec::new() }
}

/// What is known of either.
fn known(place: &Place, container: &Container, digest: &str, user: &str) -> Value {
    json!({
        "container.full_id": container.id,
        "container.type": "podman",
        "container.name": place.name(),
        "container.image": IMAGE,
        "container.image.repository": "localhost/shop",
        "container.image.tag": "2",
        "container.image.digest": digest,
        "container.privileged": false,
        "container.user": user,
    })
}

fn rootful_known(place: &Place, container: &Container) -> Value {
    let mut image = rootful_command(place, None)();
    let digest = run(image.args(IMAGE_DIGEST));
    let mut known = known(place, container, &digest, USER);
    known["container.mounts"] = format!("{}:/data::false:rprivate", place.path("data")).into();
    known["container.host_network"] = false.into();
    known
}

/// Podman of a user, without arguments.
fn rootless_command(place: &Place, start: Start) -> impl Fn() -> Command + use<'_> {
    let config = CONFIG.replace("\"runc\"", &format!("{:?}", start.runtime));
    let config = place.file("containers.conf", &config);
    let (home, runtime) = (place.directory("home"), place.directory("run"));
    for path in [&home, &runtime] {
        chown(path, Some(UID), Some(UID)).unwrap();
    }
    let variables = [
        format!("HOME={home}"),
        format!("XDG_RUNTIME_DIR={runtime}"),
        format!("CONTAINERS_CONF={config}"),
        "USER=nobody-at-all".to_owned(),
        "PATH=/usr/bin:/usr/sbin:/bin:/sbin".to_owned(),
    ];
    move || {
        let mut podman = place.cgroup.command("unshare");
        let uid = UID.to_string();
        podman.args(["--mount", "sh", "-c", &format!("{}exec \"$@\"", start.before), "sh"]);
        podman.args(["setpriv", "--reuid", &uid, "--regid", &uid, "--clear-groups", "env", "-i"]);
        podman.args(&variables).arg("podman").current_dir(&home);
        podman
    }
}

fn rootless(place: &Place, how: Start, options: &[&str]) -> Container {
    let podman = rootless_command(place, how);
    run(podman().args(["import", &place.archive(), IMAGE]));
    let mut start = podman();
    start.args(["run", "--network", "none"]).args(options);
    let mut container = start_with(start, &podman, place);
    // To remove it, crun would look for its processes in the control group that it has not.
    let mut kill = podman();
    kill.args(["kill", "--signal", "KILL", &container.id]);
    container.remove.insert(0, kill);
    // The process that keeps its namespaces stays otherwise.
    let mut migrate = podman();
    migrate.args(["system", "migrate"]);
    container.remove.push(migrate);
    container
}

#[test]
fn a_container_without_a_control_group_is_listed_and_named() {
    if let Some(missing) = ROOTLESS.programs.iter().find(|program| !place::is_installed(program)) {
        let test = "podman::a_container_without_a_control_group_is_listed_and_named";
        return place::skip(test, &format!("there is no {missing} here"));
    }
    let place = Place::new("listed");
    let container = rootless(&place, RUNC, &[]);
    let arguments = ["containers", "--output", "json", "--cgroup", place.name()];
    let ended = Sensor::start(arguments).wait();
    assert!(ended.status.success(), "{:?}", ended.stderr);
    let listed: Value = serde_json::from_str(&ended.stdout.concat()).unwrap();
    let [one] = listed.as_array().expect("a list").as_slice() else { panic!("{listed:#}") };
    assert_eq!((&one["id"], &one["name"]), (&container.id.as_str().into(), &place.name().into()));
    assert_eq!(
        (&one["runtime"], &one["image"]["repository"]),
        (&"podman".into(), &"localhost/shop".into())
    );
    assert!(one["pids"].as_u64().is_some_and(|pids| (1..=2).contains(&pids)), "{one:#}");
    let by_name = Sensor::start(watched_by(&["containers", "--output", "json"], &place)).wait();
    let named: Value = serde_json::from_str(&by_name.stdout.concat()).unwrap();
    assert_eq!(named[0]["id"], container.id.as_str(), "{named:#}");
    assert_eq!(named.as_array().map(Vec::len), Some(1), "{named:#}");
    only_it_is_watched(&place, &container);
    only_it_is_guarded(&place, &container);
    only_it_is_profiled(&place, &container);
}

/// What goes on beside it in its cgroup: a busy process that starts others.
fn others(place: &Place) -> Daemon {
    let mut shell = place.cgroup.command("perl");
    shell.args(["-e", "while (1) { system('/bin/true'); for (1 .. 100000) {} }"]);
    Daemon::start(&mut shell, &place.path("others.log"))
}

fn only_it_is_watched(place: &Place, container: &Container) {
    let watch = ["events", "--type", "exec", "--output", "json", "--count", "5", "--container"];
    let mut sensor = Sensor::start(watched_by(&watch, place));
    sensor.wait_for_message("watching");
    let _others = others(place);
    let ended = sensor.wait();
    assert!(ended.status.success() && ended.stdout.len() == 5, "{:?}", ended.stderr);
    for line in ended.stdout {
        let event: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(event["container.full_id"], container.id.as_str(), "{event:#}");
    }
}

fn only_it_is_guarded(place: &Place, container: &Container) {
    const RULES: &str = "- rule: any\n  desc: of a test\n  condition: evt.type = execve\n  \
                         output: \"%container.full_id\"\n  priority: WARNING\n";
    let rules = place.file("rules.yaml", RULES);
    let quiet = ["run", "--output", "json", "--set", "metrics.enabled=false", "--rules", &rules];
    let arguments = [quiet.as_slice(), &["--container"]].concat();
    let mut sensor = Sensor::start(watched_by(&arguments, place));
    sensor.wait_for_message("watching");
    let _others = others(place);
    for _ in 0..5 {
        let alert = sensor.wait_for(|_| true);
        assert_eq!(alert["output_fields"]["container.full_id"], *container.id, "{alert:#}");
    }
    assert!(sensor.stop().status.success());
}

fn only_it_is_profiled(place: &Place, container: &Container) {
    let _others = others(place);
    let output = place.path("profile.folded");
    let profile = ["profile", "--duration", "1", "--frequency", "4000", "--output", &output];
    let ended = Sensor::start(watched_by(&profile, place)).wait();
    assert!(ended.status.success(), "{:?}", ended.stderr);
    let id = &container.id[..12];
    let what = format!("profiling container {} (podman {id})", place.name());
    assert!(ended.stderr.iter().any(|line| line.contains(&what)), "{:?}", ended.stderr);
    let folded = std::fs::read_to_string(&output).unwrap();
    assert!(!folded.is_empty() && !folded.contains("perl") && !folded.contains("true"), "{folded}");
}

fn watched_by<'a>(arguments: &[&'a str], place: &'a Place) -> Vec<&'a str> {
    [arguments, &[place.name()]].concat()
}

fn rootless_known(place: &Place, container: &Container, how: Start) -> Value {
    let digest = run(rootless_command(place, how)().args(IMAGE_DIGEST));
    known(place, container, &digest, "0:0")
}
