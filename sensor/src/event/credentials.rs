//! A call that changes on whose behalf a thread acts returned.

use sensor_common::credentials::{BEFORE, Call, Credentials as Record, Identity};

/// What was asked for, and what came of it.
#[derive(Debug)]
pub struct Credentials<'a> {
    pub call: Call,
    /// 0, the id that was (setfsuid, setfsgid), or the negated errno.
    pub result: i64,
    pub asked: Asked,
    /// `None` when neither the kernel side saw it nor the process's past tells.
    pub before: Option<Identity>,
    pub after: Identity,
    /// Supplementary groups after a setgroups: 4 bytes each, the first of them.
    pub groups: &'a [u8],
}

/// What was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// In the order of the call's arguments; `u32::MAX` for "leave it".
    Ids([u32; 3]),
    Groups(u64),
    Capabilities {
        effective: u64,
        permitted: u64,
        inheritable: u64,
    },
}

impl<'a> Credentials<'a> {
    /// `known` is what the process had when it was last heard of, for kernels where the record does
    /// not say.
    pub fn new(record: &Record, call: Call, groups: &'a [u8], known: Option<Identity>) -> Self {
        let [first, second, third] = record.arguments;
        let id = |argument: u64| u32::try_from(argument).unwrap_or(u32::MAX);
        let asked = match call {
            Call::Setgroups => Asked::Groups(first),
            Call::Capset => {
                Asked::Capabilities { effective: first, permitted: second, inheritable: third }
            }
            _ => Asked::Ids([id(first), id(second), id(third)]),
        };
        let seen = (record.flags & BEFORE != 0).then_some(record.before);
        Self {
            call,
            result: record.result,
            asked,
            before: seen.or(known),
            after: record.after,
            groups,
        }
    }

    /// The supplementary groups after a setgroups.
    pub fn groups(&self) -> impl Iterator<Item = u32> {
        self.groups.as_chunks().0.iter().map(|bytes| u32::from_ne_bytes(*bytes))
    }

    /// The ids that were passed.
    pub fn ids(&self) -> &[u32] {
        match &self.asked {
            Asked::Ids(ids) => &ids[..self.call.ids().min(ids.len())],
            Asked::Groups(_) | Asked::Capabilities { .. } => &[],
        }
    }

    /// Names of the ids that were passed, as parameters of the event.
    pub const fn id_names(&self) -> &'static [&'static str] {
        match self.call {
            Call::Setuid => &["uid"],
            Call::Setgid => &["gid"],
            Call::Setreuid => &["ruid", "euid"],
            Call::Setregid => &["rgid", "egid"],
            Call::Setresuid => &["ruid", "euid", "suid"],
            Call::Setresgid => &["rgid", "egid", "sgid"],
            Call::Setfsuid => &["fsuid"],
            Call::Setfsgid => &["fsgid"],
            Call::Setgroups | Call::Capset => &[],
        }
    }

    /// The id that was passed under this name.
    pub fn id(&self, name: &str) -> Option<u32> {
        let index = self.id_names().iter().position(|known| *known == name)?;
        self.ids().get(index).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::{Asked, Credentials};
    use sensor_common::credentials::{BEFORE, Call, Credentials as Record, Identity};
    use zerocopy::FromZeros as _;

    #[test]
    fn every_id_has_a_name_and_before_comes_from_whoever_knows() {
        let known = Identity { uid: 7, ..Identity::default() };
        for call in Call::ALL {
            let mut record = Record::new_zeroed();
            record.arguments = [1, 2, u64::from(u32::MAX)];
            let event = Credentials::new(&record, call, b"\x05\0\0\0\x06\0\0\0", Some(known));
            assert_eq!(event.id_names().len(), call.ids(), "{call:?}");
            assert_eq!(event.ids().len(), call.ids(), "{call:?}");
            assert_eq!(event.before, Some(known));
            assert_eq!(event.groups().collect::<Vec<_>>(), [5, 6]);
            record.flags = BEFORE;
            let event = Credentials::new(&record, call, b"", Some(known));
            assert_eq!(event.before, Some(Identity::default()));
        }
        let mut record = Record::new_zeroed();
        record.arguments = [3, 2, 1];
        let event = Credentials::new(&record, Call::Capset, b"", None);
        let expected = Asked::Capabilities { effective: 3, permitted: 2, inheritable: 1 };
        assert_eq!((event.asked, event.before), (expected, None));
    }
}
