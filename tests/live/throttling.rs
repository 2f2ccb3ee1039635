//! CPU quotas: how the kernel held a control group back, in whichever layout of them.

use std::fs;
use std::process::Stdio;

use sensor::metrics::cgroupfs::Layout;

use crate::harness::{Cgroup, wait_for};

const QUOTA_US: u64 = 10_000;
const PERIOD_US: u64 = 100_000;

#[test]
fn a_group_that_uses_up_its_quota_is_seen_to_wait() {
    let mut cgroup = Cgroup::new("throttled");
    cgroup.limit_cpu(QUOTA_US, PERIOD_US);
    let layout = Layout::parse(&fs::read_to_string("/proc/self/mountinfo").unwrap());
    let path = format!("/{}", cgroup.name());
    let bandwidth = || layout.read(&path).cpu?.bandwidth;
    let before = bandwidth().expect("it has a quota");
    assert_eq!((before.quota_us, before.period_us), (Some(QUOTA_US), PERIOD_US));
    assert_eq!((before.throttled_periods, before.throttled_seconds), (0, 0.0));
    let mut busy = cgroup
        .command("/bin/busybox")
        .args(["sh", "-c", "while :; do :; done"])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let after = wait_for(|| {
        bandwidth().filter(|now| now.throttled_periods > 2 && now.throttled_seconds > 0.0)
    });
    busy.kill().unwrap();
    busy.wait().unwrap();
    assert!(after.periods >= after.throttled_periods, "{after:?}");
    let usage = layout.read(&path).cpu.unwrap().usage_seconds;
    assert!(usage > 0.0, "{usage}");
}
