//! A file was opened, or an open failed.

use std::borrow::Cow;

use sensor_common::exec::FileId;
use sensor_common::open::Call;
use sensor_common::path::{BASE, DELETED, TRUNCATED};

use crate::event::path::{absolute, from_components, unnamed};

/// What was opened, and how.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Debug)]
pub struct Open<'a> {
    pub call: Call,
    /// The descriptor, or the negated errno.
    pub result: i64,
    /// The file that was opened, as the kernel knows it; after a failure what the text names,
    /// made absolute without following links; empty where there is no text.
    pub path: Cow<'a, [u8]>,
    /// The text that was passed; `io_uring` has none.
    pub text: &'a [u8],
    /// `O_*`, permission bits of a created file, and `RESOLVE_*` of openat2.
    pub flags: u32,
    pub mode: u32,
    pub resolve: u32,
    /// Directory descriptor as passed.
    pub dirfd: i32,
    /// Which file, when one was opened.
    pub file: Option<FileId>,
    /// The file was not there before.
    pub created: bool,
    /// The file has no name any more.
    pub deleted: bool,
    /// The path is longer or deeper than what a record carries.
    pub truncated: bool,
    /// `io_uring` did it, and no system call.
    pub is_io_uring: bool,
}

/// `O_CREAT`, and the bit that is `O_TMPFILE`'s own: only then does an open read its mode.
const CREATES: u32 = 0o100 | 0o20_000_000;

impl<'a> Open<'a> {
    pub fn new(
        record: &sensor_common::open::Open,
        call: Call,
        components: &[u8],
        text: &'a [u8],
    ) -> Self {
        let opened = record.path_flags & BASE == 0;
        let walked =
            unnamed(&record.file, components).unwrap_or_else(|| from_components(components));
        Self {
            call,
            result: record.result,
            path: match opened {
                true => Cow::Owned(walked),
                false if record.is_io_uring() => Cow::Borrowed(b""),
                false => absolute(&walked, text),
            },
            text,
            flags: record.flags,
            mode: if record.flags & CREATES != 0 { record.mode } else { 0 },
            resolve: record.resolve,
            dirfd: record.dirfd,
            file: opened.then_some(record.file),
            created: record.created(),
            deleted: record.path_flags & DELETED != 0,
            truncated: record.path_flags & TRUNCATED != 0,
            is_io_uring: record.is_io_uring(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Open;
    use sensor_common::open::{Call, Open as Record};
    use sensor_common::path::{BASE, DELETED};
    use zerocopy::FromZeros as _;

    fn record(edit: impl FnOnce(&mut Record)) -> Record {
        let mut record = Record::new_zeroed();
        edit(&mut record);
        record
    }

    #[test]
    fn names_what_was_opened() {
        let check = |record: Record, components: &[u8], text: &[u8], path: &[u8], opened: bool| {
            let open = Open::new(&record, Call::Openat, components, text);
            assert_eq!((&*open.path, open.file.is_some()), (path, opened), "{open:?}");
        };
        // A symlink's text does not matter: the file does.
        check(record(|_| {}), b"shadow\0etc\0", b"/tmp/link", b"/etc/shadow", true);
        // After a failure the text does, below the directory that it is relative to.
        check(record(|r| r.path_flags = BASE), b"a\0home\0", b"../b", b"/home/b", false);
        check(record(|r| r.path_flags = BASE), b"a\0home\0", b"/b", b"/b", false);
        let pipe = record(|r| (r.file.fs_magic, r.file.inode) = (0x5049_5045, 7));
        check(pipe, b"\0", b"/dev/fd/3", b"pipe:[7]", true);
    }

    #[test]
    fn reads_a_mode_only_where_there_is_one() {
        let open = |flags, mode| {
            let record = record(|r| (r.flags, r.mode, r.path_flags) = (flags, mode, DELETED));
            let open = Open::new(&record, Call::Openat, b"", b"");
            assert!(open.deleted);
            open.mode
        };
        assert_eq!(open(0o100, 0o644), 0o644);
        assert_eq!(open(0, 0o644), 0);
    }
}
