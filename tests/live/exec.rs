//! Executions: arguments whole, ancestry, what is executed.

use std::os::unix::ffi::OsStrExt as _;

use sensor_common::Kind;
use sensor_common::exec::STRINGS_MAX;

use crate::harness::Cgroup;
use crate::observer::{Observer, What};

#[test]
fn arguments_arrive_byte_exact() {
    let cgroup = Cgroup::new("exec");
    let observer = Observer::start(&cgroup, &[Kind::Fork, Kind::Exec, Kind::Exit]);
    // Every byte but NUL, again and again: 20 KiB in one argument, and 20 KiB in many.
    let long: Vec<u8> = (1..=255_u8).cycle().take(20 * 1024).collect();
    let many: Vec<String> = (0..4096).map(|n| format!("{n:04}")).collect();
    let status = cgroup
        .command("/bin/true")
        .arg(std::ffi::OsStr::from_bytes(&long))
        .status()
        .expect("run it");
    assert!(status.success());
    cgroup.command("/bin/true").arg("many").args(&many).status().expect("run it");

    let seen = observer.wait_for(|seen| seen.what == What::Exec && &*seen.process.name == b"true");
    let argv = &seen.process.program.argv;
    assert!(!argv.is_cut());
    let expected = [b"/bin/true\0".as_slice(), &long, b"\0"].concat();
    assert!(*argv.bytes == *expected, "{} bytes of {}", argv.bytes.len(), expected.len());

    let seen = observer.wait_for(|seen| seen.what == What::Exec && &*seen.process.name == b"true");
    let arguments: Vec<_> = seen.process.program.argv.iter().skip(2).collect();
    assert!(arguments.iter().copied().eq(many.iter().map(String::as_bytes)));
    observer.stop();
}

#[test]
fn a_cut_argument_list_says_how_long_it_was() {
    let cgroup = Cgroup::new("cut");
    let observer = Observer::start(&cgroup, &[Kind::Exec]);
    let long = "x".repeat(STRINGS_MAX + 1000);
    cgroup.run(&["/bin/true", &long]);
    let seen = observer.wait_for(|seen| seen.what == What::Exec && &*seen.process.name == b"true");
    let argv = &seen.process.program.argv;
    assert!(argv.is_cut());
    assert_eq!((argv.bytes.len(), argv.total), (STRINGS_MAX, "/bin/true".len() + long.len() + 2));
    observer.stop();
}

#[test]
fn a_process_has_a_beginning_a_parent_and_an_end() {
    let cgroup = Cgroup::new("life");
    let observer = Observer::start(&cgroup, &[Kind::Fork, Kind::Exec, Kind::Exit]);
    cgroup.run(&["sh", "-c", "cd /tmp; /bin/true; exit 3"]);
    let shell = observer.wait_for(|seen| seen.what == What::Exec);
    let fork = observer.wait_for(|seen| matches!(seen.what, What::Fork { .. }));
    assert_eq!(fork.process.id, shell.process.id);
    let child = observer.wait_for(|seen| seen.what == What::Exec);
    assert_eq!(fork.what, What::Fork { child: child.process.id.pid });
    assert_eq!(child.process.ppid, shell.process.id.pid);
    assert_eq!(child.ancestors.first().map(String::as_bytes), Some(&*shell.process.name));
    assert_eq!(&*child.process.cwd, b"/tmp");
    assert_eq!(child.attribution.cgroup_path, format!("/{}", cgroup.name()));
    let ended = |pid, code, signal| {
        observer.wait_for(|seen| {
            seen.process.id.pid == pid && seen.what == What::Exit { code, signal }
        });
    };
    ended(child.process.id.pid, Some(0), None);
    ended(shell.process.id.pid, Some(3), None);
    observer.stop();
}

#[test]
fn a_signal_is_not_an_exit_code() {
    let cgroup = Cgroup::new("signal");
    let observer = Observer::start(&cgroup, &[Kind::Exec, Kind::Exit]);
    cgroup.run(&["sh", "-c", "kill -TERM $$"]);
    let seen = observer.wait_for(|seen| matches!(seen.what, What::Exit { .. }));
    assert_eq!(seen.what, What::Exit { code: None, signal: Some(15) });
    observer.stop();
}
