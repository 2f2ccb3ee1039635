//! `cargo xtask ci`: all that a change has to pass, step by step, each with its time.

use std::env;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::test::Counts;
use crate::{aarch64, command, docs, setup, soak, test, vm, workspace};

/// Every target of every package, with the live tests.
const EVERYTHING: [&str; 5] =
    ["--locked", "--workspace", "--all-targets", "--features", "sensor-tests/live"];

type Step = (&'static str, fn() -> Result<()>);

const STEPS: [Step; 6] = [
    ("setup", prepare),
    ("format", format),
    ("clippy for the host", clippy),
    ("clippy for the kernel, the programs with their log", kernel_programs),
    ("licences and sources of dependencies", deny),
    ("docs in step", docs_in_step),
];

/// Without what takes longest, if it has to be `quick`.
pub(crate) fn ci(quick: bool) -> Result<bool> {
    let mut times = Vec::new();
    for (name, step) in STEPS {
        timed(&mut times, name, step)?;
    }
    let mut counts = timed(&mut times, "tests", || test::all(None))?;
    timed(&mut times, "a second check rebuilds nothing", no_rebuild)?;
    if !quick {
        timed(&mut times, "check for aarch64", other_architecture)?;
        counts.add(&timed(&mut times, "twenty seconds of storm", storm)?);
        counts.add(&timed(&mut times, "kernels", all_kernels)?);
    }
    println!();
    for (name, time) in times {
        println!("{:8.1} s  {name}", time.as_secs_f64());
    }
    println!("\n{counts}");
    Ok(counts.failed == 0)
}

fn timed<T>(
    times: &mut Vec<(&'static str, Duration)>,
    name: &'static str,
    step: impl FnOnce() -> Result<T>,
) -> Result<T> {
    println!("\n== {name}");
    let start = Instant::now();
    let result = step().with_context(|| name.to_owned())?;
    times.push((name, start.elapsed()));
    Ok(result)
}

fn prepare() -> Result<()> {
    setup::build()?;
    setup::lint()
}

fn format() -> Result<()> {
    command::run(command::cargo().args(["fmt", "--all", "--check"]))
}

fn clippy() -> Result<()> {
    command::run(command::cargo().arg("clippy").args(EVERYTHING).args(["--", "-D", "warnings"]))
}

fn clippy_kernel() -> Result<()> {
    clippy_kernel_of(env::consts::ARCH)
}

/// Two builds that use one processor for most of their time.
fn kernel_programs() -> Result<()> {
    beside(clippy_kernel, with_log)
}

/// Runs both at the same time, to the end of both.
fn beside(one: fn() -> Result<()>, other: fn() -> Result<()>) -> Result<()> {
    thread::scope(|scope| {
        let one = scope.spawn(one);
        other()?;
        one.join().ok().context("a thread that ran a step died")?
    })
}

/// The kernel crate is empty on the host, so it is checked as `sensor/build.rs` builds it, with the
/// registers and numbers of system calls of `architecture`.
fn clippy_kernel_of(architecture: &str) -> Result<()> {
    let target = workspace::target()?.join("bpf");
    let flags = format!("--cfg=bpf_target_arch=\"{architecture}\"");
    command::run(
        setup::kernel_cargo()?
            .env("CARGO_ENCODED_RUSTFLAGS", flags)
            .args(["clippy", "--locked", "--package", "sensor-ebpf", "--release"])
            .args(["--target", "bpfel-unknown-none", "-Z", "build-std=core", "--target-dir"])
            .arg(target)
            .args(["--", "-D", "warnings"]),
    )
}

/// A feature that no other step builds.
fn with_log() -> Result<()> {
    command::run(
        command::cargo()
            .args(["check", "--locked", "--package", "sensor"])
            .args(["--features", "log"]),
    )
}

fn deny() -> Result<()> {
    if command::answer(Command::new("cargo").args(["deny", "--version"])).is_none() {
        println!("skipped: cargo-deny is not installed");
        return Ok(());
    }
    command::run(command::cargo().args([
        "deny",
        "--offline",
        "check",
        "bans",
        "licenses",
        "sources",
    ]))
}

fn docs_in_step() -> Result<()> {
    docs::docs(true)
}

/// Counts as a test.
fn storm() -> Result<Counts> {
    if let Some(reason) = test::obstacle()? {
        println!("test storm ... skipped: {reason}");
        return Ok(Counts { skipped: 1, ..Counts::default() });
    }
    // What the tests have built: a release would be built for this alone.
    soak::with(&soak::Arguments { seconds: 20 }, &workspace::target()?.join("debug"))?;
    Ok(Counts { passed: 1, ..Counts::default() })
}

fn other_architecture() -> Result<()> {
    clippy_kernel_of("aarch64")?;
    aarch64::check()
}

/// All kernels, and the older layouts of control groups on kernels that still have all of them.
fn all_kernels() -> Result<Counts> {
    setup::vm()?;
    let mut counts = vm::all(&vm::Arguments::default())?;
    let layouts =
        [vm::Arguments::of("6.1", vm::Cgroups::Hybrid), vm::Arguments::of("5.10", vm::Cgroups::V1)];
    let results = thread::scope(|scope| {
        let start = |arguments| scope.spawn(move || vm::all(&arguments));
        layouts.map(start).map(|machine| machine.join().ok())
    });
    for result in results {
        counts.add(&result.context("a thread that ran machines died")??);
    }
    Ok(counts)
}

fn no_rebuild() -> Result<()> {
    let check = || command::capture(command::cargo().arg("check").args(EVERYTHING));
    check()?;
    let second = check()?;
    let built = built(&String::from_utf8_lossy(&second.stderr));
    ensure!(built.is_empty(), "nothing changed, yet cargo built again: {}", built.join(", "));
    Ok(())
}

/// The packages that cargo says it compiled or checked.
fn built(progress: &str) -> Vec<String> {
    progress
        .lines()
        .filter_map(|line| {
            let line = line.trim_start();
            line.strip_prefix("Compiling ").or_else(|| line.strip_prefix("Checking "))
        })
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::built;

    #[test]
    fn rebuilt_packages_are_named() {
        let progress =
            "   Compiling sensor v0.1.0\n    Checking xtask v0.1.0\n    Finished `dev`\n";
        assert_eq!(built(progress), ["sensor v0.1.0", "xtask v0.1.0"]);
        assert!(built("    Finished `dev` profile in 0.1s\n").is_empty());
    }
}
