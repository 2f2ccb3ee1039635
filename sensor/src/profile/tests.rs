//! From sample records to named stacks, against this host's own processes and kernel.

use super::Profile;
use super::flamegraph::folded;
use super::report::Loss;
use super::testing::record;
use std::hint::black_box;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

#[inline(never)]
fn a_function_of_the_tests(times: u64) -> u64 {
    (0..black_box(times)).fold(1, |sum, n| sum ^ black_box(n))
}

fn address_of_the_function() -> u64 {
    let function: fn(u64) -> u64 = a_function_of_the_tests;
    black_box(function(3));
    function as usize as u64
}

fn lines(profile: Profile) -> Vec<String> {
    folded(&profile.finish(SECOND, &|_| None))
}

#[test]
fn names_a_function_of_this_process() {
    let address = address_of_the_function();
    let mut profile = Profile::new("the tests", 99);
    // As a leaf, and as a caller by an address behind its first instruction.
    profile.add(&record(std::process::id(), &[], &[address]));
    profile.add(&record(std::process::id(), &[], &[1, address + 1]));
    // Wrong addresses in a row are one frame.
    profile.add(&record(std::process::id(), &[], &[1, 2, 3, address + 1]));
    let report = profile.finish(SECOND, &|cgroup_id| Some(format!("cgroup {cgroup_id}")));
    assert_eq!((report.quality.named, report.quality.unnamed), (3, 2));
    let lines = folded(&report);
    assert_eq!(lines.len(), 2, "{lines:?}");
    for line in &lines {
        assert!(line.starts_with("cgroup 77;"), "{line}");
        assert!(line.contains("sensor::profile::tests::a_function_of_the_tests"), "{line}");
    }
    assert!(lines.iter().any(|line| line.ends_with(";[unknown] 2")), "{lines:?}");
    let function =
        report.frames.iter().find(|frame| frame.function.contains("a_function")).unwrap();
    assert!(function.module.contains("/sensor-"), "{}", function.module);
}

/// A child that has written its maps to us and now waits; its name is not `busy`.
fn child() -> (Child, u64) {
    let mut child = Command::new("/bin/sh")
        .args(["-c", "cat /proc/$$/maps; echo; read -r line"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = BufReader::new(child.stdout.as_mut().unwrap());
    let maps: Vec<String> =
        stdout.lines().map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
    // `_start` or the first function of the shell's own code.
    let code = maps.iter().find(|line| line.contains(" r-xp ") && line.contains("/libc"));
    let code = code.unwrap_or_else(|| panic!("a shell without libc: {maps:?}"));
    let start = u64::from_str_radix(code.split('-').next().unwrap(), 16).unwrap();
    (child, start)
}

/// Offset in memory from the start of libc's code to one of its exported functions.
fn libc_function() -> (u64, &'static str) {
    let contents = std::fs::read("/proc/self/maps").unwrap();
    let code = super::maps::parse(&contents)
        .find(|mapping| mapping.executable && mapping.path.windows(5).any(|part| part == b"/libc"))
        .unwrap();
    let function = libc::getppid as *const () as usize as u64;
    assert!((code.start..code.end).contains(&function));
    (function - code.start, "getppid")
}

#[test]
fn names_functions_of_a_process_that_has_ended() {
    let (mut child, start) = child();
    let (offset, name) = libc_function();
    let pid = child.id();
    let mut profile = Profile::new("a child", 99);
    profile.add(&record(pid, &[], &[start + offset]));
    drop(child.stdin.take());
    child.wait().unwrap();
    profile.add(&record(pid, &[], &[start + offset, start + offset + 1]));
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());

    let report = profile.finish(SECOND, &|_| None);
    assert_eq!(report.quality.unnamed, 0, "{report:?}");
    let lines = folded(&report);
    assert!(lines.iter().all(|line| line.contains(name)), "{lines:?}");
    assert_eq!(report.quality.unread_processes, 0);
}

#[test]
fn names_functions_of_a_deleted_program() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("program");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let own = std::fs::read("/proc/self/maps").unwrap();
    let offset = address_of_the_function() - executable_start(&own, b"/sensor-");
    let mut child = Command::new(&program)
        .args(["--exact", "profile::tests::waits_for_its_input", "--nocapture"])
        .env(WAIT, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("waiting") {
        line.clear();
        assert_ne!(stdout.read_line(&mut line).unwrap(), 0, "the child ended");
    }
    std::fs::remove_file(&program).unwrap();
    let theirs = std::fs::read(format!("/proc/{}/maps", child.id())).unwrap();
    let address = executable_start(&theirs, b"/program") + offset;

    let mut profile = Profile::new("a child", 99);
    profile.add(&record(child.id(), &[], &[address]));
    drop(child.stdin.take());
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert!(child.wait().unwrap().success(), "{rest}");
    let report = profile.finish(SECOND, &|_| None);
    let frame = report.frames.iter().find(|frame| frame.kind.is_code()).unwrap();
    assert_eq!(frame.function, "sensor::profile::tests::a_function_of_the_tests");
    assert_eq!(frame.module, program.to_str().unwrap());
}

const WAIT: &str = "SENSOR_TEST_WAIT";

/// The body of the child above; in an ordinary run it has nothing to wait for.
#[test]
fn waits_for_its_input() {
    if std::env::var_os(WAIT).is_some() {
        println!("waiting");
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    }
    assert_ne!(address_of_the_function(), 0);
}

fn executable_start(contents: &[u8], part: &[u8]) -> u64 {
    let is_it = |mapping: &super::maps::Mapping<'_>| {
        mapping.executable && mapping.path.windows(part.len()).any(|window| window == part)
    };
    super::maps::parse(contents).find(is_it).unwrap().start
}

#[test]
fn names_functions_of_the_vdso() {
    let contents = std::fs::read("/proc/self/maps").unwrap();
    let Some(vdso) = super::maps::parse(&contents).find(|mapping| mapping.path == b"[vdso]") else {
        return;
    };
    let mut profile = Profile::new("the tests", 99);
    for address in (vdso.start..vdso.end).step_by(64) {
        profile.add(&record(std::process::id(), &[], &[address]));
    }
    let report = profile.finish(SECOND, &|_| None);
    let gettime = |frame: &super::report::Frame| frame.function.contains("clock_gettime");
    let frame = report.frames.iter().find(|frame| gettime(frame)).unwrap();
    assert_eq!(frame.module, "[vdso]");
}

#[test]
fn names_functions_of_the_kernel_where_it_shows_them() {
    let kallsyms = std::fs::read_to_string("/proc/kallsyms").unwrap_or_default();
    let known = kallsyms.lines().find(|line| line.ends_with(" T vfs_read"));
    let address = known.and_then(|line| u64::from_str_radix(line.split(' ').next()?, 16).ok());
    let mut profile = Profile::new("the tests", 99);
    let address = address.unwrap_or(0);
    profile.add(&record(std::process::id(), &[address], &[]));
    let report = profile.finish(SECOND, &|_| None);
    let frame = report.frames.iter().find(|frame| frame.module == "[kernel]").unwrap();
    // Without the right to see addresses all of them are 0, and there is nothing to name.
    let expected = if address == 0 { "[kernel]+0x0" } else { "vfs_read" };
    assert_eq!(frame.function, expected);
}

#[test]
fn names_compiled_functions_from_the_perf_map() {
    let (mut child, _) = child();
    let path = format!("/tmp/perf-{}.map", child.id());
    std::fs::write(&path, "7000 100 LazyCompile:*hot app.js:1\n").unwrap();
    let mut profile = Profile::new("a child", 99);
    let bytes = record(child.id(), &[], &[0x7010]);
    profile.add(&bytes);
    let sample = super::stack::decode(&bytes).unwrap();
    let space = profile.spaces.of(&sample).unwrap();
    profile.spaces.map_anonymous(space, 0x7000..0x8000);
    profile.add(&record(child.id(), &[], &[0x7011]));
    profile.add(&record(child.id(), &[], &[0x7f00]));
    std::fs::remove_file(&path).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let lines = lines(profile);
    assert!(lines.iter().any(|line| line.ends_with("LazyCompile:*hot app.js:1 2")), "{lines:?}");
    assert!(lines.iter().any(|line| line.ends_with(";[anon]+0xf00 1")), "{lines:?}");
}

#[test]
fn accounts_for_every_sample() {
    let mut profile = Profile::new("nothing", 99);
    let good = record(1 << 30, &[], &[1]);
    profile.add(&good);
    profile.add(&good[..good.len() - 1]);
    profile.add(&[]);
    profile.lost(Loss::RingFull, 3);
    let progress = profile.progress();
    assert_eq!((progress.taken, progress.kept, progress.lost), (6, 1, 5));
    assert_eq!((progress.stacks, progress.processes), (1, 1));
    let report = profile.finish(SECOND, &|_| None);
    assert!(report.quality.is_exact());
    assert_eq!(report.samples(), report.quality.kept);
    assert_eq!(report.quality.unread_processes, 1);
}
