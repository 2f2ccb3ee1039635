//! Fields of the paths that a file system call names.

use crate::event::Event;
use crate::event::detail::Detail;
use crate::fields::Get::{Missing, Str};
use crate::fields::{Field, Type};

pub const FIELDS: &[Field] = &[
    Field::new("fs.path.name", Str(path), "Path that the call is about, made absolute."),
    Field::new("fs.path.nameraw", Str(text), "Path that the call is about, as it was passed."),
    Field::new(
        "fs.path.source",
        Missing(Type::Text),
        "Source path of a call with two, made absolute.",
    ),
    Field::new("fs.path.sourceraw", Missing(Type::Text), "Source path as it was passed."),
    Field::new(
        "fs.path.target",
        Missing(Type::Text),
        "Target path of a call with two, made absolute.",
    ),
    Field::new("fs.path.targetraw", Missing(Type::Text), "Target path as it was passed."),
];

fn path<'a>(event: &'a Event<'a>) -> Option<&'a [u8]> {
    match &event.detail {
        Detail::Open(open) => Some(&open.path),
        _ => None,
    }
}

fn text<'a>(event: &'a Event<'a>) -> Option<&'a [u8]> {
    match &event.detail {
        Detail::Open(open) => Some(open.text),
        _ => None,
    }
}
