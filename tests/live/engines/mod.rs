//! Containers of the engines that Debian packages, each started as its users start it: every event
//! of one carries what its engine knows about it.

mod cri;
mod containerd;
mod docker;
mod machine;
mod place;
mod podman;
mod registry;
mod sockets;

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::harness::Sensor;
use place::{Container, Place};

/// What containers run: `main` until the end, `sleep` again and again.
const PROGRAMS: [&str; 2] = ["main", "sleep"];
/// A value in the environment of every container.
const SECRET: &str = "of-nobodys-business";
/// Longer than a look takes, on the slowest machine.
const PATIENCE: &str = "2m";

/// One way to make containers.
struct Engine {
    /// Of the test as well.
    name: &'static str,
    /// What has to be installed for it.
    programs: &'static [&'static str],
    /// Kinds of state, and where they are below the test's directory.
    sources: &'static [(&'static str, &'static str)],
    /// Starts a container that runs [`place::MAIN`] until it is dropped.
    start: fn(&Place) -> Container,
    /// What is to be known of it.
    known: fn(&Place, &Container) -> Value,
    /// Programs that are started in it to see how it is, one after the other, as their arguments are
    /// shown, and the field that says so.
    probes: &'static [(&'static str, &'static str)],
    /// Its address, which no event waits for.
    address: Option<&'static str>,
}

const ENGINES: [Engine; 12] = [
    docker::DOCKER,
    podman::ROOTFUL,
    podman::ROOTLESS,
    podman::ROOTLESS_CRUN,
    containerd::CTR,
    cri::CRI,
    machine::LXC,
    machine::NSPAWN,
    sockets::DOCKER,
    sockets::PODMAN,
    sockets::CONTAINERD,
    sockets::CRI,
];

#[test]
fn docker() {
    check("docker");
}

#[test]
fn podman() {
    check("podman");
}

#[test]
fn rootless_podman() {
    check("rootless_podman");
}

#[test]
fn rootless_podman_by_crun() {
    check("rootless_podman_by_crun");
}

#[test]
fn containerd() {
    check("containerd");
}

#[test]
fn cri() {
    check("cri");
}

#[test]
fn lxc() {
    check("lxc");
}

#[test]
fn nspawn() {
    check("nspawn");
}

#[test]
fn docker_by_socket() {
    check("docker_by_socket");
}

#[test]
fn podman_by_socket() {
    check("podman_by_socket");
}

#[test]
fn containerd_by_socket() {
    check("containerd_by_socket");
}

#[test]
fn cri_by_socket() {
    check("cri_by_socket");
}

fn check(name: &str) {
    let engine = ENGINES.iter().find(|engine| engine.name == name).expect("it is in the table");
    if let Some(missing) = engine.programs.iter().find(|program| !place::is_installed(program)) {
        return place::skip(name, &format!("there is no {missing} here"));
    }
    let begin_ns = now_ns();
    let place = Place::new(name);
    let mut sensor = start_sensor(engine, &place);
    let container = (engine.start)(&place);
    let first = sensor.wait_for(|event| is_first(event, &container));
    let known = (engine.known)(&place, &container);
    check_known(&first, &known);
    let started_ns = first["container.start_ts"].as_u64().expect("it started");
    assert!((begin_ns..now_ns()).contains(&started_ns), "{started_ns}");
    // What a process was given is a field of the process, and of nothing else.
    let of_container = first.as_object().expect("an object of fields").iter();
    let of_container = of_container.filter(|(field, _)| !field.starts_with("proc."));
    let of_container = of_container.filter(|(field, _)| !field.starts_with("evt."));
    for (field, value) in of_container {
        assert!(!value.to_string().contains(SECRET), "{field}: {value}");
    }
    for (command, field) in engine.probes {
        let is_check = |event: &Value| event["proc.cmdline"] == *command;
        let check = sensor.wait_for(|event| is_check(event) && is_of(event, &container.id));
        assert_eq!(check[field], true, "{field}");
    }
    if let Some(address) = engine.address {
        sensor.wait_for(|event| is_of(event, &container.id) && event["container.ip"] == address);
    }
    // Until another one, so that there is more than the beginning.
    sensor.wait_for(|event| event["proc.name"] == "sleep" && is_of(event, &container.id));
    drop(container);
    let ended = sensor.stop();
    for line in &ended.stdout {
        let event: Value = serde_json::from_str(line).unwrap();
        if PROGRAMS.iter().any(|program| event["proc.name"] == *program) {
            check_known(&event, &known);
        }
    }
    assert!(ended.status.success(), "{:?}", ended.stderr);
}

fn start_sensor(engine: &Engine, place: &Place) -> Sensor {
    let scope = ["events", "--type", "exec,exit", "-o", "json", "--metadata-wait", PATIENCE];
    let mut arguments: Vec<String> = scope.map(str::to_owned).into();
    arguments.extend(["--cgroup".to_owned(), place.cgroup.name().to_owned()]);
    for (kind, path) in engine.sources {
        arguments.extend(["--source".to_owned(), format!("{kind}={}", place.path(path))]);
    }
    let mut sensor = Sensor::start(arguments);
    sensor.wait_for_message("watching");
    sensor
}

fn is_first(event: &Value, container: &Container) -> bool {
    event["proc.name"] == PROGRAMS[0] && is_of(event, &container.id)
}

fn is_of(event: &Value, id: &str) -> bool {
    event["container.full_id"] == *id
}

/// Each of the fields of `known`; null is for what has no value.
fn check_known(event: &Value, known: &Value) {
    let fields = |of: &Value| of.as_object().cloned().expect("an object of fields");
    let known = fields(known);
    let mut found = fields(event);
    found.retain(|field, _| known.contains_key(field));
    let mut expected = known;
    expected.retain(|_, value| !value.is_null());
    assert_eq!(Value::from(found), Value::from(expected), "{}", event["proc.cmdline"]);
}

fn now_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(since.as_nanos()).expect("before 2554")
}
