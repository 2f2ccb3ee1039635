//! Fields of the user and group that the thread acted as.

use std::io::Write as _;

use crate::event::Event;
use crate::event::names::{User, place};
use crate::fields::Field;
use crate::fields::Get::{Int64, Str, Uint32};

pub const FIELDS: &[Field] = &[
    Field::new("user.uid", Uint32(|e| Some(e.thread.uid)), "Effective user id."),
    Field::new(
        "user.name",
        Str(|e| user(e, e.thread.uid).map(|user| &*user.name).or_else(|| root(e.thread.uid))),
        "Name of the effective user.",
    ),
    Field::new(
        "user.homedir",
        Str(|e| user(e, e.thread.uid).map(|user| &*user.home)),
        "Home directory of the effective user.",
    ),
    Field::new(
        "user.shell",
        Str(|e| user(e, e.thread.uid).map(|user| &*user.shell)),
        "Shell of the effective user.",
    ),
    Field::new(
        "user.loginuid",
        Int64(|e| Some(login_uid(e))),
        "User id of the login (audit); -1 when it was never set.",
    ),
    Field::new(
        "user.loginname",
        Str(|e| user(e, login(e)?).map(|user| &*user.name).or_else(|| root(login(e)?))),
        "Name of the login's user.",
    ),
    Field::new("group.gid", Uint32(|e| Some(e.thread.gid)), "Effective group id."),
    Field::new(
        "group.name",
        Str(|e| {
            e.names.group(place(Some(e.attribution)), e.thread.gid).or_else(|| root(e.thread.gid))
        }),
        "Name of the effective group.",
    ),
];

/// The user of this number, by the container's own files.
fn user<'a>(event: &'a Event<'a>, uid: u32) -> Option<&'a User> {
    event.names.user(place(Some(event.attribution)), uid)
}

/// The user's name, or the number where it has none. -1 stands for no change.
pub fn write_user(event: &Event<'_>, uid: u32, out: &mut Vec<u8>) {
    match user(event, uid).map(|user| &*user.name).or_else(|| root(uid)) {
        Some(name) => out.extend_from_slice(name),
        // Writing to a vector cannot fail.
        None => drop(write!(out, "{}", uid.cast_signed())),
    }
}

/// The group's name, or the number where it has none.
pub fn write_group(event: &Event<'_>, gid: u32, out: &mut Vec<u8>) {
    match event.names.group(place(Some(event.attribution)), gid).or_else(|| root(gid)) {
        Some(name) => out.extend_from_slice(name),
        None => drop(write!(out, "{}", gid.cast_signed())),
    }
}

/// Number 0 is root, whatever a container calls it, or has no files to call it anything.
fn root(number: u32) -> Option<&'static [u8]> {
    (number == 0).then_some(b"root")
}

fn login(event: &Event<'_>) -> Option<u32> {
    u32::try_from(login_uid(event)).ok()
}

fn login_uid(event: &Event<'_>) -> i64 {
    // The kernel's "never set" is the largest number: -1 to rules.
    match event.process.program.session.login_uid {
        u32::MAX => -1,
        uid => uid.into(),
    }
}
