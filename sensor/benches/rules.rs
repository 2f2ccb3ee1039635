//! What an event costs between the process table and the verdict of the rules.
//!
//! `cargo bench -p sensor --bench rules`. The official files are measured where they lie beside the
//! checkout, in `../shared/falco-rules`.
#![allow(
    clippy::unchecked_time_subtraction,
    clippy::cast_precision_loss,
    reason = "time goes forward, and a mean of a million needs no more than 52 bits"
)]
#![allow(clippy::print_stdout, reason = "a benchmark's result")]

use std::borrow::Cow;
use std::fmt::Write as _;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sensor::attribution::Attribution;
use sensor::event::connect::{Connect, Peer};
use sensor::event::detail::Detail;
use sensor::event::names::Names;
use sensor::event::open::Open;
use sensor::event::process::{Process, ProcessId, ProcessTable, Program, Strings};
use sensor::event::{Event, Thread, Turn};
use sensor::rules::options::Options;
use sensor::rules::text::File;
use sensor::rules::{Ruleset, shipped};
use sensor_common::exec::FileId;
use sensor_common::fork::Fork;
use sensor_common::open::Call;
use zerocopy::FromZeros as _;

const ROUNDS: usize = 5;
const EVENTS: usize = 400_000;

/// Paths that busy hosts open, with their flags.
const OPENS: &[(&str, u32)] = &[
    ("/usr/lib/x86_64-linux-gnu/libc.so.6", 0o2_000_000),
    ("/etc/ld.so.cache", 0o2_000_000),
    ("/proc/4242/stat", 0),
    ("/srv/app/node_modules/express/lib/router/index.js", 0o2_000_000),
    ("/tmp/build-cache/objects/ab/cdef0123456789", 0o1101),
    ("/var/log/app/access.log", 0o2001),
    ("/sys/fs/cgroup/kubepods.slice/memory.stat", 0),
    ("/usr/share/zoneinfo/UTC", 0o2_000_000),
];

fn main() {
    let table = lineage();
    let names = Names::default();
    let process = process("node", 30, 20);
    let attribution = Attribution::default();
    for (name, ruleset) in rulesets() {
        let opens = |number: usize| open(OPENS[number % OPENS.len()]);
        let connects = |_: usize| connect();
        let execs = |_: usize| Detail::Exec(sensor::event::exec::Exec::default());
        let kinds: [(&str, &dyn Fn(usize) -> Detail<'static>); 3] =
            [("open", &opens), ("connect", &connects), ("exec", &execs)];
        for (kind, detail) in kinds {
            let event = |number: usize| Event {
                number: number as u64 + 1,
                time_ns: 1_800_000_000_000_000_000,
                boot_ns: 1_000_000_000_000,
                thread: Thread { tid: 30, vpid: 30, ..Thread::default() },
                process: &process,
                processes: &table,
                names: &names,
                attribution: &attribution,
                turn: Turn::Only,
                detail: detail(number),
            };
            println!("{name:<24} {kind:<8} {:>7.1} ns/event", measure(&ruleset, &event));
        }
    }
}

/// The best of some rounds, less what making the events costs.
fn measure<'a>(ruleset: &Ruleset, event: &dyn Fn(usize) -> Event<'a>) -> f64 {
    let mut scratch = ruleset.scratch();
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let start = processor_time();
        for number in 0..EVENTS {
            black_box(event(number));
        }
        let making = processor_time() - start;
        let start = processor_time();
        let mut matched = 0_usize;
        for number in 0..EVENTS {
            ruleset.evaluate(&event(number), &mut scratch, |_| matched += 1);
        }
        black_box(matched);
        let elapsed = (processor_time() - start).saturating_sub(making);
        best = best.min(elapsed.as_secs_f64() * 1e9 / EVENTS as f64);
    }
    best
}

/// Of this thread: what else runs on the machine does not count.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn rulesets() -> Vec<(String, Ruleset)> {
    let official = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/falco-rules");
    let names = ["falco_rules.yaml", "falco-incubating_rules.yaml"];
    let files: Vec<File> = names
        .iter()
        .filter_map(|name| {
            let content = std::fs::read_to_string(official.join(name)).ok()?;
            Some(File { name: (*name).to_owned(), content })
        })
        .collect();
    let mut sets = vec![("shipped".to_owned(), shipped::files())];
    if files.len() == names.len() {
        sets.push(("official, two files".to_owned(), files));
    }
    for count in [25, 100, 1000] {
        let file = File { name: "synthetic".to_owned(), content: synthetic(count) };
        sets.push((format!("synthetic, {count} rules"), vec![file]));
    }
    sets.into_iter()
        .map(|(name, files)| {
            let start = Instant::now();
            let ruleset = Ruleset::load(files, &Options::default()).ruleset.expect("rules load");
            println!("{name:<24} loaded in {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
            (name, ruleset)
        })
        .collect()
}

/// Rules as people write them: a few kinds of conditions, each with its own names and paths.
fn synthetic(count: usize) -> String {
    let mut yaml = "- macro: reading\n  condition: evt.type in (open, openat, openat2) and evt.is_open_read = true and fd.typechar = f and fd.num >= 0\n".to_owned();
    for rule in 0..count {
        let condition = match rule % 4 {
            0 => format!(
                "reading and fd.name startswith /data/{rule}/ and not proc.name in (a{rule}, b{rule})"
            ),
            1 => format!(
                "evt.type in (execve, execveat) and proc.name = tool{rule} and proc.args contains -x{rule}"
            ),
            2 => format!(
                "reading and proc.name in (x{rule}, y{rule}) and fd.name endswith .key{rule}"
            ),
            _ => format!(
                "evt.type = connect and fd.sip in (10.0.{}.1) and proc.pname = p{rule}",
                rule % 256
            ),
        };
        writeln!(
            yaml,
            "- rule: R{rule}\n  desc: d\n  condition: {condition}\n  output: o\n  priority: INFO"
        )
        .expect("a string takes text");
    }
    yaml
}

fn lineage() -> ProcessTable {
    let mut table = ProcessTable::default();
    for (parent, child, name) in
        [(0_u32, 1_u32, "systemd"), (1, 10, "containerd-shi"), (10, 20, "npm")]
    {
        let mut fork = Fork::new_zeroed();
        fork.header.tgid = parent;
        fork.header.comm[..name.len()].copy_from_slice(name.as_bytes());
        fork.child_tgid = child;
        table.forked(&fork);
    }
    table
}

fn process(name: &str, pid: u32, parent: u32) -> Process {
    let strings = |text: &str| Strings { bytes: text.as_bytes().into(), total: text.len() };
    Process {
        id: ProcessId { pid, start_boot_ns: 1 },
        ppid: parent,
        vpid: pid,
        name: name.as_bytes().into(),
        cwd: b"/srv/app"[..].into(),
        program: Arc::new(Program {
            exe_path: b"/usr/local/bin/node"[..].into(),
            filename: b"/usr/local/bin/node"[..].into(),
            argv: strings("node\0--max-old-space-size=512\0/srv/app/server.js\0"),
            env: strings("PATH=/usr/bin\0HOME=/root\0NODE_ENV=production\0"),
            ..Program::default()
        }),
        ..Process::default()
    }
}

fn open((path, flags): (&'static str, u32)) -> Detail<'static> {
    const REGULAR: u32 = 0o100_644;
    Detail::Open(Open {
        call: Call::Openat,
        result: 5,
        path: Cow::Borrowed(path.as_bytes()),
        text: path.as_bytes(),
        flags,
        mode: 0o644,
        resolve: 0,
        dirfd: -100,
        file: Some(FileId { inode: 1, device: 1, mode: REGULAR, fs_magic: 0 }),
        deleted: false,
        truncated: false,
    })
}

fn connect() -> Detail<'static> {
    Detail::Connect(Connect {
        result: -115,
        fd: 7,
        peer: Peer::Inet(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7)), 443),
        local: Some((IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3)), 40_000)),
        protocol: 6,
        socket_type: 1,
    })
}
