//! The kernel side, seen from user space: loading, attaching, reading; and captures of it.
//!
//! The only module that names aya, and the only one in the agent with `unsafe`.

pub mod wanted;
pub mod table;
pub mod prototype;
pub mod kernel;
pub mod load;
pub mod attach;
mod dispatch;
mod trial;
pub mod verified;
pub mod ring;
pub mod fill;
#[cfg(feature = "log")]
mod log;
pub mod counters;
pub mod filter;
pub mod missed;
pub mod cost;
pub mod sampler;
pub mod capture;
pub mod proc;
pub mod record;
mod users;
mod wire;

use std::io;

/// Why the kernel side could not be had at all. Single probes fail softly: see [`attach::State`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "loading eBPF programs needs root or CAP_BPF, CAP_PERFMON and CAP_SYS_RESOURCE: run it with sudo"
    )]
    Permission,
    #[error(
        "RLIMIT_MEMLOCK is {0} bytes and may not be raised; kernels before 5.11 need it for eBPF: \
         give CAP_SYS_RESOURCE, or start it with `ulimit -l unlimited`"
    )]
    Memlock(u64),
    #[error(
        "this kernel has no BTF at /sys/kernel/btf/vmlinux: it needs CONFIG_DEBUG_INFO_BTF=y, \
         which distribution kernels since 5.10 have"
    )]
    NoBtf,
    #[error(
        "this binary was built without eBPF programs (AYA_BUILD_SKIP was set): build it again without"
    )]
    NoObject,
    #[error("kernel {0} is older than 5.10, the oldest that works")]
    Kernel(String),
    #[error("load the eBPF programs: {0}")]
    Load(String),
    #[error("no probe could be attached: {0}")]
    Nothing(String),
    #[error("{0}")]
    Io(String, #[source] io::Error),
}
