//! Case files: events that must and must not fire, as unit tests of rules.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use crate::fields::object::ObjectEvent;
use crate::fields::source::Source as _;
use crate::rules::outline::Outline;
use crate::rules::program::Scratch;
use crate::rules::{Rule, Ruleset};

/// A case file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseFile {
    pub cases: Vec<Case>,
}

/// One event, and exactly the rules that it must fire.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub name: String,
    pub event: Map<String, Json>,
    #[serde(default)]
    pub fires: Vec<String>,
}

/// What a case came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Why it failed; empty when it passed.
    pub failures: Vec<String>,
}

/// Which checks of each rule some case decided, and how.
#[derive(Debug, Default)]
pub struct Coverage {
    decided: BTreeSet<(usize, bool)>,
    pub fired: BTreeSet<String>,
    /// Rules that an event of a type of theirs did not fire.
    pub quiet: BTreeSet<String>,
}

impl CaseFile {
    pub fn parse(content: &str) -> Result<Self, String> {
        serde_norway::from_str(content).map_err(|error| error.to_string())
    }

    /// The rules that some case names.
    pub fn rules(&self) -> BTreeSet<&str> {
        self.cases.iter().flat_map(|case| case.fires.iter().map(String::as_str)).collect()
    }
}

/// Runs one case.
pub fn run_case(
    case: &Case,
    ruleset: &Ruleset,
    scratch: &mut Scratch,
    coverage: &mut Coverage,
) -> Outcome {
    let mut outcome = Outcome::default();
    for name in case.fires.iter().filter(|name| ruleset.rule(name).is_none()) {
        let known = ruleset.rules().iter().map(|rule| &*rule.name);
        let hint = crate::fields::near::did_you_mean(name, known).unwrap_or_default();
        outcome.failures.push(format!("no rule is called `{name}`; {hint}"));
    }
    let event = match ObjectEvent::from_json(&case.event) {
        Ok(event) => event,
        Err(bad) => {
            outcome.failures.extend(bad.iter().map(ToString::to_string));
            return outcome;
        }
    };
    let mut matched = Vec::new();
    ruleset.evaluate(&event, scratch, |rule| matched.push(rule.name.to_string()));
    for rule in ruleset.rules().iter().filter(|rule| rule.enabled) {
        let expected = case.fires.iter().any(|name| **name == *rule.name);
        let fires = matched.iter().any(|name| **name == *rule.name);
        // The whole condition, not its form for one event type, so that every check has a value.
        ruleset.program().evaluate(rule.node(), &event, scratch);
        if expected != fires {
            let verb = if fires { "fired" } else { "did not fire" };
            let why = decider(rule.outline(), fires, &event, ruleset, scratch);
            let why = why.map_or(String::new(), |text| format!(": `{text}`"));
            outcome.failures.push(format!("rule `{}` {verb}{why}", rule.name));
        }
        coverage.note(rule, fires, event.event_type(), At { ruleset, scratch });
    }
    outcome
}

/// The first part of a condition that made it what it is.
pub fn decider(
    outline: &Outline,
    value: bool,
    event: &ObjectEvent,
    ruleset: &Ruleset,
    scratch: &mut Scratch,
) -> Option<String> {
    match outline {
        Outline::Check { text, .. } => Some(text.to_string()),
        Outline::Not(inner) => {
            decider(inner, !value, event, ruleset, scratch).map(|text| format!("not {text}"))
        }
        Outline::Macro { name, body } => decider(body, value, event, ruleset, scratch)
            .map(|text| format!("{text}` in macro `{name}")),
        Outline::And(parts) | Outline::Or(parts) => {
            let deciding = parts.iter().find(|part| part.holds(event, ruleset, scratch) == value);
            decider(deciding?, value, event, ruleset, scratch)
        }
    }
}

impl Outline {
    /// The part's value for an event that `scratch` stands at.
    pub fn holds(&self, event: &ObjectEvent, ruleset: &Ruleset, scratch: &mut Scratch) -> bool {
        match self {
            Self::Check { check, .. } => ruleset.program().check(*check, event, scratch),
            Self::Not(inner) => !inner.holds(event, ruleset, scratch),
            Self::Macro { body, .. } => body.holds(event, ruleset, scratch),
            Self::And(parts) => parts.iter().all(|part| part.holds(event, ruleset, scratch)),
            Self::Or(parts) => parts.iter().any(|part| part.holds(event, ruleset, scratch)),
        }
    }

    /// Visits the checks.
    pub fn checks(&self, visit: &mut dyn FnMut(usize, &str)) {
        match self {
            Self::Check { check, text } => visit(*check, text),
            Self::Not(inner) | Self::Macro { body: inner, .. } => inner.checks(visit),
            Self::And(parts) | Self::Or(parts) => parts.iter().for_each(|part| part.checks(visit)),
        }
    }
}

/// A ruleset at an event.
#[derive(Clone, Copy)]
struct At<'a> {
    ruleset: &'a Ruleset,
    scratch: &'a Scratch,
}

impl Coverage {
    fn note(&mut self, rule: &Rule, fires: bool, event_type: &str, at: At<'_>) {
        let At { ruleset, scratch } = at;
        let side = if fires { &mut self.fired } else { &mut self.quiet };
        if fires || ruleset.tries(rule, event_type) {
            side.insert(rule.name.to_string());
        }
        for check in 0..ruleset.program().checks.len() {
            if let Some(value) = scratch.decided(check) {
                self.decided.insert((check, value));
            }
        }
    }

    /// The checks of a rule that were never true, or never false, with what they never were.
    pub fn missing(&self, rule: &Rule) -> Vec<(String, bool)> {
        let mut missing = Vec::new();
        rule.outline().checks(&mut |check, text| {
            for value in [true, false] {
                if !self.decided.contains(&(check, value)) {
                    missing.push((text.to_owned(), value));
                }
            }
        });
        missing.sort();
        missing.dedup();
        missing
    }
}
