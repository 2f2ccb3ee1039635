//! What is measured: workloads, what runs beside them, and the bars that the results are held to.

use std::path::PathBuf;

use crate::workspace;

/// One kind of system call, many times over.
pub(super) struct Workload {
    pub(super) name: &'static str,
    /// What one operation is.
    pub(super) operation: &'static str,
    /// The argument of the program.
    pub(super) count: u64,
    /// Operations in each of `count`.
    pub(super) each: u64,
}

pub(super) const WORKLOADS: [Workload; 5] = [
    Workload { name: "getppid", operation: "getppid", count: 20_000, each: 100 },
    Workload {
        name: "open",
        operation: "open and close of /etc/hostname",
        count: 200_000,
        each: 1,
    },
    Workload { name: "exec", operation: "fork, exec and exit of /bin/true", count: 500, each: 1 },
    Workload {
        name: "connect",
        operation: "TCP connect, accept and close on loopback",
        count: 10_000,
        each: 1,
    },
    Workload { name: "compute", operation: "8 million steps of arithmetic", count: 100, each: 1 },
];

/// What runs beside the workloads.
pub(super) struct Variant {
    pub(super) name: String,
    pub(super) what: String,
    pub(super) beside: Beside,
}

pub(crate) enum Beside {
    Nothing,
    /// `watch` with these arguments.
    Watch(&'static [&'static str]),
    /// As above, limited to a control group where nothing runs.
    Elsewhere(&'static [&'static str]),
    /// `sensor run`, with further arguments.
    Agent {
        /// None are those that it comes with.
        rules: Vec<PathBuf>,
        more: Vec<String>,
    },
    /// Another program, if its package is installed.
    Peer {
        program: &'static str,
        package: &'static str,
        arguments: &'static [&'static str],
    },
    /// A command line of whoever measures.
    Command(String),
}

const EVERYTHING: &[&str] = &["sensor", "fork", "exec", "exit", "open", "connect", "oom", "cgroup"];

pub(super) const NONE: &str = "none";
pub(super) const FLOOR: &str = "floor, tp_btf";
pub(super) const FILTERED: &str = "filtered by kind";
pub(super) const ELSEWHERE: &str = "filtered by scope";
pub(super) const REPORTED: &str = "reported";

pub(super) const AGENT: &str = "agent, shipped rules";
pub(super) const OFFICIAL: &str = "agent, Falco's rules";

fn agent(rules: Vec<PathBuf>) -> Beside {
    Beside::Agent { rules, more: Vec::new() }
}

/// All of them: those that every host can run, and what the command line adds.
pub(super) fn variants(peers: &[String]) -> Vec<Variant> {
    let variant = |name: &str, what: &str, beside| Variant {
        name: name.to_owned(),
        what: what.to_owned(),
        beside,
    };
    let mut variants = vec![
        variant(NONE, "nothing is attached", Beside::Nothing),
        variant(
            FLOOR,
            "one program on sys_exit that only counts",
            Beside::Watch(&["floor", "tp_btf"]),
        ),
        variant(
            FILTERED,
            "the probes, asked for connects, OOM kills and cgroups only",
            Beside::Watch(&["sensor", "connect", "oom", "cgroup"]),
        ),
        variant(
            ELSEWHERE,
            "the probes, limited to a control group where nothing runs",
            Beside::Elsewhere(EVERYTHING),
        ),
        variant(
            REPORTED,
            "the probes, every event decoded and attributed, no rules",
            Beside::Watch(EVERYTHING),
        ),
        variant(AGENT, "`sensor run`", agent(Vec::new())),
    ];
    let official = official_rules();
    if !official.is_empty() {
        let what = "`sensor run` with both official files";
        variants.push(variant(OFFICIAL, what, agent(official)));
    }
    variants.extend(PEERS.map(|(name, what, program, package, arguments)| {
        variant(name, what, Beside::Peer { program, package, arguments })
    }));
    let given = |(number, command): (usize, &String)| Variant {
        name: format!("peer {}", number + 1),
        what: format!("`{command}`"),
        beside: Beside::Command(command.clone()),
    };
    variants.extend(peers.iter().enumerate().map(given));
    variants
}

/// Falco's own rules, where they lie beside the checkout.
pub(super) fn official_rules() -> Vec<PathBuf> {
    let directory = workspace::root().join("../shared/falco-rules");
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let is_rules = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "yaml");
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(is_rules).collect();
    files.sort();
    files
}

type Peer = (&'static str, &'static str, &'static str, &'static str, &'static [&'static str]);

const PEERS: [Peer; 3] = [
    (
        "bpftrace, opens",
        "bpftrace prints each openat",
        "bpftrace",
        "bpftrace",
        &[
            "-e",
            "tracepoint:syscalls:sys_enter_openat { @path[tid] = args->filename } \
             tracepoint:syscalls:sys_exit_openat /@path[tid]/ \
             { printf(\"%d %s %s\\n\", pid, comm, str(@path[tid])); delete(@path[tid]); }",
        ],
    ),
    (
        "bpftrace, execs",
        "bpftrace prints the arguments of each execve",
        "bpftrace",
        "bpftrace",
        &["-e", "tracepoint:syscalls:sys_enter_execve { join(args->argv); }"],
    ),
    (
        "perf trace",
        "perf prints each openat, execve and connect",
        "perf",
        "linux-perf",
        &["trace", "--all-cpus", "--event", "openat,execve,connect"],
    ),
];

/// The last, with the kernel accounting for each program.
pub(super) const ACCOUNTED: Beside = Beside::Watch(&[
    "sensor",
    "--account",
    "fork",
    "exec",
    "exit",
    "open",
    "connect",
    "oom",
    "cgroup",
]);

/// How a bar is measured.
pub(super) enum Measure {
    /// Microseconds added to the workload's operation.
    Added,
    /// What is added, as a multiple of what the floor adds.
    OverFloor,
    /// Microseconds of the sensor's own for each operation.
    Own,
}

/// A number of the design, and where it is read off.
pub(super) struct Bar {
    pub(super) text: &'static str,
    pub(super) workload: &'static str,
    pub(super) variant: &'static str,
    pub(super) measure: Measure,
    pub(super) limit: f64,
    /// What stands in the way where it is missed.
    pub(super) obstacle: &'static str,
}

/// Where the kernel refuses programs on its functions.
const EVERY_EXIT: &str = "This kernel refuses programs on its functions, so that the exit of every system call runs \
     the dispatcher, the close among them.";
const FILTER_READS: &str = "The exit of both calls runs the dispatcher, which alone is most of the bar; the filter reads \
     the file's names through the helper for foreign memory, because no plain load leads from a descriptor to its file.";
const WHOLE_RECORDS: &str =
    "Each record carries the whole path, arguments and identity; the reader wakes for it.";

const ALL_CALLS_OF_A_SPAWN: &str = "An operation is some 160 system calls, 120 of which the C library makes to reset \
     signals, and the exit of each runs the dispatcher: see the floor's row. The records of fork, exec and exit carry \
     arguments, environment, paths and identity.";

pub(super) const BARS: [Bar; 12] = [
    Bar {
        text: "added to a system call no rule is about, over the floor",
        workload: "getppid",
        variant: REPORTED,
        measure: Measure::OverFloor,
        limit: 1.15,
        obstacle: EVERY_EXIT,
    },
    Bar {
        text: "the same, beside the agent",
        workload: "getppid",
        variant: AGENT,
        measure: Measure::OverFloor,
        limit: 1.15,
        obstacle: EVERY_EXIT,
    },
    Bar {
        text: "added to an open and close that the shipped rules filter out",
        workload: "open",
        variant: AGENT,
        measure: Measure::Added,
        limit: 0.3,
        obstacle: FILTER_READS,
    },
    Bar {
        text: "added to an open and close that Falco's rules filter out",
        workload: "open",
        variant: OFFICIAL,
        measure: Measure::Added,
        limit: 0.3,
        obstacle: FILTER_READS,
    },
    Bar {
        text: "added to an open and close that are filtered out by scope",
        workload: "open",
        variant: ELSEWHERE,
        measure: Measure::Added,
        limit: 0.3,
        obstacle: EVERY_EXIT,
    },
    Bar {
        text: "added to an open that is reported, and its close",
        workload: "open",
        variant: REPORTED,
        measure: Measure::Added,
        limit: 1.0,
        obstacle: WHOLE_RECORDS,
    },
    Bar {
        text: "added to fork, exec and exit",
        workload: "exec",
        variant: AGENT,
        measure: Measure::Added,
        limit: 20.0,
        obstacle: ALL_CALLS_OF_A_SPAWN,
    },
    Bar {
        text: "added to a TCP connect, accept and close",
        workload: "connect",
        variant: AGENT,
        measure: Measure::Added,
        limit: 1.0,
        obstacle: WHOLE_RECORDS,
    },
    Bar {
        text: "the agent's own processor time for an open that is filtered out",
        workload: "open",
        variant: AGENT,
        measure: Measure::Own,
        limit: 0.001,
        obstacle: FILTER_READS,
    },
    Bar {
        text: "the sensor's own processor time for an open that is reported",
        workload: "open",
        variant: REPORTED,
        measure: Measure::Own,
        limit: 0.7,
        obstacle: WHOLE_RECORDS,
    },
    Bar {
        text: "the agent's own processor time for fork, exec and exit",
        workload: "exec",
        variant: AGENT,
        measure: Measure::Own,
        limit: 15.0,
        obstacle: WHOLE_RECORDS,
    },
    Bar {
        text: "the agent's own processor time for a connect",
        workload: "connect",
        variant: AGENT,
        measure: Measure::Own,
        limit: 1.0,
        obstacle: WHOLE_RECORDS,
    },
];

/// Sensitive reads of one run, each of which has to raise its alert.
pub(super) const READS: usize = 50;
/// From event to line on an idle host, in milliseconds: in the middle, and at most.
pub(super) const LATENCY_LIMIT_MS: (f64, f64) = (1.0, 10.0);
/// Containers that live for less than a twentieth of a second.
pub(super) const CONTAINERS: usize = 1000;
/// Shares of their events that carry the container's id, and its name and image.
pub(super) const KNOWN_LIMITS: (f64, f64) = (0.999, 0.99);
/// What the whole agent may keep in memory.
pub(super) const MEMORY_LIMIT_MIB: f64 = 64.0;

/// Records of the throughput measurement, and the most that one may take on a processor.
pub(super) const RECORDS: u64 = 3_000_000;
pub(super) const RECORD_LIMIT_US: f64 = 0.35;
