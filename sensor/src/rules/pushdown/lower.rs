//! Terms → the plain tables of `sensor_common::filter`, and the host's side of the evaluator.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

use sensor_common::filter::{
    Fact, Facts, Filter, How, INTERVALS_MAX, Interval, Known, TERMS_MAX, TESTS_MAX, Test as Plain,
};

use crate::fields::Value;
use crate::fields::operand::Operand;
use crate::fields::source::Source;
use crate::rules::network::Network;
use crate::rules::pushdown::Pushdown;
use crate::rules::pushdown::check::{capabilities_with, flags_with};
use crate::rules::pushdown::terms::{Look, Terms, Test};

/// Items of one set: larger ones are left out, and what they would refuse passes.
pub const ITEMS_MAX: usize = 1024;

/// The tables of all event types.
#[derive(Debug, Default)]
pub struct Tables {
    pub filters: Vec<(&'static str, Filter)>,
    pub sets: Vec<Set>,
}

/// What a test looks up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Set {
    Texts(How, BTreeSet<Box<[u8]>>),
    Networks(BTreeSet<Network>),
}

impl Tables {
    pub fn of(pushdowns: &[Pushdown]) -> Self {
        let mut tables = Self::default();
        let mut known = HashMap::new();
        for pushdown in pushdowns {
            let filter = tables.filter(&pushdown.terms, &mut known);
            tables.filters.push((pushdown.event_type, filter));
        }
        tables
    }

    /// The filter of an event type; none refuses nothing.
    pub fn filter_of(&self, event_type: &str) -> Option<&Filter> {
        self.filters.iter().find(|(own, _)| *own == event_type).map(|(_, filter)| filter)
    }

    /// What a filter says of an event.
    pub fn accepts<S: Source>(&self, source: &S) -> bool {
        let Some(filter) = self.filter_of(source.event_type()) else { return true };
        filter.accepts(&HostFacts { source, sets: &self.sets })
    }

    fn filter(&mut self, terms: &Terms, known: &mut HashMap<Set, u32>) -> Filter {
        let mut filter = Filter::default();
        if terms.any.len() > TERMS_MAX {
            // One term without tests: everything.
            filter.count = 1;
            return filter;
        }
        for (own, term) in filter.terms.iter_mut().zip(&terms.any) {
            filter.count += 1;
            let plain = term.0.iter().filter_map(|test| self.test(test, known));
            for (slot, test) in own.tests.iter_mut().zip(plain).take(TESTS_MAX) {
                own.count += 1;
                *slot = test;
            }
        }
        filter
    }

    /// The plain test; none when it is beyond a limit.
    fn test(&mut self, test: &Test, known: &mut HashMap<Set, u32>) -> Option<Plain> {
        let mut plain = Plain {
            fact: test.fact as u8,
            how: How::Intervals as u8,
            absent: test.absent.into(),
            ..Plain::default()
        };
        let (how, inverted, set) = match &test.look {
            Look::Numbers(numbers) => {
                let mut numbers = numbers.clone();
                numbers.widen(INTERVALS_MAX);
                for (slot, interval) in plain.intervals.iter_mut().zip(numbers.iter()) {
                    plain.argument += 1;
                    *slot = interval;
                }
                return Some(plain);
            }
            Look::Bits { bits, inverted } => {
                plain.bits = *bits;
                (plain.how, plain.inverted) = (How::Bits as u8, (*inverted).into());
                return Some(plain);
            }
            Look::Texts { how, texts, inverted } => {
                (*how, *inverted, Set::Texts(*how, texts.clone()))
            }
            Look::Networks { networks, inverted } => {
                (How::Network, *inverted, Set::Networks(networks.clone()))
            }
        };
        if set.len() > ITEMS_MAX {
            return None;
        }
        let next = u32::try_from(self.sets.len()).ok()?;
        plain.argument = *known.entry(set.clone()).or_insert(next);
        if plain.argument == next {
            self.sets.push(set);
        }
        (plain.how, plain.inverted) = (how as u8, inverted.into());
        Some(plain)
    }
}

impl Set {
    fn len(&self) -> usize {
        match self {
            Self::Texts(_, texts) => texts.len(),
            Self::Networks(networks) => networks.len(),
        }
    }

    fn has_text(&self, text: &[u8]) -> bool {
        let Self::Texts(how, texts) = self else { return false };
        match how {
            How::Prefix => texts.iter().any(|prefix| text.starts_with(prefix)),
            How::Suffix => texts.iter().any(|suffix| text.ends_with(suffix)),
            _ => texts.contains(text),
        }
    }

    fn has_address(&self, address: IpAddr) -> bool {
        match self {
            Self::Texts(..) => false,
            Self::Networks(networks) => networks.iter().any(|network| network.contains(address)),
        }
    }
}

/// The facts of an event that rules can be evaluated on too.
pub struct HostFacts<'a, S> {
    source: &'a S,
    sets: &'a [Set],
}

/// A field's value, whatever its type.
enum Read {
    Number(i64),
    Text(Vec<u8>),
    Address(IpAddr),
}

impl<S: Source> HostFacts<'_, S> {
    fn read(&self, field: &str) -> Known<Read> {
        let Ok(operand) = Operand::parse(field, None) else { return Known::No };
        let mut read = Known::Absent;
        operand.read(self.source, &mut |value| {
            read = match value {
                Value::Number(number) => i64::try_from(number)
                    .map_or(Known::No, |number| Known::Is(Read::Number(number))),
                Value::Bool(bool) => Known::Is(Read::Number(bool.into())),
                Value::Bytes(bytes) => Known::Is(Read::Text(bytes.to_vec())),
                Value::Ip(address) => Known::Is(Read::Address(address)),
                Value::Double(_) => Known::No,
            };
        });
        read
    }
}

impl<S: Source> Facts for HostFacts<'_, S> {
    fn number(&self, fact: Fact) -> Known<i64> {
        let read = match self.read(field(fact, How::Whole)) {
            Known::No => return Known::No,
            // Sockets without an end have one all the same for fields of either end.
            Known::Absent if matches!(fact, Fact::RemotePort | Fact::LocalPort) => {
                return Known::No;
            }
            Known::Absent => return Known::Absent,
            Known::Is(read) => read,
        };
        match (fact, read) {
            (_, Read::Number(number)) => Known::Is(number),
            (Fact::FileType, Read::Text(text)) => match *text {
                [byte] => Known::Is(byte.into()),
                _ => Known::No,
            },
            (Fact::InContainer, Read::Text(text)) => Known::Is((*text != *b"host").into()),
            (Fact::Flags, Read::Text(text)) => bits_of(&text, b'|', flags_with),
            (Fact::Effective | Fact::Permitted, Read::Text(text)) => {
                bits_of(&text, b' ', capabilities_with)
            }
            _ => Known::No,
        }
    }

    fn in_set(&self, fact: Fact, how: How, set: u32) -> Known<bool> {
        let set = usize::try_from(set).ok().and_then(|set| self.sets.get(set));
        let Some(set) = set else { return Known::No };
        match self.read(field(fact, how)) {
            Known::Is(Read::Text(text)) => Known::Is(set.has_text(&text)),
            Known::Is(Read::Address(address)) => Known::Is(set.has_address(address)),
            Known::Absent if !matches!(fact, Fact::Remote | Fact::Local) => Known::Absent,
            _ => Known::No,
        }
    }
}

/// The bits whose names a text joins; not known when it holds another.
fn bits_of(text: &[u8], separator: u8, with: fn(u64, &mut Vec<u8>) -> bool) -> Known<i64> {
    let access: [&[u8]; 5] = [b"", b"O_RDONLY", b"O_WRONLY", b"O_RDWR", b"O_NONE"];
    let mut bits = 0_u64;
    for name in text.split(|byte| *byte == separator).filter(|name| !access.contains(name)) {
        let bit = (0..64).map(|bit| 1_u64 << bit).find(|bit| {
            let mut own = Vec::new();
            with(*bit, &mut own) && *own == *name
        });
        let Some(bit) = bit else { return Known::No };
        bits |= bit;
    }
    Known::Is(bits.cast_signed())
}

/// The field that says the same to rules.
pub fn field(fact: Fact, how: How) -> &'static str {
    match fact {
        Fact::Result => "evt.rawres",
        Fact::OpenRead => "evt.is_open_read",
        Fact::OpenWrite => "evt.is_open_write",
        Fact::OpenExec => "evt.is_open_exec",
        Fact::Flags => "evt.arg.flags",
        Fact::Descriptor => "fd.num",
        Fact::FileType => "fd.typechar",
        Fact::InContainer => "container.id",
        Fact::User => "user.uid",
        Fact::Group => "group.gid",
        Fact::LoginUser => "user.loginuid",
        Fact::NamespacePid => "proc.vpid",
        Fact::Effective => "thread.cap_effective",
        Fact::Permitted => "thread.cap_permitted",
        Fact::RemotePort => "fd.rport",
        Fact::LocalPort => "fd.lport",
        Fact::Remote => "fd.rip",
        Fact::Local => "fd.lip",
        Fact::Path => match how {
            How::Directory => "fd.directory",
            How::LastComponent => "fd.filename",
            _ => "fd.name",
        },
        Fact::Name => "proc.name",
        Fact::Executable => "proc.exepath",
    }
}

/// For messages: a number's intervals.
pub fn interval(interval: Interval) -> String {
    let Interval { low, high } = interval;
    match (low, high) {
        (low, high) if low == high => low.to_string(),
        (i64::MIN, i64::MAX) => "any".to_owned(),
        (i64::MIN, high) => format!("≤ {high}"),
        (low, i64::MAX) => format!("≥ {low}"),
        (low, high) => format!("{low} to {high}"),
    }
}
