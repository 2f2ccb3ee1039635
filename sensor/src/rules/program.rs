//! Compiled conditions, and their evaluation: each distinct check at most once for each event.

use std::net::IpAddr;

use crate::fields::Value;
use crate::fields::operand::{Operand, Shape};
use crate::fields::source::Source;
use crate::rules::ast::{Modifier, Operator};
use crate::rules::cost::{self, Estimate};
use crate::rules::lookup::{Lookup, Sense};
use crate::rules::test::{Ordering, Test};
use crate::rules::transform::{self, Call};

pub type ColumnId = usize;
pub type CheckId = usize;
pub type NodeId = usize;

/// All conditions of a ruleset. Parts that conditions share exist once.
#[derive(Debug, Default)]
pub struct Program {
    pub columns: Vec<Column>,
    pub checks: Vec<Check>,
    pub nodes: Vec<Node>,
    /// How much each node costs, and how often it is true, as is expected.
    estimates: Vec<Estimate>,
    /// How many nodes each is a part of: what only one asks for need not be remembered.
    uses: Vec<u32>,
    /// By column.
    lookups: Vec<Lookup>,
}

/// Fewer checks than this are made one by one.
const LOOKUP_MIN: usize = 3;

/// Something that is read from an event: a field, or a transformer's result.
#[derive(Debug)]
pub struct Column {
    pub kind: ColumnKind,
    pub value_type: crate::fields::Type,
    /// Several values.
    pub is_list: bool,
    pub access: Access,
}

#[derive(Debug)]
pub enum ColumnKind {
    Field(Operand),
    Call(Call),
}

/// How a column's value is had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// From the event, each time.
    Direct,
    /// From the event where it holds it whole, else as `Slot`.
    Held,
    /// Put together once for each event, and kept in the slot.
    Slot,
    /// Visited value by value.
    Each,
}

/// One comparison.
#[derive(Debug)]
pub struct Check {
    pub column: ColumnId,
    pub comparison: Comparison,
    /// Which of several values must satisfy it.
    pub over: Over,
    /// Beside other checks: for their order.
    pub cost: u32,
    /// What a look at all that the column is compared with says of it.
    pub sense: Option<Sense>,
    /// For people.
    pub text: Box<str>,
}

#[derive(Debug)]
pub enum Comparison {
    Exists,
    Test(Test),
    /// How many of the tests hold.
    Modified(Modifier, Box<[(Test, Over)]>),
    /// With another column.
    Column(Operator, ColumnId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Over {
    Any,
    All,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Node {
    Constant(bool),
    Check(CheckId),
    Not(NodeId),
    And(Box<[NodeId]>),
    Or(Box<[NodeId]>),
}

/// What evaluation needs beside the program, reused from event to event.
#[derive(Debug, Default)]
pub struct Scratch {
    /// Counts events; what is marked with another number is of an earlier one.
    generation: u32,
    checks: Vec<u32>,
    nodes: Vec<u32>,
    slots: Vec<Slot>,
    /// By column.
    hits: Vec<Hits>,
    text: Vec<u8>,
    candidates: Vec<u32>,
    /// Type of the event before, and what was found by it: types come in runs.
    last_type: (String, usize),
}

/// The checks of a column that a look found for the current event.
#[derive(Debug, Default)]
struct Hits {
    generation: u32,
    /// There is a value.
    present: bool,
    checks: Vec<u32>,
}

/// A value that was put together for the current event.
#[derive(Debug, Default)]
pub struct Slot {
    generation: u32,
    pub present: bool,
    pub numbers: Vec<i128>,
    pub bytes: Vec<u8>,
    /// Where each item of a list ends in `bytes`; a single value has none.
    pub ends: Vec<usize>,
}

/// Results carry their generation above this bit.
const RESULT_BIT: u32 = 1;

impl Scratch {
    pub fn new(program: &Program) -> Self {
        Self {
            generation: 0,
            checks: vec![0; program.checks.len()],
            nodes: vec![0; program.nodes.len()],
            slots: program.columns.iter().map(|_| Slot::default()).collect(),
            hits: program.columns.iter().map(|_| Hits::default()).collect(),
            text: Vec::new(),
            candidates: Vec::new(),
            last_type: (String::new(), usize::MAX),
        }
    }

    /// Forgets the event before.
    pub fn next_event(&mut self) {
        self.generation = self.generation.wrapping_add(1) & (u32::MAX >> 1);
        if self.generation == 0 {
            self.checks.fill(0);
            self.nodes.fill(0);
            for slot in &mut self.slots {
                slot.generation = 0;
            }
            for hits in &mut self.hits {
                hits.generation = 0;
            }
            self.generation = 1;
        }
    }

    /// What a check was found to be for the current event, if it was needed.
    pub fn decided(&self, check: CheckId) -> Option<bool> {
        let mark = self.checks[check];
        (mark >> 1 == self.generation).then_some(mark & RESULT_BIT == 1)
    }

    /// What `find` says of the event type, which is not asked again for the same one.
    pub fn of_type(&mut self, name: &str, find: impl FnOnce(&str) -> usize) -> usize {
        let (last, found) = &mut self.last_type;
        if *last != name || *found == usize::MAX {
            last.clear();
            last.push_str(name);
            *found = find(name);
        }
        *found
    }

    /// A buffer for the rules that an event may match; given back when they were tried.
    pub fn take_candidates(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.candidates)
    }

    pub fn give_candidates(&mut self, candidates: Vec<u32>) {
        self.candidates = candidates;
    }

    pub fn slot(&self, column: ColumnId) -> &Slot {
        &self.slots[column]
    }

    fn mark(&self, result: bool) -> u32 {
        self.generation << 1 | u32::from(result)
    }
}

impl Program {
    pub fn push_check(&mut self, mut check: Check) {
        let is_single = self.columns[check.column].access != Access::Each;
        if let Comparison::Test(Test::Bytes(bytes)) = &check.comparison
            && let Ok(number) = u32::try_from(self.checks.len())
            && is_single
        {
            let columns = self.columns.len().max(self.lookups.len());
            self.lookups.resize_with(columns, Lookup::default);
            check.sense = self.lookups[check.column].add(bytes, number);
        }
        self.checks.push(check);
    }

    pub fn push_node(&mut self, node: Node) {
        let parts = match &node {
            Node::Constant(_) | Node::Check(_) => &[],
            Node::Not(inner) => std::slice::from_ref(inner),
            Node::And(parts) | Node::Or(parts) => &**parts,
        };
        for part in parts {
            self.uses[*part] += 1;
        }
        self.uses.push(0);
        self.estimates.push(cost::of_node(&node, &self.columns, &self.checks, &self.estimates));
        self.nodes.push(node);
    }

    pub fn estimate(&self, node: NodeId) -> Estimate {
        self.estimates[node]
    }

    /// Bytes of what columns are looked up in.
    pub fn lookup_memory(&self) -> usize {
        self.lookups.iter().map(Lookup::memory).sum()
    }

    pub fn evaluate<S: Source>(&self, node: NodeId, source: &S, scratch: &mut Scratch) -> bool {
        Evaluation { program: self, source, scratch }.node(node)
    }

    pub fn check<S: Source>(&self, check: CheckId, source: &S, scratch: &mut Scratch) -> bool {
        Evaluation { program: self, source, scratch }.check(check)
    }

    /// Puts a column's value into its slot.
    pub fn fill<S: Source>(&self, column: ColumnId, source: &S, scratch: &mut Scratch) {
        Evaluation { program: self, source, scratch }.fill(column);
    }
}

/// A program at one event.
pub struct Evaluation<'a, S> {
    program: &'a Program,
    source: &'a S,
    pub scratch: &'a mut Scratch,
}

impl<'a, S: Source> Evaluation<'a, S> {
    pub fn new(program: &'a Program, source: &'a S, scratch: &'a mut Scratch) -> Self {
        Self { program, source, scratch }
    }

    pub fn node(&mut self, id: NodeId) -> bool {
        match &self.program.nodes[id] {
            Node::Constant(value) => *value,
            Node::Check(check) => self.check(*check),
            Node::Not(inner) => !self.node(*inner),
            Node::And(inner) if self.program.uses[id] < 2 => {
                inner.iter().all(|inner| self.node(*inner))
            }
            Node::Or(inner) if self.program.uses[id] < 2 => {
                inner.iter().any(|inner| self.node(*inner))
            }
            Node::And(inner) => {
                self.remembered(id, |own| inner.iter().all(|inner| own.node(*inner)))
            }
            Node::Or(inner) => {
                self.remembered(id, |own| inner.iter().any(|inner| own.node(*inner)))
            }
        }
    }

    fn remembered(&mut self, id: NodeId, evaluate: impl FnOnce(&mut Self) -> bool) -> bool {
        let mark = self.scratch.nodes[id];
        if mark >> 1 == self.scratch.generation {
            return mark & RESULT_BIT == 1;
        }
        let result = evaluate(self);
        self.scratch.nodes[id] = self.scratch.mark(result);
        result
    }

    fn check(&mut self, id: CheckId) -> bool {
        if let Some(result) = self.scratch.decided(id) {
            return result;
        }
        let result = self.compare(id, &self.program.checks[id]);
        self.scratch.checks[id] = self.scratch.mark(result);
        result
    }

    fn compare(&mut self, id: CheckId, check: &Check) -> bool {
        if let Some(sense) = check.sense
            && self.program.lookups[check.column].checks >= LOOKUP_MIN
        {
            let hits = self.look(check.column);
            let found = u32::try_from(id).is_ok_and(|id| hits.checks.contains(&id));
            return hits.present && found == (sense == Sense::Found);
        }
        match &check.comparison {
            Comparison::Exists => self.any(check.column, |_| true),
            Comparison::Test(test) => self.over(check.column, check.over, test),
            Comparison::Modified(modifier, tests) => {
                let mut holds = |(test, over): &(Test, Over)| self.over(check.column, *over, test);
                match modifier {
                    Modifier::AnyOf => tests.iter().any(holds),
                    Modifier::AllOf => !tests.is_empty() && tests.iter().all(holds),
                    Modifier::OneOf => tests.iter().filter(|test| holds(test)).take(2).count() == 1,
                }
            }
            Comparison::Column(operator, right) => self.compare_columns(check, *operator, *right),
        }
    }

    /// The checks of the column that find its value among all that it is compared with.
    pub fn found(&mut self, column: ColumnId) -> &[u32] {
        &self.look(column).checks
    }

    fn look(&mut self, column: ColumnId) -> &Hits {
        let generation = self.scratch.generation;
        if self.scratch.hits[column].generation != generation {
            let mut hits = std::mem::take(&mut self.scratch.hits[column]);
            (hits.generation, hits.present) = (generation, false);
            hits.checks.clear();
            if let Some(lookup) = self.program.lookups.get(column) {
                self.any(column, |value| {
                    hits.present = true;
                    if let Value::Bytes(text) = value {
                        lookup.collect(text, &mut hits.checks);
                    }
                    false
                });
            }
            self.scratch.hits[column] = hits;
        }
        &self.scratch.hits[column]
    }

    fn over(&mut self, column: ColumnId, over: Over, test: &Test) -> bool {
        match over {
            Over::Any => self.any(column, |value| test.matches(value)),
            Over::All => {
                let mut found = false;
                let refuted = self.any(column, |value| {
                    found = true;
                    !test.matches(value)
                });
                found && !refuted
            }
        }
    }

    /// True when some value of the column satisfies the predicate; false when there is none.
    pub fn any(&mut self, id: ColumnId, mut holds: impl FnMut(Value<'_>) -> bool) -> bool {
        let column = &self.program.columns[id];
        match (column.access, &column.kind) {
            (Access::Direct, ColumnKind::Field(operand)) => {
                self.source.direct(operand).is_some_and(holds)
            }
            (Access::Held, ColumnKind::Field(operand)) => match self.source.held(operand) {
                Some(text) => holds(Value::Bytes(text)),
                None => self.any_in_slot(id, holds),
            },
            (Access::Each, ColumnKind::Field(operand)) => {
                let mut found = false;
                self.source.each(operand, &mut self.scratch.text, &mut |value| {
                    found = holds(value);
                    !found
                });
                found
            }
            _ => self.any_in_slot(id, holds),
        }
    }

    fn any_in_slot(&mut self, id: ColumnId, holds: impl FnMut(Value<'_>) -> bool) -> bool {
        self.fill(id);
        self.scratch.slots[id].any(holds)
    }

    /// Puts the column's value into its slot, once for each event.
    pub fn fill(&mut self, id: ColumnId) {
        if self.scratch.slots[id].generation == self.scratch.generation {
            return;
        }
        let mut slot = std::mem::take(&mut self.scratch.slots[id]);
        slot.clear(self.scratch.generation);
        match &self.program.columns[id].kind {
            ColumnKind::Call(call) => transform::apply(call, self, &mut slot),
            ColumnKind::Field(operand) => match operand.shape() {
                Shape::Composed => slot.present = self.source.compose(operand, &mut slot.bytes),
                Shape::Direct => operand.read(self.source, &mut |value| slot.push(value, false)),
                Shape::Many(_) => operand.read(self.source, &mut |value| slot.push(value, true)),
            },
        }
        self.scratch.slots[id] = slot;
    }

    fn compare_columns(&mut self, check: &Check, operator: Operator, right: ColumnId) -> bool {
        self.fill(check.column);
        self.fill(right);
        let (left, right) = (&self.scratch.slots[check.column], &self.scratch.slots[right]);
        if !left.present || !right.present {
            return false;
        }
        let holds = |value: Value<'_>| right.any(|other| compare_values(operator, value, other));
        match check.over {
            Over::Any => left.any(holds),
            Over::All => !left.any(|value| !holds(value)),
        }
    }
}

impl Slot {
    fn clear(&mut self, generation: u32) {
        self.generation = generation;
        self.present = false;
        self.numbers.clear();
        self.bytes.clear();
        self.ends.clear();
    }

    /// Adds a value; the slot holds a list when it is one of several.
    pub fn push(&mut self, value: Value<'_>, is_list: bool) {
        self.present = true;
        match value {
            Value::Bytes(bytes) => self.bytes.extend_from_slice(bytes),
            Value::Number(number) => self.numbers.push(number),
            Value::Bool(bool) => self.numbers.push(bool.into()),
            // Of columns that are compared with others, only addresses are left: 16 bytes each.
            Value::Ip(IpAddr::V4(ip)) => self.bytes.extend_from_slice(&ip.octets()),
            Value::Ip(IpAddr::V6(ip)) => self.bytes.extend_from_slice(&ip.octets()),
            Value::Double(number) => self.bytes.extend_from_slice(&number.to_be_bytes()),
        }
        if is_list {
            self.ends.push(self.bytes.len());
        }
    }

    /// True when some value in the slot satisfies the predicate.
    pub fn any(&self, mut holds: impl FnMut(Value<'_>) -> bool) -> bool {
        if !self.present {
            return false;
        }
        if !self.numbers.is_empty() {
            return self.numbers.iter().any(|number| holds(Value::Number(*number)));
        }
        if self.ends.is_empty() {
            return holds(Value::Bytes(&self.bytes));
        }
        let mut start = 0;
        self.ends.iter().any(|end| {
            let item = &self.bytes[start..*end];
            start = *end;
            holds(Value::Bytes(item))
        })
    }
}

fn compare_values(operator: Operator, left: Value<'_>, right: Value<'_>) -> bool {
    let ordering = match operator {
        Operator::In | Operator::Intersects => Some(Ordering::Equal),
        other => Ordering::of(other),
    };
    match (left, right, ordering) {
        (Value::Number(left), Value::Number(right), Some(ordering)) => {
            ordering.holds(&left, &right)
        }
        (Value::Bytes(left), Value::Bytes(right), Some(ordering)) => ordering.holds(&left, &right),
        (Value::Bytes(left), Value::Bytes(right), None) => {
            transform::compare_text(operator, left, right)
        }
        _ => false,
    }
}
