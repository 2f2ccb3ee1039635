//! Podman of the system.

use std::process::Command;

use serde_json::{Value, json};

use super::place::{Container, IMAGE, Place, USER, command, run};
use super::{Engine, SECRET};

pub(super) const PODMAN: Engine = Engine {
    name: "podman",
    programs: &["podman", "conmon", "runc"],
    sources: &[("podman-root", "podman/storage")],
    start,
    known,
    health_check: None,
};

/// No limits that only a process with `CAP_SYS_RESOURCE` may set.
const CONFIG: &str = r#"
[containers]
default_ulimits = ["nofile=1024:4096", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
"#;

fn start(place: &Place) -> Container {
    let config = place.file("podman/containers.conf", CONFIG);
    let (root, state) = (place.path("podman/storage"), place.path("podman/run"));
    let temporary = place.path("podman/tmp");
    let podman = || {
        let words = ["podman", "--root", &root, "--runroot", &state, "--tmpdir", &temporary];
        let mut podman = command(&words);
        podman.env("CONTAINERS_CONF", &config);
        podman
    };
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

fn known(place: &Place, container: &Container) -> Value {
    json!({
        "container.full_id": container.id,
        "container.type": "podman",
        "container.name": place.name(),
        "container.image": IMAGE,
        "container.image.repository": "localhost/shop",
        "container.image.tag": "2",
        "container.mounts": format!("{}:/data::false:rprivate", place.path("data")),
        "container.privileged": false,
        "container.user": USER,
        "container.host_network": false,
    })
}
