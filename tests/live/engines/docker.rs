//! dockerd, in a network of its own: it would change the host's firewall.

use std::process::Command;

use serde_json::{Value, json};

use super::place::{Container, Daemon, Place, USER, command, run};
use super::registry::{self, IMAGE};
use super::{Engine, SECRET};

pub(super) const DOCKER: Engine = Engine {
    name: "docker",
    programs: &["dockerd", "docker", "containerd", "runc"],
    sources: &[("docker-root", "docker/data")],
    start: |place| start(place, &[]),
    known,
    // Of busybox, which has it inside.
    probes: &[("true healthy", "proc.is_container_healthcheck")],
    address: Some(ADDRESS),
};

/// Of the first container on its own bridge.
const ADDRESS: &str = "172.17.0.2";

const HEALTH_CHECK: &str = "/bin/true healthy";

pub(super) fn start(place: &Place, options: &[&str]) -> Container {
    let network = Daemon::network(place);
    let (daemon, docker) = daemon(place, &network);
    registry::serve(place, &network, || drop(run(docker().args(["pull", IMAGE]))));
    let data = format!("{}:/data:ro", place.path("data"));
    let parent = place.parent("docker");
    let mut start = docker();
    start.args(["run", "--detach", "--name", place.name(), "--cgroup-parent", &parent]);
    start.args(["--label", "team=x", "--user", USER, "--env", &format!("TOKEN={SECRET}")]);
    start.args(["--volume", &data, "--health-cmd", HEALTH_CHECK, "--health-interval", "100ms"]);
    let id = run(start.args(options).args([IMAGE, "main"]));
    let mut remove = docker();
    remove.args(["rm", "--force", &id]);
    Container { id, remove: vec![remove], daemons: vec![network, daemon] }
}

/// A daemon in a network, and its client without arguments.
fn daemon(place: &Place, network: &Daemon) -> (Daemon, impl Fn() -> Command + use<>) {
    let socket = format!("unix://{}", place.path("docker/socket"));
    let config = json!({
        "data-root": place.directory("docker/data"),
        "exec-root": place.directory("docker/exec"),
        "pidfile": place.path("docker/pid"),
        "deprecated-key-path": place.path("docker/key"),
        "hosts": [&socket],
        "storage-driver": "overlay2",
        "iptables": false,
        "ip6tables": false,
        "ip-forward": false,
        "ip-masq": false,
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
    });
    let config = place.file("docker/daemon.json", &config.to_string());
    let mut dockerd = network.inside(&["dockerd", "--config-file", &config]);
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
        "container.image.repository": registry::REPOSITORY,
        "container.image.tag": "2",
        "container.image.digest": registry::image_digest(place),
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
