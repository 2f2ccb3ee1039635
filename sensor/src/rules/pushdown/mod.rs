//! What every interested rule asks of an event before a string of it is copied, from the compiled
//! conditions: the weakest condition over cheap facts that each of them implies.
//!
//! Conservative by construction: each part of a condition has two sides, what is necessary for it
//! to hold and what is necessary for it not to; `not` swaps them, and what is not understood is
//! everything on both.

pub mod check;
pub mod intervals;
pub mod lower;
pub mod host;
pub mod show;
pub mod terms;

use std::collections::HashMap;

use crate::rules::Ruleset;
use crate::rules::program::{Node, NodeId, Program};
use crate::rules::pushdown::check::{Sides, sides};
use crate::rules::pushdown::terms::Terms;

/// What is asked of the events of one type.
#[derive(Debug)]
pub struct Pushdown {
    pub event_type: &'static str,
    /// What is necessary for any rule to match.
    terms: Terms,
    /// By rule, in the order of the files, what is necessary for it.
    rules: Vec<(String, Terms)>,
}

impl Pushdown {
    /// For every event type that the kernel side delivers and some rule can match.
    pub fn of(ruleset: &Ruleset) -> Vec<Self> {
        ruleset.event_types().map(|event_type| Self::of_type(ruleset, event_type)).collect()
    }

    pub fn of_type(ruleset: &Ruleset, event_type: &'static str) -> Self {
        let mut known = HashMap::new();
        let rules = ruleset.conditions(event_type).iter().map(|(rule, node)| {
            let terms = of_node(ruleset.program(), *node, event_type, &mut known).holds;
            (ruleset.rules()[*rule].name.to_string(), terms)
        });
        let rules: Vec<_> = rules.collect();
        let all = rules.iter().map(|(_, terms)| terms.clone());
        let terms = all.fold(Terms::nothing(), Terms::or);
        Self { event_type, terms, rules }
    }

    /// True when events of this type are all let through.
    pub fn is_everything(&self) -> bool {
        self.terms.is_everything()
    }

    /// The rule that lets the most through, and its guessed share of all events.
    pub fn widest(&self) -> Option<(&str, f64)> {
        let shares = self.rules.iter().map(|(rule, terms)| (rule.as_str(), terms.share()));
        shares.max_by(|one, other| one.1.total_cmp(&other.1))
    }
}

fn of_node(
    program: &Program,
    node: NodeId,
    event_type: &str,
    known: &mut HashMap<NodeId, Sides>,
) -> Sides {
    if let Some(sides) = known.get(&node) {
        return sides.clone();
    }
    let mut parts = |parts: &[NodeId]| -> Vec<Sides> {
        parts.iter().map(|part| of_node(program, *part, event_type, known)).collect()
    };
    let sides = match &program.nodes[node] {
        Node::Constant(true) => Sides { holds: Terms::everything(), fails: Terms::nothing() },
        Node::Constant(false) => Sides { holds: Terms::nothing(), fails: Terms::everything() },
        Node::Check(check) => sides(program, &program.checks[*check], event_type),
        Node::Not(inner) => parts(&[*inner]).remove(0).negated(),
        Node::And(inner) => joined(parts(inner)),
        Node::Or(inner) => {
            // Neither holds where all fail.
            joined(parts(inner).into_iter().map(Sides::negated).collect()).negated()
        }
    };
    known.insert(node, sides.clone());
    sides
}

/// All of them.
fn joined(parts: Vec<Sides>) -> Sides {
    let all = Sides { holds: Terms::everything(), fails: Terms::nothing() };
    parts.into_iter().fold(all, |all, part| Sides {
        holds: all.holds.and(part.holds),
        fails: all.fails.or(part.fails),
    })
}

#[cfg(test)]
mod tests;
