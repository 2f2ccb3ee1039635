//! Which of many rules an event may match, found by what they all require: a name out of a set, a
//! path below a directory. Without it the cost of an event would grow with every rule.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use crate::fields::Value;
use crate::fields::source::Source;
use crate::rules::ast::Modifier;
use crate::rules::hash::Hasher;
use crate::rules::program::{
    Access, Check, ColumnId, Comparison, Evaluation, Node, NodeId, Over, Program,
};
use crate::rules::test::{Bytes, Ordering, Test};
use crate::rules::trie::Trie;

/// The rules of one event type, by what they require.
#[derive(Debug, Default)]
pub struct Guards {
    /// Rules that require nothing that can be looked up.
    always: Vec<u32>,
    columns: Vec<ColumnGuards>,
}

#[derive(Debug)]
struct ColumnGuards {
    column: ColumnId,
    exact: HashMap<Box<[u8]>, Vec<u32>, BuildHasherDefault<Hasher>>,
    prefixes: Trie,
}

/// What a column's value must be, or begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Key {
    Exact(Box<[u8]>),
    Prefix(Box<[u8]>),
}

/// One of these must hold for the rule to match.
type Guard = Vec<(ColumnId, Key)>;

/// Reading a column for one rule alone is worth as much as evaluating the rule; for this many
/// units of cost, another rule must profit too.
const COST_PER_RULE: u32 = 6;

/// Longer lists are looked up by their own checks: each event type would keep a copy of them.
const KEYS_MAX: usize = 1024;

impl Guards {
    /// Guards for conditions in the order of their rules.
    pub fn build(program: &Program, conditions: &[NodeId]) -> Self {
        let choices: Vec<Vec<Guard>> =
            conditions.iter().map(|condition| guards(program, *condition)).collect();
        let mut users: HashMap<ColumnId, u32> = HashMap::new();
        for guards in &choices {
            let mut columns: Vec<ColumnId> =
                guards.iter().flatten().map(|(column, _)| *column).collect();
            columns.sort_unstable();
            columns.dedup();
            for column in columns {
                *users.entry(column).or_default() += 1;
            }
        }
        let mut built = Self::default();
        for (rule, guards) in (0_u32..).zip(choices) {
            let affordable = guards.into_iter().filter_map(|guard| {
                let cost = price(program, &guard, &users)?;
                Some((cost, guard))
            });
            match affordable.min_by_key(|(cost, _)| *cost) {
                Some((_, guard)) => built.add(rule, guard),
                None => built.always.push(rule),
            }
        }
        built
    }

    fn add(&mut self, rule: u32, guard: Guard) {
        for (column, key) in guard {
            let known = self.columns.iter().position(|own| own.column == column);
            let index = known.unwrap_or_else(|| {
                let exact = HashMap::default();
                self.columns.push(ColumnGuards { column, exact, prefixes: Trie::default() });
                self.columns.len() - 1
            });
            match key {
                Key::Exact(text) => self.columns[index].exact.entry(text).or_default().push(rule),
                Key::Prefix(text) => self.columns[index].prefixes.insert(&text, rule),
            }
        }
    }

    /// Bytes that they hold.
    pub fn memory(&self) -> usize {
        let columns = self.columns.iter().map(|own| {
            let keys = own.exact.iter().map(|(key, rules)| key.len() + size_of_val(&**rules) + 32);
            let slots = own.exact.capacity() * size_of::<(Box<[u8]>, Vec<u32>)>();
            keys.sum::<usize>() + slots + own.prefixes.memory()
        });
        size_of_val(&*self.always) + columns.sum::<usize>()
    }

    /// Collects the rules that the event may match, in their order.
    pub fn candidates<S: Source>(&self, evaluation: &mut Evaluation<'_, S>, rules: &mut Vec<u32>) {
        rules.clear();
        rules.extend_from_slice(&self.always);
        for own in &self.columns {
            evaluation.any(own.column, |value| {
                if let Value::Bytes(bytes) = value {
                    if let Some(found) = own.exact.get(bytes) {
                        rules.extend_from_slice(found);
                    }
                    own.prefixes.collect(bytes, rules);
                }
                false
            });
        }
        if rules.len() > self.always.len() {
            rules.sort_unstable();
            rules.dedup();
        }
    }
}

/// What looking the guard up costs each of the rules that use its columns; `None` for too much.
fn price(program: &Program, guard: &Guard, users: &HashMap<ColumnId, u32>) -> Option<u32> {
    let mut columns: Vec<ColumnId> = guard.iter().map(|(column, _)| *column).collect();
    columns.sort_unstable();
    columns.dedup();
    columns.into_iter().try_fold(0_u32, |sum, column| {
        let users = users.get(&column).copied().unwrap_or(1);
        let cost = program.columns[column].cost();
        (cost <= users * COST_PER_RULE).then(|| sum + cost * 16 / users)
    })
}

/// The guards that a condition offers, each enough by itself.
fn guards(program: &Program, node: NodeId) -> Vec<Guard> {
    match &program.nodes[node] {
        Node::Constant(_) | Node::Not(_) => Vec::new(),
        Node::Check(check) => of_check(program, &program.checks[*check]).into_iter().collect(),
        Node::And(inner) => inner.iter().flat_map(|inner| guards(program, *inner)).collect(),
        // Every part must offer one: the first of each is taken.
        Node::Or(inner) => {
            let firsts = inner.iter().map(|inner| guards(program, *inner).into_iter().next());
            let firsts: Option<Vec<Guard>> = firsts.collect();
            firsts.map(|firsts| firsts.concat()).into_iter().collect()
        }
    }
}

fn of_check(program: &Program, check: &Check) -> Option<Guard> {
    // Values that are visited one by one cost more to look up than a check that comes late.
    if check.over != Over::Any || program.columns[check.column].access == Access::Each {
        return None;
    }
    let keys = match &check.comparison {
        Comparison::Test(test) => keys(test)?,
        Comparison::Modified(Modifier::AnyOf | Modifier::OneOf, tests) => {
            let keys: Option<Vec<_>> = tests.iter().map(|(test, _)| keys(test)).collect();
            keys?.concat()
        }
        _ => return None,
    };
    Some(keys.into_iter().map(|key| (check.column, key)).collect())
}

fn keys(operand: &Test) -> Option<Vec<Key>> {
    let Test::Bytes(bytes) = operand else { return None };
    if matches!(bytes, Bytes::OneOf(texts) if texts.len() > KEYS_MAX) {
        return None;
    }
    Some(match bytes {
        Bytes::Equal(text) | Bytes::Ordered(Ordering::Equal, text) => {
            vec![Key::Exact(text.clone())]
        }
        Bytes::OneOf(texts) => texts.iter().cloned().map(Key::Exact).collect(),
        Bytes::StartsWith(text) => vec![Key::Prefix(text.clone())],
        Bytes::AnyPrefix(trie) => trie.prefixes().into_iter().map(Key::Prefix).collect(),
        _ => return None,
    })
    .filter(|keys: &Vec<Key>| keys.len() <= KEYS_MAX)
}
