//! Which rules an event type can match, with their conditions specialised to it.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::fields::source::Source;
use crate::fields::{Value, event_types};
use crate::rules::ast::Modifier;
use crate::rules::compile::Compiler;
use crate::rules::count;
use crate::rules::guard::Guards;
use crate::rules::program::{
    CheckId, ColumnKind, Comparison, Evaluation, Node, NodeId, Program, Scratch,
};
use crate::rules::test::{Bytes, Ordering as Compare, Set, Test};

/// Rules by event type.
#[derive(Debug, Default)]
pub struct Index {
    by_type: HashMap<String, usize, std::hash::BuildHasherDefault<crate::rules::hash::Hasher>>,
    /// The first is for event types that no rule names.
    buckets: Vec<Bucket>,
}

/// Rules by number, with what is left of their conditions.
type Rules = Vec<(usize, NodeId)>;

#[derive(Debug)]
struct Bucket {
    rules: Rules,
    guards: Guards,
    /// Events that were tried.
    events: AtomicU64,
}

/// Stands for every event type that a condition does not name.
const OTHER: &str = "\0";

/// What is known of the events that a condition is specialised to.
#[derive(Clone, Copy)]
struct Known<'a> {
    event_type: &'a str,
    /// Falco's warning about event types takes `evt.dir` for unknown.
    direction: bool,
}

impl Index {
    /// Builds the index for rules by number and condition.
    pub fn build(compiler: &mut Compiler<'_>, rules: &[(usize, NodeId)]) -> Self {
        let mut types: BTreeSet<String> = mentioned(&compiler.program);
        types.extend(event_types::delivered().map(str::to_owned));
        let mut index = Self {
            buckets: vec![Bucket::new(&compiler.program, rules.to_vec())],
            ..Self::default()
        };
        let mut known_buckets: HashMap<Rules, usize> = [(rules.to_vec(), 0)].into();
        for name in types {
            let mut memo = HashMap::new();
            let known = Known { event_type: &name, direction: true };
            let specialised = rules
                .iter()
                .map(|(rule, node)| (*rule, specialise(compiler, *node, known, &mut memo)));
            let possible: Vec<_> = specialised.collect();
            let is_possible = |node: NodeId| compiler.program.nodes[node] != Node::Constant(false);
            let rules: Rules =
                possible.into_iter().filter(|(_, node)| is_possible(*node)).collect();
            // Types that the same rules want share what is known of them.
            let bucket = *known_buckets.entry(rules).or_insert_with_key(|rules| {
                index.buckets.push(Bucket::new(&compiler.program, rules.clone()));
                index.buckets.len() - 1
            });
            index.by_type.insert(name, bucket);
        }
        index
    }

    /// Bytes that it holds.
    pub fn memory(&self) -> usize {
        let buckets = self.buckets.iter().map(|bucket| {
            size_of::<Bucket>() + size_of_val(&*bucket.rules) + bucket.guards.memory()
        });
        buckets.sum::<usize>() + self.by_type.capacity() * (size_of::<(String, usize)>() + 16)
    }

    /// True when an event of this type may match the rule.
    pub fn tries(&self, rule: usize, event_type: &str) -> bool {
        self.bucket(event_type).rules.iter().any(|(own, _)| *own == rule)
    }

    /// The rules that an event of this type may match, each with what is left of its condition.
    pub fn conditions(&self, event_type: &str) -> &[(usize, NodeId)] {
        &self.bucket(event_type).rules
    }

    fn bucket(&self, event_type: &str) -> &Bucket {
        &self.buckets[self.number(event_type)]
    }

    fn number(&self, event_type: &str) -> usize {
        self.by_type.get(event_type).copied().unwrap_or(0)
    }

    /// Visits the rules whose conditions the event satisfies, in order, until `matched` says no.
    pub fn evaluate<S: Source>(
        &self,
        program: &Program,
        source: &S,
        scratch: &mut Scratch,
        mut matched: impl FnMut(usize) -> bool,
    ) {
        let number = scratch.of_type(source.event_type(), |name| self.number(name));
        let bucket = &self.buckets[number];
        count(&bucket.events);
        let mut candidates = scratch.take_candidates();
        let mut evaluation = Evaluation::new(program, source, scratch);
        bucket.guards.candidates(&mut evaluation, &mut candidates);
        for candidate in &candidates {
            let (rule, node) = bucket.rules[*candidate as usize];
            if evaluation.node(node) && !matched(rule) {
                break;
            }
        }
        scratch.give_candidates(candidates);
    }

    pub fn wanted(&self) -> impl Iterator<Item = &'static str> {
        event_types::delivered().filter(|name| !self.bucket(name).rules.is_empty())
    }

    /// Events that each rule was tried against.
    pub fn evaluated(&self, rules: usize) -> Vec<u64> {
        let mut counts = vec![0; rules];
        for bucket in &self.buckets {
            let events = bucket.events.load(Ordering::Relaxed);
            for (rule, _) in &bucket.rules {
                counts[*rule] += events;
            }
        }
        counts
    }
}

impl Bucket {
    fn new(program: &Program, rules: Rules) -> Self {
        let conditions: Vec<NodeId> = rules.iter().map(|(_, node)| *node).collect();
        let guards = Guards::build(program, &conditions);
        Self { rules, guards, events: AtomicU64::new(0) }
    }
}

/// True for a check that is the same for every event.
pub fn is_constant(program: &Program, check: CheckId) -> bool {
    let column = &program.columns[program.checks[check].column];
    let ColumnKind::Field(operand) = &column.kind else { return false };
    matches!(operand.field.name, "evt.num" | "evt.dir")
        && Known { event_type: OTHER, direction: true }.value(program, check).is_some()
}

/// How many event types a condition can match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// None: it can never be true.
    Nothing,
    Types(Vec<String>),
    /// All but a few.
    Everything,
}

/// What event types a condition can match.
pub fn reach(compiler: &mut Compiler<'_>, node: NodeId) -> Reach {
    let possible = |compiler: &mut Compiler<'_>, name: &str| {
        let known = Known { event_type: name, direction: false };
        let node = specialise(compiler, node, known, &mut HashMap::new());
        compiler.program.nodes[node] != Node::Constant(false)
    };
    if possible(compiler, OTHER) {
        return Reach::Everything;
    }
    let types = mentioned_in(&compiler.program, node);
    let types: Vec<String> = types.into_iter().filter(|name| possible(compiler, name)).collect();
    if types.is_empty() { Reach::Nothing } else { Reach::Types(types) }
}

/// The condition with what the event type decides already decided, and first what decides most at
/// the least cost.
fn specialise(
    compiler: &mut Compiler<'_>,
    node: NodeId,
    known: Known<'_>,
    memo: &mut HashMap<NodeId, NodeId>,
) -> NodeId {
    if let Some(done) = memo.get(&node) {
        return *done;
    }
    let specialised = match compiler.program.nodes[node].clone() {
        Node::Constant(value) => Node::Constant(value),
        Node::Check(check) => match known.value(&compiler.program, check) {
            Some(value) => Node::Constant(value),
            None => Node::Check(check),
        },
        Node::Not(inner) => {
            let inner = specialise(compiler, inner, known, memo);
            match compiler.program.nodes[inner] {
                Node::Constant(value) => Node::Constant(!value),
                Node::Not(twice) => compiler.program.nodes[twice].clone(),
                _ => Node::Not(inner),
            }
        }
        Node::And(inner) => joined(compiler, &inner, known, memo, false),
        Node::Or(inner) => joined(compiler, &inner, known, memo, true),
    };
    let id = compiler.node(specialised);
    memo.insert(node, id);
    id
}

/// `and` (decided by false) or `or` (decided by true) of what is left of the operands.
fn joined(
    compiler: &mut Compiler<'_>,
    operands: &[NodeId],
    known: Known<'_>,
    memo: &mut HashMap<NodeId, NodeId>,
    decides: bool,
) -> Node {
    let (mut left, mut seen) = (Vec::with_capacity(operands.len()), Set::default());
    for operand in operands {
        let operand = specialise(compiler, *operand, known, memo);
        match &compiler.program.nodes[operand] {
            Node::Constant(value) if *value == decides => return Node::Constant(decides),
            Node::Constant(_) => {}
            // One list of parts, whatever the parentheses and macros: rules share single parts.
            Node::And(parts) if !decides => {
                left.extend(parts.iter().filter(|one| seen.insert(**one)));
            }
            Node::Or(parts) if decides => {
                left.extend(parts.iter().filter(|one| seen.insert(**one)));
            }
            _ => left.extend(seen.insert(operand).then_some(operand)),
        }
    }
    if decides { any_of(compiler, left) } else { all_of(compiler, left) }
}

/// `and` of different parts, in the best order.
fn all_of(compiler: &Compiler<'_>, mut parts: Vec<NodeId>) -> Node {
    sort(compiler, &mut parts, false);
    match *parts {
        [] => Node::Constant(true),
        [only] => compiler.program.nodes[only].clone(),
        _ => Node::And(parts.into()),
    }
}

/// `or` of different parts, in the best order. What all of them require is required once, before
/// them: `(a and b) or (a and c)` is `a and (b or c)`.
fn any_of(compiler: &mut Compiler<'_>, mut parts: Vec<NodeId>) -> Node {
    let conjuncts = |part: NodeId| match &compiler.program.nodes[part] {
        Node::And(inner) => inner.to_vec(),
        _ => vec![part],
    };
    let mut common = parts.first().map(|first| conjuncts(*first)).unwrap_or_default();
    for part in parts.iter().skip(1) {
        if common.is_empty() {
            break;
        }
        let own: Set<NodeId> = conjuncts(*part).into_iter().collect();
        common.retain(|one| own.contains(one));
    }
    if parts.len() < 2 || common.is_empty() {
        sort(compiler, &mut parts, true);
        return match *parts {
            [] => Node::Constant(false),
            [only] => compiler.program.nodes[only].clone(),
            _ => Node::Or(parts.into()),
        };
    }
    let required: Set<NodeId> = common.iter().copied().collect();
    let rests: Vec<Vec<NodeId>> = parts
        .iter()
        .map(|part| conjuncts(*part).into_iter().filter(|one| !required.contains(one)).collect())
        .collect();
    if rests.iter().all(|rest| !rest.is_empty()) {
        let rests: Vec<NodeId> = rests
            .into_iter()
            .map(|rest| {
                let rest = all_of(compiler, rest);
                compiler.node(rest)
            })
            .collect();
        let rest = any_of(compiler, rests);
        common.push(compiler.node(rest));
    }
    all_of(compiler, common)
}

/// Puts first what decides most at the least cost.
fn sort(compiler: &Compiler<'_>, parts: &mut [NodeId], decides: bool) {
    let rank = |node: &NodeId| compiler.program.estimate(*node).rank(decides);
    parts.sort_by(|one, other| rank(one).total_cmp(&rank(other)));
}

impl Known<'_> {
    /// What a check is for all such events, where that is certain.
    fn value(self, program: &Program, check: CheckId) -> Option<bool> {
        let check = &program.checks[check];
        let ColumnKind::Field(operand) = &program.columns[check.column].kind else { return None };
        let text = |text: &str| check.comparison.holds(Value::Bytes(text.as_bytes()));
        let name = self.event_type;
        match operand.field.name {
            "evt.type" => text(name),
            "syscall.type" if name == OTHER || event_types::is_syscall(name) => text(name),
            "syscall.type" => Some(false),
            "evt.dir" if self.direction => text("<"),
            "evt.num" => number_of_event(&check.comparison),
            _ => None,
        }
    }
}

/// Events are counted from one: what every such number has in common.
fn number_of_event(comparison: &Comparison) -> Option<bool> {
    match comparison {
        Comparison::Exists => Some(true),
        Comparison::Test(Test::Number(ordering, number)) => match (ordering, number) {
            (Compare::Equal | Compare::Less | Compare::LessOrEqual, ..1) | (Compare::Less, 1) => {
                Some(false)
            }
            (Compare::NotEqual | Compare::Greater, ..1) | (Compare::GreaterOrEqual, ..=1) => {
                Some(true)
            }
            _ => None,
        },
        Comparison::Test(Test::Numbers(set)) if set.iter().all(|number| *number < 1) => Some(false),
        _ => None,
    }
}

impl Comparison {
    /// Whether it holds for a value; `None` when another column must be known.
    pub fn holds(&self, value: Value<'_>) -> Option<bool> {
        Some(match self {
            Self::Exists => true,
            Self::Test(test) => test.matches(value),
            Self::Modified(modifier, tests) => {
                let held = tests.iter().filter(|(test, _)| test.matches(value)).count();
                match modifier {
                    Modifier::OneOf => held == 1,
                    Modifier::AnyOf => held > 0,
                    Modifier::AllOf => held > 0 && held == tests.len(),
                }
            }
            Self::Column(..) => return None,
        })
    }
}

/// The event types that conditions compare with.
fn mentioned(program: &Program) -> BTreeSet<String> {
    let mut types = BTreeSet::new();
    for check in 0..program.checks.len() {
        add_mentioned(program, check, &mut types);
    }
    types
}

fn mentioned_in(program: &Program, node: NodeId) -> BTreeSet<String> {
    let mut types = BTreeSet::new();
    let mut seen = Set::<usize>::default();
    let mut pending = vec![node];
    while let Some(node) = pending.pop() {
        if !seen.insert(node) {
            continue;
        }
        match &program.nodes[node] {
            Node::Constant(_) => {}
            Node::Check(check) => add_mentioned(program, *check, &mut types),
            Node::Not(inner) => pending.push(*inner),
            Node::And(inner) | Node::Or(inner) => pending.extend(inner.iter()),
        }
    }
    types
}

fn add_mentioned(program: &Program, check: CheckId, types: &mut BTreeSet<String>) {
    let check = &program.checks[check];
    let ColumnKind::Field(operand) = &program.columns[check.column].kind else { return };
    if !matches!(operand.field.name, "evt.type" | "syscall.type") {
        return;
    }
    let mut add = |bytes: &[u8]| {
        types.insert(String::from_utf8_lossy(bytes).into_owned());
    };
    let mut of_test = |test: &Test| match test {
        Test::Bytes(Bytes::Equal(name) | Bytes::NotEqual(name)) => add(name),
        Test::Bytes(Bytes::OneOf(names)) => names.iter().for_each(|name| add(name)),
        _ => {}
    };
    match &check.comparison {
        Comparison::Test(test) => of_test(test),
        Comparison::Modified(_, tests) => tests.iter().for_each(|(test, _)| of_test(test)),
        Comparison::Exists | Comparison::Column(..) => {}
    }
}
