//! What a check costs, as `cargo xtask bench rules` measured it: for the order of checks.
//!
//! A unit is about a nanosecond of the machine in docs/benchmarks.md, where what was measured stands
//! beside these numbers; the rest of what is measured is the same for every check. Only their ratios
//! matter.

use crate::fields::Get;
use crate::rules::program::{Check, Column, ColumnKind, Comparison, Node};
use crate::rules::test::{Bytes, Ordering, Test};

/// Reading a column and comparing its value.
pub fn of(column: &Column, comparison: &Comparison) -> u32 {
    reading(column)
        + match comparison {
            Comparison::Exists => 1,
            Comparison::Test(test) => comparing(test),
            Comparison::Modified(_, tests) => tests.iter().map(|(test, _)| comparing(test)).sum(),
            Comparison::Column(..) => 10,
        }
}

/// What having a column's value costs.
pub fn reading(column: &Column) -> u32 {
    match &column.kind {
        ColumnKind::Call(_) => 40,
        ColumnKind::Field(operand) => match operand.field.get {
            Get::AncestorStr(_) | Get::AncestorInt(_) => 30,
            Get::AncestorText(_) => 80,
            Get::Keyed(_) => 22,
            Get::Text(_) | Get::Clock(_) => 26,
            _ => 2,
        },
    }
}

fn comparing(test: &Test) -> u32 {
    match test {
        Test::Bytes(bytes) => match bytes {
            Bytes::Equal(_)
            | Bytes::NotEqual(_)
            | Bytes::StartsWith(_)
            | Bytes::EndsWith(_)
            | Bytes::Ordered(..) => 3,
            Bytes::Contains(_) => 5,
            Bytes::OneOf(_) | Bytes::AnyPrefix(_) => 9,
            Bytes::ContainsFolded(_) | Bytes::Glob(_) => 22,
            Bytes::Regex(_) => 18,
            Bytes::Path(_) => 30,
        },
        Test::Ips(_) => 8,
        Test::Numbers(_) => 5,
        Test::Networks { .. } | Test::Ip { .. } => 3,
        _ => 1,
    }
}

/// What is guessed of a part of a condition.
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
pub fn of_node(node: &Node, checks: &[Check], estimates: &[Estimate]) -> Estimate {
    match node {
        Node::Constant(value) => Estimate { cost: 0.0, truth: f32::from(u8::from(*value)) },
        Node::Check(check) => {
            let check = &checks[*check];
            Estimate { cost: check.cost as f32, truth: truth(&check.comparison) }
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

/// How often a comparison holds, as a guess that is the same for every host.
fn truth(comparison: &Comparison) -> f32 {
    match comparison {
        Comparison::Exists => 0.9,
        Comparison::Test(test) => truth_of(test),
        Comparison::Modified(..) | Comparison::Column(..) => 0.1,
    }
}

fn truth_of(test: &Test) -> f32 {
    match test {
        // A letter that stands for a kind, most often a frequent one.
        Test::Bytes(Bytes::Equal(letter)) if letter.len() == 1 => 0.7,
        Test::Bytes(Bytes::Equal(_)) => 0.03,
        Test::Bytes(Bytes::NotEqual(_)) | Test::Ip { equal: false, .. } => 0.95,
        Test::Bytes(Bytes::Ordered(..)) | Test::Bool { .. } => 0.5,
        Test::Bytes(_) | Test::Ip { equal: true, .. } => 0.06,
        Test::Number(Ordering::NotEqual, _) => 0.9,
        Test::Number(Ordering::Equal, _) | Test::Numbers(_) | Test::Ips(_) => 0.1,
        Test::Number(..) | Test::Double(..) | Test::Networks { inside: false, .. } => 0.7,
        Test::Networks { inside: true, .. } => 0.3,
        Test::AnyBool => 1.0,
        Test::Never => 0.0,
    }
}
