//! Compiled conditions, and their evaluation: each distinct check at most once for each event.

use crate::fields::Value;
use crate::fields::operand::{Operand, Shape};
use crate::fields::source::Source;
use crate::rules::ast::{Modifier, Operator};
use crate::rules::test::{Bytes, Ordering, Test};
use crate::rules::transform::{self, Call};
use crate::rules::trie::Trie;

pub type ColumnId = usize;
pub type CheckId = usize;
pub type NodeId = usize;

/// All conditions of a ruleset. Parts that conditions share exist once.
#[derive(Debug, Default)]
pub struct Program {
    pub columns: Vec<Column>,
    pub checks: Vec<Check>,
    pub nodes: Vec<Node>,
    /// What each column is compared with by `startswith`: one tree for a column.
    prefixes: Vec<Prefixes>,
}

#[derive(Debug, Default)]
struct Prefixes {
    count: usize,
    trie: Trie,
}

/// Fewer prefixes than this are compared with one by one.
const PREFIXES_MIN: usize = 3;

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
}

/// The `startswith` checks of a column that hold for the current event.
#[derive(Debug, Default)]
struct Hits {
    generation: u32,
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
    pub fn push_check(&mut self, check: Check) {
        let number = u32::try_from(self.checks.len()).unwrap_or(u32::MAX);
        let is_single = self.columns[check.column].access != Access::Each;
        if let Comparison::Test(Test::Bytes(Bytes::StartsWith(text))) = &check.comparison
            && is_single
        {
            let columns = self.columns.len().max(self.prefixes.len());
            self.prefixes.resize_with(columns, Prefixes::default);
            let own = &mut self.prefixes[check.column];
            own.count += 1;
            own.trie.insert(text, number);
        }
        self.checks.push(check);
    }

    /// Bytes of the trees of prefixes.
    pub fn prefix_memory(&self) -> usize {
        self.prefixes.iter().map(|own| own.trie.memory()).sum()
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
        match &check.comparison {
            Comparison::Exists => self.any(check.column, |_| true),
            Comparison::Test(Test::Bytes(Bytes::StartsWith(text))) => {
                self.begins(id, check.column, text)
            }
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

    /// `startswith`: the column's value is looked up once among all that it is compared with.
    fn begins(&mut self, id: CheckId, column: ColumnId, text: &[u8]) -> bool {
        let own = self.program.prefixes.get(column).filter(|own| own.count >= PREFIXES_MIN);
        let Some(Prefixes { trie, .. }) = own else {
            return self
                .any(column, |value| matches!(value, Value::Bytes(own) if own.starts_with(text)));
        };
        let generation = self.scratch.generation;
        if self.scratch.hits[column].generation != generation {
            let mut hits = std::mem::take(&mut self.scratch.hits[column]);
            hits.generation = generation;
            hits.checks.clear();
            self.any(column, |value| {
                if let Value::Bytes(own) = value {
                    trie.collect(own, &mut hits.checks);
                }
                false
            });
            self.scratch.hits[column] = hits;
        }
        u32::try_from(id).is_ok_and(|id| self.scratch.hits[column].checks.contains(&id))
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
            (Access::Each, ColumnKind::Field(operand)) => {
                let mut found = false;
                self.source.each(operand, &mut self.scratch.text, &mut |value| {
                    found = holds(value);
                    !found
                });
                found
            }
            _ => {
                self.fill(id);
                self.scratch.slots[id].any(holds)
            }
        }
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
            Value::Ip(ip) => self.bytes.extend_from_slice(&ip_bytes(ip)),
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

fn ip_bytes(ip: std::net::IpAddr) -> Vec<u8> {
    match ip {
        std::net::IpAddr::V4(v4) => v4.octets().to_vec(),
        std::net::IpAddr::V6(v6) => v6.octets().to_vec(),
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
