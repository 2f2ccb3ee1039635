//! The shape of the source: what reviews would otherwise have to look for.

use crate::source::{Source, is_word, sources};

const EVERY_PACKAGE: [&str; 6] =
    ["fuzz", "sensor", "sensor-common", "sensor-ebpf", "tests", "xtask"];
/// Packages whose code runs outside the kernel.
const USERSPACE: [&str; 4] = ["sensor", "sensor-common", "tests", "xtask"];
/// Where an event passes: whatever can be wrong there is a value, never a panic.
const EVENT_PATH: [&str; 9] = [
    "sensor/src/probe/record.rs",
    "sensor/src/event/",
    "sensor/src/attribution/",
    "sensor/src/fields/",
    "sensor/src/rules/compile",
    "sensor/src/rules/template",
    "sensor/src/alert.rs",
    "sensor/src/sinks/",
    "sensor/src/pipeline.rs",
];
const LONGEST_FILE: usize = 500;

#[test]
fn files_are_short() {
    let long = offenders(&EVERY_PACKAGE, |source| {
        let lines = source.text.lines().count();
        (lines > LONGEST_FILE).then(|| format!("{lines} lines"))
    });
    assert_eq!(long, NOTHING, "a file is a stage, or one variant of a stage: split these");
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent = offenders(&EVERY_PACKAGE, |source| {
        let first = source.text.lines().next().unwrap_or_default();
        // Test files of a module are introduced by the module.
        let says = source.path.ends_with("/tests.rs") || first.starts_with("//! ");
        (!says).then(|| "does not open with a `//!` sentence".to_owned())
    });
    assert_eq!(silent, NOTHING);
}

#[test]
fn userspace_is_safe_outside_probe() {
    let unsafe_code = offenders(&USERSPACE, |source| {
        if source.path.starts_with("sensor/src/probe/") {
            return None;
        }
        line_with(&source.code(), "unsafe").map(|line| format!("line {line}: `unsafe`"))
    });
    assert_eq!(unsafe_code, NOTHING, "only `probe/` may use `unsafe`");
}

#[test]
fn event_path_does_not_panic() {
    const PANICS: [&str; 5] = ["unwrap", "expect", "panic", "unreachable", "todo"];
    let panicking = offenders(&["sensor/src"], |source| {
        if !EVENT_PATH.iter().any(|place| source.path.starts_with(place)) {
            return None;
        }
        // `#[expect(…)]` is a lint level, not a call.
        let code = source.code_without_tests().replace("[expect(", "[");
        let calls = code.replace("unwrap()", "unwrap!");
        PANICS.iter().find_map(|word| {
            let call = if *word == "expect" { ".expect(" } else { &format!("{word}!") };
            let before = &calls[..calls.find(call)?];
            Some(format!("line {}: `{word}`", before.lines().count()))
        })
    });
    assert_eq!(panicking, NOTHING, "make the wrong state unwritable, or count it");
}

#[test]
fn event_path_exists() {
    let paths: Vec<String> = sources(&["sensor/src"]).into_iter().map(|file| file.path).collect();
    let gone = |place: &&&str| !paths.iter().any(|path| path.starts_with(**place));
    // The rule compiler's files are named by their beginning, which holds for a directory too.
    let gone: Vec<_> =
        EVENT_PATH.iter().filter(gone).filter(|place| !place.contains("rules/")).collect();
    assert!(gone.is_empty(), "{gone:?} moved: name the new place");
}

#[test]
fn tests_are_not_ignored() {
    let ignored = offenders(&EVERY_PACKAGE, |source| {
        line_with(&source.code().replace("#[ignore", "IGNORED "), "IGNORED")
            .map(|line| format!("line {line}: ignored test"))
    });
    assert_eq!(ignored, NOTHING, "assert the known-wrong result instead, and say why");
}

const NOTHING: Vec<String> = Vec::new();

/// `path: complaint` for each file that `complain` finds fault with.
fn offenders(packages: &[&str], complain: impl Fn(&Source) -> Option<String>) -> Vec<String> {
    let sources = sources(packages);
    assert!(!sources.is_empty(), "no sources in {packages:?}");
    let complaint = |source: &Source| Some(format!("{}: {}", source.path, complain(source)?));
    sources.iter().filter_map(complaint).collect()
}

/// The number of the first line with `word` as a whole word.
fn line_with(code: &str, word: &str) -> Option<usize> {
    let has = |line: &str| line.split(|c| !is_word(c)).any(|found| found == word);
    code.lines().position(has).map(|index| index + 1)
}

#[test]
fn words_are_whole() {
    assert_eq!(line_with("a\nforbid(unsafe_code)\n", "unsafe"), None);
    assert_eq!(line_with("a\nunsafe { b }\n", "unsafe"), Some(2));
}
