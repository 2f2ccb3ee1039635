//! An event that no rule matches costs no allocation.

#[path = "../benches/rules/stream.rs"]
mod stream;

use std::path::Path;

use sensor::attribution::cache::Cache;
use sensor::pipeline::Pipeline;
use sensor::rules::options::Options;
use sensor::rules::text::File;
use sensor::rules::{Ruleset, shipped};
use stream::Stream;

/// Every way to compare and every way to read a field, none of which any event satisfies.
const EVERYTHING: &str = r#"
- list: names
  items: [nobody, nothing, noone]
- rule: Everything
  desc: d
  output: o
  priority: INFO
  condition: >
    evt.num > 0 and (
    proc.name in (names) or proc.name = nobody or proc.name glob nob* or proc.name iglob NOB*
    or proc.name regex "no(body|thing)" or fd.name pmatch (/nowhere, /no/*/where)
    or fd.name startswith /nowhere or fd.name startswith /nothing or fd.name startswith /none
    or fd.name startswith anyof (/nob, /never) or fd.name endswith anyof (.no, .never)
    or proc.cmdline contains nobody or proc.cmdline icontains NOBODY or proc.args intersects (names)
    or proc.aname in (names) or proc.aname[2] = nobody or proc.acmdline contains nobody
    or proc.env[HOME] = nobody or proc.env contains nobody or evt.arg.flags contains O_NOTHING
    or fd.sip = 192.0.2.1 or fd.snet in (192.0.2.0/24) or fd.ip in (192.0.2.1) or fd.port = 1
    or fd.sip = val(fd.cip) or proc.pname = val(fd.name) or proc.name startswith val(fd.name)
    or tolower(proc.name) = nobody or len(proc.cmdline) > 100000 or basename(fd.name) = nobody
    or concat(proc.name, fd.name) = nobody or join(",", (proc.name, proc.exe)) = nobody
    or getopt((proc.args[0], proc.args[1]), "no:")[o] = nobody or b64(proc.name) = nobody
    or user.name = nobodyatall or container.name = nobody or evt.time = nobody)
"#;

fn file(name: &str, content: &str) -> File {
    File { name: name.to_owned(), content: content.to_owned() }
}

/// Allocations of events that nothing matched, and how many of those there were.
fn allocations(stream: &Stream, ruleset: &Ruleset) -> (u64, u64) {
    let mut scratch = ruleset.scratch();
    let (mut allocations, mut events) = (0, 0);
    // Buffers grow to what the stream needs while it passes for the first time.
    for is_warm in [false, true] {
        let mut pipeline = Pipeline::new(Cache::default());
        for record in &stream.records {
            pipeline.take(record, &mut |event| {
                let mut matched = 0;
                let info = allocation_counter::measure(|| {
                    ruleset.evaluate(event, &mut scratch, |_| matched += 1);
                });
                if is_warm && matched == 0 {
                    allocations += info.count_total;
                    events += 1;
                }
            });
        }
    }
    (allocations, events)
}

#[test]
fn nothing_is_allocated_where_nothing_matches() {
    let stream = Stream::read();
    let mut sets =
        vec![("shipped", shipped::files()), ("all kinds", vec![file("all", EVERYTHING)])];
    let official = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/falco-rules");
    let names = ["falco_rules.yaml", "falco-incubating_rules.yaml"];
    let read = |name: &str| Some(file(name, &std::fs::read_to_string(official.join(name)).ok()?));
    if let Some(files) = names.into_iter().map(read).collect() {
        sets.push(("official", files));
    }
    for (name, files) in sets {
        let loaded = Ruleset::load(files, &Options::default());
        let errors: Vec<String> =
            loaded.errors().map(|error| error.render(&loaded.files)).collect();
        let ruleset = loaded.ruleset.unwrap_or_else(|| panic!("{}", errors.join("\n")));
        let (allocations, events) = allocations(&stream, &ruleset);
        let described = stream.described();
        assert!(events * 2 > stream.events, "{name}: nothing matches {events} of {described}");
        assert_eq!(allocations, 0, "{name}: {described}");
    }
}

#[test]
fn the_memory_that_is_reported_is_what_was_allocated() {
    let items: Vec<String> = (0..100_000).map(|number| format!("value-{number}")).collect();
    let content = format!(
        "- list: l\n  items: [{}]\n- rule: R\n  desc: d\n  condition: evt.type = open and proc.name in (l)\n  output: o\n  priority: INFO\n",
        items.join(", ")
    );
    let mut ruleset = None;
    let info = allocation_counter::measure(|| {
        ruleset = Ruleset::load(vec![file("l", &content)], &Options::default()).ruleset;
    });
    let (reported, held) =
        (ruleset.unwrap().memory(), usize::try_from(info.bytes_current).unwrap());
    assert!(reported * 2 > held && reported < held * 2, "{reported} reported, {held} held");
}
