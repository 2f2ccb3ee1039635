//! Distribution packages: installs what is missing, or says the line that would.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::command;

/// A program of this path decides whether a package may start its daemon (exit status 101: no).
const DAEMON_POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs those of `packages` that are missing. Daemons among them are not started.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    ensure!(has_apt(), "this host has no apt-get: install what {} provide", packages.join(", "));
    let missing = missing(packages);
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    ensure!(
        rustix::process::geteuid().is_root(),
        "packages are missing; run: sudo apt-get install --yes --no-install-recommends {names}"
    );
    println!("setup: installing {names}");
    if missing.iter().any(|package| candidate(package).is_none()) {
        command::run(Command::new("apt-get").args(["--quiet", "--quiet", "update"]))?;
    }
    if let Some(unknown) = missing.iter().find(|package| candidate(package).is_none()) {
        bail!("no configured package source of this host has {unknown}");
    }
    let _quiet = forbid_daemons()?;
    command::run(
        Command::new("apt-get")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["--quiet", "--quiet", "--yes", "--no-install-recommends"])
            .args(["--option", "Dpkg::Use-Pty=0", "install"])
            .args(&missing),
    )
}

pub(crate) fn has_apt() -> bool {
    Path::new("/usr/bin/apt-get").exists()
}

fn missing<'a>(packages: &[&'a str]) -> Vec<&'a str> {
    // dpkg-query fails as soon as one name is unknown to it, but answers for the others.
    let output = Command::new("dpkg-query")
        .args(["--show", "--showformat", "${Package} ${db:Status-Status}\n"])
        .args(packages)
        .output();
    let states = output.map(|output| output.stdout).unwrap_or_default();
    not_installed(packages, &String::from_utf8_lossy(&states))
}

fn not_installed<'a>(packages: &[&'a str], states: &str) -> Vec<&'a str> {
    let installed = |package: &str| {
        states.lines().any(|line| line.split_once(' ') == Some((package, "installed")))
    };
    packages.iter().copied().filter(|package| !installed(package)).collect()
}

/// The version that apt would install, after its lists were read at least once.
pub(crate) fn candidate(package: &str) -> Option<String> {
    candidate_in(&command::answer(Command::new("apt-cache").args(["policy", package]))?)
}

/// As [`candidate`], but fetches the lists first if they offer no version that `accepts`: a new
/// machine's lists are empty, or as old as its image.
pub(crate) fn candidate_after_update(
    package: &str,
    accepts: impl Fn(&str) -> bool,
) -> Result<Option<String>> {
    let offered = || candidate(package).filter(|version| accepts(version));
    if let Some(version) = offered() {
        return Ok(Some(version));
    }
    if rustix::process::geteuid().is_root() {
        println!("setup: reading the package lists, to look for {package}");
        command::run(Command::new("apt-get").args(["--quiet", "--quiet", "update"]))?;
    }
    Ok(offered())
}

fn candidate_in(policy: &str) -> Option<String> {
    policy
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("Candidate: "))
        .find(|version| *version != "(none)")
        .map(str::to_owned)
}

/// Keeps package scripts from starting daemons until it is dropped.
struct DaemonPolicy;

fn forbid_daemons() -> Result<Option<DaemonPolicy>> {
    if Path::new(DAEMON_POLICY).exists() {
        return Ok(None);
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o755)
        .open(DAEMON_POLICY)
        .with_context(|| format!("create {DAEMON_POLICY}"))?;
    let policy = DaemonPolicy;
    file.write_all(b"#!/bin/sh\nexit 101\n").with_context(|| format!("write {DAEMON_POLICY}"))?;
    Ok(Some(policy))
}

impl Drop for DaemonPolicy {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(DAEMON_POLICY) {
            eprintln!(
                "warning: {DAEMON_POLICY} is left behind and keeps daemons from starting: {error}"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{candidate_in, not_installed};

    #[test]
    fn only_installed_packages_are_there() {
        let states = "jq installed\nrunc not-installed\ncrun config-files\n";
        assert_eq!(
            not_installed(&["jq", "runc", "crun", "qemu"], states),
            ["runc", "crun", "qemu"]
        );
    }

    #[test]
    fn candidate_is_what_apt_would_install() {
        let cases = [
            ("runc:\n  Installed: (none)\n  Candidate: 1.1.5+ds1-1\n", Some("1.1.5+ds1-1")),
            ("runc:\n  Installed: (none)\n  Candidate: (none)\n", None),
            ("", None),
        ];
        for (policy, expected) in cases {
            assert_eq!(candidate_in(policy).as_deref(), expected, "{policy}");
        }
    }
}
