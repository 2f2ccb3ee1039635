//! `sensor run` from its start to its end.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::process::Signal;
use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};
use serde_json::Value;

use crate::harness::{Cgroup, Sensor, free_address, get, wait_for};

const WATCHING: &str = "watching with";
/// Nothing but alerts, and no port.
const QUIET: [&str; 5] = ["run", "--output", "json", "--set", "metrics.enabled=false"];

fn start(cgroup: &Cgroup, more: &[&str]) -> Sensor {
    let mut arguments = [QUIET.as_slice(), &["--cgroup", cgroup.name()]].concat();
    arguments.extend(more);
    let mut sensor = Sensor::start(arguments);
    sensor.wait_for_message(WATCHING);
    sensor
}

fn rules(path: &Path, rule: &str, condition: &str) {
    let output = "%proc.pid %proc.name %fd.name";
    let text = format!(
        "- rule: {rule}\n  desc: of a test\n  condition: {condition}\n  output: \"{output}\"\n  priority: WARNING\n"
    );
    fs::write(path, text).unwrap();
}

/// A rule about one kind of event: an agent with all shipped rules is a quarter of a minute old, in an
/// emulated machine, before it watches.
fn about_shadow(directory: &Path) -> String {
    let file = directory.join("rules.yaml");
    rules(&file, "Shadow", "evt.type in (open, openat) and fd.name = /etc/shadow");
    file.to_str().unwrap().to_owned()
}

fn start_listening(cgroup: &Cgroup, listen: &str) -> Sensor {
    let directory = tempfile::tempdir().unwrap();
    let rules = about_shadow(directory.path());
    let arguments = ["run", "--listen", listen, "--cgroup", cgroup.name(), "--rules", &rules];
    let mut sensor = Sensor::start(arguments);
    sensor.wait_for_message(WATCHING);
    sensor
}

fn of_rule(name: &str) -> impl Fn(&Value) -> bool {
    move |alert| alert["rule"] == *name
}

#[test]
fn a_symlink_to_a_sensitive_file_alerts_by_its_real_path() {
    let directory = tempfile::tempdir().unwrap();
    let link = directory.path().join("innocent");
    symlink("/etc/shadow", &link).unwrap();
    let link = link.to_str().unwrap();
    let cgroup = Cgroup::new("alert");
    let mut sensor = start(&cgroup, &[]);
    cgroup.run(&["head", "-c1", link]);
    let alert = sensor.wait_for(of_rule("Sensitive file read"));
    let fields = &alert["output_fields"];
    assert_eq!((&fields["fd.name"], &fields["fd.nameraw"]), (&"/etc/shadow".into(), &link.into()));
    assert_eq!(fields["proc.cmdline"], format!("head -c1 {link}"));
    assert_eq!(alert["priority"], "Warning");
    assert!(sensor.stop().status.success());
}

#[test]
fn a_reload_takes_a_good_ruleset_and_refuses_a_bad_one() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rules.yaml");
    let wanted = |name: &str| format!("evt.type=execve and proc.args={name}");
    rules(&file, "First", &wanted("first"));
    let cgroup = Cgroup::new("reload");
    let mut sensor = start(&cgroup, &["--rules", file.to_str().unwrap()]);
    cgroup.run(&["true", "first"]);
    sensor.wait_for(of_rule("First"));

    rules(&file, "Second", &wanted("second"));
    sensor.signal(Signal::HUP);
    sensor.wait_for_message("reloaded: 1 rules");
    cgroup.run(&["true", "first"]);
    cgroup.run(&["true", "second"]);
    // The first alert from now on: the old rule is gone.
    let alert = sensor.wait_for(|_| true);
    assert!(of_rule("Second")(&alert), "{alert}");

    rules(&file, "Third", "evt.type=execve and proc.nmae=third");
    sensor.signal(Signal::HUP);
    sensor.wait_for_message("not reloaded, the old rules stay");
    sensor.wait_for_message("proc.nmae");
    cgroup.run(&["true", "second"]);
    sensor.wait_for(of_rule("Second"));
    assert!(sensor.stop().status.success());
}

#[test]
fn sigterm_drains_what_was_seen_and_ends_well() {
    const OPENS: u64 = 2000;
    let cgroup = Cgroup::new("drain");
    let directory = tempfile::tempdir().unwrap();
    let sensor = start(&cgroup, &["--rules", &about_shadow(directory.path())]);
    let script = format!("i=0; while [ $i -lt {OPENS} ]; do : </etc/shadow; i=$((i+1)); done");
    assert!(cgroup.run(&["sh", "-c", &script]).status.success());
    let ended = sensor.stop();
    assert_eq!(ended.status.code(), Some(0));
    let alerts = ended.stdout.iter().filter(|line| line.contains("\"Shadow\"")).count() as u64;
    let missed = ended.missed();
    assert!(alerts <= OPENS && OPENS <= alerts + missed, "{alerts}: {:?}", ended.stderr);
    let balance = ended.stderr.last().unwrap();
    assert!(balance.contains(" produced = ") && balance.contains(" + 0 lost + 0 dropped"));
}

#[test]
fn it_is_ready_when_it_has_seen_itself() {
    let listen = free_address().to_string();
    let cgroup = Cgroup::new("ready");
    let sensor = start_listening(&cgroup, &listen);
    let verbose =
        wait_for(|| get(&listen, "/readyz?verbose").filter(|text| text.contains(" 200 ")));
    for condition in ["attached", "draining", "rules_loaded", "canary_seen"] {
        assert!(verbose.contains(&format!("[+]{condition} ok")), "{verbose}");
    }
    cgroup.run(&["true"]);
    let metrics = wait_for(|| {
        let text = get(&listen, "/metrics")?;
        // The canary's and that of `true`.
        text.contains("sensor_records_produced_total{kind=\"exec\"} 2\n").then_some(text)
    });
    assert!(metrics.contains("sensor_probe_state{probe=\"exec\""), "{metrics}");
    assert!(metrics.contains("sensor_ring_size_bytes 8388608"), "{metrics}");
    assert!(metrics.contains("sensor_ring_unread_bytes "), "{metrics}");
    assert!(metrics.contains("sensor_processes_evicted_total 0\n"), "{metrics}");
    assert!(!metrics.contains("sensor_processes_known 0\n"), "{metrics}");
    assert!(sensor.stop().status.success());
}

#[test]
fn a_group_that_takes_no_process_itself_is_watched_as_well() {
    let cgroup = Cgroup::new("pod");
    let below = cgroup.path().join("container");
    fs::create_dir(&below).unwrap();
    // Of v1 every group takes processes.
    cgroup.hand_down();
    let listen = free_address().to_string();
    let sensor = start_listening(&cgroup, &listen);
    let seen = "[+]canary_seen ok";
    wait_for(|| get(&listen, "/readyz?verbose").filter(|text| text.contains(seen)));
    assert!(sensor.stop().status.success());
    fs::remove_dir(&below).unwrap();
}

#[test]
fn a_port_in_use_is_one_sentence() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = Sensor::start(["run", "--listen", &address]).wait();
    assert_eq!(ended.status.code(), Some(1));
    let [line] = ended.stderr.as_slice() else { panic!("{:?}", ended.stderr) };
    assert!(
        line.starts_with(&format!("sensor: cannot serve metrics on {address}: the port is in use"))
    );
}

#[test]
fn the_sensor_does_not_report_itself() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rules.yaml");
    let anything = "evt.type in (execve, execveat, open, openat, openat2, connect)";
    rules(&file, "Anything", anything);
    let nobody = format!("http://{}", free_address());
    let cgroup = Cgroup::new("itself");
    // A sensor within its own scope: it reads /proc, reloads, and connects to where nobody listens.
    let mut arguments = QUIET.to_vec();
    arguments.extend(["--cgroup", cgroup.name(), "--alertmanager", &nobody]);
    arguments.extend(["--rules", file.to_str().unwrap()]);
    let mut sensor = Sensor::start_in(&cgroup, &arguments);
    sensor.wait_for_message(WATCHING);
    cgroup.run(&["busybox", "true", "before"]);
    sensor
        .wait_for(|alert| alert["output"].as_str().is_some_and(|text| text.contains(" busybox ")));
    sensor.wait_for_message("cannot reach Alertmanager");
    sensor.signal(Signal::HUP);
    sensor.wait_for_message("reloaded: 1 rules");
    cgroup.run(&["busybox", "true", "after"]);
    let pid = sensor.pid();
    let ended = sensor.stop();
    assert!(ended.status.success(), "{:?}", ended.stderr);
    let alerts: Vec<Value> =
        ended.stdout.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let name = |alert: &Value| alert["output_fields"]["proc.name"].clone();
    assert!(alerts.iter().any(|alert| name(alert) == "busybox"), "{alerts:?}");
    let own = |alert: &&Value| {
        alert["output_fields"]["proc.pid"] == pid || name(alert) == "sensor" || name(alert) == "exe"
    };
    let own: Vec<&Value> = alerts.iter().filter(own).collect();
    assert!(own.is_empty(), "{own:?}");
}

/// An address on loopback that nobody listens on.
#[test]
fn a_kernel_without_type_information_is_one_sentence_with_the_fix() {
    let hide = "mount -t tmpfs none /sys/kernel/btf";
    let ended = Sensor::start_after(hide, &["events"]).wait();
    assert_eq!(ended.status.code(), Some(1));
    let [line] = ended.stderr.as_slice() else { panic!("{:?}", ended.stderr) };
    assert!(line.contains("no BTF at /sys/kernel/btf/vmlinux"), "{line}");
    assert!(line.contains("CONFIG_DEBUG_INFO_BTF=y"), "{line}");

    let ended = Sensor::start_after(hide, &["doctor"]).wait();
    assert_eq!(ended.status.code(), Some(1));
    let fix = "fix: boot a kernel built with CONFIG_DEBUG_INFO_BTF=y";
    assert!(ended.stdout.iter().any(|line| line.contains(fix)), "{:?}", ended.stdout);
}

/// Before 5.11 the kernel charges maps to `RLIMIT_MEMLOCK`. Who may not raise it is told so, and others
/// need not know of it.
#[test]
fn a_limit_of_locked_memory_that_stays_is_named() {
    const CHARGES_CGROUPS: (u32, u32) = (5, 11);
    let doctor = std::thread::spawn(|| {
        // Of this thread, and of what it starts.
        remove_capability_from_bounding_set(CapabilitySet::SYS_RESOURCE).unwrap();
        Sensor::start_after("ulimit -l 64", &["doctor"]).wait()
    });
    let ended = doctor.join().unwrap();
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let is_charged = sensor::probe::kernel::version(&release).unwrap() < CHARGES_CGROUPS;
    let said = "RLIMIT_MEMLOCK is 65536 bytes and may not be raised";
    let names_it = ended.stdout.iter().any(|line| line.contains(said));
    assert_eq!(names_it, is_charged, "{:?} {:?}", ended.stdout, ended.stderr);
}
