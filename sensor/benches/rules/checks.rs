//! What one check costs, by what it reads and how it compares: the table in `rules/cost.rs`.

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use criterion::Criterion;
use sensor::attribution::Attribution;
use sensor::event::connect::{Connect, Peer};
use sensor::event::detail::Detail;
use sensor::event::names::Names;
use sensor::event::process::{Process, ProcessId, ProcessTable, Program, Strings};
use sensor::event::{Event, Since, Thread, Turn};
use sensor::rules::Ruleset;
use sensor::rules::load;
use sensor::rules::program::Scratch;
use sensor_common::fork::Fork;
use serde_json::{Value as Json, json};
use zerocopy::FromZeros as _;

use crate::{median, per_event, processor_time};

/// A name, and a condition that is no more than that check. None holds, as most checks do not.
const CHECKS: &[(&str, &str)] = &[
    ("number", "fd.num = 12345"),
    ("boolean", "evt.is_async = true"),
    ("text, equal", "proc.name = nobody"),
    ("text, one of 100", "proc.name in (LIST)"),
    ("text, prefix", "proc.exepath startswith /usr/local/sbin"),
    ("text, suffix", "proc.exepath endswith /bin/nodejs"),
    ("text, contains", "proc.exepath contains /python"),
    ("text, icontains", "proc.exepath icontains /python"),
    ("text, glob", "proc.exepath glob /usr/*/python*"),
    ("text, pmatch", "proc.exepath pmatch (/opt, /srv, /usr/share)"),
    ("text, regex", "proc.exepath regex /usr/[a-z]*/python3?"),
    ("address, equal", "fd.sip = 192.0.2.1"),
    ("address, one of 3", "fd.sip in (192.0.2.1, 192.0.2.2, 192.0.2.3)"),
    ("network, one of 3", "fd.snet in (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16)"),
    ("composed text, equal", "proc.cmdline = nobody"),
    ("argument, equal", "evt.arg.fd = nobody"),
    ("variable, contains", "proc.env[HOME] contains nobody"),
    ("ancestor, equal", "proc.aname[2] = nobody"),
    ("any ancestor, equal", "proc.aname = nobody"),
    ("transformer, equal", "tolower(proc.name) = nobody"),
];

const EVENTS: u32 = 20_000;

struct Bench {
    table: ProcessTable,
    names: Names,
    process: Process,
    attribution: Attribution,
    checks: Vec<(&'static str, Ruleset, Scratch)>,
}

pub(crate) fn with_criterion(criterion: &mut Criterion) {
    let mut bench = Bench::new();
    let mut group = criterion.benchmark_group("checks");
    for turn in 0..bench.checks.len() {
        group.bench_function(bench.checks[turn].0, |bencher| {
            bencher.iter_custom(|rounds| {
                // A round of criterion is one event.
                (0..rounds).map(|_| bench.time(turn) / EVENTS).sum()
            });
        });
    }
    group.finish();
}

/// Medians over rounds in which every check has its turn, beside what `rules/cost.rs` says.
pub(crate) fn in_turns(rounds: usize) -> Json {
    let mut bench = Bench::new();
    let mut times = vec![Vec::new(); bench.checks.len()];
    for round in 0..rounds {
        for turn in 0..times.len() {
            let turn = (turn + round) % times.len();
            times[turn].push(per_event(bench.time(turn), EVENTS.into()));
        }
    }
    let results = bench.checks.iter().zip(times).map(|((name, ruleset, _), times)| {
        let said = ruleset.program().checks.first().map(|check| check.cost);
        json!({ "name": name, "ns": median(times), "table": said })
    });
    json!({ "checks": results.collect::<Vec<_>>() })
}

impl Bench {
    fn new() -> Self {
        let names: Vec<String> = (0..100).map(|number| format!("name-{number}")).collect();
        let checks = CHECKS.iter().map(|(name, condition)| {
            let text = condition.replace("LIST", &names.join(", "));
            let (ruleset, ..) = load::condition(&text, Vec::new());
            let ruleset = ruleset.expect("a condition");
            let scratch = ruleset.scratch();
            (*name, ruleset, scratch)
        });
        Self {
            table: lineage(),
            names: Names::default(),
            process: process("node", 30, 20),
            attribution: Attribution::default(),
            checks: checks.collect(),
        }
    }

    /// What so many events cost, less what making them and finding no rule costs.
    fn time(&mut self, turn: usize) -> std::time::Duration {
        let (_, ruleset, scratch) = &mut self.checks[turn];
        let node = ruleset.rules()[0].node();
        let event = |number: u32| Event {
            number: u64::from(number) + 1,
            time_ns: 1_800_000_000_000_000_000,
            boot_ns: 1_000_000_000_000,
            since: Since::default(),
            thread: Thread { tid: 30, vpid: 30, ..Thread::default() },
            process: &self.process,
            processes: &self.table,
            names: &self.names,
            attribution: &self.attribution,
            turn: Turn::Only,
            detail: connect(),
        };
        let start = processor_time();
        for number in 0..EVENTS {
            scratch.next_event();
            black_box(event(number));
        }
        let without = processor_time().saturating_sub(start);
        let start = processor_time();
        for number in 0..EVENTS {
            scratch.next_event();
            black_box(ruleset.program().evaluate(node, black_box(&event(number)), scratch));
        }
        processor_time().saturating_sub(start).saturating_sub(without)
    }
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

fn connect() -> Detail<'static> {
    Detail::Connect(Connect {
        result: -115,
        fd: 7,
        peer: Peer::Inet(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7)), 443),
        local: Some((IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3)), 40_000)),
        protocol: 6,
        socket_type: 1,
        is_io_uring: false,
    })
}
