//! `append` and `override`: what an item does to an earlier one of the same name, key by key.

use crate::fields::near::did_you_mean;
use crate::rules::error::Code;
use crate::rules::file::{EntryKind, Keys, Reading};
use crate::rules::text::Place;

/// What happens to one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Append,
    Replace,
}

const APPENDABLE: &[&str] = &["condition", "output", "desc", "tags", "exceptions", "items"];

/// What `append` and `override` ask for; `None` when they are wrong.
pub fn changes(reading: &mut Reading<'_>) -> Option<Vec<(String, Change)>> {
    let keys = reading.entry.keys.clone();
    let append = keys.get("append").is_some() && reading.boolean("append")?;
    let place = reading.entry.place.clone();
    if keys.get("append").is_some() {
        let message = "'append' key is deprecated. Add an 'append' entry (e.g. 'condition: append') under 'override' instead.";
        reading.findings.push(reading.entry.finding(Code::DeprecatedItem, place.clone(), message));
    }
    let Some(overrides) = keys.get("override") else {
        return if append { appended_keys(reading) } else { Some(Vec::new()) };
    };
    if append {
        reading.fail(place, "Keys 'override' and 'append: true' cannot be used together. Add an 'append' entry (e.g. 'condition: append') under 'override' instead.");
        return None;
    }
    let Some(overrides) = Keys::of(overrides) else {
        reading.fail(
            overrides.place.clone(),
            "Value is not a mapping of keys to 'append' or 'replace'",
        );
        return None;
    };
    let mut changes = Vec::new();
    for (key, place) in overrides.names() {
        changes.push((key.to_owned(), change(reading, &overrides, key, place)?));
    }
    for (key, place) in keys.names() {
        let is_own = key == reading.entry.kind.item() || key == "override" || key == "append";
        if !is_own && overrides.get(key).is_none() {
            reading.fail(
                place.clone(),
                format!(
                    "Unexpected key '{key}': no corresponding entry under 'override' is defined."
                ),
            );
            return None;
        }
    }
    Some(changes)
}

fn change(reading: &mut Reading<'_>, overrides: &Keys, key: &str, place: &Place) -> Option<Change> {
    const REPLACEABLE: &[&str] = &[
        "priority",
        "enabled",
        "warn_evttypes",
        "skip-if-unknown-filter",
        "capture",
        "capture_duration",
    ];
    let text =
        overrides.get(key).and_then(|node| node.scalar()).map(|scalar| scalar.text.text.as_str());
    let appendable = APPENDABLE.contains(&key);
    if !appendable && !REPLACEABLE.contains(&key) {
        let message = format!("Key '{key}' cannot be overridden");
        let mut finding = reading.entry.finding(Code::YamlValidate, place.clone(), message);
        finding.hint = did_you_mean(key, APPENDABLE.iter().chain(REPLACEABLE));
        reading.findings.push(finding);
        return None;
    }
    let change = match text {
        Some("append") if !appendable => {
            reading.fail(
                place.clone(),
                format!("Key '{key}' cannot be appended to, use 'replace' instead"),
            );
            return None;
        }
        Some("append") => Change::Append,
        Some("replace") => Change::Replace,
        _ => {
            reading.fail(
                place.clone(),
                format!(
                    "Invalid override operation for key '{key}': expected 'append' or 'replace'"
                ),
            );
            return None;
        }
    };
    if reading.entry.keys.get(key).is_none() {
        let operation = if change == Change::Append { "append" } else { "replace" };
        reading.fail(
            place.clone(),
            format!("An {operation} override for '{key}' was specified but '{key}' is not defined"),
        );
        return None;
    }
    Some(change)
}

/// What the deprecated `append: true` adds to.
fn appended_keys(reading: &mut Reading<'_>) -> Option<Vec<(String, Change)>> {
    let candidates: &[&str] = match reading.entry.kind {
        EntryKind::Rule => &["condition", "exceptions"],
        EntryKind::Macro => &["condition"],
        _ => &["items"],
    };
    let present: Vec<_> = candidates
        .iter()
        .filter(|key| reading.entry.keys.get(key).is_some())
        .map(|key| ((*key).to_owned(), Change::Append))
        .collect();
    if present.is_empty() {
        let place = reading.entry.place.clone();
        let message = match reading.entry.kind {
            EntryKind::Rule => {
                "Appended rule must have exceptions or condition property".to_owned()
            }
            _ => format!("Item has no mapping for key '{}'", candidates[0]),
        };
        reading.findings.push(reading.entry.finding(Code::Validate, place, message));
        return None;
    }
    Some(present)
}

/// The error of a change to something that does not exist.
pub fn no_base(kind: &str, changes: &[(String, Change)]) -> String {
    let title = match kind {
        "rule" => "Rule",
        "macro" => "Macro",
        _ => "List",
    };
    match changes.first() {
        Some((key, Change::Replace)) => format!(
            "An 'override.{key}: replace' to a {kind} was requested but no {kind} by that name already exists"
        ),
        Some((key, Change::Append)) => format!(
            "{title} uses 'append' or 'override.{key}: append' but no {kind} by that name already exists"
        ),
        None => format!("no {kind} by that name exists"),
    }
}
