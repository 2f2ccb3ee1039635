//! A file was opened, or an open failed.

use std::borrow::Cow;

use sensor_common::exec::FileId;
use sensor_common::open::Call;
use sensor_common::path::{BASE, DELETED, TRUNCATED};

use crate::event::path::{absolute, from_components};

/// What was opened, and how.
#[derive(Debug)]
pub struct Open<'a> {
    pub call: Call,
    /// The descriptor, or the negated errno.
    pub result: i64,
    /// The file that was opened, as the kernel knows it; after a failure what the text names,
    /// made absolute without following links.
    pub path: Cow<'a, [u8]>,
    /// The text that was passed.
    pub text: &'a [u8],
    /// `O_*`, permission bits of a created file, and `RESOLVE_*` of openat2.
    pub flags: u32,
    pub mode: u32,
    pub resolve: u32,
    /// Directory descriptor as passed.
    pub dirfd: i32,
    /// Which file, when one was opened.
    pub file: Option<FileId>,
    /// The file has no name any more.
    pub deleted: bool,
    /// The path is longer or deeper than what a record carries.
    pub truncated: bool,
}

impl<'a> Open<'a> {
    pub fn new(
        record: &sensor_common::open::Open,
        call: Call,
        components: &[u8],
        text: &'a [u8],
    ) -> Self {
        let walked = from_components(components);
        let opened = record.path_flags & BASE == 0;
        Self {
            call,
            result: record.result,
            path: if opened { Cow::Owned(walked) } else { absolute(&walked, text) },
            text,
            flags: record.flags,
            mode: record.mode,
            resolve: record.resolve,
            dirfd: record.dirfd,
            file: opened.then_some(record.file),
            deleted: record.path_flags & DELETED != 0,
            truncated: record.path_flags & TRUNCATED != 0,
        }
    }
}
