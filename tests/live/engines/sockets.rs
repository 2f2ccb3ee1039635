//! Engines that say over their sockets what a container is, where their files are elsewhere or do not
//! have it.

use serde_json::{Value, json};

use crate::harness::{Sensor, free_address, get, wait_for};

use super::place::{self, ADDRESS, Container, Daemon, IMAGE, Place};
use super::{
    Engine, check_known, containerd, cri, docker, is_first, is_of, podman, registry, start_sensor,
};

pub(super) const DOCKER: Engine = Engine {
    name: "docker_by_socket",
    sources: &[("docker-socket", "docker/socket")],
    start: |place| docker::start(place, &["--privileged", "--pid", "host"]),
    known: |place, container| {
        let known = json!({"container.privileged": true, "container.host_pid": true});
        more((docker::DOCKER.known)(place, container), &known)
    },
    ..docker::DOCKER
};

pub(super) const PODMAN: Engine = Engine {
    name: "podman_by_socket",
    programs: &["podman", "conmon", "runc", "bridge"],
    sources: &[("podman-socket", "podman/socket")],
    start: podman_with_service,
    known: |place, container| {
        more(
            (podman::ROOTFUL.known)(place, container),
            &json!({
                "container.labels": "a:b",
                "container.privileged": true,
            }),
        )
    },
    address: Some(ADDRESS),
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
            "container.image.digest": containerd::image_digest(place, "default"),
            "container.privileged": true,
            // containerd's client adds one that its files do not have.
            "container.labels": "a:b, containerd.namespace:default, io.containerd.image.config.stop-signal:SIGTERM, team:x",
        });
        more((containerd::CTR.known)(place, container), &image)
    },
    start: |place| containerd::start(place, &["--privileged"]),
    ..containerd::CTR
};

pub(super) const CRI: Engine = Engine {
    name: "cri_by_socket",
    programs: &["containerd", "ctr", "runc", "curl", "bridge"],
    sources: &[("containerd-socket", "containerd/socket")],
    start: |place| cri::start(place, cri::Pod::Privileged),
    known: |place, container| {
        let known = json!({
            "k8s.pod.labels": "app:shop",
            "container.image.digest": containerd::image_digest(place, "k8s.io"),
            "container.privileged": true,
            "container.host_network": false,
            "container.label.team": null,
            "proc.is_container_liveness_probe": false,
        });
        more((cri::CRI.known)(place, container), &known)
    },
    probes: &[
        ("true alive", "proc.is_container_liveness_probe"),
        ("true ready", "proc.is_container_readiness_probe"),
    ],
    address: Some(ADDRESS),
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
    let data = place.path("data");
    let rules = place.file("rules.yaml", &rule_of_mounts(&data));
    let (listen, socket) = (free_address().to_string(), place.path("docker/socket"));
    let sources = format!("containers.sources=docker-socket={socket}");
    let watched = ["run", "--cgroup", place.cgroup.name(), "--listen", &listen];
    let arguments = ["--set", &sources, "--rules", &rules];
    let mut sensor = Sensor::start(watched.into_iter().chain(arguments));
    sensor.wait_for_message("watching");
    let container = (DOCKER.start)(&place);
    let (name, id) = (place.name().to_owned(), container.id.clone());
    let info = format!(
        "container_info{{namespace=\"\",pod=\"\",container=\"{name}\",id=\"{}/{id}\",name=\"{name}\",\
         image=\"{}\",image_digest=\"{}\",runtime=\"docker\",visibility=\"full\"}} 1",
        place.parent("docker"),
        registry::IMAGE,
        registry::image_digest(&place),
    );
    let alert = sensor.wait_for(|alert| alert["rule"] == "mounts");
    for (field, value) in mount_fields(&data) {
        assert_eq!(alert["output_fields"][&field], value, "{field}");
    }
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

/// The fields of the one mount, by what they take as a key.
fn mount_fields(data: &str) -> [(String, String); 8] {
    let whole = format!("{data}:/data:ro:false:rprivate");
    [
        ("[0]".to_owned(), whole.clone()),
        (format!("[{data}]"), whole),
        (".source[/data]".to_owned(), data.to_owned()),
        (".dest[0]".to_owned(), "/data".to_owned()),
        (format!(".dest[{data}]"), "/data".to_owned()),
        (format!(".mode[{data}]"), "ro".to_owned()),
        (format!(".rdwr[{data}]"), "false".to_owned()),
        (format!(".propagation[{data}]"), "rprivate".to_owned()),
    ]
    .map(|(key, value)| (format!("container.mount{key}"), value))
}

fn rule_of_mounts(data: &str) -> String {
    let output: String = mount_fields(data).map(|(field, _)| format!("%{field} ")).concat();
    format!(
        "- rule: mounts\n  desc: of a test\n  condition: evt.type = execve and proc.name = main\n  \
         output: \"{output}\"\n  priority: WARNING\n"
    )
}

fn podman_with_service(place: &Place) -> Container {
    let network = Daemon::network(place);
    let mut container = podman::rootful(place, Some(&network), &["--privileged"]);
    let socket = format!("unix://{}", place.path("podman/socket"));
    let mut service = podman::rootful_command(place, Some(&network))();
    service.args(["system", "service", "--time", "0", &socket]);
    let mut daemon = Daemon::start(&mut service, &place.path("podman/log"));
    daemon.wait_until(|| place::command(&["test", "-S", &place.path("podman/socket")]));
    container.daemons = vec![network, daemon];
    container
}

fn more(mut known: Value, with: &Value) -> Value {
    for (field, value) in with.as_object().expect("an object of fields") {
        known[field] = value.clone();
    }
    known
}
