//! Case files: events that must and must not fire, as unit tests of rules.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use crate::fields::near::did_you_mean;
use crate::fields::object::ObjectEvent;
use crate::fields::source::Source;
use crate::rules::index;
use crate::rules::outline::Outline;
use crate::rules::program::Scratch;
use crate::rules::{Rule, Ruleset};

/// A case file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseFile {
    pub cases: Vec<Case>,
}

/// One event or one capture, and exactly the rules that it must fire.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Written")]
pub struct Case {
    pub name: String,
    pub given: Given,
    pub fires: Vec<String>,
}

/// What a case is about.
#[derive(Debug)]
pub enum Given {
    /// A flat object of field names.
    Event(Map<String, Json>),
    /// A file that `sensor record` wrote, from the case file's directory.
    Capture(PathBuf),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    event: Option<Map<String, Json>>,
    capture: Option<PathBuf>,
    #[serde(default)]
    fires: Vec<String>,
}

impl TryFrom<Written> for Case {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        let Written { name, event, capture, fires } = written;
        let given = match (event, capture) {
            (Some(event), None) => Given::Event(event),
            (None, Some(path)) => Given::Capture(path),
            _ => return Err(format!("case `{name}`: expected either `event` or `capture`")),
        };
        Ok(Self { name, given, fires })
    }
}

/// What a case came to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Why it failed; empty when it passed.
    pub failures: Vec<String>,
    /// What decided it where it passed.
    pub notes: Vec<String>,
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

/// A case whose events go by.
pub struct Trial<'a> {
    ruleset: &'a Ruleset,
    fires: &'a [String],
    /// For each rule.
    verdicts: Vec<Verdict>,
    events: u64,
}

/// What the events so far were to one rule.
#[derive(Clone, Debug, Default)]
struct Verdict {
    fired: bool,
    /// The sub-condition that decided it: where the rule fired first, or else where the most parts
    /// of its condition held.
    decider: Option<String>,
    /// Parts of the condition that held there, in thousandths of all.
    held: usize,
}

impl<'a> Trial<'a> {
    pub fn new(case: &'a Case, ruleset: &'a Ruleset) -> Self {
        let verdicts = vec![Verdict::default(); ruleset.rules().len()];
        Self { ruleset, fires: &case.fires, verdicts, events: 0 }
    }

    /// One event of the case.
    pub fn event<S: Source>(&mut self, event: &S, scratch: &mut Scratch, coverage: &mut Coverage) {
        self.events += 1;
        let ruleset = self.ruleset;
        let mut matched = Vec::new();
        ruleset.evaluate(event, scratch, |rule| matched.push(rule.name.to_string()));
        let rules = ruleset.rules().iter().zip(&mut self.verdicts);
        for (rule, verdict) in rules.filter(|(rule, _)| rule.enabled) {
            let fires = matched.iter().any(|name| **name == *rule.name);
            // The whole condition, not its form for one event type, so that every check has a value.
            ruleset.program().evaluate(rule.node(), event, scratch);
            coverage.note(rule, fires, event.event_type(), At { ruleset, scratch });
            if verdict.fired || (!fires && !ruleset.tries(rule, event.event_type())) {
                continue;
            }
            let held = rule.outline().share(event, ruleset, scratch);
            if fires || verdict.decider.is_none() || held > verdict.held {
                let decider = decider(rule.outline(), fires, event, ruleset, scratch);
                *verdict = Verdict { fired: fires, decider, held };
            }
        }
    }

    /// What the case came to, after its last event.
    pub fn outcome(self) -> Outcome {
        let mut outcome = Outcome::default();
        let known = || self.ruleset.rules().iter().map(|rule| &*rule.name);
        for name in self.fires.iter().filter(|name| self.ruleset.rule(name).is_none()) {
            let hint =
                did_you_mean(name, known()).map_or(String::new(), |hint| format!("; {hint}"));
            outcome.failures.push(format!("no rule is called `{name}`{hint}"));
        }
        if self.events == 0 {
            outcome.failures.push("the capture holds no event".to_owned());
        }
        let rules =
            || self.ruleset.rules().iter().zip(&self.verdicts).filter(|(rule, _)| rule.enabled);
        for (rule, verdict) in rules() {
            let expected = self.fires.iter().any(|name| **name == *rule.name);
            let said = verdict.said(&rule.name);
            match (expected == verdict.fired, verdict.fired) {
                (false, _) => outcome.failures.push(said),
                (true, true) => outcome.notes.push(said),
                (true, false) => {}
            }
        }
        if self.fires.is_empty() && outcome.failures.is_empty() {
            // Of the rules that had to stay quiet, the one that came nearest.
            let tried = rules().filter(|(_, verdict)| verdict.decider.is_some());
            let nearest =
                tried.reduce(|best, one| if one.1.held > best.1.held { one } else { best });
            outcome.notes.extend(nearest.map(|(rule, verdict)| verdict.said(&rule.name)));
        }
        outcome
    }
}

impl Verdict {
    fn said(&self, rule: &str) -> String {
        let verb = if self.fired { "fired" } else { "did not fire" };
        let why = self.decider.as_ref().map_or(String::new(), |text| format!(": `{text}`"));
        format!("rule `{rule}` {verb}{why}")
    }
}

/// Runs a case of one event.
pub fn run_event(
    case: &Case,
    event: &Map<String, Json>,
    ruleset: &Ruleset,
    scratch: &mut Scratch,
    coverage: &mut Coverage,
) -> Outcome {
    let mut trial = Trial::new(case, ruleset);
    match ObjectEvent::from_json(event) {
        Ok(event) => trial.event(&event, scratch, coverage),
        Err(bad) => {
            let failures = bad.iter().map(ToString::to_string).collect();
            return Outcome { failures, ..Outcome::default() };
        }
    }
    trial.outcome()
}

/// The part of a condition at which, read from the left, it was decided.
pub fn decider<S: Source>(
    outline: &Outline,
    value: bool,
    event: &S,
    ruleset: &Ruleset,
    scratch: &mut Scratch,
) -> Option<String> {
    let (parts, settles) = match outline {
        Outline::Check { text, .. } => return Some(text.to_string()),
        Outline::Not(inner) => {
            let inner = decider(inner, !value, event, ruleset, scratch);
            return inner.map(|text| format!("not {text}"));
        }
        Outline::Macro { name, body } => {
            let body = decider(body, value, event, ruleset, scratch);
            return body.map(|text| format!("{text}` in macro `{name}"));
        }
        Outline::And(parts) => (parts, false),
        Outline::Or(parts) => (parts, true),
    };
    // One part settles it; if none does, the last one has that is no placeholder.
    let deciding = if value == settles {
        parts.iter().find(|part| part.holds(event, ruleset, scratch) == value)
    } else {
        parts.iter().rfind(|part| !part.is_constant(ruleset)).or(parts.last())
    };
    decider(deciding?, value, event, ruleset, scratch)
}

impl Outline {
    /// The part's value for an event that `scratch` stands at.
    pub fn holds<S: Source>(&self, event: &S, ruleset: &Ruleset, scratch: &mut Scratch) -> bool {
        match self {
            Self::Check { check, .. } => ruleset.program().check(*check, event, scratch),
            Self::Not(inner) => !inner.holds(event, ruleset, scratch),
            Self::Macro { body, .. } => body.holds(event, ruleset, scratch),
            Self::And(parts) => parts.iter().all(|part| part.holds(event, ruleset, scratch)),
            Self::Or(parts) => parts.iter().any(|part| part.holds(event, ruleset, scratch)),
        }
    }

    /// How many of the parts that must hold do, in thousandths.
    fn share<S: Source>(&self, event: &S, ruleset: &Ruleset, scratch: &mut Scratch) -> usize {
        match self {
            Self::And(parts) => {
                let shares = parts.iter().map(|part| part.share(event, ruleset, scratch));
                shares.sum::<usize>() / parts.len().max(1)
            }
            Self::Macro { body, .. } => body.share(event, ruleset, scratch),
            other => 1000 * usize::from(other.holds(event, ruleset, scratch)),
        }
    }

    /// True for what every event decides alike, as `evt.num = 0` in macros that are to be replaced.
    fn is_constant(&self, ruleset: &Ruleset) -> bool {
        let mut is_constant = true;
        self.checks(&mut |check, _| is_constant &= index::is_constant(ruleset.program(), check));
        is_constant
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
    pub fn missing(&self, rule: &Rule, ruleset: &Ruleset) -> Vec<(String, bool)> {
        let mut missing = Vec::new();
        rule.outline().checks(&mut |check, text| {
            if index::is_constant(ruleset.program(), check) {
                return;
            }
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
