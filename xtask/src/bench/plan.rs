//! What is measured: workloads, what runs beside them, and the bars that the results are held to.

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

pub(super) const WORKLOADS: [Workload; 4] = [
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
];

/// What runs beside the workloads.
pub(super) struct Variant {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    pub(super) beside: Beside,
}

pub(super) enum Beside {
    Nothing,
    /// `watch` with these arguments.
    Watch(&'static [&'static str]),
    /// As above, limited to a control group where nothing runs.
    Elsewhere(&'static [&'static str]),
    /// Another program, if its package is installed.
    Peer {
        program: &'static str,
        package: &'static str,
        arguments: &'static [&'static str],
    },
}

const EVERYTHING: &[&str] = &["sensor", "fork", "exec", "exit", "open", "connect", "oom", "cgroup"];

pub(super) const NONE: &str = "none";
pub(super) const FLOOR: &str = "floor, tp_btf";
pub(super) const FILTERED: &str = "filtered by kind";
pub(super) const ELSEWHERE: &str = "filtered by scope";
pub(super) const REPORTED: &str = "reported";

pub(super) const VARIANTS: [Variant; 9] = [
    Variant { name: NONE, what: "nothing is attached", beside: Beside::Nothing },
    Variant {
        name: FLOOR,
        what: "one program on sys_exit that only counts",
        beside: Beside::Watch(&["floor", "tp_btf"]),
    },
    Variant {
        name: "floor, raw_tp",
        what: "the same, as a raw tracepoint",
        beside: Beside::Watch(&["floor", "raw_tp"]),
    },
    Variant {
        name: FILTERED,
        what: "the sensor, asked for connects, OOM kills and cgroups only",
        beside: Beside::Watch(&["sensor", "connect", "oom", "cgroup"]),
    },
    Variant {
        name: ELSEWHERE,
        what: "the sensor, limited to a control group where nothing runs",
        beside: Beside::Elsewhere(EVERYTHING),
    },
    Variant {
        name: REPORTED,
        what: "the sensor, every event decoded and attributed, no rules",
        beside: Beside::Watch(EVERYTHING),
    },
    Variant {
        name: "bpftrace, opens",
        what: "bpftrace prints each openat",
        beside: Beside::Peer {
            program: "bpftrace",
            package: "bpftrace",
            arguments: &[
                "-e",
                "tracepoint:syscalls:sys_enter_openat { @path[tid] = args->filename } \
                 tracepoint:syscalls:sys_exit_openat /@path[tid]/ \
                 { printf(\"%d %s %s\\n\", pid, comm, str(@path[tid])); delete(@path[tid]); }",
            ],
        },
    },
    Variant {
        name: "bpftrace, execs",
        what: "bpftrace prints the arguments of each execve",
        beside: Beside::Peer {
            program: "bpftrace",
            package: "bpftrace",
            arguments: &["-e", "tracepoint:syscalls:sys_enter_execve { join(args->argv); }"],
        },
    },
    Variant {
        name: "perf trace",
        what: "perf prints each openat, execve and connect",
        beside: Beside::Peer {
            program: "perf",
            package: "linux-perf",
            arguments: &["trace", "--all-cpus", "--event", "openat,execve,connect"],
        },
    },
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
}

pub(super) const BARS: [Bar; 10] = [
    Bar {
        text: "added to a system call no rule is about, over the floor",
        workload: "getppid",
        variant: REPORTED,
        measure: Measure::OverFloor,
        limit: 1.15,
    },
    Bar {
        text: "added to an open and close that are filtered out by kind",
        workload: "open",
        variant: FILTERED,
        measure: Measure::Added,
        limit: 0.3,
    },
    Bar {
        text: "added to an open and close that are filtered out by scope",
        workload: "open",
        variant: ELSEWHERE,
        measure: Measure::Added,
        limit: 0.3,
    },
    Bar {
        text: "added to an open that is reported, and its close",
        workload: "open",
        variant: REPORTED,
        measure: Measure::Added,
        limit: 1.0,
    },
    Bar {
        text: "added to fork, exec and exit",
        workload: "exec",
        variant: REPORTED,
        measure: Measure::Added,
        limit: 20.0,
    },
    Bar {
        text: "added to a TCP connect, accept and close",
        workload: "connect",
        variant: REPORTED,
        measure: Measure::Added,
        limit: 1.0,
    },
    Bar {
        text: "the sensor's own processor time for an open that is filtered out",
        workload: "open",
        variant: FILTERED,
        measure: Measure::Own,
        limit: 0.001,
    },
    Bar {
        text: "the sensor's own processor time for an open that is reported",
        workload: "open",
        variant: REPORTED,
        measure: Measure::Own,
        limit: 0.7,
    },
    Bar {
        text: "the sensor's own processor time for fork, exec and exit",
        workload: "exec",
        variant: REPORTED,
        measure: Measure::Own,
        limit: 15.0,
    },
    Bar {
        text: "the sensor's own processor time for a connect",
        workload: "connect",
        variant: REPORTED,
        measure: Measure::Own,
        limit: 1.0,
    },
];

/// Records of the throughput measurement, and the most that one may take on a processor.
pub(super) const RECORDS: u64 = 3_000_000;
pub(super) const RECORD_LIMIT_US: f64 = 0.35;
