//! Recorded captures give the alerts that they gave before, to the byte.
//!
//! `cargo xtask capture` makes captures and expected alerts anew after a record's layout has changed;
//! `cargo xtask capture --expected` writes the alerts alone, after a change of the shipped rules.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sensor::event::decode::{Record, decode};
use sensor::probe::capture::Reader;

/// The captures, by name.
fn captures() -> Vec<PathBuf> {
    let entries = fs::read_dir(sensor_tests::root().join("tests/captures")).unwrap();
    let mut captures: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rec"))
        .collect();
    captures.sort();
    assert!(!captures.is_empty());
    captures
}

/// Every record of every capture.
pub(crate) fn records() -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    for capture in captures() {
        let mut reader = Reader::open(&capture)
            .unwrap_or_else(|error| panic!("{error}: run `cargo xtask capture` as root"));
        while let Some(record) = reader.read().unwrap() {
            records.push(record.to_vec());
        }
    }
    records
}

fn replay(capture: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_sensor-under-test"))
        .args(["replay", "--output", "json"])
        .arg(capture)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.is_empty(),
        "{}: {said}\nif a record's layout has changed, run `cargo xtask capture` as root",
        capture.display()
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn captures_give_the_expected_alerts_to_the_byte() {
    for capture in captures() {
        let name = capture.file_stem().unwrap();
        let expected = sensor_tests::root().join("tests/expected").join(name);
        let expected = fs::read_to_string(expected.with_extension("jsonl")).unwrap();
        assert!(!expected.is_empty(), "{name:?} raises no alert");
        let given = replay(&capture);
        let same = given.lines().zip(expected.lines()).take_while(|(given, old)| given == old);
        let line = same.count() + 1;
        assert!(
            given == expected,
            "{name:?}: line {line} differs:\n{:?}\nexpected\n{:?}\nif it should: `cargo xtask capture --expected`",
            given.lines().nth(line - 1),
            expected.lines().nth(line - 1),
        );
    }
}

#[test]
fn every_capture_has_its_script_and_its_alerts() {
    for capture in captures() {
        assert!(capture.with_extension("sh").exists(), "{}", capture.display());
    }
    let expected = fs::read_dir(sensor_tests::root().join("tests/expected")).unwrap();
    assert_eq!(expected.count(), captures().len());
}

#[test]
fn captures_hold_no_other_process_and_nothing_malformed() {
    let records = records();
    assert!(records.len() > 100);
    for record in &records {
        match decode(record).unwrap() {
            // A process of the group of which /proc said what no record had said: of runc, or the
            // script's shell before it became another program.
            Record::Process(exec) => {
                let name = String::from_utf8_lossy(&exec.exec.header.comm);
                assert!(name.starts_with("runc:") || name.starts_with("sh\0"), "{name}");
                assert!(!exec.argv.windows(7).any(|part| part == b"/tests/"), "{name}");
            }
            Record::Cgroup { path, .. } => assert!(path.starts_with(b"/sensor-capture/")),
            _ => {}
        }
    }
}
