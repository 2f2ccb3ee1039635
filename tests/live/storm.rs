//! Storms: nothing is lost without a count, whatever the ring holds.

use sensor_common::Kind;

use crate::harness::Cgroup;
use crate::observer::Observer;

const OPENS: u64 = 45_000;
const EXECS: u64 = 5_000;

fn storm(cgroup: &Cgroup) {
    let opens = format!("i=0; while [ $i -lt {OPENS} ]; do : </dev/null; i=$((i+1)); done");
    let execs = format!("i=0; while [ $i -lt {EXECS} ]; do /bin/busybox true; i=$((i+1)); done");
    let mut workers: Vec<_> = [opens, execs]
        .iter()
        .map(|script| {
            cgroup.command("/bin/busybox").args(["ash", "-c", script]).spawn().expect("a shell")
        })
        .collect();
    for worker in &mut workers {
        assert!(worker.wait().expect("it ends").success());
    }
}

const KINDS: [Kind; 4] = [Kind::Fork, Kind::Exec, Kind::Exit, Kind::Open];

#[test]
fn a_storm_is_accounted_for_to_the_last_record() {
    let cgroup = Cgroup::new("storm");
    let observer = Observer::with_ring(&cgroup, &KINDS, 64 << 20);
    storm(&cgroup);
    let (_, balance) = observer.stop();
    // Each exec comes with a fork and an exit.
    assert!(balance.produced + balance.missed >= OPENS + 3 * EXECS, "{balance}");
    println!("{balance}");
}

#[test]
fn a_ring_that_is_too_small_loses_with_a_count() {
    let cgroup = Cgroup::new("small");
    let observer = Observer::with_ring(&cgroup, &KINDS, 4096);
    storm(&cgroup);
    let (_, balance) = observer.stop();
    assert!(balance.lost > 0, "{balance}");
    assert!(balance.produced + balance.missed >= OPENS + 3 * EXECS, "{balance}");
    println!("{balance}");
}
