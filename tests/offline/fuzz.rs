//! The fuzz targets, with bytes of our own: a little fuzzing in every run of the tests.

use std::collections::BTreeSet;
use std::fs;

use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::replay::records;

#[path = "../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "the library of a package of its own")]
mod targets;

type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 4] = [
    ("decode", targets::decode),
    ("rules", targets::rules),
    ("condition", targets::condition),
    ("output", targets::output),
];

/// The bytes of `seeds`, of which some are changed, the end may be cut off, and others may follow.
fn spoilt(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let changes = prop::collection::vec((any::<Index>(), any::<u8>()), 0..8);
    let cut = prop::option::of((any::<Index>(), prop::collection::vec(any::<u8>(), 0..8)));
    (select(seeds), changes, cut).prop_map(|(mut bytes, changes, cut)| {
        for (at, byte) in changes {
            let at = at.index(bytes.len().max(1));
            if let Some(old) = bytes.get_mut(at) {
                *old = byte;
            }
        }
        if let Some((end, more)) = cut {
            bytes.truncate(end.index(bytes.len() + 1));
            bytes.extend(more);
        }
        bytes
    })
}

/// What is right, to begin with: the records of the captures; the shipped rules, whole and in parts.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let files = || sensor::rules::shipped::files().into_iter().map(|file| file.content);
    let after = |key: &'static str| {
        let values = files().flat_map(|content| {
            let lines = content.lines().filter_map(|line| line.trim().strip_prefix(key));
            lines.map(|value| value.trim().as_bytes().to_vec()).collect::<Vec<_>>()
        });
        values.collect()
    };
    match target {
        "decode" => records(),
        "rules" => files().map(String::into_bytes).collect(),
        "condition" => after("condition:"),
        _ => vec![b"%proc.name %fd.name[1] %%evt.time %tolower(proc.cmdline)".to_vec()],
    }
}

fn fuzz(target: &str, cases: u32) {
    let (_, run) = TARGETS.iter().find(|(name, _)| *name == target).unwrap();
    let seeds = seeds(target);
    assert!(!seeds.is_empty());
    for seed in &seeds {
        run(seed);
    }
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(bytes in spoilt(seeds))| run(&bytes));
}

#[test]
fn records_are_decoded_or_refused() {
    fuzz("decode", 4096);
}

#[test]
fn rules_files_are_read_or_refused() {
    fuzz("rules", 256);
}

#[test]
fn conditions_are_compiled_or_refused() {
    fuzz("condition", 1024);
}

#[test]
fn outputs_are_compiled_or_refused() {
    fuzz("output", 1024);
}

#[test]
fn every_target_of_cargo_fuzz_is_here() {
    let directory = sensor_tests::root().join("fuzz/fuzz_targets");
    let files = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let files: BTreeSet<String> =
        files.map(|file| file.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    assert_eq!(files, TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect());
}
