//! Items of all files, in order → one definition for each name: `append`, `override`, redefinition.

use std::collections::HashMap;

use crate::fields::near::did_you_mean;
use crate::rules::changes::{Change, changes, no_base};
use crate::rules::error::{Code, Finding, Item};
use crate::rules::exceptions::{self, Exception};
use crate::rules::file::{Entry, EntryKind, Reading};
use crate::rules::lint;
use crate::rules::lists::List;
use crate::rules::priority::Priority;
use crate::rules::requirements;
use crate::rules::text::{Place, Text};

/// All definitions, merged.
#[derive(Debug, Default)]
pub struct Definitions {
    /// In the order of their first definitions.
    pub rules: Vec<RuleDefinition>,
    pub macros: HashMap<String, MacroDefinition>,
    pub lists: HashMap<String, ListDefinition>,
    /// Where in `rules` each name stands.
    numbers: HashMap<String, usize>,
}

#[derive(Debug)]
pub struct RuleDefinition {
    pub name: String,
    pub condition: Text,
    pub output: Text,
    pub desc: String,
    pub priority: Priority,
    pub source: String,
    pub enabled: bool,
    pub tags: Vec<String>,
    pub exceptions: Vec<Exception>,
    pub options: RuleOptions,
    pub item: Item,
    pub condition_place: Place,
}

impl RuleDefinition {
    /// A rule of a condition alone.
    pub fn of_condition(condition: Text) -> Self {
        let place = condition.place(0..condition.text.len());
        Self {
            name: "condition".to_owned(),
            condition,
            output: Text::default(),
            desc: String::new(),
            priority: Priority::Debug,
            source: "syscall".to_owned(),
            enabled: true,
            tags: Vec::new(),
            exceptions: Vec::new(),
            options: RuleOptions {
                warn_event_types: false,
                skip_if_unknown_filter: false,
                capture: false,
                capture_duration_ms: 0,
            },
            item: Item { kind: "rule", name: "condition".to_owned(), place: place.clone() },
            condition_place: place,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct RuleOptions {
    pub warn_event_types: bool,
    pub skip_if_unknown_filter: bool,
    pub capture: bool,
    pub capture_duration_ms: u64,
}

#[derive(Debug)]
pub struct MacroDefinition {
    pub condition: Text,
    /// Where it was defined first, and where it was defined or changed last.
    pub first: usize,
    pub last: usize,
    pub item: Item,
}

#[derive(Debug)]
pub struct ListDefinition {
    pub list: List,
    pub item: Item,
}

/// Merges the entries of all files.
pub fn collect(entries: &[Entry], findings: &mut Vec<Finding>) -> Definitions {
    let mut definitions = Definitions::default();
    for (number, entry) in entries.iter().enumerate() {
        let mut reading = Reading { entry, findings };
        match entry.kind {
            EntryKind::Rule => definitions.rule(&mut reading),
            EntryKind::Macro => definitions.macro_(&mut reading, number),
            EntryKind::List => definitions.list(&mut reading),
            EntryKind::EngineVersion => requirements::engine_version(&mut reading),
            EntryKind::PluginVersions => requirements::plugin_versions(&mut reading),
        }
    }
    definitions
}

impl Definitions {
    fn rule(&mut self, reading: &mut Reading<'_>) {
        let Some(changes) = changes(reading) else { return };
        let keys = &reading.entry.keys;
        if !changes.is_empty() {
            self.change_rule(reading, &changes);
        } else if ["condition", "output", "desc", "priority"]
            .iter()
            .all(|key| keys.get(key).is_none())
        {
            self.toggle_rule(reading);
        } else {
            self.define_rule(reading);
        }
    }

    fn define_rule(&mut self, reading: &mut Reading<'_>) {
        let condition = reading.required("condition");
        let output = reading.required("output");
        let desc = reading.required("desc");
        let priority = priority(reading);
        let enabled = reading.boolean("enabled").unwrap_or(true);
        let tags = tags(reading);
        let exceptions = exceptions::read(reading, true);
        let options = RuleOptions {
            warn_event_types: reading.boolean("warn_evttypes").unwrap_or(true),
            skip_if_unknown_filter: reading.boolean("skip-if-unknown-filter").unwrap_or(false),
            capture: reading.boolean("capture").unwrap_or(false),
            capture_duration_ms: reading.number("capture_duration").unwrap_or(0),
        };
        let source = reading.text("source").map_or_else(|| "syscall".to_owned(), |text| text.text);
        let Some(condition) = condition else { return };
        // What else is wrong with the rule is said too: a rule that is not whole is not loaded.
        let (output, desc) = (output.unwrap_or_default(), desc.unwrap_or_default());
        let priority = priority.unwrap_or(Priority::Emergency);
        let name = reading.entry.name.text.clone();
        let item = reading.entry.item();
        let condition_place = key_place(reading.entry, "condition");
        let desc = desc.text;
        let rule = RuleDefinition {
            name,
            condition,
            output,
            desc,
            priority,
            source,
            enabled,
            tags,
            exceptions,
            options,
            item,
            condition_place,
        };
        match self.rule_named(&rule.name) {
            Some(known) if known.source != rule.source => {
                let place = reading.entry.place.clone();
                let message = "Rule has been re-defined with a different source";
                reading.findings.push(reading.entry.finding(Code::Validate, place, message));
            }
            Some(known) => *known = rule,
            None => {
                self.numbers.insert(rule.name.clone(), self.rules.len());
                self.rules.push(rule);
            }
        }
    }

    fn rule_named(&mut self, name: &str) -> Option<&mut RuleDefinition> {
        self.rules.get_mut(*self.numbers.get(name)?)
    }

    /// A rule of nothing but a name and `enabled`.
    fn toggle_rule(&mut self, reading: &mut Reading<'_>) {
        if reading.entry.keys.get("enabled").is_none() {
            let place = reading.entry.place.clone();
            reading.fail(place, "Item has no mapping for key 'enabled'");
            return;
        }
        let place = reading.entry.place.clone();
        let message = "The standalone 'enabled' key usage is deprecated. The correct approach requires also a 'replace' entry under the 'override' key (i.e. 'enabled: replace').";
        reading.findings.push(reading.entry.finding(Code::DeprecatedItem, place, message));
        let enabled = reading.boolean("enabled");
        let Some(rule) = self
            .known_rule(reading, "Rule has 'enabled' key, but no rule by that name already exists")
        else {
            return;
        };
        rule.enabled = enabled.unwrap_or(rule.enabled);
    }

    fn change_rule(&mut self, reading: &mut Reading<'_>, changes: &[(String, Change)]) {
        let message = no_base("rule", changes);
        let Some(rule) = self.known_rule(reading, &message) else { return };
        for (key, change) in changes {
            let append = *change == Change::Append;
            match key.as_str() {
                "condition" => {
                    if let Some(text) = reading.required(key) {
                        if append {
                            note_appended(&rule.condition, &text, reading);
                        }
                        change_text(&mut rule.condition, &text, append);
                        rule.condition_place = key_place(reading.entry, key);
                    }
                }
                "output" => {
                    if let Some(text) = reading.required(key) {
                        change_text(&mut rule.output, &text, append);
                    }
                }
                "desc" => {
                    if let Some(text) = reading.required(key) {
                        rule.desc =
                            if append { format!("{} {}", rule.desc, text.text) } else { text.text };
                    }
                }
                "tags" => {
                    let mut tags = tags(reading);
                    if append {
                        tags.append(&mut rule.tags);
                        tags.sort_unstable();
                        tags.dedup();
                    }
                    rule.tags = tags;
                }
                "exceptions" => {
                    let read = exceptions::read(reading, !append);
                    if append {
                        exceptions::append(&mut rule.exceptions, read, reading);
                    } else {
                        rule.exceptions = read;
                    }
                }
                _ => replace_option(rule, key, reading),
            }
        }
    }

    fn known_rule(
        &mut self,
        reading: &mut Reading<'_>,
        otherwise: &str,
    ) -> Option<&mut RuleDefinition> {
        let name = &reading.entry.name.text;
        let known = self.rule_named(name);
        if known.is_none() {
            let place = reading.entry.place.clone();
            reading.findings.push(reading.entry.finding(Code::Validate, place, otherwise));
        }
        known
    }

    fn macro_(&mut self, reading: &mut Reading<'_>, number: usize) {
        if !is_identifier(&reading.entry.name.text) {
            let message = "Macro has an invalid name. Macro names should match a regular expression: [a-zA-Z]+[a-zA-Z0-9_]*";
            warn_of_name(reading, Code::InvalidMacroName, message);
        }
        let Some(changes) = changes(reading) else { return };
        let Some(condition) = reading.required("condition") else { return };
        let name = reading.entry.name.text.clone();
        let item = reading.entry.item();
        if changes.is_empty() {
            let first = self.macros.get(&name).map_or(number, |known| known.first);
            self.macros.insert(name, MacroDefinition { condition, first, last: number, item });
            return;
        }
        let Some(known) = self.macros.get_mut(&name) else {
            fail_without_base(reading, "macro", &changes);
            return;
        };
        let append = changes.iter().any(|(_, change)| *change == Change::Append);
        if append {
            note_appended(&known.condition, &condition, reading);
        }
        change_text(&mut known.condition, &condition, append);
        known.last = number;
    }

    fn list(&mut self, reading: &mut Reading<'_>) {
        if reading
            .entry
            .name
            .text
            .contains(|char: char| char.is_whitespace() || "()\"'=,".contains(char))
        {
            let message = "List has an invalid name. List names should match a regular expression: [^()\"'[:space:]=,]+";
            warn_of_name(reading, Code::InvalidListName, message);
        }
        let Some(changes) = changes(reading) else { return };
        if reading.entry.keys.get("items").is_none() {
            reading.missing("items");
            return;
        }
        let Some(items) = reading.texts("items") else { return };
        let name = reading.entry.name.text.clone();
        let item = reading.entry.item();
        if changes.is_empty() {
            self.lists.insert(name, ListDefinition { list: List { items }, item });
            return;
        }
        let Some(known) = self.lists.get_mut(&name) else {
            fail_without_base(reading, "list", &changes);
            return;
        };
        if changes.iter().any(|(_, change)| *change == Change::Replace) {
            known.list.items.clear();
        }
        known.list.items.extend(items);
    }
}

fn warn_of_name(reading: &mut Reading<'_>, code: Code, message: &str) {
    let place = reading.entry.place.clone();
    reading.findings.push(reading.entry.finding(code, place, message));
}

fn fail_without_base(reading: &mut Reading<'_>, kind: &str, changes: &[(String, Change)]) {
    let place = reading.entry.place.clone();
    let message = no_base(kind, changes);
    reading.findings.push(reading.entry.finding(Code::Validate, place, message));
}

fn note_appended(condition: &Text, addition: &Text, reading: &mut Reading<'_>) {
    let note = lint::appended(condition, addition);
    let within = vec![reading.entry.item()];
    reading.findings.extend(note.map(|note| note.within(within)));
}

fn change_text(text: &mut Text, other: &Text, append: bool) {
    if append {
        text.append(other);
    } else {
        *text = other.clone();
    }
}

fn replace_option(rule: &mut RuleDefinition, key: &str, reading: &mut Reading<'_>) {
    let options = &mut rule.options;
    match key {
        "priority" => rule.priority = priority(reading).unwrap_or(rule.priority),
        "enabled" => rule.enabled = reading.boolean(key).unwrap_or(rule.enabled),
        "warn_evttypes" => {
            options.warn_event_types = reading.boolean(key).unwrap_or(options.warn_event_types);
        }
        "skip-if-unknown-filter" => {
            options.skip_if_unknown_filter =
                reading.boolean(key).unwrap_or(options.skip_if_unknown_filter);
        }
        "capture" => options.capture = reading.boolean(key).unwrap_or(options.capture),
        "capture_duration" => {
            options.capture_duration_ms =
                reading.number(key).unwrap_or(options.capture_duration_ms);
        }
        _ => {}
    }
}

fn priority(reading: &mut Reading<'_>) -> Option<Priority> {
    let text = reading.required("priority")?;
    let priority = Priority::named(&text.text);
    if priority.is_none() {
        let place = text.place(0..text.text.len());
        let mut finding = reading.entry.finding(Code::YamlValidate, place, "Invalid priority");
        let lower = text.text.to_lowercase();
        let begun = Priority::NAMES.iter().find(|name| name.to_lowercase().starts_with(&lower));
        let begun = begun.map(|name| format!("did you mean `{name}`?"));
        finding.hint = begun
            .or_else(|| did_you_mean(&lower, Priority::NAMES.map(str::to_lowercase)))
            .or_else(|| Some(format!("one of {}", Priority::NAMES.join(", "))));
        reading.findings.push(finding);
    }
    priority
}

/// Tags are a set: sorted, each once.
fn tags(reading: &mut Reading<'_>) -> Vec<String> {
    let texts = reading.texts("tags").unwrap_or_default();
    let mut tags: Vec<String> = texts.into_iter().map(|text| text.text).collect();
    tags.sort_unstable();
    tags.dedup();
    tags
}

fn key_place(entry: &Entry, key: &str) -> Place {
    entry.keys.get(key).map_or_else(|| entry.place.clone(), |node| node.place.clone())
}

fn is_identifier(name: &str) -> bool {
    name.starts_with(|char: char| char.is_ascii_alphabetic())
        && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_')
}
