//! Builds the kernel programs and leaves them where the agent embeds them from, `OUT_DIR/sensor-ebpf`.
//!
//! `aya_build` wants unstable cargo options, which a stable compiler grants to a process that has
//! `RUSTC_BOOTSTRAP=1`. The script gives it to a second process of itself, so that neither the agent
//! nor its dependencies are built with it.

#[path = "../sensor-ebpf/tools.rs"]
mod tools;

use std::env;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use aya_build::{Package, Toolchain};
use tools::{CLANGS, TOOLCHAIN};

const SKIP: &str = "AYA_BUILD_SKIP";
const CLANG: &str = "SENSOR_BPF_CLANG";
const BOOTSTRAP: &str = "RUSTC_BOOTSTRAP";
/// What cargo sets for the agent's feature `log`.
const LOG: &str = "CARGO_FEATURE_LOG";
/// Marks the second process.
const INNER: &str = "SENSOR_BUILD_INNER";

fn main() -> ExitCode {
    if env::var_os(INNER).is_some() {
        return compile();
    }
    if let Err(error) = build() {
        // cargo fails the build for it; a failing exit status would make it print all of the above too.
        println!("cargo::error={error:#}");
    }
    ExitCode::SUCCESS
}

fn compile() -> ExitCode {
    let features: &[&str] = if env::var_os(LOG).is_some() { &["log"] } else { &[] };
    let package =
        Package { name: "sensor-ebpf", root_dir: "../sensor-ebpf", features, ..Package::default() };
    match aya_build::build_ebpf([package], Toolchain::Custom(TOOLCHAIN)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("cargo::warning={}", format!("{error:#}").replace('\n', " "));
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<()> {
    for path in ["build.rs", "../sensor-ebpf", "../sensor-common", "../Cargo.lock", "../Cargo.toml"]
    {
        println!("cargo::rerun-if-changed={path}");
    }
    for variable in [SKIP, CLANG, INNER] {
        println!("cargo::rerun-if-env-changed={variable}");
    }
    let object =
        PathBuf::from(env::var_os("OUT_DIR").context("cargo sets OUT_DIR")?).join("sensor-ebpf");
    if env::var_os(SKIP).is_some_and(|skip| skip == "1") {
        println!("cargo::warning={SKIP}=1: this sensor has no kernel programs inside");
        return fs::write(&object, []).with_context(|| format!("write {}", object.display()));
    }
    let clang = find_tools()?;
    let out = object.parent().context("the object is in no directory")?;
    let _lock = share(out)?;
    let inner = Command::new(env::current_exe().context("find the build script itself")?)
        .env(INNER, "1")
        .env(BOOTSTRAP, "1")
        .env(CLANG, clang)
        .stderr(Stdio::inherit())
        .output()
        .context("start the build script once more")?;
    let output = String::from_utf8_lossy(&inner.stdout);
    forward(&output, inner.status.success());
    if !inner.status.success() {
        bail!("the kernel programs did not compile");
    }
    ensure!(
        fs::metadata(&object).is_ok_and(|file| file.len() > 0),
        "{} was not built",
        object.display()
    );
    Ok(())
}

/// Builds of every profile and feature compile the kernel programs in one directory, one at a time: `core`
/// and what the macros are made of take longer than the programs, and are the same for all. `aya_build`
/// compiles in a directory of its own in `out`, which becomes a link to that one.
fn share(out: &Path) -> Result<File> {
    // Cargo's layout: `TARGET/PROFILE/build/PACKAGE/out`.
    let target = out.ancestors().nth(4).context("OUT_DIR is no directory that cargo made")?;
    let shared = target.join("kernel");
    fs::create_dir_all(&shared).with_context(|| format!("create {}", shared.display()))?;
    let lock = shared.join("lock");
    let file = File::create(&lock).with_context(|| format!("create {}", lock.display()))?;
    file.lock().with_context(|| format!("lock {}", lock.display()))?;
    let link = out.join("aya-build");
    if !link.is_symlink() {
        if link.exists() {
            fs::remove_dir_all(&link).with_context(|| format!("remove {}", link.display()))?;
        }
        symlink(&shared, &link).with_context(|| format!("make the link {}", link.display()))?;
    }
    Ok(file)
}

/// Passes on what the second process told cargo. Of a build that went well, the progress of the
/// inner cargo is left out: cargo repeats a build script's warnings at every later build.
fn forward(output: &str, success: bool) {
    for line in output.lines() {
        let progress = line.strip_prefix("cargo:warning=").is_some_and(is_progress);
        if !(success && progress) {
            println!("{line}");
        }
    }
}

fn is_progress(line: &str) -> bool {
    const VERBS: [&str; 8] = [
        "Compiling",
        "Finished",
        "Updating",
        "Locking",
        "Adding",
        "Downloading",
        "Downloaded",
        "Blocking",
    ];
    let line = line.trim_start();
    line.is_empty() || VERBS.iter().any(|verb| line.starts_with(verb))
}

/// Checks that every tool is there and returns the C compiler to use.
fn find_tools() -> Result<String> {
    ensure!(
        runs("rustup", &["run", TOOLCHAIN, "rustc", "--version"]),
        "no toolchain `{TOOLCHAIN}` to compile the kernel programs with: run `cargo xtask setup`"
    );
    ensure!(
        runs("bpf-linker", &["--version"]),
        "no bpf-linker to link the kernel programs with: run `cargo xtask setup`"
    );
    let candidates = match env::var(CLANG) {
        Ok(chosen) => vec![chosen],
        Err(_) => CLANGS.map(str::to_owned).to_vec(),
    };
    candidates
        .into_iter()
        .find(|clang| runs(clang, &["--version"]))
        .context("no clang for the kernel getters: run `cargo xtask setup`")
}

fn runs(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
