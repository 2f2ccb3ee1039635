//! What is pushed down, for people.

use std::fmt;

use sensor_common::filter::{Flags, Look, Number};

use crate::fields::names;
use crate::rules::pushdown::Pushdown;
use crate::rules::pushdown::host::{field_of_flags, field_of_look, field_of_number};
use crate::rules::pushdown::intervals::Intervals;
use crate::rules::pushdown::lower::index_of;
use crate::rules::pushdown::terms::{Of, Term, Terms, Test};

/// Texts of one set that are shown.
const TEXTS_SHOWN: usize = 6;

impl Pushdown {
    /// What one rule asks for, when it can match events of this type.
    pub fn of_rule(&self, rule: &str) -> Option<&dyn fmt::Display> {
        let (_, terms) = self.rules.iter().find(|(own, _)| own == rule)?;
        Some(terms)
    }

    /// How many rules can match events of this type.
    pub fn rules(&self) -> usize {
        self.rules.len()
    }

    /// The guessed share of events that leaves the kernel.
    pub fn share(&self) -> f64 {
        if index_of(self.event_type).is_none() { 1.0 } else { self.terms.share() }
    }
}

/// Without the name of its event type: types of which the rules ask the same are shown together.
impl fmt::Display for Pushdown {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.rules.len();
        writeln!(
            out,
            "{}",
            if count == 1 { "1 rule".to_owned() } else { format!("{count} rules") }
        )?;
        if index_of(self.event_type).is_none() {
            return writeln!(
                out,
                "  all of them leave the kernel: more than rules depends on them"
            );
        }
        write!(out, "{}", self.terms)?;
        if let Some((rule, share)) = self.widest() {
            writeln!(out, "  widest: `{rule}`, at a guess {:.1} % of such events", share * 100.0)?;
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
        let not = |inverted: bool| if inverted { "not " } else { "" };
        match &self.of {
            Of::Number(number, numbers) => {
                write!(out, "{} {}", field_of_number(*number), number_text(*number, numbers))?;
            }
            Of::Flags { flags, bits, inverted } => {
                let bits = bits_text(*flags, *bits);
                write!(out, "{}{} has {bits}", not(*inverted), field_of_flags(*flags))?;
            }
            Of::Texts { look, texts, inverted } => {
                write!(out, "{}{}", not(*inverted), field_of_look(*look))?;
                let texts = texts.iter().map(|text| &**text).collect::<Vec<_>>();
                out.write_str(&match look {
                    Look::Path => paths(texts),
                    Look::Ending => endings(&texts),
                    _ => list("in", &texts),
                })?;
            }
            Of::Networks { look, networks, inverted } => {
                write!(out, "{}{}", not(*inverted), field_of_look(*look))?;
                let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
                let networks: Vec<&[u8]> = networks.iter().map(String::as_bytes).collect();
                out.write_str(&list("in", &networks))?;
            }
        }
        let often = matches!(
            self.of,
            Of::Number(Number::Result | Number::FileType | Number::Descriptor, _)
        );
        if self.absent && often { out.write_str(" (or null)") } else { Ok(()) }
    }
}

/// Whole paths, and what others begin with.
fn paths(texts: Vec<&[u8]>) -> String {
    let (whole, beginnings): (Vec<&[u8]>, Vec<&[u8]>) =
        texts.into_iter().partition(|text| text.ends_with(b"\0"));
    let whole: Vec<&[u8]> =
        whole.into_iter().map(|text| text.strip_suffix(b"\0").unwrap_or(text)).collect();
    match (whole.len(), beginnings.len()) {
        (_, 0) => list("in", &whole),
        (0, _) => list("startswith", &beginnings),
        _ => list("in", &whole) + " or" + &list("startswith", &beginnings),
    }
}

/// They are kept turned round.
fn endings(texts: &[&[u8]]) -> String {
    let turned = texts.iter().map(|text| text.iter().rev().copied().collect());
    let turned: Vec<Vec<u8>> = turned.collect();
    list("endswith", &turned.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

fn list(verb: &str, texts: &[&[u8]]) -> String {
    let more = texts.len().saturating_sub(TEXTS_SHOWN);
    let shown = texts.iter().take(TEXTS_SHOWN).map(|text| text.escape_ascii().to_string());
    let mut shown: Vec<String> = shown.collect();
    if more > 0 {
        shown.push(format!("{more} more"));
    }
    format!(" {verb} ({})", shown.join(", "))
}

fn number_text(number: Number, numbers: &Intervals) -> String {
    let all: Vec<(i64, i64)> = numbers.iter().collect();
    match (number, &*all) {
        (Number::InContainer, [(0, 0)]) => "= host".to_owned(),
        (Number::InContainer, [(1, 1)]) => "!= host".to_owned(),
        (Number::OpenRead | Number::OpenWrite | Number::OpenExec, [(0, 0)]) => "= false".to_owned(),
        (Number::OpenRead | Number::OpenWrite | Number::OpenExec, [(1, 1)]) => "= true".to_owned(),
        (Number::Climbs, [(1, i64::MAX)]) => "contains ..".to_owned(),
        (Number::Climbs, [(count, i64::MAX)]) => format!("contains .. {count} times"),
        (Number::FileType, _) => characters(&all),
        (Number::Result, _) => all.iter().map(result).collect::<Vec<_>>().join(" or "),
        _ => all.iter().map(interval).collect::<Vec<_>>().join(" or "),
    }
}

/// A number's interval.
fn interval((low, high): &(i64, i64)) -> String {
    match (*low, *high) {
        (low, high) if low == high => low.to_string(),
        (i64::MIN, i64::MAX) => "any".to_owned(),
        (i64::MIN, high) => format!("≤ {high}"),
        (low, i64::MAX) => format!("≥ {low}"),
        (low, high) => format!("{low} to {high}"),
    }
}

/// The same, where an error has a name.
fn result(one: &(i64, i64)) -> String {
    let (low, high) = *one;
    if low != high || low >= 0 {
        return interval(one);
    }
    let mut name = Vec::new();
    names::errno(low.unsigned_abs(), &mut name);
    String::from_utf8_lossy(&name).into_owned()
}

/// Numbers of bytes as the characters that they are.
fn characters(numbers: &[(i64, i64)]) -> String {
    let one = |(low, high): &(i64, i64)| {
        u8::try_from(*low).ok().filter(|_| low == high).map(|byte| char::from(byte).to_string())
    };
    match numbers.iter().map(one).collect::<Option<Vec<String>>>() {
        Some(own) => format!("in ({})", own.join(", ")),
        None => numbers.iter().map(interval).collect::<Vec<_>>().join(" or "),
    }
}

/// The names of the bits, any of which is asked for.
fn bits_text(flags: Flags, bits: u64) -> String {
    let name = |bit: u32| {
        let mut name = Vec::new();
        let bit = 1_u64 << bit;
        let is_known = match flags {
            Flags::Open => super::check::flags_with(bit, &mut name),
            Flags::Effective | Flags::Permitted => super::check::capabilities_with(bit, &mut name),
        };
        if is_known { String::from_utf8_lossy(&name).into_owned() } else { format!("{bit:#x}") }
    };
    let names: Vec<String> = (0..u64::BITS).filter(|bit| bits >> bit & 1 != 0).map(name).collect();
    if names.is_empty() { "none of any".to_owned() } else { names.join(" or ") }
}
