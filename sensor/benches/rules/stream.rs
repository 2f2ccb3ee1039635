//! The records that are measured: a capture of a busy machine, or such as are made up.

use std::collections::BTreeMap;
use std::path::Path;

use sensor::attribution::cache::Cache;
use sensor::pipeline::Pipeline;
use sensor::probe::capture::Reader;
use sensor::probe::record::{self, ExecParts};
use sensor_common::Kind;
use sensor_common::connect::{AF_INET, Connect};
use sensor_common::exec::Exec;
use sensor_common::header::Header;
use sensor_common::open::{Call, Open};
use zerocopy::{FromBytes as _, FromZeros as _, IntoBytes as _};

/// Names a capture to measure.
const CAPTURE: &str = "SENSOR_BENCH_CAPTURE";

/// Records in memory, and what they are.
pub(crate) struct Stream {
    pub(crate) records: Vec<Vec<u8>>,
    pub(crate) events: u64,
    types: BTreeMap<String, u64>,
    origin: String,
}

impl Stream {
    /// The capture of the environment, else records that are made up.
    pub(crate) fn read() -> Self {
        let (records, origin) = match std::env::var_os(CAPTURE) {
            Some(path) => (captured(Path::new(&path)), "recorded"),
            None => (made_up(), "made up"),
        };
        let (mut types, mut events) = (BTreeMap::new(), 0);
        let mut pipeline = Pipeline::new(Cache::default());
        for record in &records {
            pipeline.take(record, &mut |event| {
                events += 1;
                *types.entry(event.detail.event_type().to_owned()).or_default() += 1;
            });
        }
        Self { records, events, types, origin: origin.to_owned() }
    }

    pub(crate) fn described(&self) -> String {
        let types: Vec<String> =
            self.types.iter().map(|(name, count)| format!("{count} {name}")).collect();
        format!("{} events, {}: {}", self.events, self.origin, types.join(", "))
    }
}

fn captured(path: &Path) -> Vec<Vec<u8>> {
    let mut reader = Reader::open(path).expect("a capture of this version");
    let mut records = Vec::new();
    while let Some(record) = reader.read().expect("a whole capture") {
        records.push(record.to_vec());
    }
    records
}

const PROCESSES: u32 = 100;

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

/// Of a hundred processes: many opens, some connects, a few execs.
fn made_up() -> Vec<Vec<u8>> {
    let before = (1..=PROCESSES).map(|pid| exec(pid, Kind::Process));
    let after = (0..20_000).map(|number| match number % 20 {
        0 => exec(number % PROCESSES + 1, Kind::Exec),
        1 | 2 => connect(number),
        _ => open(number),
    });
    before.chain(after).collect()
}

fn exec(pid: u32, kind: Kind) -> Vec<u8> {
    let mut exec = Exec::new_zeroed();
    exec.header = header(pid, kind);
    let (exe, cwd) = (record::components(b"/usr/local/bin/node"), record::components(b"/srv/app"));
    let mut bytes = record::process(
        exec,
        &ExecParts {
            filename: b"/usr/local/bin/node\0",
            exe: &exe,
            cwd: &cwd,
            argv: b"node\0--max-old-space-size=512\0/srv/app/server.js\0",
            env: b"PATH=/usr/bin\0HOME=/root\0NODE_ENV=production\0",
        },
    );
    // `process` makes a record of what runs already.
    let (mut own, _) = Header::read_from_prefix(&bytes).expect("a record begins with its header");
    own.kind = kind as u32;
    bytes[..size_of::<Header>()].copy_from_slice(own.as_bytes());
    bytes
}

fn open(number: u32) -> Vec<u8> {
    let (text, flags) = OPENS[number as usize % OPENS.len()];
    let path = record::components(text.as_bytes());
    let mut open = Open::new_zeroed();
    open.header = header(number % PROCESSES + 1, Kind::Open);
    open.call = Call::Openat as u32;
    open.dirfd = -100;
    open.result = 3;
    open.flags = flags;
    open.path_len = length(path.len());
    open.text_len = length(text.len() + 1);
    open.header.len = length(size_of::<Open>() + path.len() + text.len() + 1);
    [open.as_bytes(), &path, text.as_bytes(), b"\0"].concat()
}

fn connect(number: u32) -> Vec<u8> {
    let mut connect = Connect::new_zeroed();
    connect.header = header(number % PROCESSES + 1, Kind::Connect);
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
    header.start_boot_ns = u64::from(pid) * 1_000_000_000;
    header.cgroup_id = u64::from(pid % 16) + 1;
    header.comm = record::comm(b"node");
    header
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("records are short")
}
