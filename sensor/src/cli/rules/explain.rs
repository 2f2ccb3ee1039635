//! `sensor rules explain`: a rule's condition as a tree, with the value of each part for an event,
//! and what the event has of each field;
//! without an event, what could be decided in the kernel.

use std::fmt::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use crate::cli::rules::{FAILED, Outcome, RulesetArgs, eval, print, wrong_use};
use crate::fields::json;
use crate::fields::near::did_you_mean;
use crate::fields::object::ObjectEvent;
use crate::rules::outline::Outline;
use crate::rules::program::{CheckId, ColumnId, ColumnKind, Comparison, Scratch};
use crate::rules::pushdown::Pushdown;
use crate::rules::{Rule, Ruleset};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Name of the rule; without it, what all rules together ask of each event type
    rule: Option<String>,
    /// The event: a flat JSON object of field names
    #[arg(long, short, requires = "rule")]
    event: Option<String>,
    /// Only what can be asked of events of this type before they leave the kernel
    #[arg(long, value_name = "NAME", conflicts_with = "event")]
    event_type: Option<String>,
    #[command(flatten)]
    ruleset: RulesetArgs,
}

pub(super) fn run(args: &Args) -> Outcome {
    let ruleset = match args.ruleset.load_valid()? {
        Ok(ruleset) => ruleset,
        Err(code) => return Ok(code),
    };
    let rule = args.rule.as_deref().map(|name| (name, ruleset.rule(name)));
    if let Some((name, None)) = rule {
        let known = ruleset.rules().iter().map(|rule| &*rule.name);
        let hint = did_you_mean(name, known).unwrap_or_default();
        eprintln!("error: no rule is called `{name}`; {hint}");
        return Ok(FAILED);
    }
    let rule = rule.and_then(|(_, rule)| rule);
    match (rule, &args.event) {
        (Some(rule), Some(event)) => tree(&ruleset, rule, event),
        _ => pushed_down(&ruleset, rule, args.event_type.as_deref()),
    }
}

/// What can be asked of events before they leave the kernel.
fn pushed_down(ruleset: &Ruleset, rule: Option<&Rule>, event_type: Option<&str>) -> Outcome {
    let is_wanted = |own: &str| event_type.is_none_or(|wanted| wanted == own);
    // Types of which the same is asked stand together.
    let mut shown: Vec<(Vec<&str>, String)> = Vec::new();
    for pushdown in Pushdown::of(ruleset).iter().filter(|one| is_wanted(one.event_type)) {
        let text = match rule {
            None => pushdown.to_string(),
            Some(rule) => match pushdown.of_rule(&rule.name) {
                Some(terms) => format!("what leaves the kernel\n{terms}"),
                None => continue,
            },
        };
        match shown.iter_mut().find(|(_, known)| *known == text) {
            Some((types, _)) => types.push(pushdown.event_type),
            None => shown.push((vec![pushdown.event_type], text)),
        }
    }
    let mut out = String::new();
    for (types, text) in &shown {
        writeln!(out, "{}: {text}", types.join(", "))?;
    }
    if out.is_empty() {
        out.push_str("no such event is wanted: none leaves the kernel\n");
    }
    print(&out)?;
    Ok(ExitCode::SUCCESS)
}

fn tree(ruleset: &Ruleset, rule: &Rule, event: &str) -> Outcome {
    let event = match eval::event(event) {
        Ok(event) => event,
        Err(message) => {
            eprintln!("error: {message}");
            return Ok(wrong_use());
        }
    };
    let mut scratch = ruleset.scratch();
    scratch.next_event();
    let mut tree = Tree { ruleset, event: &event, scratch: &mut scratch, out: String::new() };
    let held = rule.outline().holds(&event, ruleset, tree.scratch);
    writeln!(tree.out, "{held:<5} {}", rule.name)?;
    tree.add(rule.outline(), 1)?;
    let mut out = tree.out;
    if held {
        writeln!(out, "output: {}", rule.render(&event).message)?;
    }
    print(&out)?;
    Ok(ExitCode::SUCCESS)
}

struct Tree<'a> {
    ruleset: &'a Ruleset,
    event: &'a ObjectEvent,
    scratch: &'a mut Scratch,
    out: String,
}

impl Tree<'_> {
    fn add(&mut self, outline: &Outline, depth: usize) -> fmt::Result {
        let held = outline.holds(self.event, self.ruleset, self.scratch);
        let (title, parts): (_, &[Arc<Outline>]) = match outline {
            Outline::Check { check, text } => (format!("{text}  ← {}", self.values(*check)), &[]),
            Outline::Macro { name, body } => (format!("macro {name}"), std::slice::from_ref(body)),
            Outline::Not(inner) => ("not".to_owned(), std::slice::from_ref(inner)),
            Outline::And(parts) => ("all of".to_owned(), parts),
            Outline::Or(parts) => ("any of".to_owned(), parts),
        };
        writeln!(self.out, "{held:<5} {}{title}", "  ".repeat(depth))?;
        parts.iter().try_for_each(|part| self.add(part, depth + 1))
    }

    /// What the event has of what a check compares.
    fn values(&mut self, check: CheckId) -> String {
        let check = &self.ruleset.program().checks[check];
        let left = self.value(check.column);
        match check.comparison {
            Comparison::Column(_, right) => format!("{left}, {}", self.value(right)),
            _ => left,
        }
    }

    fn value(&mut self, column: ColumnId) -> String {
        let program = self.ruleset.program();
        let value = match &program.columns[column].kind {
            ColumnKind::Field(operand) => json::json(operand, self.event),
            ColumnKind::Call(_) => {
                program.fill(column, self.event, self.scratch);
                let mut values = Vec::new();
                self.scratch.slot(column).any(|value| {
                    values.push(json::to_json(value));
                    false
                });
                if values.len() > 1 { values.into() } else { values.pop().unwrap_or_default() }
            }
        };
        if value.is_null() { "absent".to_owned() } else { value.to_string() }
    }
}
