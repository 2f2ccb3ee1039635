//! Compiles the C getters to LLVM bitcode and hands them to bpf-linker.

use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

const SHIM: &str = "shim/shim.c";

fn main() {
    println!("cargo:rerun-if-changed={SHIM}");
    println!("cargo:rerun-if-env-changed=SENSOR_BPF_CLANG");
    // On the host this crate is an empty program (clippy, docs): there is nothing to link.
    if env::var("CARGO_CFG_TARGET_ARCH").as_deref() != Ok("bpf") {
        return;
    }
    let clang = env::var("SENSOR_BPF_CLANG").unwrap_or_else(|_| "clang".into());
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("shim.bc");
    let mut command = Command::new(&clang);
    command.args(["-O2", "-g", "-target", "bpf", "-Wall", "-Werror", "-emit-llvm", "-c", SHIM]);
    // The kernel's register layout is the one of the machine that the programs will run on.
    if env::var("CARGO_ENCODED_RUSTFLAGS").is_ok_and(|flags| flags.contains("\"aarch64\"")) {
        command.arg("-D__TARGET_ARCH_arm64");
    }
    let status = command.arg("-o").arg(&out).status().unwrap_or_else(|error| {
        panic!("run {clang} for {SHIM}: {error}; `cargo xtask setup` installs it")
    });
    assert!(status.success(), "{clang} could not compile {SHIM}");
    // rustc's dead-code pass must not see a bitcode file as an input it should understand.
    assert!(fs::metadata(&out).is_ok_and(|file| file.len() > 0), "{} is empty", out.display());
    println!("cargo:rustc-link-arg-bins={}", out.display());
}
