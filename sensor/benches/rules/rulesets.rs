//! The rulesets that are measured.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use sensor::rules::options::Options;
use sensor::rules::text::File;
use sensor::rules::{Ruleset, shipped};

pub(crate) struct Set {
    pub(crate) name: String,
    pub(crate) ruleset: Ruleset,
    pub(crate) load: Duration,
}

pub(crate) fn all() -> Vec<Set> {
    let official = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/falco-rules");
    let names = ["falco_rules.yaml", "falco-incubating_rules.yaml"];
    let files: Vec<File> = names
        .iter()
        .filter_map(|name| {
            let content = std::fs::read_to_string(official.join(name)).ok()?;
            Some(File { name: (*name).to_owned(), content })
        })
        .collect();
    let mut sets = vec![("shipped".to_owned(), shipped::files())];
    if files.len() == names.len() {
        sets.push(("official, two files".to_owned(), files));
    }
    for count in [25, 100, 1000] {
        let file = File { name: "synthetic".to_owned(), content: synthetic(count) };
        sets.push((format!("synthetic, {count} rules"), vec![file]));
    }
    sets.into_iter()
        .map(|(name, files)| {
            let start = Instant::now();
            let ruleset = load(files);
            Set { name, ruleset, load: start.elapsed() }
        })
        .collect()
}

pub(crate) fn load(files: Vec<File>) -> Ruleset {
    Ruleset::load(files, &Options::default()).ruleset.expect("rules load")
}

/// One rule with a list of 100,000 items.
pub(crate) fn long_list() -> Vec<File> {
    let items: Vec<String> = (0..100_000).map(|number| format!("value-{number}")).collect();
    let content = format!(
        "- list: names\n  items: [{}]\n- rule: R\n  desc: d\n  condition: evt.type = openat and proc.name in (names)\n  output: o\n  priority: INFO\n",
        items.join(", ")
    );
    vec![File { name: "list".to_owned(), content }]
}

/// Rules as people write them: a few kinds of conditions, each with its own names and paths.
fn synthetic(count: usize) -> String {
    let mut yaml = "- macro: reading\n  condition: evt.type in (open, openat, openat2) and evt.is_open_read = true and fd.typechar = f and fd.num >= 0\n".to_owned();
    for rule in 0..count {
        let condition = match rule % 4 {
            0 => format!(
                "reading and fd.name startswith /data/{rule}/ and not proc.name in (a{rule}, b{rule})"
            ),
            1 => format!(
                "evt.type in (execve, execveat) and proc.name = tool{rule} and proc.args contains -x{rule}"
            ),
            2 => format!(
                "reading and proc.name in (x{rule}, y{rule}) and fd.name endswith .key{rule}"
            ),
            _ => format!(
                "evt.type = connect and fd.sip in (10.0.{}.1) and proc.pname = p{rule}",
                rule % 256
            ),
        };
        writeln!(
            yaml,
            "- rule: R{rule}\n  desc: d\n  condition: {condition}\n  output: o\n  priority: INFO"
        )
        .expect("a string takes text");
    }
    yaml
}
