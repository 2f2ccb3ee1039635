//! The header that every record begins with, and the kinds of record.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// The kernel's `TASK_COMM_LEN`: a thread's name with its NUL.
pub const COMM_LEN: usize = 16;

/// The largest record, and so the size of the kernel's scratch space for one: an exec with
/// 32 KiB of arguments, 32 KiB of environment and three paths.
pub const RECORD_MAX: usize = 96 * 1024;

/// Who did it, where and when. The process is (`tgid`, `start_boot_ns`): a pid alone is reused.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Header {
    /// Bytes of the whole record, this header included.
    pub len: u32,
    /// A [`Kind`]; a number that is none of ours stays a number.
    pub kind: u32,
    /// Nanoseconds since boot, suspend included (`CLOCK_BOOTTIME`).
    pub boot_ns: u64,
    /// Id of the task's cgroup in the unified hierarchy.
    pub cgroup_id: u64,
    /// Start time of the thread group leader, nanoseconds since boot.
    pub start_boot_ns: u64,
    /// Process id in the initial pid namespace.
    pub tgid: u32,
    /// Thread id in the initial pid namespace.
    pub tid: u32,
    /// Process id of the parent in the initial pid namespace.
    pub ppid: u32,
    /// Effective user id in the initial user namespace.
    pub uid: u32,
    /// Effective group id in the initial user namespace.
    pub gid: u32,
    /// Process and thread id in the task's own pid namespace.
    pub vpid: u32,
    pub vtid: u32,
    /// The processor.
    pub cpu: u32,
    /// Effective and permitted capabilities, one bit each.
    pub cap_effective: u64,
    pub cap_permitted: u64,
    /// Name of the thread, NUL-padded.
    pub comm: [u8; COMM_LEN],
}
const _: () = assert!(size_of::<Header>() == 96);

/// What a record is about. `Process`, `Clock`, `Container` and `Users` never come from the kernel: the
/// agent itself puts them into the stream, so that a capture holds all that a replay needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, TryFromBytes, Immutable)]
#[repr(u32)]
pub enum Kind {
    Fork = 1,
    Exec = 2,
    Exit = 3,
    Open = 4,
    Connect = 5,
    Oom = 6,
    Cgroup = 7,
    Sample = 8,
    /// A process that already ran: laid out as an exec.
    Process = 9,
    /// Boot time to wall clock.
    Clock = 10,
    Credentials = 11,
    /// A system call without a record of its own.
    Call = 12,
    /// What is known of a container.
    Container = 13,
    /// Names of users and groups: never from the kernel.
    Users = 14,
}

impl Kind {
    pub const ALL: [Self; 14] = [
        Self::Fork,
        Self::Exec,
        Self::Exit,
        Self::Open,
        Self::Connect,
        Self::Oom,
        Self::Cgroup,
        Self::Sample,
        Self::Credentials,
        Self::Call,
        Self::Process,
        Self::Clock,
        Self::Container,
        Self::Users,
    ];

    /// One more than the largest number, with room to grow: what tables by kind are long.
    pub const SLOTS: u32 = 16;

    /// What the kernel side sends: the kinds that the loss equation is about.
    pub const KERNEL: &[Self] = Self::ALL.split_at(10).0;

    /// The name in metrics, captures and `sensor events --kind`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fork => "fork",
            Self::Exec => "exec",
            Self::Exit => "exit",
            Self::Open => "open",
            Self::Connect => "connect",
            Self::Oom => "oom",
            Self::Cgroup => "cgroup",
            Self::Sample => "sample",
            Self::Process => "process",
            Self::Clock => "clock",
            Self::Users => "users",
            Self::Credentials => "credentials",
            Self::Call => "call",
            Self::Container => "container",
        }
    }

    /// This kind's bit in [`crate::config::Config::kinds`].
    pub const fn bit(self) -> u64 {
        1 << self as u32
    }
}

impl Header {
    /// The kind, or `None` for a number that this build does not know.
    pub fn kind(&self) -> Option<Kind> {
        Kind::try_read_from_bytes(&self.kind.to_ne_bytes()).ok()
    }
}
