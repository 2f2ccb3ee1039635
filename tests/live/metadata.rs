//! What is looked up about containers is there when their events are.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::harness::{Cgroup, Sensor, wait_for};

/// Containers, one after the other.
const COUNT: usize = 8;
/// A container ends when this is there, in the root that all have.
const END: &str = "end";
/// Longer than a look takes, on the slowest machine.
const PATIENCE: &str = "2m";
const IMAGE: &str = "localhost/shop:2";

/// Of a container of busybox that waits for its end; the same bundle serves all.
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
            "args": ["sh", "-c", format!("while [ ! -e /{END} ]; do sleep 0.05; done; exit 0")],
            "env": ["PATH=/bin"],
            "cwd": "/",
        },
        "root": { "path": "rootfs" },
        "mounts": [{ "destination": "/proc", "type": "proc", "source": "proc" }],
        "annotations": { "org.opencontainers.image.ref.name": IMAGE, "team": "x" },
        "linux": { "cgroupsPath": cgroup_path, "namespaces": namespaces },
    });
    fs::write(directory.join("config.json"), config.to_string()).unwrap();
}

/// A container that lives until it is dropped.
struct Container<'a> {
    directory: &'a Path,
    runc: Child,
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        let mark = self.directory.join("rootfs").join(END);
        fs::write(&mark, "").unwrap();
        self.runc.wait().unwrap();
        fs::remove_file(&mark).unwrap();
    }
}

fn start<'a>(directory: &'a Path, cgroup: &Cgroup, id: &str) -> Container<'a> {
    config(directory, &format!("/{}/{id}", cgroup.name()));
    let runc = Command::new("runc")
        .arg("--root")
        .arg(directory.join("state"))
        .args(["run", "--bundle"])
        .arg(directory)
        .arg(id)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    Container { directory, runc }
}

fn source(directory: &Path) -> String {
    format!("runc-root={}", directory.join("state").display())
}

/// An id that no other container has, of 64 hexadecimal digits.
fn id() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("{:032x}{number:032x}", 0xc0ff_ee00_u128 + u128::from(std::process::id()))
}

#[test]
fn events_carry_id_name_and_image_from_the_first_on() {
    let directory = tempfile::tempdir().unwrap();
    bundle(directory.path());
    let cgroup = Cgroup::new("named");
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
        "--metadata-wait",
        PATIENCE,
    ];
    let mut sensor = Sensor::start(arguments);
    sensor.wait_for_message("watching");
    for _ in 0..COUNT {
        let id = id();
        let container = start(directory.path(), &cgroup, &id);
        // The shell's execution is the first event of the container's own.
        let first = sensor
            .wait_for(|event| event["container.full_id"] == *id && event["proc.name"] == "sh");
        assert_eq!(
            (&first["container.name"], &first["container.image"]),
            (&id.into(), &IMAGE.into()),
            "{first}"
        );
        drop(container);
    }
    let ended = sensor.stop();
    let events = ended.stdout.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let is_of_container =
        |event: &Value| event["proc.name"] == "sh" || event["proc.name"] == "sleep";
    for event in events.filter(is_of_container) {
        let id = event["container.full_id"].as_str().unwrap_or_default();
        assert_eq!((id.len(), &event["container.image"]), (64, &IMAGE.into()), "{event}");
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
    let arguments =
        ["record", "--cgroup", cgroup.name(), "--source", &source, "--metadata-wait", PATIENCE];
    let mut sensor = Sensor::start(arguments.into_iter().chain([capture.to_str().unwrap()]));
    sensor.wait_for_message("recording");
    let id = id();
    let container = start(directory.path(), &cgroup, &id);
    // What was told about the container is a record of its own.
    wait_for(|| {
        let recorded = fs::read(&capture).unwrap();
        recorded.windows(IMAGE.len()).any(|text| text == IMAGE.as_bytes()).then_some(())
    });
    drop(container);
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
    assert_eq!(alert["output_fields"]["container.name"], id);
    assert_eq!(alert["output_fields"]["container.image.tag"], "2");
    assert_eq!(replay(), alerts);
}
