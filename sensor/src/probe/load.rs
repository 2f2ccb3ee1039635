//! The embedded object → maps and programs in the kernel, with the settings folded in.

use aya::{Btf, Ebpf, EbpfLoader};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sensor_common::config::{Config, SCRATCH_SLOTS};
use zerocopy::IntoBytes as _;

use super::{Error, kernel};

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/sensor-ebpf"));

/// How the kernel side is to run.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub config: Config,
    /// Size of the ring buffer; a power of two, at least a page.
    pub ring_bytes: u32,
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
    raise_memlock();
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
        .map_err(|error| classify(&error))?;
    Ok(Loaded { ebpf, btf })
}

/// Kernels before 5.11 charge maps to this limit. Where root may not raise it (a container without
/// `CAP_SYS_RESOURCE`) newer kernels do not mind, and older ones say so when a map is made.
fn raise_memlock() {
    let unlimited = Rlimit { current: None, maximum: None };
    if getrlimit(Resource::Memlock) != unlimited
        && let Err(error) = setrlimit(Resource::Memlock, unlimited)
    {
        tracing::debug!(%error, "RLIMIT_MEMLOCK stays as it is");
    }
}

fn classify(error: &aya::EbpfError) -> Error {
    let text = chain(error);
    if text.contains("EPERM") || text.contains("not permitted") || text.contains("os error 1)") {
        return Error::Permission;
    }
    Error::Load(text)
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
