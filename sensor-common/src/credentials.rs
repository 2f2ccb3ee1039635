//! A thread changed, or tried to change, on whose behalf it acts: user and group ids, groups,
//! capabilities.

use crate::header::Header;
use crate::syscall::{
    CAPSET, SETFSGID, SETFSUID, SETGID, SETGROUPS, SETREGID, SETRESGID, SETRESUID, SETREUID,
    SETUID, Syscall,
};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// Which system call it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, TryFromBytes, Immutable)]
#[repr(u32)]
pub enum Call {
    Setuid = 1,
    Setgid = 2,
    Setreuid = 3,
    Setregid = 4,
    Setresuid = 5,
    Setresgid = 6,
    Setfsuid = 7,
    Setfsgid = 8,
    Setgroups = 9,
    Capset = 10,
}

impl Call {
    pub const ALL: [Self; 10] = [
        Self::Setuid,
        Self::Setgid,
        Self::Setreuid,
        Self::Setregid,
        Self::Setresuid,
        Self::Setresgid,
        Self::Setfsuid,
        Self::Setfsgid,
        Self::Setgroups,
        Self::Capset,
    ];

    /// The name of the system call, as in `evt.type`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Setuid => "setuid",
            Self::Setgid => "setgid",
            Self::Setreuid => "setreuid",
            Self::Setregid => "setregid",
            Self::Setresuid => "setresuid",
            Self::Setresgid => "setresgid",
            Self::Setfsuid => "setfsuid",
            Self::Setfsgid => "setfsgid",
            Self::Setgroups => "setgroups",
            Self::Capset => "capset",
        }
    }

    pub const fn syscall(self) -> Syscall {
        match self {
            Self::Setuid => SETUID,
            Self::Setgid => SETGID,
            Self::Setreuid => SETREUID,
            Self::Setregid => SETREGID,
            Self::Setresuid => SETRESUID,
            Self::Setresgid => SETRESGID,
            Self::Setfsuid => SETFSUID,
            Self::Setfsgid => SETFSGID,
            Self::Setgroups => SETGROUPS,
            Self::Capset => CAPSET,
        }
    }

    /// How many of its arguments are ids.
    pub const fn ids(self) -> usize {
        match self {
            Self::Setuid | Self::Setgid | Self::Setfsuid | Self::Setfsgid => 1,
            Self::Setreuid | Self::Setregid => 2,
            Self::Setresuid | Self::Setresgid => 3,
            Self::Setgroups | Self::Capset => 0,
        }
    }
}

/// The most groups that are carried.
pub const GROUPS_MAX: usize = 256;

/// [`Credentials::before`] is known: the program saw the kernel replace it.
pub const BEFORE: u32 = 1 << 0;

/// Exit of one of the calls. The variable part is the new list of groups, 4 bytes each, after a
/// setgroups that succeeded. The header's ids are those after the call.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Credentials {
    pub header: Header,
    /// What the call returned; a negated errno when it failed. setfsuid and setfsgid never fail and
    /// return the id that was.
    pub result: i64,
    /// The ids that were passed, `u32::MAX` for "leave it"; of setgroups the number of groups; of
    /// capset the effective, permitted and inheritable sets.
    pub arguments: [u64; 3],
    pub before: Identity,
    pub after: Identity,
    /// A [`Call`].
    pub call: u32,
    /// [`BEFORE`]
    pub flags: u32,
    /// Bytes of the groups carried.
    pub groups_len: u32,
    /// Supplementary groups after the call, carried or not.
    pub groups: u32,
}
const _: () = assert!(size_of::<Credentials>() == size_of::<Header>() + 160);

impl Credentials {
    /// The call, or `None` for a number that this build does not know.
    pub fn call(&self) -> Option<Call> {
        Call::try_read_from_bytes(&self.call.to_ne_bytes()).ok()
    }
}

/// On whose behalf a thread acts, in the initial user namespace: real, effective, saved and file
/// system ids, and capabilities, one bit each.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Identity {
    pub uid: u32,
    pub euid: u32,
    pub suid: u32,
    pub fsuid: u32,
    pub gid: u32,
    pub egid: u32,
    pub sgid: u32,
    pub fsgid: u32,
    pub cap_inheritable: u64,
    pub cap_permitted: u64,
    pub cap_effective: u64,
}
