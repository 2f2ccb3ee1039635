//! Finds what this host lacks for building, linting and testing the sensor, says it and installs it.
//!
//! The kernel programs need a compiler with Rust's library sources, a linker for the BPF target and
//! clang. Debian's `rustc-web` is that compiler where it is recent enough; elsewhere it is a nightly
//! of rustup. Either way it becomes the toolchain that `sensor-ebpf/tools.rs` names.

use std::env;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::tools::{CLANGS, TOOLCHAIN};
use crate::{apt, command};

const CLANG_VARIABLE: &str = "SENSOR_BPF_CLANG";
const LINKER_VERSION: &str = "0.13.0";
/// rustup's compiler for hosts whose packages have none. Of one day, because a newer one may have an
/// LLVM that bpf-linker cannot be built with yet: this one has LLVM 22.
const NIGHTLY: &str = "nightly-2026-05-20";
/// The oldest compiler that the workspace is written for, as (major, minor).
const OLDEST_COMPILER: (u32, u32) = (1, 95);

/// The servers that offline tests start: they need no root, once they are there.
const SERVER_PACKAGES: [&str; 2] = ["prometheus", "prometheus-alertmanager"];
/// What live tests start beside the sensor.
const LIVE_PACKAGES: [&str; 11] = [
    "runc",
    "crun",
    "busybox-static",
    "jq",
    "podman",
    "containerd",
    "containernetworking-plugins",
    "docker.io",
    "lxc",
    "systemd-container",
    "curl",
];
/// What `cargo xtask vm` runs and unpacks.
const VM_PACKAGES: [&str; 5] =
    ["qemu-system-x86", "busybox-static", "debian-archive-keyring", "runc", "crun"];

/// The C compiler for the libraries in C and assembler when the agent is checked for another machine.
const CROSS_PACKAGES: [&str; 2] = ["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"];

/// `cargo xtask setup`: all for a build, and a word about what is there.
pub(crate) fn build_and_say() -> Result<()> {
    build()?;
    let compiler = Compiler::find().context("the toolchain disappeared")?;
    println!(
        "ready to build: {TOOLCHAIN} is rustc {} with LLVM {}, bpf-linker is there, so is clang",
        compiler.release, compiler.llvm
    );
    Ok(())
}

/// All that `cargo build` needs. Prints nothing when nothing is missing.
pub(crate) fn build() -> Result<()> {
    ensure!(
        command::answer(Command::new("rustup").arg("--version")).is_some(),
        "no rustup in PATH: install it from https://rustup.rs, which needs no root"
    );
    let has_linker = command::answer(Command::new("bpf-linker").arg("--version")).is_some();
    let compiler = match Compiler::find() {
        Some(compiler) if has_linker || compiler.has_linkable_llvm()? => compiler,
        _ => install_compiler()?,
    };
    if clang().is_none() {
        install_clang()?;
    }
    if !has_linker {
        install_linker(&compiler)?;
    }
    Ok(())
}

/// Clippy for the kernel programs.
pub(crate) fn lint() -> Result<()> {
    let mut clippy = Command::new("rustup");
    clippy.args(["run", TOOLCHAIN, "cargo", "clippy", "--version"]);
    if command::answer(&mut clippy).is_some() {
        return Ok(());
    }
    let compiler = Compiler::find().context("no compiler for the kernel programs")?;
    if compiler.is_distribution() {
        return apt::install(&["rust-web-clippy"]);
    }
    rustup(&["component", "add", "clippy", "--toolchain", NIGHTLY])
}

/// The servers that alerts and metrics are tested against.
pub(crate) fn servers() -> Result<()> {
    apt::install(&SERVER_PACKAGES)
}

/// The container runtimes that live tests start.
pub(crate) fn live() -> Result<()> {
    apt::install(&LIVE_PACKAGES)
}

/// The emulator for other kernels and what its guests are made of.
pub(crate) fn vm() -> Result<()> {
    apt::install(&VM_PACKAGES)
}

/// The compiler of another machine's C.
pub(crate) fn cross() -> Result<()> {
    apt::install(&CROSS_PACKAGES)
}

/// The version of the package that the compiler for the kernel programs comes from, if it is one.
pub(crate) fn packaged_compiler() -> Result<Option<String>> {
    let compiler = Compiler::find().context("no compiler for the kernel programs")?;
    if !compiler.is_distribution() {
        return Ok(None);
    }
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat=${Version}", "rustc-web"]);
    let version = command::answer(&mut query).context("ask dpkg for the version of rustc-web")?;
    Ok(Some(version))
}

/// The standard library of another machine for the compiler that rustup installed.
pub(crate) fn add_target(target: &str) -> Result<()> {
    rustup(&["target", "add", target, "--toolchain", NIGHTLY])
}

/// cargo of the toolchain for the kernel programs, allowed to use unstable options.
pub(crate) fn kernel_cargo() -> Result<Command> {
    let mut cargo = Command::new("rustup");
    cargo
        .args(["run", TOOLCHAIN, "cargo"])
        .current_dir(crate::workspace::root())
        .env("RUSTC_BOOTSTRAP", "1")
        .env(CLANG_VARIABLE, clang().context("no clang")?);
    Ok(cargo)
}

#[derive(Debug, PartialEq)]
struct Compiler {
    release: String,
    /// Major version of its LLVM: what it writes, no older LLVM can read.
    llvm: u32,
    sysroot: String,
}

impl Compiler {
    /// The linked toolchain, if it is complete.
    fn find() -> Option<Self> {
        let ask = |argument: &[&str]| {
            command::answer(Command::new("rustup").args(["run", TOOLCHAIN, "rustc"]).args(argument))
        };
        let sysroot = ask(&["--print", "sysroot"])?.trim().to_owned();
        let has_sources =
            Path::new(&sysroot).join("lib/rustlib/src/rust/library/core/Cargo.toml").exists();
        let compiler = Self::parse(&ask(&["-vV"])?, sysroot)?;
        has_sources.then_some(compiler)
    }

    fn parse(version: &str, sysroot: String) -> Option<Self> {
        let value = |key: &str| version.lines().find_map(|line| line.strip_prefix(key));
        let llvm = value("LLVM version: ")?.split('.').next()?.parse().ok()?;
        Some(Self { release: value("release: ")?.to_owned(), llvm, sysroot })
    }

    /// The package of its LLVM that bpf-linker is built with.
    fn llvm_package(&self) -> String {
        format!("llvm-{}-dev", self.llvm)
    }

    /// Whether bpf-linker can be built for what it writes.
    fn has_linkable_llvm(&self) -> Result<bool> {
        Ok(apt::has_apt() && apt::candidate_after_update(&self.llvm_package(), |_| true)?.is_some())
    }

    fn is_distribution(&self) -> bool {
        self.sysroot == "/usr"
    }
}

fn install_compiler() -> Result<Compiler> {
    let packaged = apt::has_apt() && apt::candidate_after_update("rustc-web", is_recent)?.is_some();
    if packaged {
        apt::install(&["rustc-web", "cargo-web", "rust-web-src"])?;
        rustup(&["toolchain", "link", TOOLCHAIN, "/usr"])?;
    } else {
        println!(
            "setup: this host's packages have no recent rustc-web, so rustup's {NIGHTLY} it is"
        );
        rustup(&["toolchain", "install", NIGHTLY, "--profile=minimal", "--component=rust-src"])?;
        let sysroot = command::answer(
            Command::new("rustup").args(["run", NIGHTLY, "rustc", "--print", "sysroot"]),
        )
        .with_context(|| format!("rustup's {NIGHTLY} does not start"))?;
        rustup(&["toolchain", "link", TOOLCHAIN, sysroot.trim()])?;
    }
    Compiler::find().with_context(|| format!("toolchain {TOOLCHAIN} lacks Rust's library sources"))
}

fn is_recent(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= OLDEST_COMPILER
}

/// The C compiler for the getters, as `sensor/build.rs` finds it.
fn clang() -> Option<String> {
    let candidates = match env::var(CLANG_VARIABLE) {
        Ok(chosen) => vec![chosen],
        Err(_) => CLANGS.map(str::to_owned).to_vec(),
    };
    candidates
        .into_iter()
        .find(|clang| command::answer(Command::new(clang).arg("--version")).is_some())
}

fn install_clang() -> Result<()> {
    for clang in CLANGS {
        if apt::candidate_after_update(clang, |_| true)?.is_some() {
            return apt::install(&[clang]);
        }
    }
    bail!("no configured package source has {}", CLANGS.join(" or "))
}

fn install_linker(compiler: &Compiler) -> Result<()> {
    let llvm = format!("llvm-{}", compiler.llvm);
    let development = compiler.llvm_package();
    ensure!(
        compiler.has_linkable_llvm()?,
        "no configured package source has {development}, which bpf-linker is built with: add one, \
         or put bpf-linker {LINKER_VERSION} or newer from https://github.com/aya-rs/bpf-linker/releases into PATH"
    );
    apt::install(&[&development])?;
    println!("setup: building bpf-linker {LINKER_VERSION}, which takes a minute or two");
    command::run(
        Command::new("cargo")
            .env("LLVM_PREFIX", format!("/usr/lib/{llvm}"))
            .args(["install", "bpf-linker", "--version", LINKER_VERSION, "--locked"])
            .args(["--no-default-features", "--features", &llvm]),
    )
}

fn rustup(arguments: &[&str]) -> Result<()> {
    command::run(Command::new("rustup").args(arguments))
}

#[cfg(test)]
mod tests {
    use super::{Compiler, OLDEST_COMPILER, is_recent};

    #[test]
    fn compiler_is_known_by_its_own_words() {
        let words = "rustc 1.96.0 (ac68faa20 2026-05-25)\nrelease: 1.96.0\nLLVM version: 22.1.8\n";
        let expected = Compiler { release: "1.96.0".into(), llvm: 22, sysroot: "/usr".into() };
        assert_eq!(Compiler::parse(words, "/usr".into()), Some(expected));
        assert_eq!(Compiler::parse("release: 1.96.0\n", "/usr".into()), None);
    }

    #[test]
    fn packaged_compiler_must_be_recent() {
        let cases = [
            ("1.96.0+dfsg1-1~deb12u2", true),
            ("1.85.0+dfsg3-1", false),
            ("2.0", true),
            ("", false),
        ];
        for (version, expected) in cases {
            assert_eq!(is_recent(version), expected, "{version}");
        }
    }

    #[test]
    fn oldest_compiler_is_the_workspace_s() {
        let manifest = include_str!("../../Cargo.toml");
        let (major, minor) = OLDEST_COMPILER;
        assert!(manifest.contains(&format!("rust-version = \"{major}.{minor}\"")));
    }
}
