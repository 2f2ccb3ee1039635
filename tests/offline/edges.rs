//! Which module may name which: data flows one way through the agent, and a library has one door.

use std::collections::BTreeSet;

use crate::source::{Source, is_word, sources};

/// A module and what it may name. `lib.rs` draws the same picture; each row names rows above it only.
const MAY_USE: [(&str, &[&str]); 18] = [
    ("notify", &[]),
    ("probe", &[]),
    ("attribution", &[]),
    ("event", &["probe", "attribution"]),
    ("hold", &["event"]),
    ("metadata", &["attribution"]),
    ("fields", &["event", "attribution"]),
    ("rules", &["event", "attribution", "fields"]),
    ("alert", &["event", "attribution", "fields", "rules"]),
    ("config", &["probe", "fields", "rules", "alert", "metadata"]),
    ("metrics", &["probe", "event", "attribution", "metadata", "rules", "alert", "config"]),
    ("sinks", &["rules", "alert", "config", "metrics"]),
    ("profile", &["probe", "event", "attribution"]),
    ("pipeline", &["probe", "event", "attribution", "hold"]),
    ("detect", &["probe", "event", "attribution", "fields", "rules", "alert"]),
    ("blindness", &["probe", "attribution", "rules", "alert", "detect"]),
    ("driver", &["probe", "event", "attribution", "metadata", "pipeline"]),
    ("cli", &["*"]),
];

/// A library and the only place that may name it.
const DOORS: [(&str, &str); 15] = [
    ("aya", "sensor/src/probe/"),
    ("blazesym", "sensor/src/profile/symbol.rs"),
    ("inferno", "sensor/src/profile/"),
    ("prometheus_client", "sensor/src/metrics/"),
    ("clap", "sensor/src/cli/"),
    ("bollard", "sensor/src/metadata/engine.rs"),
    ("tonic", "sensor/src/metadata/grpc"),
    ("tonic_prost", "sensor/src/metadata/grpc"),
    ("prost", "sensor/src/metadata/grpc"),
    ("kube", "sensor/src/metadata/kubernetes"),
    ("k8s_openapi", "sensor/src/metadata/kubernetes"),
    ("tower", "sensor/src/metadata/kubernetes"),
    ("hyper", "sensor/src/metadata/"),
    ("hyper_util", "sensor/src/metadata/"),
    ("axum", "sensor/src/metrics/"),
];

#[test]
fn modules_name_only_what_is_upstream() {
    let mut wrong = Vec::new();
    for source in sources(&["sensor/src"]) {
        let Some(module) = module_of(&source) else { continue };
        let allowed = MAY_USE.iter().find(|(name, _)| *name == module).map(|(_, uses)| *uses);
        let allowed = allowed.unwrap_or_else(|| panic!("module {module} has no row in MAY_USE"));
        for used in uses(&source.code()) {
            let allowed = allowed.contains(&used.as_str()) || allowed == ["*"];
            if used != module && !allowed {
                wrong.push(format!("{}: {used}", source.path));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new(), "nothing upstream calls downstream");
}

#[test]
fn edges_go_one_way() {
    for (row, (module, uses)) in MAY_USE.iter().enumerate() {
        let above = |used: &&str| MAY_USE[..row].iter().any(|(name, _)| name == used);
        let known = uses.iter().all(above) || *uses == ["*"];
        assert!(known, "{module} may use a module that is not above it");
    }
}

#[test]
fn libraries_have_one_door() {
    let mut wrong = Vec::new();
    for source in sources(&["sensor/src"]) {
        let code = source.code();
        for (library, door) in DOORS {
            if names_crate(&code, library) && !source.path.starts_with(door) {
                wrong.push(format!("{}: {library}, which belongs to {door}", source.path));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// The module of a file, `None` for the crate's own two files.
fn module_of(source: &Source) -> Option<&str> {
    let path = source.path.strip_prefix("sensor/src/")?;
    let module = path.split('/').next()?.trim_end_matches(".rs");
    (module != "lib" && module != "main").then_some(module)
}

/// The modules of this crate that `code` names, also in groups: `crate::{event::Event, rules}`.
fn uses(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, path) in code.match_indices("crate::") {
        if code[..at].ends_with(|c| is_word(c) || c == '$') {
            continue;
        }
        let rest = &code[at + path.len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(heads(group)),
            None => found.extend(first_word(rest)),
        }
    }
    found
}

/// The first word of each path in a group that has just been opened.
fn heads(group: &str) -> Vec<String> {
    let mut heads = Vec::new();
    let (mut depth, mut at_head) = (0, true);
    for (at, c) in group.char_indices() {
        match c {
            '}' if depth == 0 => break,
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => at_head = true,
            c if is_word(c) && at_head => {
                heads.extend(first_word(&group[at..]));
                at_head = false;
            }
            _ => {}
        }
    }
    heads
}

fn first_word(text: &str) -> Option<String> {
    let word: String = text.chars().take_while(|c| is_word(*c)).collect();
    (!word.is_empty()).then_some(word)
}

/// Whether `code` has a path that starts at the crate `name`.
fn names_crate(code: &str, name: &str) -> bool {
    let path = format!("{name}::");
    let starts = |at: usize| {
        let before = &code[..at];
        // `a::aya::b` is a module of `a`, `::aya::b` is the crate.
        let inside = |outer: &str| outer.ends_with(|c| is_word(c) || c == '>');
        !before.ends_with(is_word) && !before.strip_suffix("::").is_some_and(inside)
    };
    code.match_indices(&path).any(|(at, _)| starts(at))
        || code.contains(&format!("use {name};"))
        || code.contains(&format!("extern crate {name}"))
}

#[test]
fn paths_are_found_in_every_form() {
    let code = "use crate::event::Event;\nuse crate::{rules::{self, load}, alert, fields};\nfn f() -> crate::probe::X {}";
    let expected = ["alert", "event", "fields", "probe", "rules"].map(str::to_owned);
    assert_eq!(uses(code), expected.into());
    assert!(uses("macro_rules! m { () => { $crate::event::X } }").is_empty());
    assert!(names_crate("use aya::Ebpf;", "aya") && names_crate("x: ::aya::Ebpf", "aya"));
    assert!(!names_crate("use maya::Ebpf; a::aya::B", "aya"));
}
