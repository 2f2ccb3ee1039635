//! How much memory a ruleset takes, from the sizes of what it holds.

use std::mem::size_of;

use crate::rules::Ruleset;
use crate::rules::program::{Check, Column, Comparison, Node, Program, Slot};
use crate::rules::test::{Bytes, Set, Test};

/// An allocation costs its bytes, and the allocator's word before them.
const OVERHEAD: usize = 16;

impl Ruleset {
    /// Bytes that the ruleset holds, closely enough to see which rules are the large ones.
    pub fn memory(&self) -> usize {
        let rules = self.rules.iter().map(|rule| {
            let texts =
                [&rule.desc, &rule.condition, &rule.output].map(|text| text.len() + OVERHEAD);
            size_of_val(rule) + texts.iter().sum::<usize>() + rule.outline.memory()
        });
        rules.sum::<usize>() + self.program.memory() + self.index.memory()
    }
}

impl Program {
    fn memory(&self) -> usize {
        let columns = self.columns.len() * (size_of::<Column>() + size_of::<Slot>());
        let checks = self.checks.iter().map(|check| {
            size_of::<Check>() + check.text.len() + OVERHEAD + of_comparison(&check.comparison)
        });
        let nodes = self.nodes.iter().map(|node| {
            size_of::<Node>()
                + match node {
                    Node::And(inner) | Node::Or(inner) => size_of_val(&**inner) + OVERHEAD,
                    Node::Constant(_) | Node::Check(_) | Node::Not(_) => 0,
                }
        });
        columns + checks.sum::<usize>() + nodes.sum::<usize>() + self.lookup_memory()
    }
}

fn of_comparison(comparison: &Comparison) -> usize {
    match comparison {
        Comparison::Exists | Comparison::Column(..) => 0,
        Comparison::Test(test) => of_test(test),
        Comparison::Modified(_, tests) => {
            size_of_val(&**tests) + tests.iter().map(|(test, _)| of_test(test)).sum::<usize>()
        }
    }
}

fn of_test(test: &Test) -> usize {
    match test {
        Test::Bytes(bytes) => of_bytes(bytes),
        Test::Numbers(set) => of_set(set),
        Test::Ips(set) => of_set(set),
        Test::Networks { networks, .. } => size_of_val(&**networks) + OVERHEAD,
        Test::Number(..)
        | Test::Double(..)
        | Test::Bool { .. }
        | Test::AnyBool
        | Test::Never
        | Test::Ip { .. } => 0,
    }
}

fn of_bytes(bytes: &Bytes) -> usize {
    /// A compiled regular expression, with the tables it builds while it runs.
    const REGEX: usize = 64 * 1024;
    match bytes {
        Bytes::Equal(text)
        | Bytes::NotEqual(text)
        | Bytes::Ordered(_, text)
        | Bytes::StartsWith(text)
        | Bytes::EndsWith(text) => text.len() + OVERHEAD,
        Bytes::ContainsFolded(folded) => folded.text().len() + OVERHEAD,
        Bytes::OneOf(set) => {
            of_set(set) + set.iter().map(|text| text.len() + OVERHEAD).sum::<usize>()
        }
        Bytes::AnyPrefix(trie) => trie.memory(),
        Bytes::Contains(finder) => size_of_val(&**finder) + finder.needle().len() + OVERHEAD,
        Bytes::Glob(glob) => glob.memory(),
        Bytes::Regex(_) => REGEX,
        Bytes::Path(trie) => trie.memory(),
    }
}

/// Slots of a hash set, full or not, each with its control byte.
fn of_set<T>(set: &Set<T>) -> usize {
    set.capacity() * 8 / 7 * (size_of::<T>() + 1) + OVERHEAD
}
