//! Which of many rules an event may match, found by what they all require: a name out of a set, a
//! path below a directory. Without it the cost of an event would grow with every rule.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasherDefault;

use crate::fields::source::Source;
use crate::rules::cost::{self, Estimate};
use crate::rules::hash::Hasher;
use crate::rules::lookup::Sense;
use crate::rules::program::{ColumnId, Evaluation, Node, NodeId, Program};

/// The rules of one event type, by what they require.
#[derive(Debug, Default)]
pub struct Guards {
    stages: Vec<Stage>,
}

/// Rules behind one part of their conditions, which is evaluated once for all of them.
#[derive(Debug, Default)]
struct Stage {
    /// Nothing for rules that have no such part.
    gate: Option<NodeId>,
    /// Rules that require nothing that can be looked up.
    others: Vec<u32>,
    columns: Vec<ColumnId>,
    /// Rules by the checks that lead to them.
    by_check: HashMap<u32, Vec<u32>, BuildHasherDefault<Hasher>>,
}

/// One of these must hold for the rule to match.
type Guard = Vec<(ColumnId, u32)>;

/// Reading a column for one rule alone is worth as much as evaluating the rule; for this many
/// units of cost, another rule must profit too.
const COST_PER_RULE: u32 = 6;

/// What a gate may cost each of the rules behind it, if they can be looked up: without a limit to
/// this, the number of gates would grow with that of the rules.
const GATE_COST_PER_RULE: f32 = 1.0;

/// What a rule costs behind its gate: a look or two, and its trial.
const BEHIND: f32 = 30.0;

/// A guard that more events pass than this share leads to its rules in vain.
const GUARD_TRUTH_MAX: f32 = 0.5;

impl Guards {
    /// Guards for conditions in the order of their rules.
    pub fn build(program: &Program, conditions: &[NodeId]) -> Self {
        let choices: Vec<Vec<Guard>> =
            conditions.iter().map(|condition| guards(program, *condition)).collect();
        let popularity = Popularity::of(&choices);
        let users = users(program, conditions);
        let mut own = Self::default();
        for ((rule, guards), condition) in (0_u32..).zip(choices).zip(conditions) {
            let affordable = guards.into_iter().filter_map(|guard| {
                let price = popularity.price(program, &guard)?;
                Some((price, guard))
            });
            let guard = affordable.min_by_key(|(price, _)| *price).map(|(_, guard)| guard);
            let gate = gate(program, *condition, &users, guard.is_some());
            own.stage(gate).add(rule, guard);
        }
        own
    }

    fn stage(&mut self, gate: Option<NodeId>) -> &mut Stage {
        let at = self.stages.iter().position(|stage| stage.gate == gate);
        let at = at.unwrap_or_else(|| {
            self.stages.push(Stage { gate, ..Stage::default() });
            self.stages.len() - 1
        });
        &mut self.stages[at]
    }

    /// Bytes that they hold.
    pub fn memory(&self) -> usize {
        self.stages.iter().map(Stage::memory).sum()
    }

    /// Collects the rules that the event may match, in their order.
    pub fn candidates<S: Source>(&self, evaluation: &mut Evaluation<'_, S>, rules: &mut Vec<u32>) {
        rules.clear();
        for stage in &self.stages {
            if stage.gate.is_none_or(|gate| evaluation.node(gate)) {
                stage.candidates(evaluation, rules);
            }
        }
        if rules.len() > 1 {
            rules.sort_unstable();
            rules.dedup();
        }
    }
}

impl Stage {
    fn add(&mut self, rule: u32, guard: Option<Guard>) {
        let Some(guard) = guard else { return self.others.push(rule) };
        for (column, check) in guard {
            if !self.columns.contains(&column) {
                self.columns.push(column);
            }
            self.by_check.entry(check).or_default().push(rule);
        }
    }

    fn candidates<S: Source>(&self, evaluation: &mut Evaluation<'_, S>, rules: &mut Vec<u32>) {
        rules.extend_from_slice(&self.others);
        for column in &self.columns {
            for check in evaluation.found(*column) {
                if let Some(found) = self.by_check.get(check) {
                    rules.extend_from_slice(found);
                }
            }
        }
    }

    fn memory(&self) -> usize {
        let rules = self.by_check.values().map(|rules| size_of_val(&**rules) + 16);
        let slots = self.by_check.capacity() * size_of::<(u32, Vec<u32>)>();
        let flat = size_of_val(&*self.columns) + size_of_val(&*self.others) + size_of::<Self>();
        flat + slots + rules.sum::<usize>()
    }
}

/// The parts of a condition that must all hold.
fn parts(program: &Program, condition: NodeId) -> &[NodeId] {
    match &program.nodes[condition] {
        Node::And(parts) => parts,
        // A condition of one part stands in the list of nodes by itself.
        _ => &[],
    }
}

/// How many rules have each part.
fn users(program: &Program, conditions: &[NodeId]) -> HashMap<NodeId, f32> {
    let mut users: HashMap<NodeId, f32> = HashMap::new();
    for part in conditions.iter().flat_map(|condition| parts(program, *condition)) {
        *users.entry(*part).or_default() += 1.0;
    }
    users
}

/// The part of a condition that is best asked first, for all rules that have it; nothing where
/// looking the rule up at once is better. What cannot be looked up has its whole condition tried
/// behind the part that ends most of it at the least cost.
fn gate(
    program: &Program,
    condition: NodeId,
    users: &HashMap<NodeId, f32>,
    is_guarded: bool,
) -> Option<NodeId> {
    let parts = parts(program, condition);
    if !is_guarded {
        let price = |part: &&NodeId| program.estimate(**part).rank(false) / users[*part];
        let best = parts.iter().min_by(|one, other| price(one).total_cmp(&price(other)));
        return Some(best.copied().unwrap_or(condition));
    }
    let price = |part: NodeId| {
        let Estimate { cost, truth } = program.estimate(part);
        cost / users[&part] + truth * BEHIND
    };
    let is_cheap =
        |part: &&NodeId| program.estimate(**part).cost / users[*part] <= GATE_COST_PER_RULE;
    let prices = parts.iter().filter(is_cheap).map(|part| (price(*part), *part));
    let best = prices.min_by(|one, other| one.0.total_cmp(&other.0));
    best.filter(|(price, _)| *price < BEHIND).map(|(_, part)| part)
}

/// How many rules could be found by each column, and by each check.
struct Popularity {
    columns: HashMap<ColumnId, u32>,
    checks: HashMap<u32, u32>,
}

impl Popularity {
    fn of(choices: &[Vec<Guard>]) -> Self {
        let mut own = Self { columns: HashMap::new(), checks: HashMap::new() };
        for guards in choices {
            let columns: HashSet<ColumnId> =
                guards.iter().flatten().map(|(column, _)| *column).collect();
            for column in columns {
                *own.columns.entry(column).or_default() += 1;
            }
            let checks: HashSet<u32> = guards.iter().flatten().map(|(_, check)| *check).collect();
            for check in checks {
                *own.checks.entry(check).or_default() += 1;
            }
        }
        own
    }

    /// What finding a rule by the guard costs; `None` for too much.
    fn price(&self, program: &Program, guard: &Guard) -> Option<u32> {
        /// Trying a rule for nothing, beside a unit of reading that all rules share.
        const TRIAL: u32 = 6;
        let columns: HashSet<ColumnId> = guard.iter().map(|(column, _)| *column).collect();
        let reading = columns.into_iter().try_fold(0_u32, |sum, column| {
            let users = self.columns.get(&column).copied().unwrap_or(1);
            let cost = cost::reading(&program.columns[column]);
            (cost <= users * COST_PER_RULE).then(|| sum + cost * 16 / users)
        })?;
        // A check that many rules have is one that many events satisfy: it leads to them in vain.
        let sharing = guard.iter().filter_map(|(_, check)| self.checks.get(check)).max();
        let sharing = sharing.copied().unwrap_or(1);
        Some(reading.saturating_add(TRIAL.saturating_mul(sharing)))
    }
}

/// The guards that a condition offers, each enough by itself.
fn guards(program: &Program, node: NodeId) -> Vec<Guard> {
    match &program.nodes[node] {
        Node::Constant(_) | Node::Not(_) => Vec::new(),
        Node::Check(id) => {
            let check = &program.checks[*id];
            let is_selective = cost::truth(&program.columns[check.column], &check.comparison);
            let is_selective = is_selective <= GUARD_TRUTH_MAX && check.sense == Some(Sense::Found);
            let number = u32::try_from(*id).ok().filter(|_| is_selective);
            number.map(|number| vec![(check.column, number)]).into_iter().collect()
        }
        Node::And(inner) => inner.iter().flat_map(|inner| guards(program, *inner)).collect(),
        // Every part must offer one: the first of each is taken.
        Node::Or(inner) => {
            let firsts = inner.iter().map(|inner| guards(program, *inner).into_iter().next());
            let firsts: Option<Vec<Guard>> = firsts.collect();
            firsts.map(|firsts| firsts.concat()).into_iter().collect()
        }
    }
}
