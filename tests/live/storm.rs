//! Storms: nothing is lost without a count, whatever the ring holds.

use std::env;

use rustix::process::Signal;
use sensor_common::Kind;

use crate::harness::{Cgroup, Sensor};
use crate::observer::Observer;

/// Opens of a storm; an emulated machine, which needs minutes for as many, is told of fewer.
const OPENS: u64 = 45_000;
const OPENS_VARIABLE: &str = "SENSOR_STORM_OPENS";

/// Lets loose a storm in `cgroup` and returns the records that it makes at least.
fn storm(cgroup: &Cgroup) -> u64 {
    let opens = env::var(OPENS_VARIABLE)
        .map_or(OPENS, |text| text.parse().unwrap_or_else(|error| panic!("{text}: {error}")));
    let execs = opens / 9;
    // Each exec comes with a fork and an exit.
    let records = opens + 3 * execs;
    let opens = format!("i=0; while [ $i -lt {opens} ]; do : </dev/null; i=$((i+1)); done");
    let execs = format!("i=0; while [ $i -lt {execs} ]; do /bin/busybox true; i=$((i+1)); done");
    let mut workers: Vec<_> = [opens, execs]
        .iter()
        .map(|script| {
            cgroup.command("/bin/busybox").args(["ash", "-c", script]).spawn().expect("a shell")
        })
        .collect();
    for worker in &mut workers {
        assert!(worker.wait().expect("it ends").success());
    }
    records
}

/// A page, the least that there is.
const RING_BYTES: u32 = 4096;

#[test]
fn the_first_loss_is_an_alert_that_names_the_blinded() {
    let directory = tempfile::tempdir().unwrap();
    let rules = directory.path().join("rules.yaml");
    let rule = "- rule: R\n  desc: d\n  condition: evt.type in (open, openat) and fd.name = /none\n  output: o\n  \
                priority: INFO\n";
    std::fs::write(&rules, rule).unwrap();
    let cgroup = Cgroup::new("blind");
    let mut sensor = Sensor::start([
        "run",
        "--cgroup",
        &format!("/{}", cgroup.name()),
        "--rules",
        rules.to_str().unwrap(),
        "--set",
        "metrics.enabled=false",
        "--set",
        "events.ring_size=65536",
        "--output",
        "json",
    ]);
    sensor.wait_for_message("watching");
    // A reader that does not read leaves no doubt.
    sensor.signal(Signal::STOP);
    storm(&cgroup);
    sensor.signal(Signal::CONT);
    let alert = sensor.wait_for(|alert| alert["source"] == "internal");
    assert_eq!(alert["rule"], "Sensor internal: events lost");
    let lost = alert["output_fields"]["sensor.lost"].as_u64().unwrap();
    let blinded = alert["output_fields"]["sensor.blinded"]["host"].as_u64().unwrap();
    assert!(0 < blinded && blinded <= lost, "{alert}");
    let ended = sensor.stop();
    assert!(ended.status.success(), "{:?}", ended.stderr);
    let balance = ended.stderr.last().unwrap();
    assert!(balance.contains(" = ") && !balance.contains(" 0 lost"), "{balance}");
}

const KINDS: [Kind; 4] = [Kind::Fork, Kind::Exec, Kind::Exit, Kind::Open];

#[test]
fn a_storm_is_accounted_for_to_the_last_record() {
    let cgroup = Cgroup::new("storm");
    let observer = Observer::with_ring(&cgroup, &KINDS, 64 << 20);
    let records = storm(&cgroup);
    let (_, balance) = observer.stop();
    assert!(balance.produced + balance.missed >= records, "{balance}");
    println!("{balance}");
}

#[test]
fn a_ring_that_is_too_small_loses_with_a_count() {
    let cgroup = Cgroup::new("small");
    let observer = Observer::with_ring(&cgroup, &KINDS, RING_BYTES);
    let records = storm(&cgroup);
    // However fast the reader is, this record has no room.
    let argument = "x".repeat(2 * RING_BYTES as usize);
    assert!(cgroup.run(&["/bin/busybox", "true", &argument]).status.success());
    let (_, balance) = observer.stop();
    assert!(balance.lost > 0, "{balance}");
    assert!(balance.produced + balance.missed >= records, "{balance}");
    println!("{balance}");
}

#[test]
fn what_stays_in_the_kernel_is_counted_to_the_last_open() {
    let directory = tempfile::tempdir().unwrap();
    let rules = directory.path().join("rules.yaml");
    let rule = "- rule: R\n  desc: d\n  condition: evt.type in (open, openat) and fd.name = /none\n  output: o\n  \
                priority: INFO\n";
    std::fs::write(&rules, rule).unwrap();
    let cgroup = Cgroup::new("filtered");
    let quiet = ["run", "--output", "json", "--set", "metrics.enabled=false"];
    let of = ["--cgroup", cgroup.name(), "--rules", rules.to_str().unwrap()];
    let mut sensor = Sensor::start(quiet.into_iter().chain(of));
    sensor.wait_for_message("watching");
    let records = storm(&cgroup);
    let ended = sensor.stop();
    assert!(ended.status.success(), "{:?}", ended.stderr);
    // `P produced = D delivered + 0 lost + 0 dropped; S seen = F filtered in the kernel + P produced`
    let balance = ended.stderr.last().unwrap();
    let number = |after: &str| -> u64 {
        let (before, _) = balance.split_once(after).unwrap_or_else(|| panic!("{balance}"));
        before.rsplit(' ').next().unwrap().parse().unwrap_or_else(|_| panic!("{balance}"))
    };
    let (produced, seen) = (number(" produced = "), number(" seen = "));
    let filtered = number(" filtered");
    assert_eq!(seen, filtered + produced, "{balance}");
    assert_eq!(number(" delivered"), produced, "{balance}");
    // Forks, execs and exits all leave the kernel, of the opens only those that fail. Newer kernels do not run
    // a program that they have preempted.
    let (opens, missed) = (records - 3 * (records / 12), ended.missed());
    assert!(filtered + missed >= opens && seen + missed >= records, "{balance}");
    println!("{balance}");
}
