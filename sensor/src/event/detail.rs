//! What happened: one variant for each kind of event, named as its record.

use sensor_common::Kind;

use crate::event::call::Call;
use crate::event::cgroup::Cgroup;
use crate::event::connect::Connect;
use crate::event::credentials::Credentials;
use crate::event::exec::Exec;
use crate::event::exit::Exit;
use crate::event::fork::Fork;
use crate::event::oom::Oom;
use crate::event::open::Open;

/// What happened.
#[derive(Debug)]
pub enum Detail<'a> {
    Fork(Fork),
    Exec(Exec),
    Exit(Exit),
    Open(Open<'a>),
    Connect(Connect<'a>),
    Credentials(Credentials<'a>),
    Oom(Oom<'a>),
    Cgroup(Cgroup<'a>),
    /// A system call that has a row in a table, and no kind of its own.
    Call(Box<Call<'a>>),
}

impl Detail<'_> {
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Fork(_) => Kind::Fork,
            Self::Exec(_) => Kind::Exec,
            Self::Exit(_) => Kind::Exit,
            Self::Open(_) => Kind::Open,
            Self::Connect(_) => Kind::Connect,
            Self::Credentials(_) => Kind::Credentials,
            Self::Oom(_) => Kind::Oom,
            Self::Cgroup(_) => Kind::Cgroup,
            Self::Call(_) => Kind::Call,
        }
    }

    /// The name that rules test as `evt.type`: the system call where there is one.
    pub const fn event_type(&self) -> &'static str {
        match self {
            Self::Fork(fork) => fork.call.name(),
            Self::Exec(exec) => exec.event_type(),
            Self::Exit(_) => "procexit",
            Self::Open(open) => open.call.name(),
            Self::Connect(_) => "connect",
            Self::Credentials(credentials) => credentials.call.name(),
            Self::Oom(_) => "oom",
            Self::Cgroup(Cgroup { made: true, .. }) => "cgroup_mkdir",
            Self::Cgroup(_) => "cgroup_rmdir",
            Self::Call(call) => call.row.name,
        }
    }
}
