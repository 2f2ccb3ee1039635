//! How many records a second one processor takes from the ring to an event, for benchmarks.
//!
//! `throughput COUNT` feeds the pipeline records made up in memory: a hundred processes that open
//! files and connect. It prints one JSON object: records, and the processor time they took.
#![expect(clippy::print_stdout, reason = "a command line program of benchmarks")]

use anyhow::{Context as _, Result};
use rustix::time::{ClockId, clock_gettime};
use sensor::attribution::cache::Cache;
use sensor::pipeline::Pipeline;
use sensor::probe::record::{self, ExecParts};
use sensor_common::Kind;
use sensor_common::connect::{AF_INET, Connect};
use sensor_common::exec::Exec;
use sensor_common::header::Header;
use sensor_common::open::{Call, Open};
use zerocopy::{FromZeros as _, IntoBytes as _};

const PROCESSES: u32 = 100;
/// One record in this many is a connect.
const CONNECT_EVERY: u32 = 10;
const AT_FDCWD: i32 = -100;
const PATHS: [&str; 4] = [
    "/etc/hostname",
    "/usr/lib/x86_64-linux-gnu/libc.so.6",
    "/var/lib/postgresql/15/main/base/16384/2601",
    "/proc/self/stat",
];

fn main() -> Result<()> {
    let count = std::env::args().nth(1).context("how many records")?;
    let count: usize = count.parse().context("how many records")?;
    let mut pipeline = Pipeline::new(Cache::default());
    let mut events = 0_u64;
    for pid in 1..=PROCESSES {
        pipeline.take(&process(pid), &mut |_| {});
    }
    let records: Vec<Vec<u8>> = (0..PROCESSES * 4).map(one).collect();
    let start = cpu_ns();
    for record in records.iter().cycle().take(count) {
        pipeline.take(record, &mut |_| events += 1);
    }
    let cpu_ns = cpu_ns() - start;
    println!("{}", serde_json::json!({ "records": count, "events": events, "cpu_ns": cpu_ns }));
    Ok(())
}

fn process(pid: u32) -> Vec<u8> {
    let mut exec = Exec::new_zeroed();
    exec.header = header(pid, Kind::Process);
    let (exe, cwd) = (record::components(b"/usr/bin/program"), record::components(b"/var/lib"));
    record::process(
        exec,
        &ExecParts {
            filename: b"/usr/bin/program\0",
            exe: &exe,
            cwd: &cwd,
            argv: b"program\0--serve\0",
            env: b"PATH=/usr/bin\0HOME=/var/lib\0",
        },
    )
}

fn one(number: u32) -> Vec<u8> {
    let pid = number % PROCESSES + 1;
    if number.is_multiple_of(CONNECT_EVERY) { connect(pid) } else { open(pid, number) }
}

fn open(pid: u32, number: u32) -> Vec<u8> {
    let text = PATHS[number as usize % PATHS.len()];
    let path = record::components(text.as_bytes());
    let mut open = Open::new_zeroed();
    open.header = header(pid, Kind::Open);
    open.call = Call::Openat as u32;
    open.dirfd = AT_FDCWD;
    open.result = 3;
    open.path_len = length(path.len());
    open.text_len = length(text.len() + 1);
    open.header.len = length(size_of::<Open>() + path.len() + text.len() + 1);
    [open.as_bytes(), &path, text.as_bytes(), b"\0"].concat()
}

fn connect(pid: u32) -> Vec<u8> {
    let mut connect = Connect::new_zeroed();
    connect.header = header(pid, Kind::Connect);
    connect.header.len = length(size_of::<Connect>());
    connect.family = AF_INET;
    connect.remote[..4].copy_from_slice(&[10, 0, 0, 1]);
    connect.remote_port = 5432;
    connect.as_bytes().to_vec()
}

fn header(pid: u32, kind: Kind) -> Header {
    let mut header = Header::new_zeroed();
    header.kind = kind as u32;
    header.tgid = pid;
    header.tid = pid;
    header.ppid = 1;
    header.vpid = pid;
    header.start_boot_ns = u64::from(pid) * 1_000_000;
    header.cgroup_id = u64::from(pid % 16) + 1;
    header.comm = record::comm(b"program");
    header
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

fn cpu_ns() -> i64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}
