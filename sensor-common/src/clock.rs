//! Boot time to wall clock, as of one moment.

use crate::header::Header;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Add the offset to a record's time for nanoseconds since the epoch.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Clock {
    pub header: Header,
    pub offset_ns: i64,
}
const _: () = assert!(size_of::<Clock>() == 104);
