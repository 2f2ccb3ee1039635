//! What happened: one variant for each kind of event, named as its record.

use std::borrow::Cow;
use std::net::IpAddr;

use sensor_common::Kind;
use sensor_common::exec::FileId;
use sensor_common::open::Call;

/// What happened.
#[derive(Debug)]
pub enum Detail<'a> {
    Fork(Fork),
    /// The new program is the event's process.
    Exec(Exec),
    Exit(Exit),
    Open(Open<'a>),
    Connect(Connect<'a>),
    Oom(Oom<'a>),
    Cgroup(Cgroup<'a>),
}

#[derive(Debug)]
pub struct Fork {
    pub child_pid: u32,
    pub child_vpid: u32,
}

#[derive(Debug)]
pub struct Exec {}

/// How a process ended.
#[derive(Debug)]
pub struct Exit {
    /// Exit code, when it was not ended by a signal.
    pub code: Option<u8>,
    /// The signal that ended it.
    pub signal: Option<u8>,
}

#[derive(Debug)]
pub struct Open<'a> {
    pub call: Call,
    /// The descriptor, or the negated errno.
    pub result: i64,
    /// The file that was opened, as the kernel knows it; after a failure what the text names,
    /// made absolute without following links.
    pub path: Cow<'a, [u8]>,
    /// The text that was passed.
    pub text: &'a [u8],
    /// `O_*`, permission bits of a created file, and `RESOLVE_*` of openat2.
    pub flags: u32,
    pub mode: u32,
    pub resolve: u32,
    /// Directory descriptor as passed.
    pub dirfd: i32,
    /// Which file, when one was opened.
    pub file: Option<FileId>,
    /// The file has no name any more.
    pub deleted: bool,
    /// The path is longer or deeper than what a record carries.
    pub truncated: bool,
}

#[derive(Debug)]
pub struct Connect<'a> {
    /// 0, or the negated errno.
    pub result: i64,
    pub fd: i32,
    pub peer: Peer<'a>,
    /// The socket's own end, once it has one.
    pub local: Option<(IpAddr, u16)>,
    /// `IPPROTO_*`; 0 when the socket has none.
    pub protocol: u16,
    /// `SOCK_*`.
    pub socket_type: u16,
}

/// The address that was passed to connect.
#[derive(Debug, PartialEq, Eq)]
pub enum Peer<'a> {
    Inet(IpAddr, u16),
    /// A path, or an abstract name that begins with `@`.
    Unix(Cow<'a, [u8]>),
    /// An address family without a decoder here.
    Other(u16),
}

/// The event's process is the victim.
#[derive(Debug)]
pub struct Oom<'a> {
    pub memory: OomMemory,
    /// Path of the victim's memory cgroup.
    pub memory_cgroup: Cow<'a, [u8]>,
    pub memory_cgroup_id: u64,
    /// The process that was allocating.
    pub killer_pid: u32,
    pub killer_name: &'a [u8],
    pub oom_score_adj: i32,
}

/// Bytes that the victim held.
#[derive(Clone, Copy, Debug, Default)]
pub struct OomMemory {
    pub total_vm: u64,
    pub anon: u64,
    pub file: u64,
    pub shmem: u64,
}

#[derive(Debug)]
pub struct Cgroup<'a> {
    pub id: u64,
    pub made: bool,
    pub path: &'a [u8],
}

impl Detail<'_> {
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Fork(_) => Kind::Fork,
            Self::Exec(_) => Kind::Exec,
            Self::Exit(_) => Kind::Exit,
            Self::Open(_) => Kind::Open,
            Self::Connect(_) => Kind::Connect,
            Self::Oom(_) => Kind::Oom,
            Self::Cgroup(_) => Kind::Cgroup,
        }
    }

    /// The name that rules test as `evt.type`: the system call where there is one.
    pub const fn event_type(&self) -> &'static str {
        match self {
            Self::Fork(_) => "clone",
            Self::Exec(_) => "execve",
            Self::Exit(_) => "procexit",
            Self::Open(open) => open.call.name(),
            Self::Connect(_) => "connect",
            Self::Oom(_) => "oom",
            Self::Cgroup(Cgroup { made: true, .. }) => "cgroup_mkdir",
            Self::Cgroup(_) => "cgroup_rmdir",
        }
    }
}
