//! `sensor rules explain`: a rule's condition as a tree, with the value of each part for an event.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::rules::{FAILED, Outcome, eval, load_valid, wrong_use};
use crate::fields::object::ObjectEvent;
use crate::rules::Ruleset;
use crate::rules::error::did_you_mean;
use crate::rules::outline::Outline;
use crate::rules::program::Scratch;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the rule
    rule: String,
    /// The event: a flat JSON object of field names
    #[arg(long, short)]
    event: String,
    /// Rules files or directories; the shipped ruleset when none is given
    #[arg(long, short)]
    rules: Vec<PathBuf>,
}

pub(super) fn run(args: &Args) -> Outcome {
    let ruleset = match load_valid(&args.rules)? {
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
    let mut tree = Tree { ruleset: &ruleset, event: &event, scratch: &mut scratch };
    let held = rule.outline().holds(&event, &ruleset, tree.scratch);
    println!("{held:<5} {}", rule.name);
    tree.print(rule.outline(), 1);
    if held {
        println!("output: {}", rule.render(&event).message);
    }
    Ok(ExitCode::SUCCESS)
}

struct Tree<'a> {
    ruleset: &'a Ruleset,
    event: &'a ObjectEvent,
    scratch: &'a mut Scratch,
}

impl Tree<'_> {
    fn print(&mut self, outline: &Outline, depth: usize) {
        let held = outline.holds(self.event, self.ruleset, self.scratch);
        let indent = "  ".repeat(depth);
        match outline {
            Outline::Check { text, .. } => println!("{held:<5} {indent}{text}"),
            Outline::Macro { name, body } => {
                println!("{held:<5} {indent}macro {name}");
                self.print(body, depth + 1);
            }
            Outline::Not(inner) => {
                println!("{held:<5} {indent}not");
                self.print(inner, depth + 1);
            }
            Outline::And(parts) => self.print_all("all of", held, parts, depth),
            Outline::Or(parts) => self.print_all("any of", held, parts, depth),
        }
    }

    fn print_all(
        &mut self,
        title: &str,
        held: bool,
        parts: &[std::sync::Arc<Outline>],
        depth: usize,
    ) {
        println!("{held:<5} {}{title}", "  ".repeat(depth));
        for part in parts {
            self.print(part, depth + 1);
        }
    }
}
