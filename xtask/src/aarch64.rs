//! `cargo check` of the agent for 64-bit ARM, which no machine of CI is.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::vm::archive::{Archive, list};
use crate::{command, setup, workspace};

const TARGET: &str = "aarch64-unknown-linux-gnu";
const RUSTFLAGS: &str = "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS";
/// The standard library of the distribution's compiler.
const LIBRARY: &str = "libstd-rust-web-dev";

pub(crate) fn check() -> Result<()> {
    setup::cross()?;
    let mut cargo = setup::kernel_cargo()?;
    cargo.env("AYA_BUILD_SKIP", "1").env_remove("RUSTC_BOOTSTRAP");
    match setup::packaged_compiler()? {
        Some(version) => {
            cargo.env(RUSTFLAGS, format!("-L{}", library(&version)?.display()));
        }
        None => setup::add_target(TARGET)?,
    }
    cargo
        .args(["check", "--locked", "--package", "sensor", "--target", TARGET, "--target-dir"])
        .arg(directory()?);
    command::run(&mut cargo)
}

/// Files of its own: this compiler is not the one of the workspace.
fn directory() -> Result<PathBuf> {
    Ok(workspace::target()?.join("aarch64"))
}

/// Unpacks the standard library of the compiler's own version for the target, if it is not there.
fn library(version: &str) -> Result<PathBuf> {
    let directory = directory()?.join(format!("std-{version}"));
    let library = directory.join("usr/lib/rustlib").join(TARGET).join("lib");
    if library.exists() {
        return Ok(library);
    }
    let cache = workspace::target()?.join("vm");
    fs::create_dir_all(&cache).with_context(|| format!("create {}", cache.display()))?;
    let archive = Archive::open(&cache, "arm64", false)?;
    let scratch = tempfile::tempdir_in(&cache).context("create a temporary directory")?;
    archive.download(&format!("{LIBRARY}={version}"), scratch.path())?;
    // dpkg makes the directory itself, but not those above it.
    fs::create_dir_all(&directory).with_context(|| format!("create {}", directory.display()))?;
    for package in list(scratch.path())? {
        command::capture(Command::new("dpkg").arg("--extract").arg(&package).arg(&directory))?;
    }
    Ok(library)
}
