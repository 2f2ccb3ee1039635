//! OOM kills: once, with victim, memory and cgroup.

use sensor_common::Kind;

use crate::harness::Cgroup;
use crate::observer::{Observer, What};

const LIMIT: u64 = 24 << 20;

#[test]
fn a_kill_names_its_victim_and_cgroup() {
    let mut cgroup = Cgroup::new("oom");
    cgroup.limit_memory(LIMIT);
    let observer = Observer::start(&cgroup, &[Kind::Exec, Kind::Exit, Kind::Oom]);
    // dd fills a buffer of the size of its blocks.
    cgroup.run(&["dd", "if=/dev/zero", "of=/dev/null", "bs=256M", "count=1"]);
    let seen = observer.wait_for(|seen| matches!(seen.what, What::Oom { .. }));
    assert_eq!(&*seen.process.name, b"dd");
    let What::Oom { memory, memory_cgroup } = &seen.what else { panic!("just matched") };
    assert_eq!(*memory_cgroup, format!("/{}", cgroup.name()));
    // It was stopped at the limit: most of it is dd's buffer.
    assert!(memory.anon > LIMIT / 2 && memory.anon <= LIMIT, "{memory:?}");
    let victim = seen.process.id;
    let end = observer.wait_for(|seen| matches!(seen.what, What::Exit { .. }));
    assert_eq!((end.process.id, end.what), (victim, What::Exit { code: None, signal: Some(9) }));
    let (rest, _) = observer.stop();
    assert!(!rest.iter().any(|seen| matches!(seen.what, What::Oom { .. })), "reported twice");
}
