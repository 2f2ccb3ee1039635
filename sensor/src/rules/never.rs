//! Conditions that no event can satisfy, whatever it is: parts that exclude each other.

use std::collections::{BTreeMap, BTreeSet};

use crate::fields::Value;
use crate::rules::program::{Access, Check, CheckId, ColumnId, Comparison, Node, NodeId, Program};
use crate::rules::test::{Bytes, Ordering, Test};

/// Branches of `or` that are looked into, so that no condition takes long to check.
const BRANCHES_MAX: usize = 1000;

/// Why no event can satisfy the condition, where that is certain.
pub fn reason(program: &Program, node: NodeId) -> Option<String> {
    Search { program, branches: BRANCHES_MAX }.node(node, &BTreeSet::new())
}

/// The parts of a condition that must all hold.
pub fn conjuncts(program: &Program, node: NodeId, parts: &mut BTreeSet<NodeId>) {
    match &program.nodes[node] {
        Node::And(inner) => inner.iter().for_each(|inner| conjuncts(program, *inner, parts)),
        _ => {
            parts.insert(node);
        }
    }
}

struct Search<'a> {
    program: &'a Program,
    /// How many more may be looked into.
    branches: usize,
}

/// A check that must hold, or must not.
type Demand = (CheckId, bool);

impl Search<'_> {
    /// The node, where everything in `beside` holds too.
    fn node(&mut self, node: NodeId, beside: &BTreeSet<NodeId>) -> Option<String> {
        let mut parts = beside.clone();
        conjuncts(self.program, node, &mut parts);
        self.of_parts(&parts).or_else(|| {
            let added = parts.difference(beside).copied();
            let branching: Vec<NodeId> =
                added.filter(|part| matches!(self.program.nodes[*part], Node::Or(_))).collect();
            branching.into_iter().find_map(|part| self.branches(part, &parts))
        })
    }

    /// An `or` of which no branch can hold; the reason is that of the first.
    fn branches(&mut self, node: NodeId, parts: &BTreeSet<NodeId>) -> Option<String> {
        let Node::Or(branches) = &self.program.nodes[node] else { return None };
        let mut beside = parts.clone();
        beside.remove(&node);
        let mut first = None;
        for branch in branches {
            self.branches = self.branches.checked_sub(1)?;
            let reason = self.node(*branch, &beside)?;
            first.get_or_insert(reason);
        }
        first
    }

    fn of_parts(&self, parts: &BTreeSet<NodeId>) -> Option<String> {
        let mut demands: BTreeMap<ColumnId, Vec<Demand>> = BTreeMap::new();
        for part in parts {
            let (check, holds) = match self.program.nodes[*part] {
                Node::Check(check) => (check, true),
                Node::Not(inner) if parts.contains(&inner) => {
                    return Some("a part of it is also negated".to_owned());
                }
                Node::Not(inner) => match self.program.nodes[inner] {
                    Node::Check(check) => (check, false),
                    _ => continue,
                },
                _ => continue,
            };
            let column = self.program.checks[check].column;
            demands.entry(column).or_default().push((check, holds));
        }
        demands.iter().find_map(|(column, demands)| self.of_column(*column, demands))
    }

    /// Demands on one value that no value meets.
    fn of_column(&self, column: ColumnId, demands: &[Demand]) -> Option<String> {
        let column = &self.program.columns[column];
        if column.access == Access::Each || column.is_list || column.several().is_some() {
            return None;
        }
        let check = |check: CheckId| &self.program.checks[check];
        let required = || demands.iter().filter(|(_, holds)| *holds);
        if let Some((empty, _)) =
            required().find(|(id, _)| values(check(*id)).is_some_and(|values| values.is_empty()))
        {
            return Some(format!("`{}` holds for no value", check(*empty).text));
        }
        for (position, (one, _)) in demands.iter().enumerate().filter(|(_, (_, holds))| *holds) {
            for (other_position, (other, holds)) in demands.iter().enumerate() {
                if position != other_position && excludes(check(*one), check(*other), *holds) {
                    let not = if *holds { "" } else { "not " };
                    let (one, other) = (&check(*one).text, &check(*other).text);
                    return Some(format!("`{one}` and `{not}{other}` exclude each other"));
                }
            }
        }
        None
    }
}

/// True when no value satisfies `one` and, as `holds` says, satisfies `other` or does not.
fn excludes(one: &Check, other: &Check, holds: bool) -> bool {
    if let Some(values) = values(one) {
        return values.iter().all(|value| other.comparison.holds(*value) == Some(!holds));
    }
    if !holds {
        return false;
    }
    match (&one.comparison, &other.comparison) {
        (
            Comparison::Test(Test::Bytes(Bytes::StartsWith(one))),
            Comparison::Test(Test::Bytes(Bytes::StartsWith(other))),
        ) => !one.starts_with(other) && !other.starts_with(one),
        (
            Comparison::Test(Test::Bytes(Bytes::EndsWith(one))),
            Comparison::Test(Test::Bytes(Bytes::EndsWith(other))),
        ) => !one.ends_with(other) && !other.ends_with(one),
        (Comparison::Test(one), Comparison::Test(other)) => match (range(one), range(other)) {
            (Some((least, most)), Some((other_least, other_most))) => {
                least.max(other_least) > most.min(other_most)
            }
            _ => false,
        },
        _ => false,
    }
}

/// All values that satisfy a check, where they are few and known.
fn values(check: &Check) -> Option<Vec<Value<'_>>> {
    let Comparison::Test(test) = &check.comparison else { return None };
    Some(match test {
        Test::Bytes(Bytes::Equal(own)) => vec![Value::Bytes(own)],
        Test::Bytes(Bytes::OneOf(texts)) => texts.iter().map(|text| Value::Bytes(text)).collect(),
        Test::Number(Ordering::Equal, number) => vec![Value::Number(*number)],
        Test::Numbers(numbers) => numbers.iter().map(|number| Value::Number(*number)).collect(),
        Test::Bool { value, equal } => vec![Value::Bool(value == equal)],
        Test::Ip { ip, equal: true } => vec![Value::Ip(*ip)],
        Test::Ips(ips) => ips.iter().map(|ip| Value::Ip(*ip)).collect(),
        Test::Never => Vec::new(),
        _ => return None,
    })
}

/// The numbers between which a value must be.
const fn range(test: &Test) -> Option<(i128, i128)> {
    match test {
        Test::Number(ordering, number) => match ordering {
            Ordering::Less => Some((i128::MIN, *number - 1)),
            Ordering::LessOrEqual => Some((i128::MIN, *number)),
            Ordering::Greater => Some((*number + 1, i128::MAX)),
            Ordering::GreaterOrEqual => Some((*number, i128::MAX)),
            Ordering::Equal | Ordering::NotEqual => None,
        },
        _ => None,
    }
}
