//! The files of the kernel's three layouts.

use super::*;

fn files<'a>(table: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
    |name| table.iter().find(|(file, _)| *file == name).map(|(_, text)| (*text).to_owned())
}

const V2: &[(&str, &str)] = &[
    (
        "cpu.stat",
        "usage_usec 2500000\nuser_usec 1500000\nsystem_usec 1000000\nnr_periods 10\nnr_throttled 4\nthrottled_usec 250000\n",
    ),
    ("cpu.max", "50000 100000\n"),
    ("memory.current", "1000\n"),
    (
        "memory.stat",
        "anon 300\nfile 500\nfile_mapped 70\ninactive_file 200\npgfault 9\npgmajfault 1\n",
    ),
    ("memory.swap.current", "5\n"),
    ("memory.peak", "2000\n"),
    ("memory.max", "4096\n"),
    ("memory.events", "low 0\nhigh 1\nmax 2\noom 3\noom_kill 4\n"),
    (
        "memory.pressure",
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=500000\n",
    ),
    ("cpu.pressure", "some avg10=1.00 avg60=0.00 avg300=0.00 total=7\n"),
];

#[test]
fn version_2() {
    let cpu = cpu_v2(&files(V2)).unwrap();
    assert_eq!(
        cpu,
        Cpu {
            usage_seconds: 2.5,
            user_seconds: 1.5,
            system_seconds: 1.0,
            bandwidth: Some(Bandwidth {
                periods: 10,
                throttled_periods: 4,
                throttled_seconds: 0.25,
                quota_us: Some(50_000),
                period_us: 100_000,
            }),
        }
    );
    let memory = memory_v2(&files(V2)).unwrap();
    assert_eq!((memory.usage, memory.working_set, memory.rss, memory.cache), (1000, 800, 300, 500));
    assert_eq!((memory.swap, memory.max_usage, memory.limit), (Some(5), Some(2000), Some(4096)));
    assert_eq!((memory.faults, memory.major_faults), (9, 1));
    assert_eq!(memory.events[4], ("oom_kill".to_owned(), 4));
    assert_eq!(
        pressure(&files(V2)),
        [
            Pressure { resource: "cpu", waiting_seconds: 0.000_007, stalled_seconds: 0.0 },
            Pressure { resource: "memory", waiting_seconds: 1.5, stalled_seconds: 0.5 },
        ]
    );
}

#[test]
fn version_2_without_controllers_and_limits() {
    let bare = [("cpu.stat", "usage_usec 1\nuser_usec 1\nsystem_usec 0\n")];
    assert_eq!(cpu_v2(&files(&bare)).unwrap().bandwidth, None);
    assert_eq!(memory_v2(&files(&bare)), None);
    assert!(pressure(&files(&bare)).is_empty());
    let unlimited = [("memory.current", "1"), ("memory.stat", ""), ("memory.max", "max\n")];
    assert_eq!(memory_v2(&files(&unlimited)).unwrap().limit, None);
}

#[test]
fn version_1() {
    let cpuacct = [("cpuacct.usage", "2500000000\n"), ("cpuacct.stat", "user 150\nsystem 100\n")];
    let cpu = [
        ("cpu.stat", "nr_periods 10\nnr_throttled 4\nthrottled_time 250000000\n"),
        ("cpu.cfs_quota_us", "-1\n"),
        ("cpu.cfs_period_us", "100000\n"),
    ];
    let usage = cpu_v1(&files(&cpuacct), &files(&cpu)).unwrap();
    assert!((usage.usage_seconds - 2.5).abs() < 1e-9);
    assert!((usage.user_seconds - 1.5).abs() < 1e-9);
    let bandwidth = usage.bandwidth.unwrap();
    assert_eq!((bandwidth.throttled_periods, bandwidth.quota_us), (4, None));
    assert!((bandwidth.throttled_seconds - 0.25).abs() < 1e-9);

    let memory = [
        ("memory.usage_in_bytes", "1000\n"),
        (
            "memory.stat",
            "rss 1\ntotal_rss 300\ntotal_cache 500\ntotal_inactive_file 1200\ntotal_swap 0\n",
        ),
        ("memory.limit_in_bytes", "9223372036854771712\n"),
        ("memory.max_usage_in_bytes", "2000\n"),
    ];
    let memory = memory_v1(&files(&memory)).unwrap();
    // More inactive than used happens: the two files are not read at the same moment.
    assert_eq!((memory.working_set, memory.rss, memory.limit), (0, 300, None));
    assert_eq!((memory.swap, memory.max_usage), (Some(0), Some(2000)));
}

#[test]
fn nonsense_is_absent() {
    for text in [
        "",
        "\n",
        "x",
        "usage_usec\n",
        "usage_usec x\nuser_usec 1\nsystem_usec 1",
        "usage_usec -1\n",
    ] {
        assert_eq!(cpu_v2(&files(&[("cpu.stat", text)])), None, "{text:?}");
        assert_eq!(memory_v2(&files(&[("memory.stat", text), ("memory.current", text)])), None);
        assert_eq!(pressure_total(text, "some"), None);
    }
}

const HYBRID: &str = "\
30 22 0:26 / /sys/fs/cgroup rw,nosuid - tmpfs tmpfs rw,mode=755
31 30 0:27 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 cgroup2 rw,nsdelegate
32 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
33 30 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
34 30 0:30 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
";

#[test]
fn layouts() {
    let mount = |point: &str| Some(Mount { point: PathBuf::from(point), root: "/".to_owned() });
    assert_eq!(
        Layout::parse(HYBRID),
        Layout {
            unified: mount("/sys/fs/cgroup/unified"),
            cpu: mount("/sys/fs/cgroup/cpu,cpuacct"),
            cpuacct: mount("/sys/fs/cgroup/cpu,cpuacct"),
            memory: mount("/sys/fs/cgroup/memory"),
        }
    );
    let unified = "29 22 0:25 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw\n";
    assert_eq!(
        Layout::parse(unified),
        Layout { unified: mount("/sys/fs/cgroup"), ..Layout::default() }
    );
    // In a pod: its own hierarchy, and the host's mounted over it or elsewhere.
    let own = "1 0 0:25 / /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n";
    for (hosts, expected) in [
        ("2 1 0:25 /../../.. /sys/fs/cgroup ro - cgroup2 cgroup2 rw\n", "/sys/fs/cgroup"),
        ("2 1 0:25 /../../.. /host/cgroup ro - cgroup2 cgroup2 rw\n", "/host/cgroup"),
    ] {
        for text in [format!("{own}{hosts}"), format!("{hosts}{own}")] {
            // Under the same name the later one is what is seen.
            let layout = Layout::parse(&text);
            assert_eq!(layout.unified.unwrap().point, Path::new(expected), "{text}");
        }
    }
    let container = "9 1 0:25 /docker/x /var/lib/x rw - cgroup2 cgroup2 rw\n";
    assert_eq!(Layout::parse(&format!("{own}{container}")), Layout::parse(own));
    assert_eq!(Layout::parse("nothing of interest\n - \n"), Layout::default());
}

#[test]
fn each_layout_is_read_where_its_files_are() {
    let root = tempfile::tempdir().unwrap();
    let write = |path: &str, table: &[(&str, &str)]| {
        let directory = root.path().join(path);
        fs::create_dir_all(&directory).unwrap();
        for (name, text) in table {
            fs::write(directory.join(name), text).unwrap();
        }
    };
    write("unified/docker/abc", V2);
    write(
        "memory/docker/abc",
        &[("memory.usage_in_bytes", "77"), ("memory.stat", "total_rss 7\n")],
    );
    write(
        "cpuacct/docker/abc",
        &[("cpuacct.usage", "5000000000"), ("cpuacct.stat", "user 1\nsystem 2\n")],
    );
    let mount = |name: &str, mounted: &str| {
        Some(Mount { point: root.path().join(name), root: mounted.to_owned() })
    };
    let unified = Layout { unified: mount("unified", "/"), ..Layout::default() };
    let usage = unified.read("/docker/abc");
    assert_eq!(usage.memory.unwrap().usage, 1000);
    assert_eq!(usage.pressure.len(), 2);

    let hybrid = Layout {
        memory: mount("memory", "/"),
        cpuacct: mount("cpuacct", "/"),
        cpu: mount("cpuacct", "/"),
        ..unified
    };
    let usage = hybrid.read("/docker/abc");
    assert_eq!(usage.memory.unwrap().usage, 77);
    assert!((usage.cpu.unwrap().usage_seconds - 5.0).abs() < 1e-9);

    // Only a part of the hierarchy is mounted.
    let part = Layout { unified: mount("unified/docker", "/docker"), ..Layout::default() };
    assert!(part.read("/docker/abc").cpu.is_some());
    let hosts = Layout { unified: mount("unified", "/../.."), ..Layout::default() };
    assert!(hosts.read("/docker/abc").cpu.is_some());
    for outside in ["/other/abc", "/docker/../docker/abc", "/docker/none"] {
        assert_eq!(part.read(outside), Usage::default(), "{outside}");
    }
}
