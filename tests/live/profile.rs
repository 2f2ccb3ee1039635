//! Profiles: a busy loop is where its samples are.

use std::env;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};

use crate::harness::{Cgroup, Sensor};

/// The functions that `workload spin` is busy in.
const BUSY: [&str; 2] = ["workload::burn_left", "workload::burn_right"];
/// Of the samples of a busy loop.
const SHARE_PERCENT: u64 = 95;

/// A process of `cgroup` that does nothing but turn in two known functions.
struct Spinning(Child);

impl Spinning {
    fn start(cgroup: &Cgroup) -> Self {
        let mut child =
            cgroup.command(workload()).arg("spin").stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("spinning"), "{line}");
        Self(child)
    }
}

impl Drop for Spinning {
    fn drop(&mut self) {
        self.0.kill().expect("kill the busy loop");
        self.0.wait().expect("wait for the busy loop");
    }
}

/// The program of workloads: `SENSOR_WORKLOAD`, else the one that cargo built for this test.
fn workload() -> PathBuf {
    env::var_os("SENSOR_WORKLOAD").map_or(env!("CARGO_BIN_EXE_workload").into(), PathBuf::from)
}

/// Profiles what `target` names, and returns the folded stacks with their counts.
fn folded(target: &[&str]) -> Vec<(String, u64)> {
    let directory = tempfile::tempdir().unwrap();
    let output = directory.path().join("profile.folded");
    let mut arguments = vec!["profile", "--duration", "3", "--output", output.to_str().unwrap()];
    arguments.extend(target);
    let ended = Sensor::start(arguments).wait();
    assert!(ended.status.success(), "{:?}", ended.stderr);
    let honesty = ended.stdout.iter().find(|line| line.contains(" samples taken")).unwrap();
    assert!(honesty.contains("; 100.0% of frames named"), "{honesty}");
    for name in BUSY {
        assert!(ended.stdout.iter().any(|line| line.contains(name)), "{:?}", ended.stdout);
    }
    let stacks: Vec<(String, u64)> = fs::read_to_string(&output)
        .unwrap()
        .lines()
        .map(|line| {
            let (stack, count) = line.rsplit_once(' ').unwrap();
            (stack.to_owned(), count.parse().unwrap())
        })
        .collect();
    let kept: u64 = stacks.iter().map(|(_, count)| count).sum();
    assert!(
        honesty.starts_with(&format!("{kept} samples taken, {kept} kept, 0 lost")),
        "{honesty}"
    );
    stacks
}

fn is_where_it_is_busy(stacks: &[(String, u64)]) {
    let all: u64 = stacks.iter().map(|(_, count)| count).sum();
    let in_them = |stack: &str| stack.split(';').any(|frame| BUSY.contains(&frame));
    let busy: u64 = stacks.iter().filter(|(stack, _)| in_them(stack)).map(|(_, count)| count).sum();
    // Other tests take their share of the processors, so how many there are is not fixed.
    assert!(all > 0 && busy * 100 >= all * SHARE_PERCENT, "{busy} of {all}: {stacks:?}");
}

#[test]
fn a_busy_loop_has_its_samples_in_its_functions() {
    let cgroup = Cgroup::new("profile");
    let spinning = Spinning::start(&cgroup);
    is_where_it_is_busy(&folded(&["--cgroup", cgroup.name()]));
    is_where_it_is_busy(&folded(&["--pid", &spinning.0.id().to_string()]));
}

#[test]
fn what_does_not_run_has_no_samples_and_that_is_said() {
    let cgroup = Cgroup::new("idle");
    let ended = Sensor::start(["profile", "--duration", "0.2", "--cgroup", cgroup.name()]).wait();
    assert_eq!(ended.status.code(), Some(1));
    let last = ended.stderr.last().unwrap();
    assert!(last.contains("no samples") && last.contains("longer --duration"), "{last}");
}
