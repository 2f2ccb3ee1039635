use super::{
    Controller, Hierarchy, Legacy, ScopeError, legacy_mounts, level, path_in, unified_mounts,
};
use std::fs;
use std::os::unix::fs::MetadataExt as _;

#[test]
fn finds_unified_mounts() {
    let hybrid = b"\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";
    let v2 =
        b"30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 master:2 - cgroup2 cgroup2 rw,nsdelegate";
    let pod =
        b"700 690 0:26 /../../.. /host\\040root/cgroup ro - cgroup2 cgroup rw\nbroken\n7 6 - \n";
    for (mountinfo, expected) in [
        (&hybrid[..], &[("/sys/fs/cgroup/unified", "/")][..]),
        (v2, &[("/sys/fs/cgroup", "/")]),
        (pod, &[("/host root/cgroup", "/../../..")]),
        (b"1 2 0:1 / /a\\04 rw - cgroup2 x rw", &[("/a\\04", "/")]),
        (b"", &[]),
    ] {
        let mounts = unified_mounts(mountinfo);
        let found: Vec<(&str, &str)> = mounts
            .iter()
            .map(|mount| (mount.point.to_str().unwrap(), mount.root.as_str()))
            .collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn finds_the_hierarchy_that_stands_in_for_a_unified_one() {
    let mountinfo = b"\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
42 31 0:39 / /sys/fs/cgroup/pids rw,relatime shared:9 - cgroup cgroup rw,pids
";
    let membership = "9:pids:/\n4:memory:/\n1:name=systemd:/\n0::/\n";
    let pids = (Controller::Pids, 9, "/sys/fs/cgroup/pids");
    let memory = (Controller::Memory, 4, "/sys/fs/cgroup/memory");
    let end = mountinfo.len()
        - "42 31 0:39 / /sys/fs/cgroup/pids rw,relatime shared:9 - cgroup cgroup rw,pids\n".len();
    for (mountinfo, membership, expected) in [
        (&mountinfo[..], membership, Some(pids)),
        // One that is not mounted has no directories to look at.
        (&mountinfo[..end], membership, Some(memory)),
        (mountinfo, "4:memory:/\n", Some(memory)),
        (mountinfo, "0::/\n", None),
        (b"", membership, None),
    ] {
        let found = legacy_mounts(mountinfo, membership);
        let found = found.first().map(|mount| {
            let Legacy { controller, number } = mount.legacy.unwrap();
            (controller, number, mount.point.to_str().unwrap())
        });
        assert_eq!(found, expected, "{membership}");
    }
}

#[test]
fn prefers_the_path_that_says_most() {
    for (contents, expected) in [
        ("0::/system.slice/ssh.service\n", Some("/system.slice/ssh.service")),
        (
            "9:name=systemd:/docker/a\n8:pids:/docker/b\n4:memory:/docker/c\n0::/docker/d\n",
            Some("/docker/d"),
        ),
        ("9:name=systemd:/docker/a\n8:pids:/docker/b\n0::/\n", Some("/docker/a")),
        ("9:name=systemd:/\n8:pids:/docker/b\n4:memory:/caller\n0::/\n", Some("/docker/b")),
        ("4:memory:/docker/c\n3:cpu,cpuacct:/x\n", Some("/docker/c")),
        ("9:name=systemd:/\n4:memory:/\n0::/\n", Some("/")),
        (
            "0::/kubepods-pod1.slice:cri-containerd:abc\n",
            Some("/kubepods-pod1.slice:cri-containerd:abc"),
        ),
        ("3:cpu,cpuacct:/x\n", None),
        ("garbage\n::\n", Some("")),
        ("", None),
    ] {
        assert_eq!(path_in(contents), expected, "{contents}");
    }
}

#[test]
fn counts_levels() {
    for (path, expected) in [("/", 0), ("", 0), ("/a", 1), ("/a/b/", 2)] {
        assert_eq!(level(path), expected);
    }
}

#[test]
fn scans_and_resolves() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir_all(directory.path().join("docker/web/init")).unwrap();
    fs::write(directory.path().join("docker/cgroup.procs"), "").unwrap();
    // A part of a hierarchy: the whole would have the inode 1.
    let hierarchy =
        Hierarchy { point: directory.path().into(), root: "/part".into(), legacy: None };
    let paths: Vec<String> = hierarchy.scan().into_iter().map(|(_, path)| path).collect();
    assert_eq!(paths, ["/", "/docker", "/docker/web", "/docker/web/init"]);
    let inode = fs::metadata(directory.path().join("docker/web")).unwrap().ino();
    assert_eq!(hierarchy.scan()[2].0, inode);

    let absolute = directory.path().join("docker/web");
    for text in ["/docker/web", "docker/web/", "//docker//web", absolute.to_str().unwrap()] {
        let scope = hierarchy.scope(text).unwrap();
        assert_eq!((scope.id, scope.level, scope.path.as_str()), (inode, 3, "/docker/web"));
    }
    let message = |text| hierarchy.scope(text).unwrap_err().to_string();
    let point = directory.path().display();
    assert_eq!(
        message("/docker/wep"),
        format!(
            "no cgroup /docker/wep below {point}; did you mean /docker/web, /docker, /docker/web/init?"
        )
    );
    assert!(message("/docker/../docker").starts_with("no cgroup /docker/../docker below"));
    assert!(message("/docker/cgroup.procs").starts_with("no cgroup"));
}

#[test]
fn refuses_depths_seen_through_a_namespace() {
    let directory = tempfile::tempdir().unwrap();
    for root in ["/../..", "/"] {
        let hierarchy =
            Hierarchy { point: directory.path().into(), root: root.into(), legacy: None };
        assert!(matches!(hierarchy.scope("/"), Err(ScopeError::Namespace { .. })), "{root}");
    }
}
