//! What is pushed down, for people.

use std::collections::BTreeSet;
use std::fmt;

use sensor_common::filter::{Fact, How};

use crate::rules::pushdown::Pushdown;
use crate::rules::pushdown::lower::{field, interval};
use crate::rules::pushdown::terms::{Look, Term, Terms, Test};

/// Texts of one set that are shown.
const TEXTS_SHOWN: usize = 6;

impl Pushdown {
    /// What one rule asks for, when it can match events of this type.
    pub fn of_rule(&self, rule: &str) -> Option<&dyn fmt::Display> {
        let (_, terms) = self.rules.iter().find(|(own, _)| own == rule)?;
        Some(terms)
    }
}

impl fmt::Display for Pushdown {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.rules.len();
        let rules = if count == 1 { "1 rule".to_owned() } else { format!("{count} rules") };
        write!(out, "{}: {rules}\n{}", self.event_type, self.terms)?;
        if let Some((rule, share)) = self.widest() {
            let percent = share * 100.0;
            writeln!(out, "  widest: `{rule}`, about {percent:.1} % of such events")?;
        }
        Ok(())
    }
}

impl fmt::Display for Terms {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_everything() {
            writeln!(out, "  everything")?;
        }
        for term in self.any.iter().filter(|term| !term.0.is_empty()) {
            writeln!(out, "  {term}")?;
        }
        if self.widened {
            writeln!(out, "  more than the rules ask for: they are beyond the limits of a filter")?;
        }
        Ok(())
    }
}

impl fmt::Display for Term {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, test) in self.0.iter().enumerate() {
            if number > 0 {
                out.write_str(" and ")?;
            }
            write!(out, "{test}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Test {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.look {
            Look::Numbers(numbers) => {
                let numbers: Vec<String> = numbers.iter().map(interval).collect();
                let meaning = match (self.fact, &*numbers) {
                    (Fact::InContainer, [one]) if one == "0" => "= host".to_owned(),
                    (Fact::InContainer, [one]) if one == "1" => "!= host".to_owned(),
                    (Fact::OpenRead | Fact::OpenWrite | Fact::OpenExec, [one]) if one == "0" => {
                        "= false".to_owned()
                    }
                    (Fact::OpenRead | Fact::OpenWrite | Fact::OpenExec, [one]) if one == "1" => {
                        "= true".to_owned()
                    }
                    (Fact::FileType, _) => characters(&numbers),
                    _ => numbers.join(" or "),
                };
                write!(out, "{} {meaning}", field(self.fact, How::Whole))?;
            }
            Look::Bits { bits, inverted } => {
                let not = if *inverted { "not " } else { "" };
                write!(out, "{not}{} has any of {bits:#x}", field(self.fact, How::Whole))?;
            }
            Look::Texts { how, texts, inverted } => {
                let not = if *inverted { "not " } else { "" };
                let verb = match how {
                    How::Prefix => "startswith",
                    How::Suffix => "endswith",
                    _ => "in",
                };
                let texts = texts.iter().map(|text| text.escape_ascii().to_string());
                let list = shown(texts.collect());
                write!(out, "{not}{} {verb} ({list})", field(self.fact, *how))?;
            }
            Look::Networks { networks, inverted } => {
                let not = if *inverted { "not " } else { "" };
                let networks: BTreeSet<String> = networks.iter().map(ToString::to_string).collect();
                write!(out, "{not}{} in ({})", field(self.fact, How::Network), shown(networks))?;
            }
        }
        let often = matches!(self.fact, Fact::Result | Fact::FileType | Fact::Descriptor);
        if self.absent && often { out.write_str(" (or null)") } else { Ok(()) }
    }
}

fn shown(texts: BTreeSet<String>) -> String {
    let more = texts.len().saturating_sub(TEXTS_SHOWN);
    let mut list: Vec<String> = texts.into_iter().take(TEXTS_SHOWN).collect();
    if more > 0 {
        list.push(format!("{more} more"));
    }
    list.join(", ")
}

/// Numbers of bytes as the characters that they are.
fn characters(numbers: &[String]) -> String {
    let one = |number: &String| number.parse::<u8>().map(|byte| char::from(byte).to_string());
    let characters: Result<Vec<String>, _> = numbers.iter().map(one).collect();
    characters.map_or_else(|_| numbers.join(" or "), |own| format!("in ({})", own.join(", ")))
}
