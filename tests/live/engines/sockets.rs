//! Engines that say over their sockets what a container is, where their files are elsewhere or do not
//! have it.

use serde_json::{Value, json};

use crate::harness::{Sensor, free_address, get, wait_for};

use super::place::{self, Container, Daemon, IMAGE, Place};
use super::{Engine, check_known, containerd, cri, docker, is_first, is_of, podman, start_sensor};

pub(super) const DOCKER: Engine = Engine {
    name: "docker_by_socket",
    sources: &[("docker-socket", "docker/socket")],
    ..docker::DOCKER
};

pub(super) const PODMAN: Engine = Engine {
    name: "podman_by_socket",
    sources: &[("podman-socket", "podman/socket")],
    start: podman_with_service,
    known: |place, container| {
        more((podman::ROOTFUL.known)(place, container), &json!({"container.labels": "a:b"}))
    },
    ..podman::ROOTFUL
};

pub(super) const CONTAINERD: Engine = Engine {
    name: "containerd_by_socket",
    // That its containers are such is known by its state alone.
    sources: &[
        ("containerd-state", "containerd/state"),
        ("containerd-socket", "containerd/socket"),
    ],
    known: |place, container| {
        let image = json!({
            "container.image": IMAGE,
            "container.image.repository": "localhost/shop",
            "container.image.tag": "2",
            // containerd's client adds one that its files do not have.
            "container.labels": "containerd.namespace:default, io.containerd.image.config.stop-signal:SIGTERM, team:x",
        });
        more((containerd::CTR.known)(place, container), &image)
    },
    ..containerd::CTR
};

pub(super) const CRI: Engine = Engine {
    name: "cri_by_socket",
    sources: &[("containerd-socket", "containerd/socket")],
    known: |place, container| {
        let known = json!({
            "k8s.pod.labels": "app:shop",
            "container.label.team": null,
            "proc.is_container_liveness_probe": false,
        });
        more((cri::CRI.known)(place, container), &known)
    },
    probe: Some(("true alive", "proc.is_container_liveness_probe")),
    ..cri::CRI
};

#[test]
fn a_rename_is_noticed() {
    if let Some(missing) = DOCKER.programs.iter().find(|program| !place::is_installed(program)) {
        return place::skip("sockets::a_rename_is_noticed", &format!("there is no {missing} here"));
    }
    let place = Place::new("rename");
    let mut sensor = start_sensor(&DOCKER, &place);
    let container = (DOCKER.start)(&place);
    let first = sensor.wait_for(|event| is_first(event, &container));
    check_known(&first, &json!({"container.name": place.name()}));
    let new = format!("{}-new", place.name());
    let socket = format!("unix://{}", place.path("docker/socket"));
    let mut docker = place::command(&["/usr/bin/docker", "--host", &socket]);
    place::run(docker.args(["rename", &container.id, &new]));
    sensor.wait_for(|event| is_of(event, &container.id) && event["container.name"] == *new);
    drop(container);
    assert!(sensor.stop().status.success());
}

#[test]
fn a_container_is_described_while_it_lives() {
    if let Some(missing) = DOCKER.programs.iter().find(|program| !place::is_installed(program)) {
        let test = "sockets::a_container_is_described_while_it_lives";
        return place::skip(test, &format!("there is no {missing} here"));
    }
    let place = Place::new("described");
    let (listen, socket) = (free_address().to_string(), place.path("docker/socket"));
    let sources = format!("containers.sources=docker-socket={socket}");
    let arguments =
        ["run", "--cgroup", place.cgroup.name(), "--listen", &listen, "--set", &sources];
    let mut sensor = Sensor::start(arguments);
    sensor.wait_for_message("watching");
    let container = (DOCKER.start)(&place);
    let (name, id) = (place.name().to_owned(), container.id.clone());
    let info = format!(
        "container_info{{namespace=\"\",pod=\"\",container=\"{name}\",id=\"{}/{id}\",name=\"{name}\",\
         image=\"{IMAGE}\",image_digest=\"\",runtime=\"docker\",visibility=\"full\"}} 1",
        place.parent("docker"),
    );
    let metrics = |holds: &dyn Fn(&str) -> bool| {
        wait_for(|| get(&listen, "/metrics").filter(|text| holds(text)));
    };
    metrics(&|text| text.contains(&info));
    let up = |value| format!("sensor_runtime_up{{kind=\"docker\",socket=\"{socket}\"}} {value}");
    metrics(&|text| text.contains(&up(1)));
    let verbose = get(&listen, "/readyz?verbose").unwrap();
    assert!(verbose.contains(&format!("[+]docker {socket} up: ")), "{verbose}");
    // And with it the daemon.
    drop(container);
    metrics(&|text| !text.contains(&id) && text.contains(&up(0)));
    assert!(sensor.stop().status.success());
}

fn podman_with_service(place: &Place) -> Container {
    let mut container = (podman::ROOTFUL.start)(place);
    let socket = format!("unix://{}", place.path("podman/socket"));
    let podman = podman::rootful_command(place);
    let mut service = podman();
    service.args(["system", "service", "--time", "0", &socket]);
    let mut daemon = Daemon::start(&mut service, &place.path("podman/log"));
    daemon.wait_until(|| place::command(&["test", "-S", &place.path("podman/socket")]));
    container.daemon = Some(daemon);
    container
}

fn more(mut known: Value, with: &Value) -> Value {
    for (field, value) in with.as_object().expect("an object of fields") {
        known[field] = value.clone();
    }
    known
}
