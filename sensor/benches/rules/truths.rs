//! How often checks hold and what values fields have, on the recorded stream: the shares in `rules/cost.rs`.

use std::collections::{BTreeMap, BTreeSet};

use sensor::attribution::cache::Cache;
use sensor::event::Event;
use sensor::fields::Value;
use sensor::fields::operand::Operand;
use sensor::pipeline::Pipeline;
use sensor::rules::Ruleset;
use sensor::rules::cost::{Kind, SHARES};
use sensor::rules::program::{ColumnKind, Node, NodeId, Scratch};
use serde_json::{Value as Json, json};

use crate::stream::Stream;

/// One event in so many has all its checks made.
const SAMPLE: u64 = 7;

/// How often something was looked at, and how often it was so.
#[derive(Clone, Copy, Default)]
struct Count {
    of: u32,
    held: u32,
}

impl Count {
    fn add(&mut self, held: bool) {
        self.of += 1;
        self.held += u32::from(held);
    }

    fn share(self) -> f64 {
        f64::from(self.held) / f64::from(self.of)
    }
}

/// Every check of every rule that its event type may match, by kind; and the values of the fields
/// whose shares are in the table.
pub(crate) fn measured(stream: &Stream, ruleset: &Ruleset) -> Json {
    let mut kinds: BTreeMap<&str, (f32, Count)> = BTreeMap::new();
    let mut values = vec![Vec::new(); SHARES.len()];
    for (counts, (_, known)) in values.iter_mut().zip(SHARES) {
        *counts = vec![Count::default(); known.len()];
    }
    let operands: Vec<Operand> =
        SHARES.iter().map(|(name, _)| Operand::parse(name, None).expect("a field")).collect();
    let mut scratch = ruleset.scratch();
    let mut pipeline = Pipeline::new(Cache::default());
    for record in &stream.records {
        pipeline.take(record, &mut |event| {
            if !event.number.is_multiple_of(SAMPLE) {
                return;
            }
            let asked = checks(event, ruleset, &mut scratch, &mut kinds);
            for ((operand, (name, known)), counts) in operands.iter().zip(SHARES).zip(&mut values) {
                if !asked.contains(name) {
                    continue;
                }
                operand.read(event, &mut |value| {
                    for (count, (own, _)) in counts.iter_mut().zip(*known) {
                        count.add(is_alike(*own, value));
                    }
                });
            }
        });
    }
    let kinds = kinds.iter().map(|(name, (table, count))| {
        json!({ "name": name, "checks": count.of, "share": count.share(), "table": table })
    });
    let fields = SHARES.iter().zip(&values).flat_map(|((field, known), counts)| {
        known.iter().zip(counts).map(move |((value, table), count)| {
            let value = sensor::fields::json::to_json(*value);
            json!({ "field": field, "value": value, "share": count.share(), "table": table })
        })
    });
    json!({ "kinds": kinds.collect::<Vec<_>>(), "fields": fields.collect::<Vec<_>>() })
}

/// Numbers stand for all of their sign.
fn is_alike(one: Value<'_>, other: Value<'_>) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => (one < 0) == (other < 0),
        _ => one == other,
    }
}

/// Makes all checks of an event; returns the fields that they ask for.
fn checks(
    event: &Event<'_>,
    ruleset: &Ruleset,
    scratch: &mut Scratch,
    kinds: &mut BTreeMap<&str, (f32, Count)>,
) -> BTreeSet<&'static str> {
    let mut asked = BTreeSet::new();
    let program = ruleset.program();
    scratch.next_event();
    let mut pending: Vec<NodeId> = ruleset
        .conditions(event.detail.event_type())
        .iter()
        .map(|(_, condition)| *condition)
        .collect();
    while let Some(node) = pending.pop() {
        match &program.nodes[node] {
            Node::Constant(_) => {}
            Node::Check(check) => {
                let kind = Kind::of(&program.checks[*check].comparison);
                let (_, count) = kinds.entry(kind.name).or_insert((kind.truth, Count::default()));
                count.add(program.check(*check, event, scratch));
                let column = &program.columns[program.checks[*check].column];
                if let ColumnKind::Field(operand) = &column.kind {
                    asked.insert(operand.field.name);
                }
            }
            Node::Not(inner) => pending.push(*inner),
            Node::And(inner) | Node::Or(inner) => pending.extend(inner.iter()),
        }
    }
    asked
}
