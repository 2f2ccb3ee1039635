//! Hosts without any hierarchy of control groups that tells processes apart.

use std::process::{self, Command};

use crate::harness::Sensor;

#[test]
fn without_cgroups_events_come_and_one_line_says_what_they_lack() {
    const LINE: &str = "no cgroup hierarchy is mounted";
    let mut sensor =
        Sensor::start_without_cgroups(&["events", "--output", "json", "--type", "exec"]);
    sensor.wait_for_message(LINE);
    sensor.wait_for_message("watching");
    let mark = format!("without-cgroups-{}", process::id());
    assert!(Command::new("true").arg(&mark).status().unwrap().success());
    let event = sensor.wait_for(|event| event["proc.args"] == *mark);
    assert_eq!(event["container.id"], "host");
    let ended = sensor.stop();
    assert!(ended.status.success(), "{:?}", ended.stderr);
    assert!(!ended.stderr.iter().any(|line| line.contains(LINE)), "{:?}", ended.stderr);
}

#[test]
fn without_cgroups_a_scope_is_refused() {
    let ended = Sensor::start_without_cgroups(&["events", "--cgroup", "/a"]).wait();
    assert_eq!(ended.status.code(), Some(1));
    let [line] = ended.stderr.as_slice() else { panic!("{:?}", ended.stderr) };
    assert!(line.contains("has no cgroup hierarchy"), "{line}");
}
