//! Files that are made to be too much: each is read or refused in bounded time and depth.

use super::*;

fn rule(condition: &str) -> String {
    format!("- rule: R\n  desc: d\n  condition: {condition}\n  output: o\n  priority: INFO\n")
}

/// The messages of the errors.
fn errors(yaml: &str) -> Vec<String> {
    load(yaml).errors().map(|error| error.message.clone()).collect()
}

#[test]
fn a_long_list_loads() {
    let items: Vec<String> = (0..100_000).map(|number| format!("value-{number}")).collect();
    let yaml = format!(
        "- list: l\n  items: [{}]\n{}",
        items.join(", "),
        rule("evt.type = open and proc.name in (l)")
    );
    let ruleset = ruleset(&yaml);
    let mut matched = 0;
    let mut scratch = ruleset.scratch();
    ruleset.evaluate(
        &event(r#"{"evt.type":"open","proc.name":"value-99999"}"#),
        &mut scratch,
        |_| matched += 1,
    );
    ruleset.evaluate(&event(r#"{"evt.type":"open","proc.name":"value"}"#), &mut scratch, |_| {
        matched += 1;
    });
    assert_eq!(matched, 1);
    // Each item is a text of ten bytes in a hash set, and none is kept twice.
    let bytes = ruleset.memory();
    assert!((2_000_000..16_000_000).contains(&bytes), "{bytes}");
}

#[test]
fn nesting_is_bounded() {
    for depth in [150, 250, 100_000] {
        let text = format!("{}proc.name = x{}", "(".repeat(depth), ")".repeat(depth));
        let (ruleset, ..) = condition(&text, Vec::new());
        assert_eq!(ruleset.is_some(), depth < 200, "{depth}");
    }
    let not = format!("{}proc.name = x", "not ".repeat(100_000));
    assert!(condition(&not, Vec::new()).0.is_some());
}

#[test]
fn macros_that_double_are_bounded() {
    let mut yaml = "- macro: m0\n  condition: proc.name = x or fd.name = y\n".to_owned();
    for level in 1..64 {
        let below = level - 1;
        let definition = format!(
            "- macro: m{level}\n  condition: (m{below} and fd.num = {level}) or (m{below} and fd.num = 1)\n"
        );
        yaml.push_str(&definition);
    }
    yaml += &rule("evt.type = open and m63");
    let loaded = load(&yaml);
    assert!(loaded.errors().any(|error| error.message.contains("checks")));
}

#[test]
fn chains_of_macros_are_bounded() {
    for (length, fits) in [(100, true), (10_000, false)] {
        let rest = (1..length).map(|level| {
            let below = level - 1;
            format!("- macro: m{level}\n  condition: not (m{below} and fd.num = 1)\n")
        });
        let macros =
            "- macro: m0\n  condition: proc.name = x\n".to_owned() + &rest.collect::<String>();
        // Rules along the chain, so that its parts are known before its end is reached.
        let rules = (0..length).step_by(50).map(|level| {
            rule(&format!("evt.type = open and m{level}")).replace(": R", &format!(": R{level}"))
        });
        let forwards = macros.clone() + &rules.collect::<String>();
        let yaml = macros + &rule(&format!("evt.type = open and m{}", length - 1));
        for yaml in [yaml, forwards] {
            let loaded = load(&yaml);
            assert_eq!(loaded.ruleset.is_some(), fits, "{length}");
            if let Some(ruleset) = loaded.ruleset {
                let event = event(r#"{"evt.type":"open","proc.name":"x","fd.num":1}"#);
                ruleset.evaluate(&event, &mut ruleset.scratch(), |_| ());
            }
        }
    }
}

#[test]
fn nested_yaml_is_refused() {
    for (open, close) in [("[", "]"), ("{a: ", "}"), ("- ", ""), ("? ", "")] {
        let yaml = open.repeat(20_000) + &close.repeat(20_000);
        assert_eq!(load(&yaml).errors().count(), 1, "{open}");
    }
}

#[test]
fn long_words_are_refused_at_once() {
    let word = "proc.nam".to_owned() + &"e".repeat(1 << 20);
    assert_eq!(errors(&rule(&format!("evt.type = open and {word} = x"))).len(), 1);
    assert_eq!(errors(&rule(&format!("evt.type = {word}"))).len(), 1);
    assert_eq!(errors(&rule(&format!("evt.type = open and proc.name = {word}"))).len(), 1);
    let output = |text: &str| rule("evt.type = open").replace(": o", &format!(": '%{text}'"));
    assert_eq!(errors(&output(&word)), Vec::<String>::new(), "a field and more text");
    assert_eq!(errors(&output(&word.replace("proc", "prc"))).len(), 1);
    let calls = "tolower(".repeat(100_000);
    assert_eq!(errors(&rule(&format!("evt.type = open and {calls}"))).len(), 1);
}

#[test]
fn many_errors_are_shown_in_part() {
    let yaml: String = (0..20_000).map(|_| "- rle: x\n- rule: y\n").collect();
    let loaded = load(&yaml);
    assert!(loaded.ruleset.is_none());
    assert!(loaded.omitted > 10_000, "{}", loaded.omitted);
    assert!(loaded.findings.len() < 3_000);
    for finding in &loaded.findings {
        assert!(!finding.render(&loaded.files).is_empty());
    }
}

#[test]
fn many_rules_load() {
    let rules: String = (0..20_000)
        .map(|number| {
            let condition = format!("evt.type = open and fd.name startswith /srv/{number}/");
            rule(&condition).replace(": R", &format!(": R{number}"))
        })
        .collect();
    let ruleset = ruleset(&rules);
    let mut matched = 0;
    let event = event(r#"{"evt.type":"open","fd.name":"/srv/19999/x"}"#);
    ruleset.evaluate(&event, &mut ruleset.scratch(), |_| matched += 1);
    assert_eq!(matched, 1);
}
