//! Fields of the paths that a file system call names.

use crate::event::Event;
use crate::event::call::{Call, Text};
use crate::event::detail::Detail;
use crate::fields::Field;
use crate::fields::Get::Str;

pub const FIELDS: &[Field] = &[
    Field::new("fs.path.name", Str(path), "Path that the call is about, made absolute."),
    Field::new("fs.path.nameraw", Str(text), "Path that the call is about, as it was passed."),
    Field::new(
        "fs.path.source",
        Str(|e| pair(e).map(|(source, _)| &*source.path)),
        "Source path of a call with two, made absolute.",
    ),
    Field::new(
        "fs.path.sourceraw",
        Str(|e| passed_pair(e).map(|(source, _)| source.passed)),
        "Source path as it was passed.",
    ),
    Field::new(
        "fs.path.target",
        Str(|e| pair(e).map(|(_, target)| &*target.path)),
        "Target path of a call with two, made absolute.",
    ),
    Field::new(
        "fs.path.targetraw",
        Str(|e| passed_pair(e).map(|(_, target)| target.passed)),
        "Target path as it was passed.",
    ),
];

fn path<'a>(event: &'a Event<'a>) -> Option<&'a [u8]> {
    match &event.detail {
        Detail::Open(open) => Some(&open.path),
        Detail::Call(call) => single(call).map(|path| &*path.path),
        _ => None,
    }
}

fn text<'a>(event: &'a Event<'a>) -> Option<&'a [u8]> {
    match &event.detail {
        Detail::Open(open) => Some(open.text),
        Detail::Call(call) if call.is_io_uring => None,
        Detail::Call(call) => single(call).map(|path| path.passed),
        _ => None,
    }
}

/// The path of a call that names one.
fn single<'a, 'b>(call: &'b Call<'a>) -> Option<&'b Text<'a>> {
    let mut paths = call.paths();
    paths.next().filter(|_| paths.next().is_none() && !is_symlink(call))
}

/// The two paths of a call that names two. What a symbolic link is to hold counts as one.
fn pair<'a>(event: &'a Event<'a>) -> Option<(&'a Text<'a>, &'a Text<'a>)> {
    let Detail::Call(call) = &event.detail else { return None };
    let mut paths = call.source().into_iter().chain(call.paths());
    let (first, second) = (paths.next()?, paths.next());
    match second {
        Some(second) => Some((first, second)),
        None if is_symlink(call) => Some((call.text("target")?, first)),
        None => None,
    }
}

/// The same as they were passed, which `io_uring` does not tell.
fn passed_pair<'a>(event: &'a Event<'a>) -> Option<(&'a Text<'a>, &'a Text<'a>)> {
    pair(event).filter(|_| !matches!(&event.detail, Detail::Call(call) if call.is_io_uring))
}

fn is_symlink(call: &Call<'_>) -> bool {
    matches!(call.row.name, "symlink" | "symlinkat")
}
