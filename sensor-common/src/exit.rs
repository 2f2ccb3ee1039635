//! A process ended: its last thread is gone.

use crate::header::Header;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `sched_process_exit` of the last thread.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Exit {
    pub header: Header,
    /// As `wait(2)` reports it: the exit code in bits 8 to 15, the signal in bits 0 to 6.
    pub status: u32,
    pub reserved: u32,
}
const _: () = assert!(size_of::<Exit>() == 104);
