//! The evaluator's facts on the host: of events that rules can be evaluated on too, looked up in the
//! rows that the kernel's tables would have.

use std::net::IpAddr;

use sensor_common::filter::{
    BEGINNING, ENDING_MAX, Facts, Flags, Found, Look, NetworkKey, Number, PathKey, TextKey,
    has_length,
};

use crate::fields::Value;
use crate::fields::operand::Operand;
use crate::fields::source::Source;
use crate::rules::network::Network;
use crate::rules::pushdown::check::{capabilities_with, double_dots, flags_with};
use crate::rules::pushdown::lower::Tables;

impl Tables {
    /// What the filter of its type says of an event.
    pub fn accepts<S: Source>(&self, source: &S) -> bool {
        let Some(number) = self.number_of(source.event_type()) else { return true };
        let Some(filter) = self.filters.get(usize::from(number)) else { return true };
        filter.accepts(&mut HostFacts { source, tables: self, number })
    }
}

struct HostFacts<'a, S> {
    source: &'a S,
    tables: &'a Tables,
    number: u16,
}

/// A field's value, whatever its type.
enum Read {
    Number(i64),
    Text(Vec<u8>),
    Address(IpAddr),
}

impl<S: Source> HostFacts<'_, S> {
    fn read(&self, field: &str) -> Option<Read> {
        let operand = Operand::parse(field, None).ok()?;
        let mut read = None;
        operand.read(self.source, &mut |value| {
            read = match value {
                Value::Number(number) => i64::try_from(number).ok().map(Read::Number),
                Value::Bool(bool) => Some(Read::Number(bool.into())),
                Value::Bytes(bytes) => Some(Read::Text(bytes.to_vec())),
                Value::Ip(address) => Some(Read::Address(address)),
                Value::Double(_) => None,
            };
        });
        read
    }

    fn text(&self, look: Look) -> Option<Vec<u8>> {
        match self.read(field_of_look(look))? {
            Read::Text(text) => Some(text),
            Read::Number(_) | Read::Address(_) => None,
        }
    }

    fn find_text(&self, look: Look, text: &[u8]) -> Found {
        let Some(key) = TextKey::new(self.number, look as u16, text) else { return Found::Nothing };
        let found = self.tables.text_keys(0).find(|(own, _)| *own == key);
        found.map_or(Found::Nothing, |(_, terms)| Found::Terms(terms))
    }

    /// The directory from the top, as far as rows lie below; whether that is all of it.
    fn walk<'p>(&self, directory: &'p [u8]) -> (&'p [u8], bool) {
        if directory.is_empty() {
            return (directory, true);
        }
        let ends = directory.iter().enumerate().skip(1).filter(|(_, byte)| **byte == b'/');
        for end in ends.map(|(at, _)| at).chain([directory.len()]) {
            let text = &directory[..end];
            let key = TextKey::new(self.number, BEGINNING, text).filter(|_| text != b"/");
            let leads = |key: &TextKey| self.tables.beginning_keys(0).any(|(own, _)| own == *key);
            if key.is_some_and(|key| !leads(&key)) {
                return (text, false);
            }
        }
        (directory, true)
    }

    fn find_directory(&self, directory: &[u8]) -> Found {
        let (_, is_whole) = self.walk(directory);
        if is_whole { self.find_text(Look::Directory, directory) } else { Found::Nothing }
    }

    fn find_path(&self, path: &[u8]) -> Found {
        let end = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        let (text, is_whole) = self.walk(&path[..end]);
        let wanted = if is_whole { [path, b"\0"].concat() } else { [text, b"/"].concat() };
        let wanted = PathKey::new(self.number, Look::Path, &wanted);
        longest(self.tables.path_keys(0), &wanted, |key| key.prefix_bits)
    }

    fn find_ending(&self, name: &[u8]) -> Found {
        let end: Vec<u8> = name.iter().rev().take(ENDING_MAX).copied().collect();
        let wanted = PathKey::new(self.number, Look::Ending, &end);
        longest(self.tables.path_keys(0), &wanted, |key| key.prefix_bits)
    }

    fn find_address(&self, look: Look, address: IpAddr) -> Found {
        let (version, bytes, bits) = Network::of(address).plain();
        let wanted = NetworkKey::new(self.number, look, version, bytes, bits);
        longest(self.tables.network_keys(0), &wanted, |key| key.prefix_bits)
    }
}

/// The longest row whose bits the key begins with, as the kernel's tries find it.
fn longest<K: zerocopy::IntoBytes + zerocopy::Immutable>(
    rows: impl Iterator<Item = (K, u64)>,
    wanted: &K,
    bits: fn(&K) -> u32,
) -> Found {
    let body = |key: &K| key.as_bytes()[size_of::<u32>()..].to_vec();
    let wanted_bytes = body(wanted);
    let is_within = |key: &K| {
        let same = body(key).into_iter().zip(&wanted_bytes).map(|(one, other)| one ^ other);
        let mut agreed = 0;
        for differing in same {
            agreed += differing.leading_zeros();
            if differing != 0 {
                break;
            }
        }
        bits(key) <= bits(wanted) && bits(key) <= agreed
    };
    let found = rows.filter(|(key, _)| is_within(key)).max_by_key(|(key, _)| bits(key));
    found.map_or(Found::Nothing, |(_, terms)| Found::Terms(terms))
}

impl<S: Source> Facts for HostFacts<'_, S> {
    fn number(&mut self, number: Number) -> Option<i64> {
        match (number, self.read(field_of_number(number))?) {
            (_, Read::Number(number)) => Some(number),
            (Number::FileType, Read::Text(text)) => match *text {
                [byte] => Some(byte.into()),
                _ => None,
            },
            (Number::Climbs, Read::Text(text)) => Some(double_dots(&text)),
            (Number::InContainer, Read::Text(text)) => Some((*text != *b"host").into()),
            _ => None,
        }
    }

    fn flags(&mut self, flags: Flags) -> Option<u64> {
        match (flags, self.read(field_of_flags(flags))?) {
            (Flags::Open, Read::Text(text)) => bits_of(&text, b'|', flags_with),
            (Flags::Effective | Flags::Permitted, Read::Text(text)) => {
                bits_of(&text, b' ', capabilities_with)
            }
            _ => None,
        }
    }

    fn find(&mut self, look: Look, lengths: u64) -> Option<Found> {
        let has_length =
            |text: &[u8]| u32::try_from(text.len()).is_ok_and(|len| has_length(lengths, len));
        match look {
            Look::Name => Some(self.find_text(look, &self.text(look)?)),
            Look::Leaf => {
                let leaf = self.text(look)?;
                let is_looked_up = has_length(&leaf);
                Some(if is_looked_up { self.find_text(look, &leaf) } else { Found::Nothing })
            }
            Look::Parent => {
                let directory = self.text(Look::Directory)?;
                let parent = directory.rsplit(|byte| *byte == b'/').next()?;
                if parent.is_empty() {
                    return None;
                }
                let is_looked_up = has_length(parent);
                Some(if is_looked_up { self.find_text(look, parent) } else { Found::Nothing })
            }
            Look::Ending => {
                let name = self.text(look).filter(|name| !name.is_empty())?;
                Some(self.find_ending(&name))
            }
            Look::Directory => Some(self.find_directory(&self.text(look)?)),
            Look::Path => {
                // The kernel side has whole paths or none.
                let path = self.text(look).filter(|path| path.starts_with(b"/"))?;
                Some(self.find_path(&path))
            }
            Look::Remote | Look::Local => match self.read(field_of_look(look))? {
                Read::Address(address) => Some(self.find_address(look, address)),
                Read::Number(_) | Read::Text(_) => None,
            },
        }
    }
}

/// The bits whose names a text joins; not known when it holds another.
fn bits_of(text: &[u8], separator: u8, with: fn(u64, &mut Vec<u8>) -> bool) -> Option<u64> {
    let access: [&[u8]; 5] = [b"", b"O_RDONLY", b"O_WRONLY", b"O_RDWR", b"O_NONE"];
    let mut bits = 0_u64;
    for name in text.split(|byte| *byte == separator).filter(|name| !access.contains(name)) {
        bits |= (0..64).map(|bit| 1_u64 << bit).find(|bit| {
            let mut own = Vec::new();
            with(*bit, &mut own) && *own == *name
        })?;
    }
    Some(bits)
}

/// The field that says the same to rules.
pub fn field_of_number(number: Number) -> &'static str {
    match number {
        Number::Result => "evt.rawres",
        Number::OpenRead => "evt.is_open_read",
        Number::OpenWrite => "evt.is_open_write",
        Number::OpenExec => "evt.is_open_exec",
        Number::Descriptor => "fd.num",
        Number::FileType => "fd.typechar",
        Number::InContainer => "container.id",
        Number::User => "user.uid",
        Number::Group => "group.gid",
        Number::NamespacePid => "proc.vpid",
        Number::RemotePort => "fd.rport",
        Number::LocalPort => "fd.lport",
        Number::Climbs => "fd.nameraw",
    }
}

pub fn field_of_flags(flags: Flags) -> &'static str {
    match flags {
        Flags::Open => "evt.arg.flags",
        Flags::Effective => "thread.cap_effective",
        Flags::Permitted => "thread.cap_permitted",
    }
}

pub fn field_of_look(look: Look) -> &'static str {
    match look {
        Look::Name => "proc.name",
        Look::Leaf | Look::Ending => "fd.filename",
        Look::Parent | Look::Directory => "fd.directory",
        Look::Path => "fd.name",
        Look::Remote => "fd.rip",
        Look::Local => "fd.lip",
    }
}
