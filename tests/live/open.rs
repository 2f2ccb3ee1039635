//! Opens: the file that the kernel opened, and the text that was passed.

use std::fs;
use std::os::unix::fs::symlink;

use sensor_common::Kind;

use crate::harness::Cgroup;
use crate::observer::{Observer, Seen, What};

/// An open whose text is this one.
fn opened(text: &str) -> impl Fn(&Seen) -> bool {
    move |seen| matches!(&seen.what, What::Open { text: passed, .. } if passed == text)
}

fn path_and_result(seen: &Seen) -> (&str, i64) {
    match &seen.what {
        What::Open { path, result, .. } => (path, *result),
        other => panic!("not an open: {other:?}"),
    }
}

#[test]
fn a_symlink_does_not_hide_the_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let link = directory.path().join("innocent");
    symlink("/etc/shadow", &link).expect("a link");
    let link = link.to_str().expect("its name is text");
    let cgroup = Cgroup::new("symlink");
    let observer = Observer::start(&cgroup, &[Kind::Exec, Kind::Open]);
    cgroup.run(&["head", "-c1", link]);
    let seen = observer.wait_for(opened(link));
    assert_eq!(path_and_result(&seen).0, "/etc/shadow");
    assert!(path_and_result(&seen).1 >= 0);
    observer.stop();
}

#[test]
fn relative_texts_are_resolved_by_the_kernel() {
    let directory = tempfile::tempdir().expect("a directory");
    fs::create_dir(directory.path().join("a")).expect("a directory in it");
    fs::write(directory.path().join("file"), "x").expect("a file in it");
    let root = fs::canonicalize(directory.path()).expect("it is there");
    let script = format!("cd {}/a && cat ../a/.././file; cat ../none", root.display());
    let cgroup = Cgroup::new("relative");
    let observer = Observer::start(&cgroup, &[Kind::Exec, Kind::Open]);
    cgroup.run(&["sh", "-c", &script]);
    let seen = observer.wait_for(opened("../a/.././file"));
    assert_eq!(path_and_result(&seen).0, root.join("file").to_str().expect("text"));
    // Nothing was opened: the text, made absolute below the working directory, has to do.
    let seen = observer.wait_for(opened("../none"));
    assert_eq!(path_and_result(&seen), (root.join("none").to_str().expect("text"), -2));
    observer.stop();
}

/// A file is made once, whatever flags are passed.
#[test]
fn an_open_says_whether_it_made_the_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("new");
    let path = path.to_str().expect("its name is text");
    let cgroup = Cgroup::new("created");
    let observer = Observer::start(&cgroup, &[Kind::Exec, Kind::Exit, Kind::Open]);
    let script = format!("> {path}; > {path}; cat {path}");
    cgroup.run(&["sh", "-c", &script]);
    let mut made = Vec::new();
    for _ in 0..3 {
        let seen = observer.wait_for(opened(path));
        let What::Open { created, .. } = seen.what else { panic!("not an open") };
        made.push(created);
    }
    assert_eq!(made, [true, false, false]);
    observer.stop();
}

#[test]
fn proc_self_root_does_not_hide_the_file() {
    let cgroup = Cgroup::new("procroot");
    let observer = Observer::start(&cgroup, &[Kind::Exec, Kind::Open]);
    cgroup.run(&["head", "-c1", "/proc/self/root/etc/passwd"]);
    let seen = observer.wait_for(opened("/proc/self/root/etc/passwd"));
    assert_eq!(path_and_result(&seen).0, "/etc/passwd");
    observer.stop();
}
