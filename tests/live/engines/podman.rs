//! Podman of the system, and of a user who is not root.

use std::os::unix::fs::chown;
use std::process::Command;

use serde_json::{Value, json};

use super::place::{self, Container, IMAGE, Place, USER, command, run};
use super::{Engine, SECRET};
use crate::harness::Sensor;

pub(super) const ROOTFUL: Engine = Engine {
    name: "podman",
    programs: &["podman", "conmon", "runc"],
    sources: &[("podman-root", "podman/storage")],
    start: rootful,
    known: rootful_known,
    probe: None,
};

/// Where control groups are of version 1 it has none of its own: what conmon was told says whose the
/// processes are.
pub(super) const ROOTLESS: Engine = Engine {
    name: "rootless_podman",
    programs: &["podman", "conmon", "runc", "setpriv"],
    sources: &[],
    start: rootless,
    known: rootless_known,
    probe: None,
};

/// A user without a name, and without ranges of ids to lend to containers.
const UID: u32 = 54_321;

/// No limits that only a process with `CAP_SYS_RESOURCE` may set.
const CONFIG: &str = r#"
[containers]
default_ulimits = ["nofile=1024:4096", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
"#;

/// Podman of the system without arguments, all of it in the test's directory.
pub(super) fn rootful_command(place: &Place) -> impl Fn() -> Command + use<> {
    let config = place.file("podman/containers.conf", CONFIG);
    let (root, state) = (place.path("podman/storage"), place.path("podman/run"));
    let temporary = place.path("podman/tmp");
    move || {
        let words = ["podman", "--root", &root, "--runroot", &state, "--tmpdir", &temporary];
        let mut podman = command(&words);
        podman.env("CONTAINERS_CONF", &config);
        podman
    }
}

fn rootful(place: &Place) -> Container {
    let podman = rootful_command(place);
    let archive = place.archive();
    run(podman().args(["import", "--change", "LABEL a=b", &archive, IMAGE]));
    let parent = place.parent("libpod_parent");
    let data = format!("{}:/data:ro", place.path("data"));
    let mut start = podman();
    start.args(["run", "--cgroup-parent", &parent, "--user", USER, "--volume", &data]);
    start_with(start, podman, place)
}

/// Finishes a command that runs a container.
fn start_with(mut start: Command, podman: impl Fn() -> Command, place: &Place) -> Container {
    start.args(["--detach", "--name", place.name(), "--network", "none"]);
    start.args(["--env", &format!("TOKEN={SECRET}"), IMAGE, "main"]);
    let id = run(&mut start);
    let mut remove = podman();
    remove.args(["rm", "--force", "--time", "0", &id]);
    Container { id, remove: vec![remove], daemon: None }
}

/// What is known of either.
fn known(place: &Place, container: &Container, user: &str) -> Value {
    json!({
        "container.full_id": container.id,
        "container.type": "podman",
        "container.name": place.name(),
        "container.image": IMAGE,
        "container.image.repository": "localhost/shop",
        "container.image.tag": "2",
        "container.privileged": false,
        "container.user": user,
    })
}

fn rootful_known(place: &Place, container: &Container) -> Value {
    let mut known = known(place, container, USER);
    known["container.mounts"] = format!("{}:/data::false:rprivate", place.path("data")).into();
    known["container.host_network"] = false.into();
    known
}

fn rootless(place: &Place) -> Container {
    let config = place.file("containers.conf", CONFIG);
    let archive = place.archive();
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
    let podman = || {
        let mut podman = place.cgroup.command("setpriv");
        let uid = UID.to_string();
        podman.args(["--reuid", &uid, "--regid", &uid, "--clear-groups", "env", "-i"]);
        podman.args(&variables).arg("podman").current_dir(&home);
        podman
    };
    run(podman().args(["import", &archive, IMAGE]));
    let mut start = podman();
    start.arg("run");
    let mut container = start_with(start, podman, place);
    // The process that keeps its namespaces stays otherwise.
    let mut migrate = podman();
    migrate.args(["system", "migrate"]);
    container.remove.push(migrate);
    container
}

#[test]
fn a_container_without_a_control_group_is_listed() {
    if let Some(missing) = ROOTLESS.programs.iter().find(|program| !place::is_installed(program)) {
        let test = "podman::a_container_without_a_control_group_is_listed";
        return place::skip(test, &format!("there is no {missing} here"));
    }
    let place = Place::new("listed");
    let container = rootless(&place);
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
}

fn rootless_known(place: &Place, container: &Container) -> Value {
    known(place, container, "0:0")
}
