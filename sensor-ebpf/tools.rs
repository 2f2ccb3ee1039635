//! The tools that build the kernel programs, by the names that the build scripts ask for and
//! `cargo xtask setup` installs.

/// The toolchain, as rustup knows it.
pub(crate) const TOOLCHAIN: &str = "sensor-bpf";
/// C compilers for the getters, the preferred one first. Its LLVM must not be newer than the linker's.
pub(crate) const CLANGS: [&str; 2] = ["clang-22", "clang"];
