//! Comparisons of one value with constants, compiled: no parsing and no allocation at run time.

use std::collections::HashSet;
use std::hash::BuildHasherDefault;
use std::net::IpAddr;

use memchr::memmem::Finder;
use regex::bytes::Regex;

use crate::fields::Value;
use crate::rules::ast::Operator;
use crate::rules::glob::Glob;
use crate::rules::hash::Hasher;
use crate::rules::network::Network;
use crate::rules::pmatch::PathTrie;
use crate::rules::trie::Trie;

pub type Set<T> = HashSet<T, BuildHasherDefault<Hasher>>;

/// One comparison with constants. A value of another type never satisfies it.
#[derive(Clone, Debug)]
pub enum Test {
    Bytes(Bytes),
    Number(Ordering, i128),
    Numbers(Set<i128>),
    Double(Ordering, f64),
    Bool {
        value: bool,
        equal: bool,
    },
    /// Either boolean, as `in (true, false)` says.
    AnyBool,
    /// No value, as `in ()` says.
    Never,
    Ip {
        ip: IpAddr,
        equal: bool,
    },
    Ips(Set<IpAddr>),
    Networks {
        networks: Box<[Network]>,
        inside: bool,
    },
}

/// A comparison of text or bytes.
#[derive(Clone, Debug)]
pub enum Bytes {
    Equal(Box<[u8]>),
    NotEqual(Box<[u8]>),
    Ordered(Ordering, Box<[u8]>),
    OneOf(Set<Box<[u8]>>),
    Contains(Box<Finder<'static>>),
    ContainsFolded(Folded),
    StartsWith(Box<[u8]>),
    /// `startswith anyof`.
    AnyPrefix(Box<Trie>),
    EndsWith(Box<[u8]>),
    Glob(Glob),
    Regex(Regex),
    Path(Box<PathTrie>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ordering {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Ordering {
    /// The ordering that an operator stands for, if it is one.
    pub const fn of(operator: Operator) -> Option<Self> {
        Some(match operator {
            Operator::Equal => Self::Equal,
            Operator::NotEqual => Self::NotEqual,
            Operator::Less => Self::Less,
            Operator::LessOrEqual => Self::LessOrEqual,
            Operator::Greater => Self::Greater,
            Operator::GreaterOrEqual => Self::GreaterOrEqual,
            _ => return None,
        })
    }

    pub fn holds<T: PartialOrd>(self, left: &T, right: &T) -> bool {
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
        }
    }
}

impl Test {
    pub fn matches(&self, value: Value<'_>) -> bool {
        match (self, value) {
            (Self::Bytes(test), Value::Bytes(bytes)) => test.matches(bytes),
            (Self::Number(ordering, own), Value::Number(number)) => ordering.holds(&number, own),
            (Self::Numbers(set), Value::Number(number)) => set.contains(&number),
            (Self::Double(ordering, own), Value::Double(number)) => ordering.holds(&number, own),
            (Self::Bool { value: own, equal }, Value::Bool(bool)) => (bool == *own) == *equal,
            (Self::AnyBool, Value::Bool(_)) => true,
            (Self::Ip { ip: own, equal }, Value::Ip(ip)) => (ip == *own) == *equal,
            (Self::Ips(set), Value::Ip(ip)) => set.contains(&ip),
            (Self::Networks { networks, inside }, Value::Ip(ip)) => {
                networks.iter().any(|network| network.contains(ip)) == *inside
            }
            _ => false,
        }
    }

    /// True for tests that an either-end field must satisfy at both ends.
    pub const fn is_negative(&self) -> bool {
        matches!(
            self,
            Self::Bytes(Bytes::NotEqual(_))
                | Self::Number(Ordering::NotEqual, _)
                | Self::Double(Ordering::NotEqual, _)
                | Self::Bool { equal: false, .. }
                | Self::Ip { equal: false, .. }
                | Self::Networks { inside: false, .. }
        )
    }
}

impl Bytes {
    pub fn matches(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Equal(own) => bytes == &**own,
            Self::NotEqual(own) => bytes != &**own,
            Self::Ordered(ordering, own) => ordering.holds(&bytes, &&**own),
            Self::OneOf(set) => set.contains(bytes),
            Self::Contains(finder) => finder.find(bytes).is_some(),
            Self::ContainsFolded(own) => own.is_in(bytes),
            Self::StartsWith(own) => bytes.starts_with(own),
            Self::AnyPrefix(trie) => trie.matches(bytes),
            Self::EndsWith(own) => bytes.ends_with(own),
            Self::Glob(glob) => glob.matches(bytes),
            Self::Regex(regex) => regex.is_match(bytes),
            Self::Path(trie) => trie.matches(bytes),
        }
    }
}

/// A text that is looked for in any case.
#[derive(Clone, Debug)]
pub struct Folded {
    text: Box<[u8]>,
    /// Where the byte stands that is looked for first: one that few texts have.
    rarest: usize,
}

impl Folded {
    pub fn new(text: &[u8]) -> Self {
        /// Letters as often as English has them, the most frequent first.
        const LETTERS: &[u8] = b"etaoinsrhldcumfpgwybvkxjqz";
        // Other bytes, as slashes and blanks, are in most paths and command lines.
        let rarity = |byte: u8| {
            LETTERS.iter().position(|letter| *letter == byte.to_ascii_lowercase()).unwrap_or(0)
        };
        let rarest = (0..text.len()).max_by_key(|at| rarity(text[*at])).unwrap_or(0);
        Self { text: text.to_ascii_lowercase().into(), rarest }
    }

    /// In lower case.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    pub fn is_in(&self, bytes: &[u8]) -> bool {
        contains_folded(bytes, &self.text, self.rarest)
    }
}

/// True when `text` is in `bytes` in any case; its byte at `anchor` is what is looked for first.
pub fn contains_folded(bytes: &[u8], text: &[u8], anchor: usize) -> bool {
    let Some(byte) = text.get(anchor) else { return true };
    let (lower, upper) = (byte.to_ascii_lowercase(), byte.to_ascii_uppercase());
    memchr::memchr2_iter(lower, upper, bytes).any(|at| {
        let start = at.checked_sub(anchor);
        let part = start.and_then(|start| bytes.get(start..start + text.len()));
        part.is_some_and(|part| part.eq_ignore_ascii_case(text))
    })
}

#[cfg(test)]
mod tests {
    use super::Folded;

    #[test]
    fn any_case_is_found_wherever_it_stands() {
        for (text, bytes, expected) in [
            ("", "", true),
            ("", "x", true),
            ("ab", "", false),
            ("Zab", "xzABx", true),
            ("abZ", "ABz", true),
            ("abz", "bz", false),
            ("azb", "zb az azb", true),
            ("zz", "z zz", true),
            ("zz", "z z", false),
            ("GLIBC_TUNABLES", "A=b glibc_tunables=x", true),
            ("/._", "a/._", true),
        ] {
            assert_eq!(
                Folded::new(text.as_bytes()).is_in(bytes.as_bytes()),
                expected,
                "{text} {bytes}"
            );
        }
    }
}
