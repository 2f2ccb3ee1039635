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
    /// In lower case.
    ContainsFolded(Box<[u8]>),
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
            Self::ContainsFolded(own) => contains_folded(bytes, own),
            Self::StartsWith(own) => bytes.starts_with(own),
            Self::AnyPrefix(trie) => trie.matches(bytes),
            Self::EndsWith(own) => bytes.ends_with(own),
            Self::Glob(glob) => glob.matches(bytes),
            Self::Regex(regex) => regex.is_match(bytes),
            Self::Path(trie) => trie.matches(bytes),
        }
    }
}

/// True when `needle`, which is in lower case, is in `bytes` in any case.
pub fn contains_folded(bytes: &[u8], needle: &[u8]) -> bool {
    let Some(&first) = needle.first() else { return true };
    let (lower, upper) = (first.to_ascii_lowercase(), first.to_ascii_uppercase());
    memchr::memchr2_iter(lower, upper, bytes).any(|at| {
        bytes.get(at..at + needle.len()).is_some_and(|part| part.eq_ignore_ascii_case(needle))
    })
}
