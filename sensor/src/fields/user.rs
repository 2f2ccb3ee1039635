//! Fields of the user and group that the thread acted as.

use crate::event::Event;
use crate::fields::Get::{Int64, Missing, Uint32};
use crate::fields::{Field, Type};

pub const FIELDS: &[Field] = &[
    Field::new("user.uid", Uint32(|e| Some(e.thread.uid)), "Effective user id."),
    Field::new("user.name", Missing(Type::Text), "Name of the effective user."),
    Field::new("user.homedir", Missing(Type::Text), "Home directory of the effective user."),
    Field::new("user.shell", Missing(Type::Text), "Shell of the effective user."),
    Field::new(
        "user.loginuid",
        Int64(|e| Some(login_uid(e))),
        "User id of the login (audit); -1 when it was never set.",
    ),
    Field::new("user.loginname", Missing(Type::Text), "Name of the login's user."),
    Field::new("group.gid", Uint32(|e| Some(e.thread.gid)), "Effective group id."),
    Field::new("group.name", Missing(Type::Text), "Name of the effective group."),
];

fn login_uid(event: &Event<'_>) -> i64 {
    // The kernel's "never set" is the largest number: -1 to rules.
    match event.process.program.session.login_uid {
        u32::MAX => -1,
        uid => uid.into(),
    }
}
