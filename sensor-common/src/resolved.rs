//! What the paths of a system call led to, kept from the function that found it to the exit of the call.

use crate::call::Part;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Paths of one call that are found.
pub const PATHS: usize = 2;
/// The call's own arguments that tell it from others of the same task.
pub const ARGUMENTS: usize = 4;
/// Room for the components of both paths, one of which may be of the greatest length.
pub const COMPONENTS_MAX: usize = 8192;

/// Found for one task. Its components follow: those of the first path, then those of the second.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Resolved {
    pub tid: u32,
    /// Number of the system call, in the table that it came through.
    pub number: u32,
    pub arguments: [u64; ARGUMENTS],
    /// Where the kernel has its copy of what is to be mounted; 0 in other calls.
    pub source: u64,
    /// By the call's texts; without [`crate::path::RESOLVED`] nothing was found.
    pub paths: [Part; PATHS],
}

pub const RESOLVED_MAX: usize = size_of::<Resolved>() + COMPONENTS_MAX;
