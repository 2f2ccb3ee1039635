//! dockerd, without a network: it would change the host's firewall.

use std::process::Command;

use serde_json::{Value, json};

use super::place::{Container, Daemon, IMAGE, Place, USER, command, run};
use super::{Engine, SECRET};

pub(super) const DOCKER: Engine = Engine {
    name: "docker",
    programs: &["dockerd", "docker", "containerd", "runc"],
    sources: &[("docker-root", "docker/data")],
    start,
    known,
    // Of busybox, which has it inside.
    probe: Some(("true healthy", "proc.is_container_healthcheck")),
};

const HEALTH_CHECK: &str = "/bin/true healthy";

fn start(place: &Place) -> Container {
    let (daemon, docker) = daemon(place);
    let label = "LABEL a=b";
    let archive = place.archive();
    run(docker().args(["import", "--change", label, "--change", "CMD main", &archive, IMAGE]));
    let data = format!("{}:/data:ro", place.path("data"));
    let parent = place.parent("docker");
    let mut start = docker();
    start.args([
        "run",
        "--detach",
        "--network",
        "none",
        "--name",
        place.name(),
        "--cgroup-parent",
        &parent,
    ]);
    start.args(["--label", "team=x", "--user", USER, "--env", &format!("TOKEN={SECRET}")]);
    start.args(["--volume", &data, "--health-cmd", HEALTH_CHECK, "--health-interval", "100ms"]);
    let id = run(start.args([IMAGE, "main"]));
    let mut remove = docker();
    remove.args(["rm", "--force", &id]);
    Container { id, remove: vec![remove], daemon: Some(daemon) }
}

/// A daemon, and its client without arguments.
pub(super) fn daemon(place: &Place) -> (Daemon, impl Fn() -> Command) {
    let socket = format!("unix://{}", place.path("docker/socket"));
    let config = json!({
        "data-root": place.directory("docker/data"),
        "exec-root": place.directory("docker/exec"),
        "pidfile": place.path("docker/pid"),
        "deprecated-key-path": place.path("docker/key"),
        "hosts": [&socket],
        "storage-driver": "overlay2",
        "bridge": "none",
        "iptables": false,
        "ip6tables": false,
        "ip-forward": false,
        "ip-masq": false,
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
    });
    let config = place.file("docker/daemon.json", &config.to_string());
    let mut dockerd = command(&["dockerd", "--config-file", &config]);
    let mut daemon = Daemon::start(&mut dockerd, &place.path("docker/log"));
    // Not another version of it elsewhere in PATH.
    let docker = move || command(&["/usr/bin/docker", "--host", &socket]);
    daemon.wait_until(|| {
        let mut version = docker();
        version.arg("version");
        version
    });
    (daemon, docker)
}

fn known(place: &Place, container: &Container) -> Value {
    json!({
        "container.full_id": container.id,
        "container.id": container.id[..12],
        "container.type": "docker",
        "container.name": place.name(),
        "container.image": IMAGE,
        "container.image.repository": "localhost/shop",
        "container.image.tag": "2",
        "container.labels": "a:b, team:x",
        "container.mounts": format!("{}:/data:ro:false:rprivate", place.path("data")),
        "container.privileged": false,
        "container.user": USER,
        "container.host_network": false,
        "proc.is_container_healthcheck": false,
        "container.healthcheck": format!("/bin/sh -c {HEALTH_CHECK}"),
        "container.visibility": "full",
    })
}
