//! A system call returned that has a row in `sensor_common::call::table`.

use std::borrow::Cow;

use sensor_common::call::{
    COMPAT, HAS_FILE, IO_URING, NONE, RESULT, Row, TEXTS, WORKING_DIRECTORY, What,
};
use sensor_common::exec::FileId;
use sensor_common::path::{DELETED, RESOLVED, TRUNCATED};

use crate::event::path::{from_components, rooted};
use crate::event::socket::{self, Socket};

/// What was called, with what, and what came of it.
#[derive(Debug)]
pub struct Call<'a> {
    pub row: &'static Row,
    /// The arguments, then the result.
    pub args: [u64; 8],
    /// What the event's descriptor stands for, where it was open.
    pub file: Option<File<'a>>,
    pub texts: [Text<'a>; TEXTS],
    /// Address that was passed, or that the kernel wrote.
    pub address: Option<socket::Address<'a>>,
    /// The beginning of what was sent or received.
    pub data: &'a [u8],
    /// It came through the 32-bit table.
    pub compat: bool,
    /// `io_uring` did it, and no system call: texts of paths are not known, and after a failure neither is
    /// where they led to.
    pub is_io_uring: bool,
}

/// What a descriptor stands for.
#[derive(Debug)]
pub struct File<'a> {
    pub id: FileId,
    /// Path, as the kernel knows it; empty for a socket.
    pub path: Vec<u8>,
    pub deleted: bool,
    pub truncated: bool,
    pub socket: Option<Socket<'a>>,
}

/// A text that was passed.
#[derive(Debug, Default)]
pub struct Text<'a> {
    pub passed: &'a [u8],
    /// For a path: what it led to, from the root of the process's mount namespace; where the kernel
    /// side could not find that out, the text made absolute.
    pub path: Cow<'a, [u8]>,
    /// The kernel looked it up, and that is what it found.
    pub is_found: bool,
}

/// The parts of a record, still as they came.
#[derive(Debug)]
pub struct Parts<'a> {
    pub file_path: &'a [u8],
    pub bases: [&'a [u8]; TEXTS],
    pub texts: [&'a [u8]; TEXTS],
    pub address: &'a [u8],
    pub data: &'a [u8],
}

impl<'a> Call<'a> {
    pub fn new(record: &sensor_common::call::Call, row: &'static Row, parts: &Parts<'a>) -> Self {
        let plan = row.plan(0);
        let is_io_uring = record.flags & IO_URING != 0;
        let address = socket::Address::parse(parts.address);
        let file = file(record, row, parts.file_path, address.as_ref());
        // Where a change of the working directory led to.
        let directory = file.as_ref().filter(|_| plan.fd == WORKING_DIRECTORY);
        let text = |place: usize| {
            let passed = parts.texts[place];
            let found = |path| Text { passed, path: Cow::Owned(path), is_found: true };
            let only = |path| Text { passed, path, is_found: false };
            if let Some(directory) = directory {
                return found(directory.path.clone());
            }
            let base = from_components(parts.bases[place]);
            if record.bases[place].flags & RESOLVED != 0 {
                return found(base);
            }
            if plan.bases[place] == NONE {
                return only(Cow::Borrowed(passed));
            }
            if is_io_uring {
                return Text::default();
            }
            only(rooted(&base, passed))
        };
        let texts = [text(0), text(1), text(2)];
        Self {
            row,
            args: record.args,
            file,
            texts,
            address,
            data: parts.data,
            compat: record.flags & COMPAT != 0,
            is_io_uring,
        }
    }

    /// What the call returned.
    pub fn result(&self) -> i64 {
        self.args[RESULT as usize].cast_signed()
    }

    /// The text that the parameter of this name passed.
    pub fn text(&self, name: &str) -> Option<&Text<'a>> {
        self.texts.get(self.row.text_index(name)?)
    }

    /// The paths that were passed, in the order of the parameters.
    pub fn paths(&self) -> impl Iterator<Item = &Text<'a>> {
        self.texts_of(|what| matches!(what, What::Path { .. }))
    }

    /// What is mounted, if the kernel looked it up as a path.
    pub fn source(&self) -> Option<&Text<'a>> {
        let mut sources = self.texts_of(|what| matches!(what, What::Source(_)));
        sources.next().filter(|source| source.is_found)
    }

    fn texts_of(&self, is: impl Fn(What) -> bool) -> impl Iterator<Item = &Text<'a>> {
        let texts = self.row.parameters.iter().filter(|one| one.what.is_text()).zip(&self.texts);
        texts.filter(move |(one, _)| is(one.what)).map(|(_, text)| text)
    }

    /// Number of the event's descriptor, -1 where it failed to come about.
    pub fn fd(&self) -> Option<i64> {
        self.row.parameters.iter().find_map(|parameter| match parameter.what {
            What::NewFd => Some(self.result().max(-1)),
            // A descriptor is an int, whatever the upper half of its register holds.
            #[expect(clippy::cast_possible_truncation, reason = "the kernel reads 32 bits as well")]
            What::Fd(arg) => Some(i64::from(self.args[usize::from(arg & 7)] as i32)),
            _ => None,
        })
    }
}

fn file<'a>(
    record: &sensor_common::call::Call,
    row: &Row,
    components: &'a [u8],
    address: Option<&socket::Address<'a>>,
) -> Option<File<'a>> {
    if record.flags & HAS_FILE == 0 {
        return None;
    }
    let socket =
        (record.socket.family != 0).then(|| Socket::new(&record.socket, row, components, address));
    let path = if socket.is_some() {
        Vec::new()
    } else {
        crate::event::path::unnamed(&record.file, components)
            .unwrap_or_else(|| from_components(components))
    };
    Some(File {
        id: record.file,
        path,
        deleted: record.file_path.flags & DELETED != 0,
        truncated: record.file_path.flags & TRUNCATED != 0,
        socket,
    })
}
