use super::{PROCESSES_MAX, ProcessTable, REMEMBER_NS};
use crate::event::decode::{Record, decode};
use crate::probe::record::{self, ExecParts};
use sensor_common::exec::Exec;
use sensor_common::fork::Fork;
use sensor_common::{Header, Kind};
use zerocopy::FromZeros as _;

fn header(pid: u32, start_boot_ns: u64) -> Header {
    let mut header = Header::new_zeroed();
    (header.tgid, header.tid, header.ppid) = (pid, pid, 1);
    header.start_boot_ns = start_boot_ns;
    header
}

fn fork(parent: Header, pid: u32, start_boot_ns: u64) -> Fork {
    let mut fork = Fork::new_zeroed();
    fork.header = parent;
    (fork.child_tgid, fork.child_start_boot_ns) = (pid, start_boot_ns);
    fork
}

fn execute(table: &mut ProcessTable, header: Header, argv: &[u8]) {
    learn(table, Kind::Exec, header, argv);
}

fn learn(table: &mut ProcessTable, kind: Kind, header: Header, argv: &[u8]) {
    let mut exec = Exec::new_zeroed();
    exec.header = header;
    let parts = ExecParts { filename: b"", exe: b"", cwd: b"", argv, env: b"" };
    let mut bytes = record::process(exec, &parts);
    // What runs already is laid out as what is executed.
    bytes[4..8].copy_from_slice(&(kind as u32).to_ne_bytes());
    let (Record::Process(record) | Record::Exec(record)) = decode(&bytes).unwrap() else {
        panic!("a record of a process")
    };
    table.executed(&record);
}

#[test]
fn a_child_runs_what_its_parent_runs() {
    let mut table = ProcessTable::default();
    let parent = header(10, 1_000);
    execute(&mut table, parent, b"sh\0-c\0true\0");
    table.forked(&fork(parent, 11, 2_000));
    let child = table.get(11).unwrap();
    let argv: Vec<_> = child.program.argv.iter().collect();
    assert_eq!(argv, [b"sh".as_slice(), b"-c", b"true"]);
    assert_eq!(table.ancestors(child).map(|p| p.id.pid).collect::<Vec<_>>(), [10]);
}

#[test]
fn what_was_executed_first_is_kept() {
    let mut table = ProcessTable::default();
    execute(&mut table, header(10, 1_000), b"runtime\0");
    table.forked(&fork(header(10, 1_000), 11, 2_000));
    // Found in /proc, where nobody sees how it began.
    learn(&mut table, Kind::Process, header(11, 2_000), b"runtime\0init\0");
    assert!(table.get(11).unwrap().first.is_none());
    for program in [b"sh\0-c\0true\0".as_slice(), b"true\0"] {
        execute(&mut table, header(11, 2_000), program);
    }
    let process = table.get(11).unwrap();
    let argv = |program: &super::Program| program.argv.iter().count();
    assert_eq!((argv(process.first.as_ref().unwrap()), argv(&process.program)), (3, 1));
    // Another process of the same pid.
    execute(&mut table, header(11, 1 << 40), b"new\0");
    assert_eq!(argv(table.get(11).unwrap().first.as_ref().unwrap()), 1);
}

#[test]
fn a_reused_pid_is_another_process() {
    const SECOND: u64 = 1_000_000_000;
    let mut table = ProcessTable::default();
    let parent = header(10, SECOND);
    execute(&mut table, parent, b"old\0");
    table.forked(&fork(parent, 11, 2 * SECOND));
    // Pid 10 now belongs to a process that started after its supposed child.
    execute(&mut table, header(10, 3 * SECOND), b"new\0");
    let child = table.get(11).unwrap();
    assert!(table.parent(child).is_none());
    assert!(table.seen(&header(10, SECOND)).is_none());
    assert!(table.seen(&header(10, 3 * SECOND)).is_some());
}

/// Sooner than what /proc can tell apart.
#[test]
fn a_pid_that_is_used_again_at_once_is_another_process() {
    let mut table = ProcessTable::default();
    execute(&mut table, header(10, 1_001), b"old\0");
    table.exited(&header(10, 1_001));
    let parent = header(9, 500);
    table.forked(&fork(parent, 10, 2_002));
    assert!(table.seen(&header(10, 1_001)).is_none());
    assert!(table.seen(&header(10, 2_002)).is_some());
    table.forget(u64::MAX);
    assert!(table.get(10).is_some(), "it went with the other one");
    // Of a process that is known from /proc the start is rounded.
    learn(&mut table, Kind::Process, header(11, 30_000_000), b"found\0");
    assert!(table.seen(&header(11, 39_999_999)).is_some());
}

#[test]
fn remembers_the_ended_for_a_while() {
    let mut table = ProcessTable::default();
    execute(&mut table, header(10, 0), b"a\0");
    table.exited(&header(10, 0));
    table.forget(REMEMBER_NS - 1);
    assert!(table.get(10).is_some());
    table.forget(REMEMBER_NS);
    assert!(table.is_empty());
    // A process that took the pid in the meantime stays.
    execute(&mut table, header(10, 0), b"a\0");
    table.exited(&header(10, 0));
    execute(&mut table, header(10, 1 << 40), b"b\0");
    table.forget(u64::MAX);
    assert!(table.get(10).is_some());
}

#[test]
fn is_bounded() {
    let mut table = ProcessTable::default();
    for pid in 0..u32::try_from(PROCESSES_MAX).unwrap() + 10 {
        table.forked(&fork(header(1, 0), pid, 5));
    }
    assert_eq!((table.len(), table.evicted), (PROCESSES_MAX, 10));
}
