//! Rules together: definitions that change, matching, selection, what was counted.

use super::*;
use crate::rules::options::{Matching, Selection, Which};

const TWO: &str = "\
- rule: First
  desc: d
  condition: evt.type in (open, openat) and fd.name startswith /etc
  output: o
  priority: INFO
  tags: [a, b]
- rule: Second
  desc: d
  condition: evt.type = openat and fd.name startswith /
  output: o
  priority: DEBUG
  tags: [b]
- rule: Third
  desc: d
  condition: evt.type = execve
  output: o
  priority: ERROR
  enabled: false
";

/// The rules that an event matches.
fn matched(ruleset: &Ruleset, json: &str) -> Vec<String> {
    let mut names = Vec::new();
    ruleset
        .evaluate(&event(json), &mut ruleset.scratch(), |rule| names.push(rule.name.to_string()));
    names
}

const SHADOW: &str = r#"{"evt.type": "openat", "fd.name": "/etc/shadow"}"#;
const EXEC: &str = r#"{"evt.type": "execve"}"#;

#[test]
fn all_rules_match_unless_the_first_hides_them() {
    assert_eq!(matched(&ruleset(TWO), SHADOW), ["First", "Second"]);
    let options = Options { matching: Matching::First, ..Options::default() };
    assert_eq!(matched(&load_with(TWO, &options).ruleset.unwrap(), SHADOW), ["First"]);
}

#[test]
fn rules_are_selected_by_name_and_tag() {
    let select = |selections: &[(bool, Which)]| {
        let selections = selections.iter().cloned().map(|(enable, which)| {
            if enable { Selection::Enable(which) } else { Selection::Disable(which) }
        });
        let options = Options { selections: selections.collect(), ..Options::default() };
        load_with(TWO, &options).ruleset.unwrap()
    };
    let tag = |tag: &str| Which::Tag(tag.to_owned());
    let name = |name: &str| Which::Rule(name.to_owned());
    assert_eq!(matched(&select(&[(false, tag("b"))]), SHADOW), Vec::<String>::new());
    assert_eq!(matched(&select(&[(false, tag("b")), (true, name("F*"))]), SHADOW), ["First"]);
    assert_eq!(matched(&select(&[(true, name("*"))]), EXEC), ["Third"]);
    assert_eq!(matched(&ruleset(TWO), EXEC), Vec::<String>::new());
}

#[test]
fn less_urgent_rules_are_not_loaded() {
    let options = Options { minimum_priority: Priority::Informational, ..Options::default() };
    assert_eq!(matched(&load_with(TWO, &options).ruleset.unwrap(), SHADOW), ["First"]);
}

#[test]
fn event_types_are_those_that_a_rule_can_match() {
    let wanted = |condition: &str| {
        let yaml = format!(
            "- rule: R\n  desc: d\n  condition: {condition}\n  output: o\n  priority: INFO\n"
        );
        ruleset(&yaml).event_types().collect::<Vec<_>>()
    };
    assert_eq!(wanted("evt.type in (open, openat) and proc.name = x"), ["open", "openat"]);
    assert_eq!(
        wanted("evt.type = open or (evt.type = connect and fd.port = 1)"),
        ["open", "connect"]
    );
    assert_eq!(wanted("evt.type = open and evt.type = connect"), Vec::<&str>::new());
    assert_eq!(
        wanted(
            "evt.type != open and syscall.type exists and evt.type in (open, setns, connect, oom) and not evt.type = connect"
        ),
        ["setns"]
    );
    assert_eq!(wanted("evt.type = open and evt.num = 0"), Vec::<&str>::new());
    assert_eq!(
        wanted("evt.type startswith open"),
        ["open", "openat", "openat2", "open_by_handle_at", "open_tree", "open_tree_attr"]
    );
}

#[test]
fn what_is_tried_and_matched_is_counted() {
    let ruleset = ruleset(TWO);
    for json in
        [SHADOW, SHADOW, r#"{"evt.type": "open", "fd.name": "/tmp/x"}"#, r#"{"evt.type": "close"}"#]
    {
        matched(&ruleset, json);
    }
    let counts: Vec<(u64, u64)> =
        ruleset.evaluated().into_iter().map(|(rule, tried)| (tried, rule.matched())).collect();
    // A type that no rule names is tried whole.
    assert_eq!(counts, [(4, 2), (3, 2), (0, 0)]);
}

#[test]
fn changes_change_what_matches() {
    let yaml = "\
- list: names
  items: [a]
- macro: named
  condition: proc.name in (names)
- rule: R
  desc: d
  condition: evt.type = open and named
  output: one
  priority: INFO
  tags: [x]
  exceptions:
    - {name: e, fields: [fd.name, proc.pid], comps: [startswith, '>'], values: [[/tmp, 10]]}
- rule: Other
  desc: d
  condition: evt.type = open and proc.name = other
  output: o
  priority: INFO
- list: names
  items: [b]
  override: {items: append}
- macro: named
  condition: or proc.name = c
  override: {condition: append}
- rule: R
  output: two
  tags: [a]
  exceptions:
    - {name: e, values: [[/var, 20]]}
  override: {output: append, tags: append, exceptions: append}
- rule: Other
  desc: d
  condition: evt.type = open and proc.name = b
  output: o
  priority: INFO
";
    let ruleset = ruleset(yaml);
    let open = |name: &str, path: &str, pid: u32| {
        let json = format!(
            r#"{{"evt.type":"open","proc.name":"{name}","fd.name":"{path}","proc.pid":{pid}}}"#
        );
        matched(&ruleset, &json)
    };
    assert_eq!(open("a", "/x", 1), ["R"]);
    assert_eq!(open("b", "/x", 1), ["R", "Other"]);
    assert_eq!(open("c", "/x", 1), ["R"]);
    assert_eq!(open("other", "/x", 1), Vec::<String>::new());
    assert_eq!(open("a", "/tmp/x", 11), Vec::<String>::new());
    assert_eq!(open("a", "/tmp/x", 10), ["R"]);
    assert_eq!(open("a", "/var/x", 21), Vec::<String>::new());
    let rule = ruleset.rule("R").unwrap();
    assert_eq!((&*rule.output, &*rule.tags), ("one two", &["a".to_owned(), "x".to_owned()][..]));
}

#[test]
fn many_events_do_not_mix() {
    let ruleset = ruleset(TWO);
    let mut scratch = ruleset.scratch();
    let events = [(SHADOW, 2), (EXEC, 0), (r#"{"evt.type": "openat", "fd.name": "x"}"#, 0)];
    for round in 0..1000 {
        let (json, expected) = events[round % events.len()];
        let mut count = 0;
        ruleset.evaluate(&event(json), &mut scratch, |_| count += 1);
        assert_eq!(count, expected, "round {round}");
    }
}

/// Rules by what they require, many of them, of every form that is looked up.
fn guarded() -> String {
    let conditions = [
        "evt.type = openat and fd.name startswith /etc",
        "evt.type = openat and fd.name = /etc/shadow",
        "evt.type in (open, openat) and (fd.name in (/etc/passwd, /x) or proc.name = cat)",
        "evt.type = openat and fd.name startswith anyof (/usr, /etc/sh)",
        "evt.type = openat and fd.name startswith oneof (/etc, /etc/sh)",
        "evt.type = openat and not fd.name startswith /etc",
        "evt.type = openat and proc.name = cat and fd.name contains shadow",
        "evt.type = openat and fd.name = \"\"",
        "evt.type = openat and fd.name startswith \"\"",
        "evt.type = openat and (proc.name = cat or fd.name endswith w)",
        "evt.type = openat and fd.directory in (/etc, /usr)",
        "evt.type = execve and proc.name in (cat, sh)",
        "proc.name = cat",
        "evt.type = openat and (fd.name = /x or (proc.name = cat and (fd.directory = /etc and fd.name != /x)))",
        "evt.type = openat and ((proc.name = cat and fd.name startswith /etc) or (proc.name = cat and fd.name = /x))",
        "(evt.type = open and proc.name = cat) or (evt.type in (open, openat) and proc.name = cat and fd.name = /x)",
        "evt.type = openat and fd.directory = /etc and proc.name != sh and not (proc.name = cat and fd.name = /etc/shadow)",
        "evt.type = openat and fd.directory = /etc and proc.name != sh and fd.name contains a",
        "evt.type = openat and fd.directory = /etc and proc.name != sh and fd.name = /x",
        "evt.type = openat and fd.directory = /etc and proc.name != sh and fd.name startswith /x",
    ];
    let rules = conditions.iter().enumerate().map(|(number, condition)| {
        format!("- rule: R{number}\n  desc: d\n  condition: {condition}\n  output: o\n  priority: INFO\n")
    });
    rules.collect()
}

#[test]
fn looking_rules_up_finds_those_that_match() {
    let ruleset = ruleset(&guarded());
    let mut scratch = ruleset.scratch();
    let mut found = 0;
    for event_type in ["openat", "open", "execve", "close"] {
        for name in ["cat", "sh", "x"] {
            for path in ["", "/etc/shadow", "/etc/passwd", "/usr/x", "/x", "/e"] {
                let json = format!(
                    r#"{{"evt.type":"{event_type}","proc.name":"{name}","fd.name":"{path}","fd.directory":"/etc"}}"#
                );
                let event = event(&json);
                let mut matched = Vec::new();
                ruleset.evaluate(&event, &mut scratch, |rule| matched.push(rule.name.to_string()));
                let mut holds =
                    |rule: &&Rule| ruleset.program().evaluate(rule.node(), &event, &mut scratch);
                let expected: Vec<_> = ruleset
                    .rules()
                    .iter()
                    .filter(&mut holds)
                    .map(|rule| rule.name.to_string())
                    .collect();
                assert_eq!(matched, expected, "{json}");
                found += matched.len();
            }
        }
    }
    assert!(found > 100);
}
