//! `sensor rules explain`: a rule's condition as a tree, with the value of each part for an event.

use std::fmt::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use crate::cli::rules::{FAILED, Outcome, RulesetArgs, eval, print, wrong_use};
use crate::fields::near::did_you_mean;
use crate::fields::object::ObjectEvent;
use crate::rules::Ruleset;
use crate::rules::outline::Outline;
use crate::rules::program::Scratch;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Name of the rule
    rule: String,
    /// The event: a flat JSON object of field names
    #[arg(long, short)]
    event: String,
    #[command(flatten)]
    ruleset: RulesetArgs,
}

pub(super) fn run(args: &Args) -> Outcome {
    let ruleset = match args.ruleset.load_valid()? {
        Ok(ruleset) => ruleset,
        Err(code) => return Ok(code),
    };
    let Some(rule) = ruleset.rule(&args.rule) else {
        let known = ruleset.rules().iter().map(|rule| &*rule.name);
        let hint = did_you_mean(&args.rule, known).unwrap_or_default();
        eprintln!("error: no rule is called `{}`; {hint}", args.rule);
        return Ok(FAILED);
    };
    let event = match eval::event(&args.event) {
        Ok(event) => event,
        Err(message) => {
            eprintln!("error: {message}");
            return Ok(wrong_use());
        }
    };
    let mut scratch = ruleset.scratch();
    scratch.next_event();
    let mut tree =
        Tree { ruleset: &ruleset, event: &event, scratch: &mut scratch, out: String::new() };
    let held = rule.outline().holds(&event, &ruleset, tree.scratch);
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
            Outline::Check { text, .. } => (text.to_string(), &[]),
            Outline::Macro { name, body } => (format!("macro {name}"), std::slice::from_ref(body)),
            Outline::Not(inner) => ("not".to_owned(), std::slice::from_ref(inner)),
            Outline::And(parts) => ("all of".to_owned(), parts),
            Outline::Or(parts) => ("any of".to_owned(), parts),
        };
        writeln!(self.out, "{held:<5} {}{title}", "  ".repeat(depth))?;
        parts.iter().try_for_each(|part| self.add(part, depth + 1))
    }
}
