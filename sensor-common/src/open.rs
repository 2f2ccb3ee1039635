//! A file was opened, or an open failed: open, openat, openat2, creat.

use crate::exec::FileId;
use crate::header::Header;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// Which system call it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, TryFromBytes, Immutable)]
#[repr(u32)]
pub enum Call {
    Open = 1,
    Openat = 2,
    Openat2 = 3,
    Creat = 4,
}

impl Call {
    /// The name of the system call, as in `evt.type`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Openat => "openat",
            Self::Openat2 => "openat2",
            Self::Creat => "creat",
        }
    }
}

/// Exit of an open call. Variable parts, in this order: `path`, `text`.
///
/// `path` is what the kernel opened, as components ([`crate::path`]); after a failed open it is the
/// directory that `text` is relative to ([`crate::path::BASE`]). `text` is what the process passed.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Open {
    pub header: Header,
    pub file: FileId,
    /// The descriptor, or the negated errno.
    pub result: i64,
    /// Bits for [`crate::path`]: how far `path` can be trusted.
    pub path_flags: u32,
    /// A [`Call`], [`IO_URING`] and [`CREATED`].
    pub call: u32,
    /// `O_*` flags as passed.
    pub flags: u32,
    /// Permission bits for a created file.
    pub mode: u32,
    /// Directory descriptor; `AT_FDCWD` for calls without one.
    pub dirfd: i32,
    /// `RESOLVE_*` flags of openat2.
    pub resolve: u32,
    pub path_len: u32,
    pub text_len: u32,
}
const _: () = assert!(size_of::<Open>() == 160);

/// In [`Open::call`]: `io_uring` did it, and no system call. The text that was passed is not known
/// then, and a failed open names nothing.
pub const IO_URING: u32 = 1 << 31;

/// In [`Open::call`]: the file was not there before.
pub const CREATED: u32 = 1 << 30;

impl Open {
    /// The call, or `None` for a number that this build does not know.
    pub fn call(&self) -> Option<Call> {
        Call::try_read_from_bytes(&(self.call & !(IO_URING | CREATED)).to_ne_bytes()).ok()
    }

    pub fn created(&self) -> bool {
        self.call & CREATED != 0
    }

    pub fn is_io_uring(&self) -> bool {
        self.call & IO_URING != 0
    }
}
