//! The Falco rule language: text → a [`Ruleset`] that is evaluated without errors.

pub mod added;
pub mod ast;
pub mod cases;
pub mod changes;
pub mod collect;
pub mod column;
pub mod compile;
pub mod constant;
pub mod cost;
pub mod error;
pub mod exceptions;
pub mod file;
pub mod glob;
pub mod hash;
pub mod hints;
pub mod guard;
pub mod index;
pub mod lint;
pub mod lexer;
pub mod lists;
pub mod load;
pub mod lookup;
pub mod never;
pub mod network;
pub mod options;
pub mod outline;
pub mod parser;
pub mod pmatch;
pub mod posix;
pub mod priority;
pub mod program;
pub mod pushdown;
pub mod reads;
pub mod report;
pub mod requirements;
pub mod shipped;
pub mod size;
pub mod template;
pub mod test;
pub mod text;
pub mod transform;
pub mod trie;
pub mod yaml;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value as Json};

use crate::fields::source::Source;
use crate::rules::index::Index;
use crate::rules::options::Matching;
use crate::rules::outline::Outline;
use crate::rules::priority::Priority;
use crate::rules::program::{NodeId, Program, Scratch};
use crate::rules::template::Template;

/// All rules of a run, compiled together.
#[derive(Debug)]
pub struct Ruleset {
    rules: Vec<Rule>,
    program: Program,
    index: Index,
    matching: Matching,
}

/// One rule that is evaluated.
#[derive(Debug)]
pub struct Rule {
    pub name: Arc<str>,
    pub desc: String,
    pub priority: Priority,
    pub source: String,
    /// Sorted, each once.
    pub tags: Arc<[String]>,
    pub condition: String,
    pub output: String,
    pub enabled: bool,
    /// A matching event asks for a capture, for so many milliseconds (0: the default).
    pub capture_ms: Option<u64>,
    outline: Arc<Outline>,
    node: NodeId,
    template: Template,
    matched: AtomicU64,
}

/// What a rule says of one event.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    /// The output text with its fields filled in.
    pub message: String,
    /// Every field that the output names, and `evt.time`; null where the event has none.
    pub fields: Map<String, Json>,
}

impl Ruleset {
    /// What evaluation needs beside the rules: one for each thread, made once.
    pub fn scratch(&self) -> Scratch {
        Scratch::new(&self.program)
    }

    /// Calls `matched` for each rule whose condition holds, in the order of the files.
    pub fn evaluate<S: Source>(
        &self,
        source: &S,
        scratch: &mut Scratch,
        mut matched: impl FnMut(&Rule),
    ) {
        scratch.next_event();
        self.index.evaluate(&self.program, source, scratch, |rule| {
            let rule = &self.rules[rule];
            count(&rule.matched);
            matched(rule);
            self.matching == Matching::All
        });
    }

    /// The same without counting: the event will come again, when more is known of its container.
    pub fn evaluate_early<S: Source>(
        &self,
        source: &S,
        scratch: &mut Scratch,
        mut matched: impl FnMut(usize, &Rule),
    ) {
        scratch.next_event();
        self.index.evaluate(&self.program, source, scratch, |rule| {
            matched(rule, &self.rules[rule]);
            self.matching == Matching::All
        });
    }

    /// The rules that were loaded, disabled ones too, in the order of the files.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    pub fn rule(&self, name: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| &*rule.name == name)
    }

    /// True when an event of this type may match the rule.
    pub fn tries(&self, rule: &Rule, event_type: &str) -> bool {
        let number = self.rules.iter().position(|own| own.name == rule.name);
        number.is_some_and(|number| self.index.tries(number, event_type))
    }

    /// The compiled conditions, for explanations.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The event types that the kernel side delivers and some rule can match.
    pub fn event_types(&self) -> impl Iterator<Item = &'static str> {
        self.index.wanted()
    }

    /// The rules that an event of this type may match, by number, each with its condition
    /// specialised to the type.
    pub fn conditions(&self, event_type: &str) -> &[(usize, NodeId)] {
        self.index.conditions(event_type)
    }

    /// Rules tried against an event, in all since the load, by rule.
    pub fn evaluated(&self) -> Vec<(&Rule, u64)> {
        let counts = self.index.evaluated(self.rules.len());
        self.rules.iter().zip(counts).collect()
    }
}

impl Rule {
    /// Events that matched since the load.
    pub fn matched(&self) -> u64 {
        self.matched.load(Ordering::Relaxed)
    }

    /// The condition as it was written, with the parts of the program that decide it.
    pub fn outline(&self) -> &Outline {
        &self.outline
    }

    /// The whole condition's node, not specialised to an event type.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// The output's text and fields for an event.
    pub fn render<S: Source>(&self, source: &S) -> Rendered {
        let (message, fields) = self.template.render(source);
        Rendered { message, fields }
    }
}

/// Adds one. Rules are evaluated by one thread: a plain load and store are enough, and cost no
/// locked instruction; readers see a whole number.
fn count(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests;
