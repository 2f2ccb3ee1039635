//! Bytes from the kernel → a typed record, or the reason why not. Total: no input panics.

use sensor_common::call::{self as wire, Row, TEXTS};
use sensor_common::cgroup::{Cgroup, Change};
use sensor_common::clock::Clock;
use sensor_common::connect::Connect;
use sensor_common::container::{Container, Stage};
use sensor_common::credentials::{self, Credentials};
use sensor_common::exec::Exec;
use sensor_common::exit::Exit;
use sensor_common::fork::{self, Fork};
use sensor_common::oom::Oom;
use sensor_common::open::{Call, Open};
use sensor_common::users::Users;
use sensor_common::{Header, Kind};
use zerocopy::FromBytes;

use crate::event::call;

/// One record, its variable parts still in the buffer that it came in.
#[derive(Debug)]
pub enum Record<'a> {
    Fork {
        fork: Fork,
        call: fork::Call,
    },
    Exec(ExecRecord<'a>),
    Exit(Exit),
    Open {
        open: Open,
        call: Call,
        path: &'a [u8],
        text: &'a [u8],
    },
    Connect(Connect),
    Credentials {
        credentials: Credentials,
        call: credentials::Call,
        groups: &'a [u8],
    },
    Oom {
        oom: Oom,
        path: &'a [u8],
    },
    Cgroup {
        cgroup: Cgroup,
        change: Change,
        path: &'a [u8],
    },
    Call {
        call: Box<wire::Call>,
        row: &'static Row,
        parts: call::Parts<'a>,
    },
    /// The profiler's; not an event.
    Sample(&'a [u8]),
    Process(ExecRecord<'a>),
    Clock(Clock),
    Users {
        users: Users,
        passwd: &'a [u8],
        group: &'a [u8],
    },
    Container {
        container: Container,
        stage: Stage,
        json: &'a [u8],
    },
}

/// An exec, or a process that already ran.
#[derive(Debug)]
pub struct ExecRecord<'a> {
    pub exec: Exec,
    pub filename: &'a [u8],
    /// Components, leaf first.
    pub exe: &'a [u8],
    pub cwd: &'a [u8],
    pub argv: &'a [u8],
    pub env: &'a [u8],
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("shorter than what it says that it holds")]
    Short,
    #[error("its header gives a length of {0} bytes, which is not its own")]
    Length(u32),
    #[error("of unknown kind {0}")]
    Kind(u32),
    #[error("a number in it is none of those that its field may have")]
    Value,
}

impl Malformed {
    /// The `reason` label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Length(_) => "length",
            Self::Kind(_) => "kind",
            Self::Value => "value",
        }
    }

    pub const ALL_NAMES: [&'static str; 4] = ["short", "length", "kind", "value"];
}

/// Decodes one record.
pub fn decode(bytes: &[u8]) -> Result<Record<'_>, Malformed> {
    let (header, _) = Header::read_from_prefix(bytes).ok().ok_or(Malformed::Short)?;
    if header.len as usize != bytes.len() {
        return Err(Malformed::Length(header.len));
    }
    match header.kind().ok_or(Malformed::Kind(header.kind))? {
        Kind::Fork => {
            let (fork, _) = Parts::fixed::<Fork>(bytes)?;
            Ok(Record::Fork { call: fork.call().ok_or(Malformed::Value)?, fork })
        }
        Kind::Exec => Ok(Record::Exec(exec(bytes)?)),
        Kind::Process => Ok(Record::Process(exec(bytes)?)),
        Kind::Exit => Ok(Record::Exit(Parts::fixed(bytes)?.0)),
        Kind::Open => open(bytes),
        Kind::Connect => Ok(Record::Connect(Parts::fixed(bytes)?.0)),
        Kind::Credentials => {
            let (credentials, mut parts) = Parts::fixed::<Credentials>(bytes)?;
            let call = credentials.call().ok_or(Malformed::Value)?;
            Ok(Record::Credentials {
                call,
                groups: parts.take(credentials.groups_len)?,
                credentials,
            })
        }
        Kind::Oom => {
            let (oom, mut parts) = Parts::fixed::<Oom>(bytes)?;
            Ok(Record::Oom { oom, path: parts.take(oom.path_len)? })
        }
        Kind::Cgroup => {
            let (cgroup, mut parts) = Parts::fixed::<Cgroup>(bytes)?;
            let change = cgroup.change().ok_or(Malformed::Value)?;
            Ok(Record::Cgroup { cgroup, change, path: text(parts.take(cgroup.path_len)?) })
        }
        Kind::Call => call(bytes),
        Kind::Sample => Ok(Record::Sample(bytes)),
        Kind::Clock => Ok(Record::Clock(Parts::fixed(bytes)?.0)),
        Kind::Users => {
            let (users, mut parts) = Parts::fixed::<Users>(bytes)?;
            let (passwd, group) = (parts.take(users.passwd_len)?, parts.take(users.group_len)?);
            Ok(Record::Users { users, passwd, group })
        }
        Kind::Container => {
            let (container, mut parts) = Parts::fixed::<Container>(bytes)?;
            let stage = container.stage().ok_or(Malformed::Value)?;
            Ok(Record::Container { stage, json: parts.take(container.json_len)?, container })
        }
    }
}

fn exec(bytes: &[u8]) -> Result<ExecRecord<'_>, Malformed> {
    let (exec, mut parts) = Parts::fixed::<Exec>(bytes)?;
    Ok(ExecRecord {
        filename: text(parts.take(exec.filename_len)?),
        exe: parts.take(exec.exe_len)?,
        cwd: parts.take(exec.cwd_len)?,
        argv: parts.take(exec.argv_len)?,
        env: parts.take(exec.env_len)?,
        exec,
    })
}

fn open(bytes: &[u8]) -> Result<Record<'_>, Malformed> {
    let (open, mut parts) = Parts::fixed::<Open>(bytes)?;
    let call = open.call().ok_or(Malformed::Value)?;
    let path = parts.take(open.path_len)?;
    Ok(Record::Open { call, path, text: text(parts.take(open.text_len)?), open })
}

fn call(bytes: &[u8]) -> Result<Record<'_>, Malformed> {
    let (call, mut parts) = Parts::fixed::<wire::Call>(bytes)?;
    let row = call.row().ok_or(Malformed::Value)?;
    let file_path = parts.take(call.file_path.len)?;
    let (mut bases, mut texts) = ([[].as_slice(); TEXTS], [[].as_slice(); TEXTS]);
    for place in 0..TEXTS {
        bases[place] = parts.take(call.bases[place].len)?;
        texts[place] = text(parts.take(call.texts[place].len)?);
    }
    let address = parts.take(call.address.len)?;
    let data = parts.take(call.data.len)?;
    let parts = call::Parts { file_path, bases, texts, address, data };
    Ok(Record::Call { call: Box::new(call), row, parts })
}

/// What is left of a record's variable parts.
struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    fn fixed<T: FromBytes>(bytes: &'a [u8]) -> Result<(T, Self), Malformed> {
        let (fixed, rest) = T::read_from_prefix(bytes).ok().ok_or(Malformed::Short)?;
        Ok((fixed, Self(rest)))
    }

    fn take(&mut self, len: u32) -> Result<&'a [u8], Malformed> {
        let (part, rest) = self.0.split_at_checked(len as usize).ok_or(Malformed::Short)?;
        self.0 = rest;
        Ok(part)
    }
}

/// Text up to its NUL.
fn text(bytes: &[u8]) -> &[u8] {
    match memchr::memchr(0, bytes) {
        Some(end) => &bytes[..end],
        None => bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::{Malformed, Record, decode};
    use crate::probe::record;
    use proptest::prelude::*;
    use sensor_common::Kind;

    #[test]
    fn refuses_what_lies() {
        let clock = record::clock(7);
        let with = |at: usize, value: u32| {
            let mut bytes = clock.clone();
            bytes[at..at + 4].copy_from_slice(&value.to_ne_bytes());
            bytes
        };
        assert!(matches!(decode(&clock), Ok(Record::Clock(clock)) if clock.offset_ns == 7));
        for (bytes, expected) in [
            (vec![], Malformed::Short),
            (clock[..10].to_vec(), Malformed::Short),
            (clock[..100].to_vec(), Malformed::Length(104)),
            (with(0, 105), Malformed::Length(105)),
            (with(4, 99), Malformed::Kind(99)),
            (with(4, Kind::Open as u32), Malformed::Short),
        ] {
            assert_eq!(decode(&bytes).unwrap_err(), expected, "{bytes:?}");
        }
        // A path that claims to be longer than the record.
        let mut cgroup = record::cgroup(1, "/a");
        let at = cgroup.len() - 3 - 4;
        cgroup[at..at + 4].copy_from_slice(&4000_u32.to_ne_bytes());
        assert_eq!(decode(&cgroup).unwrap_err(), Malformed::Short);
    }

    #[test]
    fn decodes_at_any_alignment() {
        let record = record::cgroup(42, "/x");
        for offset in 0..8 {
            let mut bytes = vec![0; offset];
            bytes.extend_from_slice(&record);
            assert!(
                matches!(decode(&bytes[offset..]), Ok(Record::Cgroup { cgroup, path: b"/x", .. }) if cgroup.id == 42)
            );
        }
    }

    proptest! {
        #[test]
        fn never_panics(mut bytes: Vec<u8>, kind in 0_u32..20, own_length: bool) {
            if bytes.len() >= 8 {
                bytes[4..8].copy_from_slice(&kind.to_ne_bytes());
                if own_length {
                    let len = u32::try_from(bytes.len()).unwrap();
                    bytes[..4].copy_from_slice(&len.to_ne_bytes());
                }
            }
            // Whether it decodes is beside the point here.
            drop(decode(&bytes));
        }
    }
}
