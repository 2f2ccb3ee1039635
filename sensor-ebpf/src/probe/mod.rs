//! The probes, in the order of a process's life.

mod fork;
mod exec;
mod exit;
mod cgroup;
mod oom;
mod dispatch;
mod open;
mod connect;
mod io_uring;
mod io_uring_call;
mod credentials;
mod resolve;
mod call;
mod run_queue;
mod sample;
mod floor;

/// A program for a tracepoint in its two forms: the BTF-typed one is preferred, the raw one runs
/// where the kernel refuses the other. Both call the same function with the same arguments.
macro_rules! tracepoint {
    ($tracepoint:literal, $btf:ident, $raw:ident, $try:expr) => {
        #[aya_ebpf::macros::btf_tracepoint(function = $tracepoint)]
        pub(crate) fn $btf(ctx: aya_ebpf::programs::BtfTracePointContext) -> i32 {
            ($try)(&ctx);
            0
        }

        #[aya_ebpf::macros::raw_tracepoint(tracepoint = $tracepoint)]
        pub(crate) fn $raw(ctx: aya_ebpf::programs::RawTracePointContext) -> i32 {
            ($try)(&ctx);
            0
        }
    };
}
pub(crate) use tracepoint;

/// The arguments of a tracepoint, in either form of program, or of a kernel function.
pub(crate) trait Arguments {
    fn arg<T: aya_ebpf::Argument>(&self, n: usize) -> T;
}

impl Arguments for aya_ebpf::programs::BtfTracePointContext {
    #[inline(always)]
    fn arg<T: aya_ebpf::Argument>(&self, n: usize) -> T {
        Self::arg(self, n)
    }
}

impl Arguments for aya_ebpf::programs::RawTracePointContext {
    #[inline(always)]
    fn arg<T: aya_ebpf::Argument>(&self, n: usize) -> T {
        Self::arg(self, n)
    }
}

impl Arguments for aya_ebpf::programs::FEntryContext {
    #[inline(always)]
    fn arg<T: aya_ebpf::Argument>(&self, n: usize) -> T {
        Self::arg(self, n)
    }
}
