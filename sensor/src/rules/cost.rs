//! What a check costs and how often it holds, as `cargo xtask bench rules` measured it: for the order
//! of checks.
//!
//! A unit is about a nanosecond of the machine in docs/benchmarks.md, where what was measured stands
//! beside these numbers, less the ten that every check costs there. Only ratios matter. What decides
//! the order is this table and nothing that happens at run time: the same rules are tried in the same
//! order everywhere.

use crate::fields::{Get, Value};
use crate::rules::program::{Check, Column, ColumnKind, Comparison, Node};
use crate::rules::test::{Bytes, Ordering, Test};

/// Reading a column and comparing its value.
pub fn of(column: &Column, comparison: &Comparison) -> u32 {
    reading(column) + Kind::of(comparison).cost
}

/// What having a column's value costs.
pub fn reading(column: &Column) -> u32 {
    match &column.kind {
        ColumnKind::Call(_) => 50,
        ColumnKind::Field(operand) => match operand.field.get {
            Get::AncestorStr(_) | Get::AncestorInt(_) => 43,
            Get::AncestorText(_) => 90,
            Get::Keyed(_) => 32,
            Get::Text(_) | Get::Clock(_) => 40,
            _ => 2,
        },
    }
}

/// A kind of comparison, as far as its price goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Kind {
    /// As in docs/benchmarks.md.
    pub name: &'static str,
    /// Comparing, when the value is at hand.
    pub cost: u32,
    /// How often it holds.
    pub truth: f32,
}

impl Kind {
    pub fn of(comparison: &Comparison) -> Self {
        match comparison {
            Comparison::Exists => Self::new("exists", 1, 0.95),
            Comparison::Test(test) => Self::of_test(test),
            Comparison::Modified(_, tests) => {
                let cost = tests.iter().map(|(test, _)| Self::of_test(test).cost).sum();
                Self::new("modifier", cost, 0.1)
            }
            Comparison::Column(..) => Self::new("field with field", 10, 0.1),
        }
    }

    fn of_test(test: &Test) -> Self {
        match test {
            Test::Bytes(bytes) => Self::of_bytes(bytes),
            Test::Number(Ordering::Equal, _) => Self::new("number, equal", 1, 0.5),
            Test::Number(Ordering::NotEqual, _) => Self::new("number, not equal", 1, 0.5),
            Test::Number(..) | Test::Double(..) => Self::new("number, in order", 1, 0.5),
            Test::Numbers(_) => Self::new("number, one of", 5, 0.3),
            Test::Bool { .. } => Self::new("boolean", 1, 0.55),
            Test::AnyBool => Self::new("boolean, either", 1, 1.0),
            Test::Ip { equal: true, .. } => Self::new("address, equal", 5, 0.02),
            Test::Ip { equal: false, .. } => Self::new("address, not equal", 5, 0.65),
            Test::Ips(_) => Self::new("address, one of", 13, 0.1),
            Test::Networks { inside: true, .. } => Self::new("network, one of", 6, 0.2),
            Test::Networks { inside: false, .. } => Self::new("network, none of", 6, 0.5),
            Test::Never => Self::new("nothing", 1, 0.0),
        }
    }

    fn of_bytes(bytes: &Bytes) -> Self {
        match bytes {
            // A letter that stands for a kind, most often a frequent one.
            Bytes::Equal(letter) if letter.len() == 1 => Self::new("text, a letter", 3, 0.8),
            Bytes::Equal(_) => Self::new("text, equal", 3, 0.02),
            Bytes::NotEqual(_) => Self::new("text, not equal", 3, 0.5),
            Bytes::Ordered(..) => Self::new("text, in order", 3, 0.5),
            Bytes::OneOf(_) => Self::new("text, one of", 9, 0.05),
            Bytes::StartsWith(_) => Self::new("text, prefix", 5, 0.04),
            Bytes::AnyPrefix(_) => Self::new("text, one of prefixes", 9, 0.06),
            Bytes::EndsWith(_) => Self::new("text, suffix", 5, 0.02),
            Bytes::Contains(_) => Self::new("text, contains", 6, 0.1),
            Bytes::ContainsFolded(_) => Self::new("text, icontains", 8, 0.02),
            Bytes::Glob(_) => Self::new("text, glob", 25, 0.02),
            Bytes::Regex(_) => Self::new("text, regex", 28, 0.06),
            Bytes::Path(_) => Self::new("text, pmatch", 43, 0.06),
        }
    }

    const fn new(name: &'static str, cost: u32, truth: f32) -> Self {
        Self { name, cost, truth }
    }
}

/// The values of fields that rules narrow their events by, and the share of events that have each,
/// as measured. What a rule asks of them is better known than from the kind of comparison.
pub const SHARES: &[(&str, &[(Value<'static>, f32)])] = &[
    ("evt.is_open_read", &[(Value::Bool(true), 0.93), (Value::Bool(false), 0.07)]),
    ("evt.is_open_write", &[(Value::Bool(true), 0.08), (Value::Bool(false), 0.92)]),
    ("fd.num", &[(Value::Number(3), 0.46), (Value::Number(-1), 0.54)]),
    ("fd.typechar", &[(Value::Bytes(b"f"), 0.9), (Value::Bytes(b"d"), 0.08)]),
];

/// How often a comparison holds.
pub fn truth(column: &Column, comparison: &Comparison) -> f32 {
    let known = match &column.kind {
        ColumnKind::Field(operand) => SHARES.iter().find(|(field, _)| *field == operand.field.name),
        ColumnKind::Call(_) => None,
    };
    let share = known.and_then(|(_, values)| {
        values.iter().try_fold(0.0, |sum, (value, share)| {
            Some(if comparison.holds(*value)? { sum + share } else { sum })
        })
    });
    // What no such value satisfies is about others, of events of another kind.
    share.filter(|share| *share > 0.0).unwrap_or(Kind::of(comparison).truth)
}

/// What is expected of a part of a condition.
#[derive(Clone, Copy, Debug)]
pub struct Estimate {
    /// In units, with those of its parts that are expected to be evaluated.
    pub cost: f32,
    /// How often it is true.
    pub truth: f32,
}

impl Estimate {
    /// For the order of operands: the lowest is best evaluated first where `decides` ends it.
    pub fn rank(self, decides: bool) -> f32 {
        let share = if decides { self.truth } else { 1.0 - self.truth };
        self.cost / share.max(0.001)
    }
}

/// The estimate of a node from those of its parts, which stand before it.
#[expect(clippy::cast_precision_loss, reason = "costs are small")]
pub fn of_node(
    node: &Node,
    columns: &[Column],
    checks: &[Check],
    estimates: &[Estimate],
) -> Estimate {
    match node {
        Node::Constant(value) => Estimate { cost: 0.0, truth: f32::from(u8::from(*value)) },
        Node::Check(check) => {
            let check = &checks[*check];
            let truth = truth(&columns[check.column], &check.comparison);
            Estimate { cost: check.cost as f32, truth }
        }
        Node::Not(inner) => {
            let Estimate { cost, truth } = estimates[*inner];
            Estimate { cost, truth: 1.0 - truth }
        }
        Node::And(inner) => {
            let all = Estimate { cost: 1.0, truth: 1.0 };
            inner.iter().map(|part| estimates[*part]).fold(all, |all, part| Estimate {
                cost: all.cost + all.truth * part.cost,
                truth: all.truth * part.truth,
            })
        }
        Node::Or(inner) => {
            let nothing = Estimate { cost: 1.0, truth: 0.0 };
            inner.iter().map(|part| estimates[*part]).fold(nothing, |any, part| Estimate {
                cost: any.cost + (1.0 - any.truth) * part.cost,
                truth: 1.0 - (1.0 - any.truth) * (1.0 - part.truth),
            })
        }
    }
}
