use std::collections::HashMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Json};

use super::*;
use crate::fields::ArgumentForm;
use crate::fields::object::ObjectEvent;
use crate::rules::cases::{CaseFile, Coverage, Given, run_event};
use crate::rules::error::Severity;
use crate::rules::load::{Loaded, condition};
use crate::rules::options::Options;
use crate::rules::text::File;

mod compat;
mod loading;
mod matching;
mod bombs;
mod output;
mod random;

/// A file below the project's root.
fn in_project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn load(yaml: &str) -> Loaded {
    load_with(yaml, &Options::default())
}

fn load_with(yaml: &str, options: &Options) -> Loaded {
    Ruleset::load(vec![File { name: "rules.yaml".to_owned(), content: yaml.to_owned() }], options)
}

/// The ruleset of a text that must be right.
fn ruleset(yaml: &str) -> Ruleset {
    let loaded = load(yaml);
    let errors: Vec<String> = loaded.errors().map(|error| error.render(&loaded.files)).collect();
    loaded.ruleset.unwrap_or_else(|| panic!("{}", errors.join("\n")))
}

fn event(json: &str) -> ObjectEvent {
    let object: Map<String, Json> = serde_json::from_str(json).unwrap();
    ObjectEvent::from_json(&object).unwrap()
}

/// `true`, `false`, or `error` when the condition is refused.
fn answer(text: &str, event: &ObjectEvent) -> &'static str {
    let (ruleset, ..) = condition(text, Vec::new());
    let Some(ruleset) = ruleset else { return "error" };
    let mut held = false;
    ruleset.evaluate(event, &mut ruleset.scratch(), |_| held = true);
    if held { "true" } else { "false" }
}

/// Rows of `event, condition, answer` against a file of events; returns how many there were.
fn check_table(directory: &Path) -> usize {
    let events = fs::read_to_string(directory.join("events.json")).unwrap();
    let events: HashMap<String, Map<String, Json>> = serde_json::from_str(&events).unwrap();
    let events: HashMap<String, ObjectEvent> = events
        .into_iter()
        .map(|(name, object)| (name, ObjectEvent::from_json(&object).unwrap()))
        .collect();
    let table = fs::read_to_string(directory.join("conditions.tsv")).unwrap();
    let rows: Vec<&str> = table.lines().filter(|line| !line.starts_with('#')).collect();
    let wrong: Vec<String> = rows
        .iter()
        .filter_map(|row| {
            let mut columns = row.split('\t');
            let mut next = || columns.next().unwrap_or_else(|| panic!("three columns: {row}"));
            let (event, text, expected) = (next(), next(), next());
            let got = answer(text, &events[event]);
            (got != expected).then(|| format!("{event}: {text}: {got}, not {expected}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    rows.len()
}

#[test]
fn conditions_are_what_the_table_says() {
    assert!(check_table(&in_project("tests/rules")) > 200);
}

/// What lies beside the checkout where the cases that Falco answered are at hand. Without it the
/// test says that it was skipped; `cargo xtask test` counts that.
fn beside_the_checkout(test: &str, path: &str) -> Option<PathBuf> {
    let found = in_project("../shared").join(path);
    if found.exists() {
        return Some(found);
    }
    // Not `println!`, which the test harness keeps to itself.
    let note = format!("test {test} ... skipped: there is no ../shared/{path}\n");
    std::io::stdout().write_all(note.as_bytes()).unwrap();
    None
}

#[test]
fn conditions_are_what_falco_says() {
    let test = "rules::tests::conditions_are_what_falco_says";
    let Some(cases) = beside_the_checkout(test, "falco-cases") else { return };
    assert!(check_table(&cases) > 100);
}

#[test]
fn official_files_load_together() {
    let test = "rules::tests::official_files_load_together";
    let Some(directory) = beside_the_checkout(test, "falco-rules") else { return };
    let files = ["falco_rules.yaml", "falco-incubating_rules.yaml"].map(|name| File {
        name: name.to_owned(),
        content: fs::read_to_string(directory.join(name)).unwrap(),
    });
    let loaded = Ruleset::load(files.into(), &Options::default());
    let complaints: Vec<String> = loaded
        .findings
        .iter()
        .filter(|finding| finding.severity() != Severity::Lint)
        .map(|finding| finding.render(&loaded.files))
        .collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert_eq!(loaded.ruleset.unwrap().rules().len(), 56);
}

#[test]
fn shipped_rules_load_without_a_word() {
    let loaded = Ruleset::load(shipped::files(), &Options::default());
    let words: Vec<String> = loaded.findings.iter().map(|one| one.render(&loaded.files)).collect();
    assert!(words.is_empty(), "{}", words.join("\n"));
}

#[test]
fn every_file_of_the_shipped_rules_is_carried() {
    let carried: Vec<String> = shipped::files().into_iter().map(|file| file.name).collect();
    for entry in fs::read_dir(in_project("rules")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name.ends_with(".cases.yaml") || carried.contains(&name), "{name}");
    }
}

#[test]
fn every_shipped_rule_has_a_case_that_fires_and_one_that_does_not() {
    let ruleset = Ruleset::load(shipped::files(), &Options::default()).ruleset.unwrap();
    let mut coverage = Coverage::default();
    let mut scratch = ruleset.scratch();
    let mut quiet = 0;
    for file in shipped::files() {
        let path = in_project("rules").join(file.name.replace(".yaml", ".cases.yaml"));
        if file.name == "common.yaml" {
            continue;
        }
        let cases = CaseFile::parse(&fs::read_to_string(&path).unwrap()).unwrap();
        for case in &cases.cases {
            let Given::Event(event) = &case.given else { panic!("{}: an event", case.name) };
            let outcome = run_event(case, event, &ruleset, &mut scratch, &mut coverage);
            assert!(outcome.failures.is_empty(), "{}: {:?}", case.name, outcome.failures);
            quiet += usize::from(case.fires.is_empty());
        }
    }
    assert!(quiet >= ruleset.rules().len());
    for rule in ruleset.rules() {
        assert!(coverage.fired.contains(&*rule.name), "nothing fires {}", rule.name);
        let mut checks = 0;
        rule.outline().checks(&mut |_, _| checks += 1);
        // Not any event does, but one of a type that the rule is about, unless that is all of it.
        let in_vain = checks == 1 || coverage.quiet.contains(&*rule.name);
        assert!(in_vain, "nothing tries {} in vain", rule.name);
    }
}

/// Names, types and arguments as in Falco's own list: a rule that compiles there compiles here.
#[test]
fn every_field_of_falco_is_in_the_table() {
    let list = fs::read_to_string(in_project("tests/rules/fields.tsv")).unwrap();
    let rows: Vec<Vec<&str>> = list
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split('\t').collect())
        .collect();
    let mut wrong = Vec::new();
    for row in &rows {
        let [name, value_type, argument] = row[..] else { panic!("three columns: {row:?}") };
        let Some(field) = crate::fields::named(name) else {
            wrong.push(format!("{name} is not in the table"));
            continue;
        };
        let own = field.get.value_type().map_or("DYN", crate::fields::Type::falco_name);
        let own_argument = match field.argument {
            ArgumentForm::None => "none",
            ArgumentForm::OptionalIndex | ArgumentForm::OptionalKey => "optional",
            ArgumentForm::RequiredKey | ArgumentForm::Parameter | ArgumentForm::Dotted => {
                "required"
            }
        };
        if (own, own_argument) != (value_type, argument) {
            wrong.push(format!("{name}: {own} {own_argument}, not {value_type} {argument}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // 207 of the core, 6 more that are deprecated, 61 of the plugin.
    assert_eq!(rows.len(), 274);
}

#[test]
fn the_field_reference_is_in_step() {
    let page = fs::read_to_string(in_project("docs/fields.md")).unwrap();
    assert!(page == crate::fields::docs::markdown(), "docs/fields.md: run `cargo xtask docs`");
}
