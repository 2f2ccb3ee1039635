//! How a path that the kernel resolved travels: its components, leaf first.
//!
//! The kernel side walks from the dentry towards the root and appends one NUL-terminated name for
//! each component, so that it never has to know the length beforehand. Userspace turns them round.

/// The most components that the kernel side walks; a deeper path is marked [`TRUNCATED`].
pub const COMPONENTS_MAX: usize = 128;

/// `PATH_MAX`, with its NUL.
pub const PATH_MAX: usize = 4096;

/// Not the whole path: deeper than [`COMPONENTS_MAX`], longer than [`PATH_MAX`], or unreadable.
pub const TRUNCATED: u32 = 1 << 0;
/// The file has no name any more (`d_unlinked`), so a memfd and a deleted file have this mark.
pub const DELETED: u32 = 1 << 1;
/// The components name the directory that the passed text is relative to, because no file was opened.
pub const BASE: u32 = 1 << 2;
/// The components name what the passed text led to: links followed, from the top of the mount namespace.
pub const RESOLVED: u32 = 1 << 3;
