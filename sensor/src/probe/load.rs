//! The embedded object → maps and programs in the kernel, with the settings folded in.

use aya::{Btf, Ebpf, EbpfLoader};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sensor_common::config::{Config, SCRATCH_SLOTS};
use zerocopy::IntoBytes as _;

use super::wanted::Wanted;
use super::{Error, kernel};

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sensor-ebpf"));

/// How the kernel side is to run.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub config: Config,
    pub wanted: Wanted,
    /// Size of the ring buffer; a power of two, at least a page.
    pub ring_bytes: u32,
    pub hooks: Hooks,
}

/// Which ways to hook probes may be taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hooks {
    /// The best that the kernel accepts.
    #[default]
    Auto,
    /// Nothing on kernel functions: system calls are seen at their exit, and OOM kills by tracepoint.
    Exit,
}

pub const HOOKS: [(Hooks, &str); 2] = [(Hooks::Auto, "auto"), (Hooks::Exit, "exit")];

impl std::str::FromStr for Hooks {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = HOOKS.iter().find(|(_, name)| *name == text);
        found.map(|(hooks, _)| *hooks).ok_or("not one of auto, exit")
    }
}

/// The object in the kernel; nothing is attached yet.
pub(super) struct Loaded {
    pub(super) ebpf: Ebpf,
    pub(super) btf: Btf,
}

/// Loads the object: maps are made, relocations applied; programs are loaded one by one when they
/// are attached, so that one that this kernel refuses does not take the others with it.
pub(super) fn load(settings: &Settings) -> Result<Loaded, Error> {
    if OBJECT.is_empty() {
        return Err(Error::NoObject);
    }
    let release = kernel::release();
    if kernel::version(&release).is_some_and(|version| version < kernel::OLDEST) {
        return Err(Error::Kernel(release));
    }
    if !kernel::has_btf() {
        return Err(Error::NoBtf);
    }
    let memlock = raise_memlock();
    let btf = Btf::from_sys_fs()
        .map_err(|error| Error::Load(format!("read the kernel's BTF: {error}")))?;
    let processors = aya::util::nr_cpus().map_err(|(file, error)| {
        Error::Io(format!("read the number of processors from {file}"), error)
    })?;
    let scratch = SCRATCH_SLOTS * u32::try_from(processors).unwrap_or(u32::MAX / SCRATCH_SLOTS);
    let ebpf = EbpfLoader::new()
        .btf(Some(&btf))
        .override_global("CONFIG", settings.config.as_bytes(), true)
        .map_max_entries("RING", settings.ring_bytes)
        .map_max_entries("SCRATCH", scratch)
        .load(OBJECT)
        .map_err(|error| classify(chain(&error), kernel::version(&release), memlock))?;
    Ok(Loaded { ebpf, btf })
}

/// The first kernel that charges maps and programs to the control group's memory.
const CHARGES_CGROUPS: (u32, u32) = (5, 11);

/// Older kernels charge maps to this limit. What it stays at where root may not raise it, as in a
/// container without `CAP_SYS_RESOURCE`.
fn raise_memlock() -> Option<u64> {
    let limit = getrlimit(Resource::Memlock);
    let unlimited = Rlimit { current: None, maximum: None };
    if limit == unlimited {
        return None;
    }
    let error = setrlimit(Resource::Memlock, unlimited).err()?;
    tracing::debug!(%error, "RLIMIT_MEMLOCK stays as it is");
    limit.current
}

fn classify(text: String, version: Option<(u32, u32)>, memlock: Option<u64>) -> Error {
    if !(text.contains("EPERM") || text.contains("not permitted") || text.contains("os error 1)")) {
        return Error::Load(text);
    }
    match memlock {
        Some(bytes) if version.is_some_and(|version| version < CHARGES_CGROUPS) => {
            Error::Memlock(bytes)
        }
        _ => Error::Permission,
    }
}

/// An error and its causes on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::classify;

    #[test]
    fn a_refusal_names_what_is_missing() {
        let refused = "map create: Operation not permitted (os error 1)";
        for (text, version, memlock, expected) in [
            (refused, (5, 10), Some(65536), "RLIMIT_MEMLOCK is 65536 bytes"),
            (refused, (5, 10), None, "CAP_BPF"),
            (refused, (5, 11), Some(65536), "CAP_BPF"),
            ("map create: No space", (5, 10), Some(65536), "map create: No space"),
        ] {
            let error = classify(text.into(), Some(version), memlock).to_string();
            assert!(error.contains(expected), "{version:?} {memlock:?}: {error}");
        }
    }
}
