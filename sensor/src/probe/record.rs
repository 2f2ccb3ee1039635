//! Records that the agent itself puts at the head of a stream, laid out as the kernel's are.

use sensor_common::Kind;
use sensor_common::cgroup::{Cgroup, Change};
use sensor_common::clock::Clock;
use sensor_common::container::{Container, Stage};
use sensor_common::exec::Exec;
use sensor_common::header::{COMM_LEN, Header};
use sensor_common::users::Users;
use zerocopy::{FromZeros as _, IntoBytes as _};

/// The variable parts of an exec record, in order.
pub struct ExecParts<'a> {
    pub filename: &'a [u8],
    pub exe: &'a [u8],
    pub cwd: &'a [u8],
    pub argv: &'a [u8],
    pub env: &'a [u8],
}

/// The offset from boot time to the wall clock, as of now.
pub fn clock(offset_ns: i64) -> Vec<u8> {
    let mut clock = Clock::new_zeroed();
    clock.offset_ns = offset_ns;
    finish(&mut clock.header, Kind::Clock, size_of::<Clock>());
    clock.as_bytes().to_vec()
}

/// A cgroup that was there at the start.
pub fn cgroup(id: u64, path: &str) -> Vec<u8> {
    let mut cgroup = Cgroup::new_zeroed();
    cgroup.id = id;
    cgroup.change = Change::Existing as u32;
    cgroup.path_len = len(path.len() + 1);
    finish(&mut cgroup.header, Kind::Cgroup, size_of::<Cgroup>() + path.len() + 1);
    [cgroup.as_bytes(), path.as_bytes(), b"\0"].concat()
}

/// What is known of a container, or that somebody is asked.
pub fn container(cgroup_id: u64, stage: Stage, json: &[u8]) -> Vec<u8> {
    let mut container = Container::new_zeroed();
    container.header.cgroup_id = cgroup_id;
    container.stage = stage as u32;
    container.json_len = len(json.len());
    finish(&mut container.header, Kind::Container, size_of::<Container>() + json.len());
    [container.as_bytes(), json].concat()
}

/// A process that already ran. Fills in the lengths of `exec`.
pub fn process(mut exec: Exec, parts: &ExecParts<'_>) -> Vec<u8> {
    exec.filename_len = len(parts.filename.len());
    exec.exe_len = len(parts.exe.len());
    exec.cwd_len = len(parts.cwd.len());
    exec.argv_len = len(parts.argv.len());
    exec.env_len = len(parts.env.len());
    let variable = [parts.filename, parts.exe, parts.cwd, parts.argv, parts.env].concat();
    finish(&mut exec.header, Kind::Process, size_of::<Exec>() + variable.len());
    [exec.as_bytes(), &variable].concat()
}

/// The users and groups of the container of a cgroup, as columns of its own files.
pub fn users(cgroup_id: u64, root: [u64; 2], passwd: &[u8], group: &[u8]) -> Vec<u8> {
    let mut users = Users::new_zeroed();
    users.root = root;
    users.header.cgroup_id = cgroup_id;
    (users.passwd_len, users.group_len) = (len(passwd.len()), len(group.len()));
    finish(&mut users.header, Kind::Users, size_of::<Users>() + passwd.len() + group.len());
    [users.as_bytes(), passwd, group].concat()
}

/// A name as the kernel keeps it: cut to 15 bytes, NUL-padded.
pub fn comm(name: &[u8]) -> [u8; COMM_LEN] {
    let mut comm = [0; COMM_LEN];
    let used = name.len().min(COMM_LEN - 1);
    comm[..used].copy_from_slice(&name[..used]);
    comm
}

/// An absolute path → components, leaf first, each with its NUL.
pub fn components(path: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(path.len() + 1);
    for name in path.split(|byte| *byte == b'/').rev().filter(|name| !name.is_empty()) {
        bytes.extend_from_slice(name);
        bytes.push(0);
    }
    bytes
}

fn finish(header: &mut Header, kind: Kind, total: usize) {
    header.kind = kind as u32;
    header.len = len(total);
}

/// Records are far below 4 GiB by construction; a longer one would be refused by the decoder.
fn len(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
