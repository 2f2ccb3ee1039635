//! A CPU sample: where one task was at one tick of the clock.

use crate::header::Header;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The kernel's default limit on frames a stack (`kernel.perf_event_max_stack`).
pub const FRAMES_MAX: usize = 127;

/// `perf_event` on cpu-clock. Variable parts: `kernel_len` then `user_len` bytes of `u64`
/// instruction addresses, leaf first.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Sample {
    pub header: Header,
    /// Bytes of kernel addresses, or a negated errno.
    pub kernel_len: i32,
    /// Bytes of user addresses, or a negated errno.
    pub user_len: i32,
}
const _: () = assert!(size_of::<Sample>() == 104);
