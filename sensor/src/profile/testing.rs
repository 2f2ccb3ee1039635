//! What the profiler's tests share: records, a small profile, files to compare with.

use std::path::PathBuf;
use std::time::Duration;

use sensor_common::Kind;
use sensor_common::sample::Sample;
use zerocopy::{FromZeros as _, IntoBytes as _};

use crate::profile::report::{Frame, Kind as FrameKind, Loss, Quality, Report, Stack};

/// A sample record of a process called `busy`; addresses leaf first.
pub(super) fn record(pid: u32, kernel: &[u64], user: &[u64]) -> Vec<u8> {
    let mut sample = Sample::new_zeroed();
    let total = size_of::<Sample>() + size_of_val(kernel) + size_of_val(user);
    sample.header.len = u32::try_from(total).unwrap();
    sample.header.kind = Kind::Sample as u32;
    sample.header.boot_ns = 1_000_000_000;
    sample.header.start_boot_ns = 500;
    sample.header.cgroup_id = 77;
    (sample.header.tgid, sample.header.tid, sample.header.vpid) = (pid, pid, pid);
    sample.header.comm[..4].copy_from_slice(b"busy");
    sample.kernel_len = i32::try_from(size_of_val(kernel)).unwrap();
    sample.user_len = i32::try_from(size_of_val(user)).unwrap();
    [sample.as_bytes(), kernel.as_bytes(), user.as_bytes()].concat()
}

/// A profile with every kind of frame.
pub(super) fn report() -> Report {
    let frame = |kind, function: &str, module: &str| Frame {
        kind,
        function: function.into(),
        module: module.into(),
        is_named: !function.contains("+0x"),
    };
    let app = "/usr/local/bin/app";
    let frames = vec![
        frame(FrameKind::Process, "app", ""),
        frame(FrameKind::Process, "worker;1", ""),
        frame(FrameKind::User, "main", app),
        frame(FrameKind::User, "recurse", app),
        frame(FrameKind::User, "core::slice::sort::heapsort::<app::Order>", app),
        frame(FrameKind::Inlined, "core::mem::swap", app),
        frame(FrameKind::User, "libc.so.6+0x2724a", "/usr/lib/x86_64-linux-gnu/libc.so.6"),
        frame(FrameKind::Kernel, "entry_SYSCALL_64", "[kernel]"),
        frame(FrameKind::Kernel, "vfs_read", "[kernel]"),
    ];
    let stack = |pid, frames: &[usize], count| Stack { frames: frames.to_vec(), pid, count };
    let stacks = vec![
        stack(10, &[0, 6, 2], 5),
        stack(10, &[0, 6, 2, 3, 3, 3], 10),
        stack(10, &[0, 6, 2, 4, 5], 60),
        stack(10, &[0, 6, 2, 7, 8], 20),
        stack(11, &[0, 6, 2], 2),
        stack(12, &[1, 7, 8], 3),
    ];
    let mut quality = Quality {
        taken: 104,
        kept: 100,
        named: 340,
        unnamed: 97,
        user: 97,
        rooted: 97,
        ..Quality::default()
    };
    quality.count_lost(Loss::RingFull, 4);
    Report {
        target: "container app (docker 0f1e2d3c4b5a)".into(),
        frequency_hz: 99,
        duration: Duration::from_millis(10_100),
        start_ns: 1_700_000_000_000_000_000,
        frames,
        stacks,
        quality,
    }
}

/// Compares with a file under `goldens/`; with `UPDATE_GOLDENS` set, writes it.
pub(super) fn check_golden(name: &str, actual: &[u8]) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/profile/goldens").join(name);
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read(&path).unwrap_or_default();
    assert!(
        expected == actual,
        "{} differs; run again with UPDATE_GOLDENS=1 and look at the change",
        path.display()
    );
}
