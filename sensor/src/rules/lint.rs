//! Conditions that are right, and probably not what their author meant.

use std::collections::{BTreeSet, HashMap};

use crate::fields::operand::{Operand, Several, Shape};
use crate::rules::ast::{ExprKind, Operator};
use crate::rules::error::{Code, Fault};
use crate::rules::parser;
use crate::rules::program::{Access, Check, ColumnId, Comparison, Node, NodeId, Program};
use crate::rules::test::{Bytes, Test};
use crate::rules::text::{Place, Text};

/// A note on `!=` with a field that is often absent: then the comparison is false too.
pub fn not_equal(operator: Operator, operand: &Operand, place: Place) -> Option<Fault> {
    let name = &operand.name;
    if operator != Operator::NotEqual {
        return None;
    }
    let (message, hint) = if operand.shape() == Shape::Many(Several::Ancestors) {
        (
            format!("`{name} != …` is true as soon as one ancestor differs"),
            format!("for no such ancestor, write `not {name} = …`"),
        )
    } else if is_often_absent(operand) {
        (
            format!("`{name} != …` is false where `{name}` is absent"),
            format!("to be true there, write `not {name} = …`"),
        )
    } else {
        return None;
    };
    Some(Fault::new(Code::NotEqualOnNullable, place, message).hint(hint))
}

/// Fields of things that many processes do not have: a parent, an image, a pod.
fn is_often_absent(operand: &Operand) -> bool {
    const BEGINNINGS: [&str; 3] = ["container.image", "k8s.", "proc.p"];
    let name = operand.field.name;
    let of_parent =
        name != "proc.pid" && !name.starts_with("proc.pid.") && !name.starts_with("proc.pgid");
    operand.field.get.is_ancestor()
        || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning)) && of_parent
}

/// A note on `and …` that is appended to `… or …`: it binds to the last part only.
pub fn appended(condition: &Text, addition: &Text) -> Option<Fault> {
    let added = addition.text.trim_start();
    let after = added.strip_prefix("and")?;
    if !after.starts_with(|char: char| char.is_whitespace() || char == '(') {
        return None;
    }
    let expr = parser::parse(&std::sync::Arc::new(condition.clone())).ok()?;
    let ExprKind::Or(operands) = &expr.kind else { return None };
    // In parentheses the whole is wider than its parts.
    if operands.first()?.span.start != expr.span.start {
        return None;
    }
    let start = addition.text.len() - added.len();
    let place = addition.place(start..start + "and".len());
    let message = "the appended `and` binds to the last part of the `or` before it only";
    Some(
        Fault::new(Code::MixedOperators, place, message)
            .hint("put the condition that is appended to in parentheses"),
    )
}

/// True when the parts of a condition exclude each other, whatever the event.
pub fn is_contradiction(program: &Program, node: NodeId) -> bool {
    let mut parts = BTreeSet::new();
    conjuncts(program, node, &mut parts);
    let is_negated =
        |part: &NodeId| matches!(program.nodes[*part], Node::Not(inner) if parts.contains(&inner));
    parts.iter().any(is_negated) || excludes_every_value(program, &parts)
}

/// True when no text is in all the sets that a column must be in.
fn excludes_every_value(program: &Program, parts: &BTreeSet<NodeId>) -> bool {
    let mut possible: HashMap<ColumnId, BTreeSet<&[u8]>> = HashMap::new();
    for part in parts {
        let Node::Check(check) = program.nodes[*part] else { continue };
        let check = &program.checks[check];
        let Some(values) = values(program, check) else { continue };
        match possible.get_mut(&check.column) {
            Some(known) => known.retain(|value| values.contains(value)),
            None => {
                possible.insert(check.column, values);
            }
        }
    }
    possible.values().any(BTreeSet::is_empty)
}

/// The values that a check on one text allows.
fn values<'a>(program: &Program, check: &'a Check) -> Option<BTreeSet<&'a [u8]>> {
    if program.columns[check.column].access == Access::Each {
        return None;
    }
    match &check.comparison {
        Comparison::Test(Test::Bytes(Bytes::Equal(value))) => Some([&**value].into()),
        Comparison::Test(Test::Bytes(Bytes::OneOf(values))) => {
            Some(values.iter().map(|value| &**value).collect())
        }
        _ => None,
    }
}

/// True when whatever matches `later` matches `earlier` too.
pub fn shadows(program: &Program, earlier: NodeId, later: NodeId) -> bool {
    let (mut of_earlier, mut of_later) = (BTreeSet::new(), BTreeSet::new());
    conjuncts(program, earlier, &mut of_earlier);
    conjuncts(program, later, &mut of_later);
    of_earlier.is_subset(&of_later)
}

/// The parts that must all hold.
fn conjuncts(program: &Program, node: NodeId, parts: &mut BTreeSet<NodeId>) {
    match &program.nodes[node] {
        Node::And(inner) => inner.iter().for_each(|inner| conjuncts(program, *inner, parts)),
        _ => {
            parts.insert(node);
        }
    }
}
