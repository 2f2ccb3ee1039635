//! A check of a condition → what it asks of cheap facts, when it holds and when it does not.

use std::collections::BTreeSet;
use std::net::IpAddr;

use sensor_common::filter::{ENDING_MAX, Flags, Look, Number};

use crate::fields::{Value, names};
use crate::rules::ast::Modifier;
use crate::rules::network::Network;
use crate::rules::program::{Access, Check, ColumnKind, Comparison, Over, Program};
use crate::rules::pushdown::intervals::Intervals;
use crate::rules::pushdown::terms::{Of, Terms, Test};
use crate::rules::test::{Bytes, Ordering, Test as Compared};

/// What is necessary for a part of a condition to hold, and not to hold.
#[derive(Clone, Debug)]
pub struct Sides {
    pub holds: Terms,
    pub fails: Terms,
}

impl Sides {
    pub fn unknown() -> Self {
        Self { holds: Terms::everything(), fails: Terms::everything() }
    }

    fn exactly(of: Of) -> Self {
        let test = Test { of, absent: false };
        Self { fails: Terms::test(test.negated()), holds: Terms::test(test) }
    }

    /// Necessary for it to hold, and nothing is known of when it fails.
    fn at_least(of: Of) -> Self {
        let test = Test { of, absent: false };
        Self { holds: Terms::test(test), fails: Terms::everything() }
    }

    #[must_use]
    pub fn negated(self) -> Self {
        Self { holds: self.fails, fails: self.holds }
    }
}

/// What a check asks of an event of this type.
pub fn sides(program: &Program, check: &Check, event_type: &str) -> Sides {
    let ColumnKind::Field(operand) = &program.columns[check.column].kind else {
        return Sides::unknown();
    };
    let (name, is_connect) = (&*operand.name, event_type == "connect");
    if program.columns[check.column].access == Access::Each {
        let is_port = match name {
            "fd.port" | "fd.proto" => true,
            "fd.ip" | "fd.net" => false,
            _ => return Sides::unknown(),
        };
        return if is_connect { either_end(check, is_port) } else { Sides::unknown() };
    }
    let is_open = matches!(event_type, "open" | "openat" | "openat2" | "creat");
    let comparison = &check.comparison;
    let known = match name {
        "evt.res" => result_text(comparison),
        "evt.failed" => truth(comparison).map(|[when_false, when_true]| {
            let failed = Intervals::of([(i128::MIN, -1)]);
            numbers_where(Number::Result, &failed, [when_false, when_true])
        }),
        "evt.arg.flags" if is_open => bits(comparison, Flags::Open, 32, flags_with),
        "thread.cap_effective" => bits(comparison, Flags::Effective, 64, capabilities_with),
        "thread.cap_permitted" => bits(comparison, Flags::Permitted, 64, capabilities_with),
        "container.id" => container(comparison),
        "fd.typechar" if is_open || is_connect => characters(comparison),
        "fd.name" if is_open => texts(Look::Path, comparison),
        "fd.directory" if is_open => texts(Look::Directory, comparison),
        "fd.filename" if is_open => texts(Look::Leaf, comparison),
        "fd.nameraw" if is_open => climbs(comparison),
        "proc.name" => texts(Look::Name, comparison),
        _ => match (number(name, is_open, is_connect), address(name, is_connect)) {
            (Some(number), _) => numeric(number, comparison),
            (_, Some(look)) => networks(look, comparison),
            _ => None,
        },
    };
    known.unwrap_or_else(Sides::unknown)
}

/// Fields that are a number or a boolean.
fn number(name: &str, is_open: bool, is_connect: bool) -> Option<Number> {
    Some(match name {
        "evt.rawres" => Number::Result,
        "evt.is_open_read" if is_open => Number::OpenRead,
        "evt.is_open_write" if is_open => Number::OpenWrite,
        "evt.is_open_exec" if is_open => Number::OpenExec,
        "fd.num" if is_open || is_connect => Number::Descriptor,
        "user.uid" => Number::User,
        "group.gid" => Number::Group,
        "proc.vpid" => Number::NamespacePid,
        // Who connects is the client.
        "fd.rport" | "fd.rproto" | "fd.sport" if is_connect => Number::RemotePort,
        "fd.lport" | "fd.lproto" | "fd.cport" if is_connect => Number::LocalPort,
        _ => return None,
    })
}

fn address(name: &str, is_connect: bool) -> Option<Look> {
    Some(match name {
        "fd.rip" | "fd.rnet" | "fd.sip" | "fd.snet" if is_connect => Look::Remote,
        "fd.lip" | "fd.lnet" | "fd.cip" | "fd.cnet" if is_connect => Look::Local,
        _ => return None,
    })
}

fn numeric(number: Number, comparison: &Comparison) -> Option<Sides> {
    let (numbers, is_exact) = accepted(comparison)?;
    let of = Of::Number(number, numbers);
    Some(if is_exact { Sides::exactly(of) } else { Sides::at_least(of) })
}

/// The numbers that satisfy a comparison, or more of them when it is not exact.
fn accepted(comparison: &Comparison) -> Option<(Intervals, bool)> {
    match comparison {
        Comparison::Exists => Some((Intervals::of([(i128::MIN, i128::MAX)]), true)),
        Comparison::Test(test) => Some((accepted_by(test)?, true)),
        Comparison::Modified(modifier, tests) => {
            let each: Option<Vec<_>> = tests.iter().map(|(test, _)| accepted_by(test)).collect();
            let any = each?.iter().fold(Intervals::default(), |all, one| all.union(one));
            Some((any, *modifier == Modifier::AnyOf))
        }
        Comparison::Column(..) => None,
    }
}

fn accepted_by(test: &Compared) -> Option<Intervals> {
    Some(match test {
        Compared::Number(ordering, number) => ordered(*ordering, *number),
        Compared::Numbers(set) => Intervals::values(set.iter().copied()),
        Compared::Bool { value, equal } => Intervals::values([i128::from(value == equal)]),
        Compared::AnyBool => Intervals::of([(i128::MIN, i128::MAX)]),
        Compared::Never => Intervals::default(),
        _ => return None,
    })
}

fn ordered(ordering: Ordering, number: i128) -> Intervals {
    let (least, most) = (i128::MIN, i128::MAX);
    match ordering {
        Ordering::Equal => Intervals::values([number]),
        Ordering::NotEqual => Intervals::of([(least, number - 1), (number + 1, most)]),
        Ordering::Less => Intervals::of([(least, number - 1)]),
        Ordering::LessOrEqual => Intervals::of([(least, number)]),
        Ordering::Greater => Intervals::of([(number + 1, most)]),
        Ordering::GreaterOrEqual => Intervals::of([(number, most)]),
    }
}

/// What a comparison of a boolean is for false and for true.
fn truth(comparison: &Comparison) -> Option<[bool; 2]> {
    let (numbers, is_exact) = accepted(comparison)?;
    let has = |number: i128| !numbers.intersection(&Intervals::values([number])).is_empty();
    is_exact.then(|| [has(0), has(1)])
}

/// A check that is one thing for the numbers of a set, and another for the rest.
fn numbers_where(number: Number, inside: &Intervals, [without, within]: [bool; 2]) -> Sides {
    let nothing = Intervals::default();
    let of = |wanted: bool, numbers: Intervals| if wanted { numbers } else { nothing.clone() };
    let numbers = of(within, inside.clone()).union(&of(without, inside.complement()));
    Sides::exactly(Of::Number(number, numbers))
}

/// `evt.res`: `SUCCESS`, the name of an error, or its number where it has no name.
fn result_text(comparison: &Comparison) -> Option<Sides> {
    const NAMED: i128 = 133;
    let holds = |text: &[u8]| comparison.holds(Value::Bytes(text));
    let success = holds(b"SUCCESS")?;
    let (mut yes, mut no, mut either) = (Vec::new(), Vec::new(), Vec::new());
    for errno in 1..=NAMED {
        let mut text = Vec::new();
        names::errno(errno.try_into().ok()?, &mut text);
        (if holds(&text)? { &mut yes } else { &mut no }).push((-errno, -errno));
    }
    // The text of the others is a number.
    let beyond = match comparison {
        Comparison::Test(Compared::Bytes(Bytes::Equal(text) | Bytes::StartsWith(text))) => {
            if is_word(text) {
                &mut no
            } else {
                &mut either
            }
        }
        Comparison::Test(Compared::Bytes(Bytes::OneOf(texts))) => {
            if texts.iter().all(|text| is_word(text)) { &mut no } else { &mut either }
        }
        Comparison::Test(Compared::Bytes(Bytes::NotEqual(text))) => {
            if is_word(text) {
                &mut yes
            } else {
                &mut either
            }
        }
        _ => &mut either,
    };
    beyond.push((i128::MIN, -NAMED - 1));
    (if success { &mut yes } else { &mut no }).push((0, i128::MAX));
    let side = |own: Vec<(i128, i128)>, absent| {
        let numbers = Intervals::of(own.into_iter().chain(either.iter().copied()));
        Terms::test(Test { of: Of::Number(Number::Result, numbers), absent })
    };
    Some(Sides { holds: side(yes, false), fails: side(no, true) })
}

fn is_word(text: &[u8]) -> bool {
    text.first().is_some_and(u8::is_ascii_alphabetic)
}

/// `contains` on names of bits.
fn bits(
    comparison: &Comparison,
    flags: Flags,
    count: u32,
    with: fn(u64, &mut Vec<u8>) -> bool,
) -> Option<Sides> {
    let Comparison::Test(Compared::Bytes(bytes @ (Bytes::Contains(_) | Bytes::ContainsFolded(_)))) =
        comparison
    else {
        return None;
    };
    let mut set = 0_u64;
    for bit in (0..count).map(|bit| 1_u64 << bit) {
        let mut name = Vec::new();
        if with(bit, &mut name) && bytes.matches(&name) {
            set |= bit;
        }
    }
    // Across names, or in what stands there without any bit, the text says nothing of bits.
    let needle: Vec<u8> = match bytes {
        Bytes::Contains(finder) => finder.needle().to_vec(),
        Bytes::ContainsFolded(needle) => needle.text().to_vec(),
        _ => return None,
    };
    let is_within_name =
        needle.len() > 3 && needle.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let access: [&[u8]; 4] = [b"O_RDONLY", b"O_WRONLY", b"O_RDWR", b"O_NONE"];
    if !is_within_name || access.iter().any(|name| bytes.matches(name)) {
        return None;
    }
    Some(Sides::exactly(Of::Flags { flags, bits: set, inverted: false }))
}

/// The name of an open flag; false for a bit that has none.
pub fn flags_with(bit: u64, name: &mut Vec<u8>) -> bool {
    let Ok(flag) = u32::try_from(bit) else { return false };
    let mut text = Vec::new();
    names::open_flags(flag, &mut text);
    let Some(at) = text.iter().position(|byte| *byte == b'|') else { return false };
    name.extend_from_slice(&text[at + 1..]);
    true
}

/// The name of a capability; false for a bit that has none.
pub fn capabilities_with(bit: u64, name: &mut Vec<u8>) -> bool {
    names::capabilities(bit, name);
    !name.is_empty()
}

/// `container.id`: what is known is whether it is `host`.
fn container(comparison: &Comparison) -> Option<Sides> {
    let host = comparison.holds(Value::Bytes(b"host"))?;
    let is_about_host = match comparison {
        Comparison::Test(Compared::Bytes(Bytes::Equal(text) | Bytes::NotEqual(text))) => {
            **text == *b"host"
        }
        Comparison::Test(Compared::Bytes(Bytes::OneOf(texts))) => {
            !texts.is_empty() && texts.iter().all(|text| **text == *b"host")
        }
        _ => false,
    };
    let (outside, inside) = (Intervals::values([0]), Intervals::values([1]));
    let side = |wanted: bool, absent| {
        let other =
            if is_about_host && host == wanted { Intervals::default() } else { inside.clone() };
        let own = if host == wanted { outside.clone() } else { Intervals::default() };
        let of = Of::Number(Number::InContainer, own.union(&other));
        Terms::test(Test { of, absent })
    };
    Some(Sides { holds: side(true, false), fails: side(false, true) })
}

/// `fd.typechar`: one byte.
fn characters(comparison: &Comparison) -> Option<Sides> {
    let mut numbers = Vec::new();
    for byte in 0..=u8::MAX {
        if comparison.holds(Value::Bytes(&[byte]))? {
            numbers.push(i128::from(byte));
        }
    }
    Some(Sides::exactly(Of::Number(Number::FileType, Intervals::values(numbers))))
}

/// `fd.nameraw`: what is known is how often a dot follows a dot.
fn climbs(comparison: &Comparison) -> Option<Sides> {
    let count = match comparison {
        Comparison::Test(Compared::Bytes(Bytes::Contains(finder))) => double_dots(finder.needle()),
        Comparison::Test(Compared::Bytes(Bytes::Glob(glob))) => {
            glob.literals().map(|text| double_dots(&text)).sum()
        }
        _ => 0,
    };
    let at_least = Intervals::of([(i128::from(count), i128::MAX)]);
    (count > 0).then(|| Sides::at_least(Of::Number(Number::Climbs, at_least)))
}

/// How often a dot follows a dot.
pub(super) fn double_dots(text: &[u8]) -> i64 {
    text.windows(2).map(|pair| i64::from(pair == b"..")).sum()
}

/// Text that is one of a set, or begins with one.
fn texts(look: Look, comparison: &Comparison) -> Option<Sides> {
    match comparison {
        Comparison::Exists => Some(Sides::unknown()),
        Comparison::Test(Compared::Bytes(bytes)) => {
            let (of, is_exact) = text(look, bytes)?;
            Some(if is_exact { Sides::exactly(of) } else { Sides::at_least(of) })
        }
        Comparison::Modified(modifier, tests) => {
            let mut any = Terms::nothing();
            let mut none = Terms::everything();
            let mut is_exact = *modifier == Modifier::AnyOf;
            for (test, _) in tests {
                let Compared::Bytes(bytes) = test else { return None };
                let (of, is_own_exact) = text(look, bytes)?;
                let test = Test { of, absent: false };
                is_exact &= is_own_exact;
                none = none.and(Terms::test(test.negated()));
                any = any.or(Terms::test(test));
            }
            let fails = if is_exact { none } else { Terms::everything() };
            Some(Sides { holds: any, fails })
        }
        _ => None,
    }
}

/// The test of one comparison, and whether it says no less.
fn text(look: Look, bytes: &Bytes) -> Option<(Of, bool)> {
    let is_path = look == Look::Path;
    let whole = |text: &[u8]| -> Box<[u8]> {
        if is_path { [text, b"\0"].concat().into() } else { text.into() }
    };
    let of = |texts: BTreeSet<Box<[u8]>>, inverted| Of::Texts { look, texts, inverted };
    let prefixes = |texts: Vec<Box<[u8]>>| {
        let is_useful = is_path && texts.iter().all(|text| !text.is_empty());
        is_useful.then(|| of(texts.into_iter().collect(), false))
    };
    Some(match bytes {
        Bytes::Equal(text) => (of([whole(text)].into(), false), true),
        Bytes::NotEqual(text) => (of([whole(text)].into(), true), true),
        Bytes::OneOf(texts) => (of(texts.iter().map(|text| whole(text)).collect(), false), true),
        Bytes::StartsWith(text) => (prefixes(vec![text.clone()])?, true),
        Bytes::AnyPrefix(trie) => (prefixes(trie.prefixes())?, true),
        // What stands before the first wildcard is a prefix.
        Bytes::Glob(glob) => (prefixes(vec![glob.literal_prefix()?.into()])?, false),
        Bytes::Path(paths) => (prefixes(paths.prefixes())?, false),
        Bytes::EndsWith(text) => return ending(look, text),
        _ => return None,
    })
}

/// What ends a path ends the file's name, or is all of it from a slash on.
fn ending(look: Look, text: &[u8]) -> Option<(Of, bool)> {
    let name = text.rsplit(|byte| *byte == b'/').next().filter(|name| !name.is_empty())?;
    let of = |look, text: Box<[u8]>| Of::Texts { look, texts: [text].into(), inverted: false };
    match look {
        Look::Path if name.len() < text.len() => Some((of(Look::Leaf, name.into()), false)),
        Look::Path | Look::Leaf if name.len() == text.len() => {
            let end: Box<[u8]> = name.iter().rev().take(ENDING_MAX).copied().collect();
            let is_whole = end.len() == name.len();
            Some((of(Look::Ending, end), is_whole))
        }
        _ => None,
    }
}

fn networks(look: Look, comparison: &Comparison) -> Option<Sides> {
    let Comparison::Test(test) = comparison else { return None };
    let (networks, inverted) = network_set(test)?;
    Some(Sides::exactly(Of::Networks { look, networks, inverted }))
}

fn network_set(test: &Compared) -> Option<(BTreeSet<Network>, bool)> {
    let of = |ip: &IpAddr| Network::of(*ip);
    Some(match test {
        Compared::Ip { ip, equal } => ([of(ip)].into(), !equal),
        Compared::Ips(ips) => (ips.iter().map(of).collect(), false),
        Compared::Networks { networks, inside } => (networks.iter().copied().collect(), !inside),
        _ => return None,
    })
}

/// A check of either end of a connection.
fn either_end(check: &Check, is_port: bool) -> Sides {
    let Comparison::Test(compared) = &check.comparison else { return Sides::unknown() };
    let ends = if is_port {
        let of = |numbers: &Intervals, number| Of::Number(number, numbers.clone());
        accepted_by(compared)
            .map(|numbers| [Number::RemotePort, Number::LocalPort].map(|end| of(&numbers, end)))
    } else {
        network_set(compared).map(|(networks, inverted)| {
            [Look::Remote, Look::Local].map(|look| {
                let networks = networks.clone();
                Of::Networks { look, networks, inverted }
            })
        })
    };
    let Some(ends) = ends else { return Sides::unknown() };
    // An end that is not there takes no part: the others decide.
    let [remote, local] = ends.map(|of| Test { of, absent: true });
    match check.over {
        Over::Any => {
            let present = |test: &Test| Test { absent: false, ..test.clone() };
            let fails = |test: &Test| Terms::test(present(test).negated());
            let holds = |test: &Test| Terms::test(present(test));
            Sides {
                holds: holds(&remote).or(holds(&local)),
                fails: fails(&remote).and(fails(&local)),
            }
        }
        Over::All => {
            Sides { holds: Terms::test(remote).and(Terms::test(local)), fails: Terms::everything() }
        }
    }
}
