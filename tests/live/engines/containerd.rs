//! containerd, asked by its own client.

use std::process::Command;

use serde_json::{Value, json};

use super::place::{Container, Daemon, IMAGE, MAIN, Place, USER, command, run};
use super::{Engine, SECRET};

pub(super) const CTR: Engine = Engine {
    name: "containerd",
    programs: &["containerd", "ctr", "runc"],
    sources: &[("containerd-state", "containerd/state")],
    start: |place| start(place, &[]),
    known,
    probes: &[],
    address: None,
};

/// A daemon, in a network of its own where it is given one, and its socket.
pub(super) fn daemon(place: &Place, more: &str, network: Option<&Daemon>) -> (Daemon, String) {
    let socket = socket(place);
    let config = format!(
        "version = 2\nroot = \"{}\"\nstate = \"{}\"\n[grpc]\naddress = \"{socket}\"\n\
         [ttrpc]\naddress = \"{socket}.ttrpc\"\n{more}",
        place.path("containerd/root"),
        place.path("containerd/state"),
    );
    let config = place.file("containerd/config.toml", &config);
    let words = ["containerd", "--config", &config];
    let mut containerd = network.map_or_else(|| command(&words), |network| network.inside(&words));
    let mut daemon = Daemon::start(&mut containerd, &place.path("containerd/log"));
    daemon.wait_until(|| ctr(&socket, "default", &["version"]));
    (daemon, socket)
}

fn socket(place: &Place) -> String {
    place.path("containerd/socket")
}

/// What the daemon calls the image, in one of its namespaces.
pub(super) fn image_digest(place: &Place, namespace: &str) -> String {
    let filter = format!("name=={IMAGE}");
    let listed = run(&mut ctr(&socket(place), namespace, &["image", "list", &filter]));
    let digest = listed.split_whitespace().find(|word| word.starts_with("sha256:"));
    digest.expect("it is listed").to_owned()
}

pub(super) fn ctr(socket: &str, namespace: &str, arguments: &[&str]) -> Command {
    let mut ctr = command(&["ctr", "--address", socket, "--namespace", namespace]);
    ctr.args(arguments);
    ctr
}

pub(super) fn start(place: &Place, options: &[&str]) -> Container {
    let (daemon, socket) = daemon(place, "", None);
    let id = place.name().to_owned();
    let ctr = |arguments: &[&str]| ctr(&socket, "default", arguments);
    run(&mut ctr(&["image", "import", &place.image(IMAGE, &[MAIN])]));
    let cgroup = place.parent(&format!("default/{id}"));
    let mount = format!("type=bind,src={},dst=/data,options=rbind:ro", place.path("data"));
    let mut start = ctr(&["run", "--detach", "--null-io", "--cgroup", &cgroup]);
    start.args(["--label", "team=x", "--env", &format!("TOKEN={SECRET}"), "--mount", &mount]);
    run(start.args(options).args([IMAGE, &id]));
    let remove = vec![
        ctr(&["task", "kill", "--signal", "KILL", &id]),
        // Which waits for its end.
        ctr(&["task", "delete", "--force", &id]),
        ctr(&["container", "delete", &id]),
    ];
    Container { id, remove, daemons: vec![daemon] }
}

/// The image is known to the daemon alone.
fn known(place: &Place, container: &Container) -> Value {
    json!({
        "container.full_id": container.id,
        "container.type": "containerd",
        "container.name": place.name(),
        "container.labels": "containerd.namespace:default, team:x",
        "container.mounts": format!("{}:/data::false:", place.path("data")),
        "container.privileged": false,
        "container.user": USER,
    })
}
