//! `cargo xtask test`: offline tests always, live tests where this host can run them.

use std::fmt;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::{command, setup, workspace};

/// Of the same packages as all other tests: another choice would have other features of dependencies, and
/// build these again. No plain `cargo test` builds them.
const WITH_LIVE: [&str; 2] = ["--features", "sensor-tests/live"];
const LIVE: [&str; 2] = ["--test", "live"];
const BTF: &str = "/sys/kernel/btf/vmlinux";

/// Runs the tests whose name contains `filter`, and ends with a line that counts them all.
pub(crate) fn test(filter: Option<&str>) -> Result<bool> {
    let counts = all(filter)?;
    println!("\n{counts}");
    Ok(counts.failed == 0)
}

/// Runs the tests without the closing line.
pub(crate) fn all(filter: Option<&str>) -> Result<Counts> {
    setup::build()?;
    setup::servers()?;
    let mut offline = command::cargo();
    offline.args(["test", "--locked", "--no-fail-fast"]).args(filter);
    let mut counts = count(&mut offline)?;
    match obstacle()? {
        None => counts.add(&live(filter)?),
        Some(reason) => counts.skipped += name_skipped(filter, &reason)?,
    }
    ensure!(counts.passed + counts.failed + counts.skipped > 0, "no test matches the filter");
    Ok(counts)
}

fn live(filter: Option<&str>) -> Result<Counts> {
    setup::live()?;
    let mut live = live_tests();
    live.env("SENSOR_BIN", workspace::sensor("debug")?).args(filter);
    count(&mut live)
}

fn live_tests() -> Command {
    let mut cargo = command::cargo();
    cargo.args(["test", "--locked"]).args(WITH_LIVE).args(LIVE);
    cargo
}

/// A build of what the tests are made of.
pub(crate) fn build() -> Command {
    let mut cargo = command::cargo();
    cargo.args(["build", "--locked"]).args(WITH_LIVE);
    cargo
}

/// Names every live test that `filter` picks, with the reason why it does not run.
fn name_skipped(filter: Option<&str>, reason: &str) -> Result<usize> {
    let mut list = live_tests();
    list.arg("--quiet").args(filter).args(["--", "--list", "--format=terse"]);
    let names = command::capture(&mut list)?.stdout;
    let names = String::from_utf8_lossy(&names);
    let names: Vec<&str> = names.lines().filter_map(|line| line.strip_suffix(": test")).collect();
    for name in &names {
        println!("test live {name} ... skipped: {reason}");
    }
    Ok(names.len())
}

/// Why live tests cannot run on this host.
pub(crate) fn obstacle() -> Result<Option<String>> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let lockdown = fs::read_to_string("/sys/kernel/security/lockdown").unwrap_or_default();
    if let Some(reason) = obstacle_in(&status, &lockdown, Path::new(BTF).exists()) {
        return Ok(Some(reason));
    }
    command::run(build().args(["--quiet", "--bins"]))?;
    let doctor = Command::new(workspace::sensor("debug")?)
        .args(["doctor", "--json"])
        .output()
        .context("run `sensor doctor`")?;
    refusal_in(&doctor.stdout)
}

/// What `sensor doctor` says where the kernel refuses all programs of a process that has every
/// capability: root of a user namespace, or behind a seccomp filter. Any other failure to load is
/// one that the live tests must show.
fn refusal_in(report: &[u8]) -> Result<Option<String>> {
    const REFUSED: &str = "loading eBPF programs needs root";
    let report: Value = serde_json::from_slice(report).context("read what `sensor doctor` says")?;
    let checks = report["checks"].as_array().context("`sensor doctor` names no checks")?;
    let mut details = checks.iter().filter_map(|check| check["detail"].as_str());
    let is_refused = details.any(|detail| detail.starts_with(REFUSED));
    Ok(is_refused.then(|| "this kernel refuses BPF programs of this process".to_owned()))
}

fn obstacle_in(status: &str, lockdown: &str, has_btf: bool) -> Option<String> {
    const SYS_ADMIN: u64 = 1 << 21;
    const PERFMON_AND_BPF: u64 = 1 << 38 | 1 << 39;
    let capabilities = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0);
    if capabilities & SYS_ADMIN == 0 && capabilities & PERFMON_AND_BPF != PERFMON_AND_BPF {
        return Some("loading kernel programs needs root".to_owned());
    }
    if lockdown.contains("[confidentiality]") {
        return Some("this kernel is locked down for confidentiality".to_owned());
    }
    (!has_btf).then(|| format!("this kernel does not describe its types in {BTF}"))
}

/// How many tests ended how.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Counts {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }

    /// The sum of the results in the output of test programs, if there are any.
    pub(crate) fn of(output: &str) -> Option<Self> {
        let mut counts = output.lines().filter_map(Self::parse).reduce(|mut sum, counts| {
            sum.add(&counts);
            sum
        })?;
        counts.skip(output.lines().filter(|line| is_skipped(line)).count());
        Some(counts)
    }

    /// A test that lacks what it needs says so; for the harness it has passed.
    fn skip(&mut self, count: usize) {
        self.passed = self.passed.saturating_sub(count);
        self.skipped += count;
    }

    /// Reads `test result: ok. 5 passed; 0 failed; 1 ignored; …`, the last line of a test program.
    fn parse(line: &str) -> Option<Self> {
        let (_, numbers) = line.strip_prefix("test result: ")?.split_once(". ")?;
        let number = |unit: &str| {
            numbers.split("; ").find_map(|part| part.strip_suffix(unit)?.trim().parse().ok())
        };
        Some(Self {
            passed: number("passed")?,
            failed: number("failed")?,
            skipped: number("ignored")?,
        })
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

fn is_skipped(line: &str) -> bool {
    line.contains(" ... skipped: ")
}

/// Runs a `cargo test`, shows what it prints and adds up the results of its test programs.
fn count(cargo_test: &mut Command) -> Result<Counts> {
    let line = command::line(cargo_test);
    println!("$ {line}");
    let mut child =
        cargo_test.stdout(Stdio::piped()).spawn().with_context(|| format!("start `{line}`"))?;
    let output = child.stdout.take().context("the output of cargo is not a pipe")?;
    let (mut counts, mut skipped) = (Counts::default(), 0);
    for output in BufReader::new(output).lines() {
        let output = output.with_context(|| format!("read the output of `{line}`"))?;
        println!("{output}");
        if let Some(result) = Counts::parse(&output) {
            counts.add(&result);
        }
        skipped += usize::from(is_skipped(&output));
    }
    counts.skip(skipped);
    let status = child.wait().with_context(|| format!("wait for `{line}`"))?;
    // A test program that dies, or one that does not compile, has no line of results.
    if !status.success() && counts.failed == 0 {
        bail!("`{line}` ended with {status}");
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::{Counts, obstacle_in, refusal_in};

    #[test]
    fn results_are_read_from_the_closing_line() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 7 filtered out; finished in 0.5s";
        assert_eq!(Counts::parse(line), Some(Counts { passed: 12, failed: 3, skipped: 1 }));
        assert_eq!(Counts::parse("test probe::load ... ok"), None);
        assert_eq!(
            Counts { passed: 12, failed: 3, skipped: 1 }.to_string(),
            "12 passed, 3 failed, 1 skipped"
        );
    }

    #[test]
    fn a_test_that_says_it_was_skipped_has_not_passed() {
        let output = "test a ... ok\ntest b ... skipped: no such engine\ntest b ... ok\n\
                      test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured\n";
        assert_eq!(Counts::of(output), Some(Counts { passed: 1, failed: 0, skipped: 1 }));
    }

    #[test]
    fn only_a_refusal_is_a_reason_to_skip() {
        let report = |detail: &str| {
            let report = serde_json::json!({
                "checks": [{ "name": "privileges", "detail": "root" }, { "detail": detail }],
            });
            refusal_in(report.to_string().as_bytes()).unwrap()
        };
        let refused = "loading eBPF programs needs root or CAP_BPF";
        assert!(report(refused).is_some_and(|reason| reason.contains("refuses")));
        assert_eq!(report("load the eBPF programs: the verifier says no"), None);
        assert!(refusal_in(b"{}").is_err());
    }

    #[test]
    fn live_tests_run_where_the_kernel_lets_them() {
        let (nobody, root, bpf) = (
            "CapEff:\t0000000000000000\n",
            "CapEff:\t000001ffffffffff\n",
            "CapEff:\t000000c000000000\n",
        );
        let locked = "none integrity [confidentiality]\n";
        let cases = [
            (nobody, "", true, Some("root")),
            ("", "", true, Some("root")),
            (root, "[none] integrity confidentiality\n", true, None),
            (bpf, "", true, None),
            (root, locked, true, Some("locked down")),
            (root, "", false, Some("/sys/kernel/btf/vmlinux")),
        ];
        for (status, lockdown, btf, expected) in cases {
            let found = obstacle_in(status, lockdown, btf);
            match expected {
                None => assert_eq!(found, None, "{status}"),
                Some(part) => {
                    assert!(found.is_some_and(|reason| reason.contains(part)), "{status}");
                }
            }
        }
    }
}
