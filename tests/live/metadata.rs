//! What is looked up about containers is there when their events are.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{Cgroup, Sensor};

/// Containers that live for a moment.
const COUNT: usize = 50;

/// Of a container of busybox that runs a script; the same bundle serves all.
fn bundle(directory: &Path) {
    let bin = directory.join("rootfs/bin");
    fs::create_dir_all(&bin).unwrap();
    fs::create_dir_all(directory.join("rootfs/proc")).unwrap();
    for program in ["sh", "sleep"] {
        fs::copy("/bin/busybox", bin.join(program)).unwrap();
    }
}

fn config(directory: &Path, cgroup_path: &str) {
    let namespaces = ["pid", "mount", "ipc", "uts"].map(|name| json!({ "type": name }));
    let config = json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": { "uid": 0, "gid": 0 },
            "args": ["sh", "-c", "sleep 0.05; exit 0"],
            "env": ["PATH=/bin"],
            "cwd": "/",
        },
        "root": { "path": "rootfs" },
        "mounts": [{ "destination": "/proc", "type": "proc", "source": "proc" }],
        "annotations": { "org.opencontainers.image.ref.name": "localhost/shop:2", "team": "x" },
        "linux": { "cgroupsPath": cgroup_path, "namespaces": namespaces },
    });
    fs::write(directory.join("config.json"), config.to_string()).unwrap();
}

fn run(directory: &Path, cgroup: &Cgroup, id: &str) {
    config(directory, &format!("/{}/{id}", cgroup.name()));
    let status = Command::new("runc")
        .arg("--root")
        .arg(directory.join("state"))
        .args(["run", "--bundle"])
        .arg(directory)
        .arg(id)
        .stdin(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{id}: {status}");
}

fn source(directory: &Path) -> String {
    format!("runc-root={}", directory.join("state").display())
}

/// The id of run number `number`, of 64 hexadecimal digits.
fn id(number: usize) -> String {
    format!("{:032x}{number:032x}", 0xc0ff_ee00_u128 + u128::from(std::process::id()))
}

#[test]
fn events_of_short_containers_carry_id_name_and_image() {
    let directory = tempfile::tempdir().unwrap();
    bundle(directory.path());
    let cgroup = Cgroup::new("short");
    let source = source(directory.path());
    let arguments = [
        "events",
        "--type",
        "exec,exit",
        "-o",
        "json",
        "--cgroup",
        cgroup.name(),
        "--source",
        &source,
    ];
    let mut sensor = Sensor::start(arguments);
    sensor.wait_for_message("watching");
    for number in 0..COUNT {
        run(directory.path(), &cgroup, &id(number));
    }
    let ended = sensor.stop();
    let events: Vec<Value> =
        ended.stdout.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of_containers: Vec<&Value> =
        events.iter().filter(|event| event["proc.name"] == "sh").collect();
    assert!(of_containers.len() >= 2 * COUNT, "{}", of_containers.len());
    let with = |field: &str, wanted: &dyn Fn(&Value) -> bool| {
        of_containers.iter().filter(|event| wanted(&event[field])).count()
    };
    let full = with("container.full_id", &|id| id.as_str().is_some_and(|id| id.len() == 64));
    assert!(full * 1000 >= of_containers.len() * 999, "{full} of {}", of_containers.len());
    let named = with("container.name", &|name| name.as_str().is_some_and(|name| name.len() == 64));
    let imaged = with("container.image", &|image| image == "localhost/shop:2");
    // runc takes its state away with the container: under load a look may come after that.
    for count in [named, imaged] {
        assert!(count * 100 >= of_containers.len() * 90, "{count} of {}", of_containers.len());
    }
}

#[test]
fn a_rule_about_the_image_fires_and_a_replay_gives_the_same() {
    let directory = tempfile::tempdir().unwrap();
    bundle(directory.path());
    let rules = directory.path().join("rules.yaml");
    let text = "- rule: shop\n  desc: of a test\n  condition: evt.type = execve and proc.name = sh and \
                container.image.repository = localhost/shop and container.label.team = x\n  \
                output: \"%container.name %container.image.tag\"\n  priority: WARNING\n";
    fs::write(&rules, text).unwrap();
    let capture = directory.path().join("a.rec");
    let cgroup = Cgroup::new("image");
    let source = source(directory.path());
    let arguments = ["record", "--cgroup", cgroup.name(), "--source", &source];
    let mut sensor = Sensor::start(arguments.into_iter().chain([capture.to_str().unwrap()]));
    sensor.wait_for_message("recording");
    run(directory.path(), &cgroup, &id(0));
    assert!(sensor.stop().status.success());
    let replay = || {
        let arguments =
            ["replay", "-o", "json", "-r", rules.to_str().unwrap(), capture.to_str().unwrap()];
        let ended = Sensor::start(arguments).wait();
        assert!(ended.status.success(), "{:?}", ended.stderr);
        ended.stdout
    };
    let alerts = replay();
    let [alert] = alerts.as_slice() else { panic!("{alerts:#?}") };
    let alert: Value = serde_json::from_str(alert).unwrap();
    assert_eq!(alert["output_fields"]["container.name"], id(0));
    assert_eq!(alert["output_fields"]["container.image.tag"], "2");
    assert_eq!(replay(), alerts);
}
