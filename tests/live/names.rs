//! What numbers are called: users by the files below the root of their own container.

use std::fs;
use std::path::Path;

use sensor_common::Kind;

use crate::harness::Cgroup;
use crate::observer::{Observer, What};

/// A root with busybox and users of its own.
fn root(directory: &Path) -> String {
    fs::create_dir_all(directory.join("bin")).unwrap();
    fs::create_dir_all(directory.join("etc")).unwrap();
    fs::copy("/bin/busybox", directory.join("bin/busybox")).unwrap();
    fs::write(directory.join("etc/passwd"), "builder:x:4711:4712:A Person:/home/b:/bin/ash\n")
        .unwrap();
    fs::write(directory.join("etc/group"), "builders:x:4712:\n").unwrap();
    directory.to_str().unwrap().to_owned()
}

#[test]
fn users_have_the_names_of_their_own_root() {
    let directory = tempfile::tempdir().unwrap();
    let root = root(directory.path());
    let cgroup = Cgroup::new("users");
    // What the kernel and the sensor know a container by is its control group.
    let container = cgroup.path().join(format!("docker-{}.scope", "0123abcd".repeat(8)));
    fs::create_dir(&container).unwrap();
    let observer = Observer::start(&cgroup, &[Kind::Exec, Kind::Call, Kind::Cgroup]);
    let script = format!(
        "echo $$ > {}/cgroup.procs && chroot {root} /bin/busybox chown 4711:4712 /none",
        container.display()
    );
    cgroup.run(&["sh", "-c", &script]);
    let is_chown = |what: &What| {
        matches!(what, What::Call { name, arguments, .. }
            if name.contains("chown") && arguments.contains("uid=builder gid=builders"))
    };
    let seen = observer.wait_for(|seen| is_chown(&seen.what));
    // The process's root is not the host's, and the path says so.
    let What::Call { paths, .. } = seen.what else { unreachable!("it is a call") };
    assert_eq!(paths, [format!("{}/none", fs::canonicalize(&root).unwrap().display())]);
    observer.stop();
    fs::remove_dir(container).unwrap();
}
