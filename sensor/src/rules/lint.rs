//! Conditions that are right, and probably not what their author meant.

use std::collections::BTreeSet;

use crate::fields::operand::{Operand, Several, Shape};
use crate::rules::ast::{ExprKind, Operator};
use crate::rules::error::{Code, Fault};
use crate::rules::never::conjuncts;
use crate::rules::parser;
use crate::rules::program::{NodeId, Program};
use crate::rules::text::{Place, Text};

/// A warning of `!=` with a field that is often absent: then the comparison is false too.
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

/// A warning of `and …` that is appended to `… or …`, and of `or …` to `… and …`: without
/// parentheses the one binds to the last part only, and the other to none.
pub fn appended(condition: &Text, addition: &Text) -> Option<Fault> {
    let added = addition.text.trim_start();
    let word = ["and", "or"].into_iter().find(|word| {
        let after = added.strip_prefix(word);
        after.is_some_and(|after| after.starts_with(|c: char| c.is_whitespace() || c == '('))
    })?;
    let expr = parser::parse(&std::sync::Arc::new(condition.clone())).ok()?;
    let (operands, message) = match (&expr.kind, word) {
        (ExprKind::Or(operands), "and") => {
            (operands, "the appended `and` binds to the last part of the `or` before it only")
        }
        (ExprKind::And(operands), "or") => {
            (operands, "the appended `or` holds without any part of the `and` before it")
        }
        _ => return None,
    };
    // In parentheses the whole is wider than its parts.
    if operands.first()?.span.start != expr.span.start {
        return None;
    }
    let start = addition.text.len() - added.len();
    let place = addition.place(start..start + word.len());
    Some(
        Fault::new(Code::MixedOperators, place, message)
            .hint("put the condition that is appended to in parentheses"),
    )
}

/// True when whatever matches `later` matches `earlier` too.
pub fn shadows(program: &Program, earlier: NodeId, later: NodeId) -> bool {
    let (mut of_earlier, mut of_later) = (BTreeSet::new(), BTreeSet::new());
    conjuncts(program, earlier, &mut of_earlier);
    conjuncts(program, later, &mut of_later);
    of_earlier.is_subset(&of_later)
}
