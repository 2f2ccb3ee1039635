//! Which of many rules an event may match, found by what they all require: a name out of a set, a
//! path below a directory. Without it the cost of an event would grow with every rule.

use std::collections::{HashMap, HashSet};
use std::hash::BuildHasherDefault;

use crate::fields::source::Source;
use crate::rules::cost;
use crate::rules::hash::Hasher;
use crate::rules::lookup::Sense;
use crate::rules::program::{ColumnId, Evaluation, Node, NodeId, Program};

/// The rules of one event type, by what they require.
#[derive(Debug, Default)]
pub struct Guards {
    /// Rules that require nothing that can be looked up, by a part that all of them require.
    gates: Vec<(NodeId, Vec<u32>)>,
    columns: Vec<ColumnId>,
    /// Rules by the checks that lead to them.
    by_check: HashMap<u32, Vec<u32>, BuildHasherDefault<Hasher>>,
}

/// One of these must hold for the rule to match.
type Guard = Vec<(ColumnId, u32)>;

/// Reading a column for one rule alone is worth as much as evaluating the rule; for this many
/// units of cost, another rule must profit too.
const COST_PER_RULE: u32 = 6;

impl Guards {
    /// Guards for conditions in the order of their rules.
    pub fn build(program: &Program, conditions: &[NodeId]) -> Self {
        let choices: Vec<Vec<Guard>> =
            conditions.iter().map(|condition| guards(program, *condition)).collect();
        let popularity = Popularity::of(&choices);
        let (mut built, mut rest) = (Self::default(), Vec::new());
        for (rule, guards) in (0_u32..).zip(choices) {
            let affordable = guards.into_iter().filter_map(|guard| {
                let price = popularity.price(program, &guard)?;
                Some((price, guard))
            });
            match affordable.min_by_key(|(price, _)| *price) {
                Some((_, guard)) => built.add(rule, guard),
                None => rest.push(rule),
            }
        }
        built.gates = gates(program, conditions, &rest);
        built
    }

    fn add(&mut self, rule: u32, guard: Guard) {
        for (column, check) in guard {
            if !self.columns.contains(&column) {
                self.columns.push(column);
            }
            self.by_check.entry(check).or_default().push(rule);
        }
    }

    /// Bytes that they hold.
    pub fn memory(&self) -> usize {
        let rules = self.by_check.values().map(|rules| size_of_val(&**rules) + 16);
        let slots = self.by_check.capacity() * size_of::<(u32, Vec<u32>)>();
        let gates = self.gates.iter().map(|(_, rules)| size_of_val(&**rules) + 40);
        size_of_val(&*self.columns) + slots + rules.sum::<usize>() + gates.sum::<usize>()
    }

    /// Collects the rules that the event may match, in their order.
    pub fn candidates<S: Source>(&self, evaluation: &mut Evaluation<'_, S>, rules: &mut Vec<u32>) {
        rules.clear();
        for (gate, behind) in &self.gates {
            if evaluation.node(*gate) {
                rules.extend_from_slice(behind);
            }
        }
        for column in &self.columns {
            for check in evaluation.found(*column) {
                if let Some(found) = self.by_check.get(check) {
                    rules.extend_from_slice(found);
                }
            }
        }
        if rules.len() > 1 {
            rules.sort_unstable();
            rules.dedup();
        }
    }
}

/// Rules by a part of their conditions that must hold: evaluated once for all of them.
fn gates(program: &Program, conditions: &[NodeId], rules: &[u32]) -> Vec<(NodeId, Vec<u32>)> {
    let parts = |rule: u32| -> Vec<NodeId> {
        let condition = conditions[rule as usize];
        match &program.nodes[condition] {
            Node::And(parts) => parts.to_vec(),
            _ => vec![condition],
        }
    };
    let mut users: HashMap<NodeId, f32> = HashMap::new();
    for part in rules.iter().flat_map(|rule| parts(*rule)) {
        *users.entry(part).or_default() += 1.0;
    }
    let mut gates: Vec<(NodeId, Vec<u32>)> = Vec::new();
    for rule in rules {
        let price = |part: &NodeId| program.estimate(*part).rank(false) / users[part];
        let parts = parts(*rule);
        let best = parts.iter().min_by(|one, other| price(one).total_cmp(&price(other)));
        let gate = best.copied().unwrap_or(conditions[*rule as usize]);
        match gates.iter_mut().find(|(own, _)| *own == gate) {
            Some((_, behind)) => behind.push(*rule),
            None => gates.push((gate, vec![*rule])),
        }
    }
    gates
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
            let number = u32::try_from(*id).ok().filter(|_| check.sense == Some(Sense::Found));
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
