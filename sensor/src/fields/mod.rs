//! The fields that rules may name: one table row each, with type, getter and reference text.

pub mod call;
pub mod container;
pub mod docs;
pub mod event_types;
pub mod evt;
pub mod fd;
pub mod flags;
pub mod fs_path;
pub mod json;
pub mod k8s;
pub mod names;
pub mod near;
pub mod object;
pub mod oom;
pub mod operand;
pub mod parameters;
pub mod proc;
pub mod services;
pub mod source;
pub mod thread;
pub mod user;

use std::net::IpAddr;

use crate::event::Event;
use crate::event::process::Process;

/// One row of the table.
#[derive(Debug)]
pub struct Field {
    pub name: &'static str,
    pub doc: &'static str,
    pub argument: ArgumentForm,
    pub get: Get,
}

/// What a field may have in brackets, or as a last part after a dot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentForm {
    None,
    OptionalIndex,
    OptionalKey,
    RequiredKey,
    /// A parameter of the event: `evt.arg.flags` or `evt.arg[0]`.
    Parameter,
    /// A key after a dot (`container.label.app`) or in brackets.
    Dotted,
}

/// A value of a field for one event. Absent values are `None` around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    Bytes(&'a [u8]),
    /// Wide enough for every number type, so that none wraps.
    Number(i128),
    Double(f64),
    Bool(bool),
    Ip(IpAddr),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    Text,
    Buffer,
    Bool,
    Int16,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Double,
    Port,
    /// Nanoseconds.
    Duration,
    /// Nanoseconds since the epoch.
    Time,
    Ip,
    Net,
}

/// How to read a field; the variant is the field's type. `None`: this event has no such thing.
#[derive(Clone, Copy, Debug)]
pub enum Get {
    Str(for<'a> fn(&'a Event<'a>) -> Option<&'a [u8]>),
    /// Bytes that are no text.
    Buffer(for<'a> fn(&'a Event<'a>) -> Option<&'a [u8]>),
    /// Text that is composed: written to the buffer, false when the event has none.
    Text(fn(&Event<'_>, &mut Vec<u8>) -> bool),
    /// Text that most events hold whole, and how it is composed for any.
    StrOrText(for<'a> fn(&'a Event<'a>) -> Option<&'a [u8]>, fn(&Event<'_>, &mut Vec<u8>) -> bool),
    /// Composed text that depends on the field's argument.
    Keyed(fn(&Event<'_>, Option<&Argument>, &mut Vec<u8>) -> bool),
    /// The event's time as text; JSON output has the number.
    Clock(fn(&Event<'_>, &mut Vec<u8>) -> bool),
    Bool(fn(&Event<'_>) -> Option<bool>),
    Int16(fn(&Event<'_>) -> Option<i16>),
    Int32(fn(&Event<'_>) -> Option<i32>),
    Int64(fn(&Event<'_>) -> Option<i64>),
    Uint32(fn(&Event<'_>) -> Option<u32>),
    /// A number that depends on the field's argument.
    KeyedUint32(fn(&Event<'_>, &Argument) -> Option<u32>),
    Uint64(fn(&Event<'_>) -> Option<u64>),
    Port(fn(&Event<'_>) -> Option<u16>),
    Duration(fn(&Event<'_>) -> Option<u64>),
    Time(fn(&Event<'_>) -> Option<u64>),
    Ip(fn(&Event<'_>) -> Option<IpAddr>),
    Net(fn(&Event<'_>) -> Option<IpAddr>),
    /// Both ends of a connection; a condition holds for either.
    Ips(fn(&Event<'_>) -> [Option<IpAddr>; 2]),
    Nets(fn(&Event<'_>) -> [Option<IpAddr>; 2]),
    Ports(fn(&Event<'_>) -> [Option<u16>; 2]),
    /// Of the process (index 0), its parent (1) and so on; without an index, of any ancestor.
    AncestorStr(fn(&Process) -> Option<&[u8]>),
    AncestorText(fn(&Process, Option<&[u8]>, &mut Vec<u8>) -> bool),
    AncestorInt(fn(&Process) -> i64),
    /// A typed parameter of the event.
    Parameter(for<'a> fn(&'a Event<'a>, &Argument) -> Option<Value<'a>>),
    /// Nothing collects this yet: the field loads, and is absent from every event.
    Missing(Type),
    /// As `Missing`, for a field with several values.
    MissingList(Type),
}

/// A field's argument, parsed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Argument {
    Index(u32),
    Key(Box<str>),
}

impl Field {
    pub const fn new(name: &'static str, get: Get, doc: &'static str) -> Self {
        Self { name, doc, argument: ArgumentForm::None, get }
    }

    #[must_use]
    pub const fn with(self, argument: ArgumentForm) -> Self {
        Self { argument, ..self }
    }

    /// The part of the name before the first dot.
    pub fn class(&self) -> &'static str {
        self.name.split('.').next().unwrap_or(self.name)
    }

    pub const fn is_delivered(&self) -> bool {
        !matches!(self.get, Get::Missing(_) | Get::MissingList(_))
    }
}

impl Get {
    /// The type of the values; `None` where the argument decides.
    pub const fn value_type(self) -> Option<Type> {
        Some(match self {
            Self::Str(_)
            | Self::Text(_)
            | Self::StrOrText(..)
            | Self::Keyed(_)
            | Self::Clock(_)
            | Self::AncestorStr(_)
            | Self::AncestorText(_) => Type::Text,
            Self::Buffer(_) => Type::Buffer,
            Self::Bool(_) => Type::Bool,
            Self::Int16(_) => Type::Int16,
            Self::Int32(_) => Type::Int32,
            Self::Int64(_) | Self::AncestorInt(_) => Type::Int64,
            Self::Uint32(_) | Self::KeyedUint32(_) => Type::Uint32,
            Self::Uint64(_) => Type::Uint64,
            Self::Port(_) | Self::Ports(_) => Type::Port,
            Self::Duration(_) => Type::Duration,
            Self::Time(_) => Type::Time,
            Self::Ip(_) | Self::Ips(_) => Type::Ip,
            Self::Net(_) | Self::Nets(_) => Type::Net,
            Self::Missing(value_type) | Self::MissingList(value_type) => value_type,
            Self::Parameter(_) => return None,
        })
    }

    pub const fn is_ancestor(self) -> bool {
        matches!(self, Self::AncestorStr(_) | Self::AncestorText(_) | Self::AncestorInt(_))
    }

    pub const fn is_either_end(self) -> bool {
        matches!(self, Self::Ips(_) | Self::Nets(_) | Self::Ports(_))
    }
}

impl Type {
    /// The name in messages and in the reference.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Buffer => "bytes",
            Self::Bool => "boolean",
            Self::Int16 | Self::Int32 | Self::Int64 | Self::Uint32 | Self::Uint64 => "number",
            Self::Double => "decimal number",
            Self::Port => "port",
            Self::Duration => "duration",
            Self::Time => "time",
            Self::Ip => "IP address",
            Self::Net => "IP network",
        }
    }

    /// Falco's name for it.
    pub const fn falco_name(self) -> &'static str {
        match self {
            Self::Text => "CHARBUF",
            Self::Buffer => "BYTEBUF",
            Self::Bool => "BOOL",
            Self::Int16 => "INT16",
            Self::Int32 => "INT32",
            Self::Int64 => "INT64",
            Self::Uint32 => "UINT32",
            Self::Uint64 => "UINT64",
            Self::Double => "DOUBLE",
            Self::Port => "PORT",
            Self::Duration => "RELTIME",
            Self::Time => "ABSTIME",
            Self::Ip => "IPADDR",
            Self::Net => "IPNET",
        }
    }

    /// The numbers that the type holds; `None` for what is no whole number.
    pub const fn range(self) -> Option<(i128, i128)> {
        Some(match self {
            Self::Int16 => (i16::MIN as i128, i16::MAX as i128),
            Self::Int32 => (i32::MIN as i128, i32::MAX as i128),
            Self::Int64 => (i64::MIN as i128, i64::MAX as i128),
            Self::Uint32 => (0, u32::MAX as i128),
            Self::Uint64 | Self::Duration | Self::Time => (0, u64::MAX as i128),
            Self::Port => (0, u16::MAX as i128),
            _ => return None,
        })
    }
}

/// The tables, in the order of the reference.
pub const CLASSES: &[(&str, &[Field])] = &[
    ("Events", evt::FIELDS),
    ("Processes", proc::FIELDS),
    ("Process groups, sessions and standard streams", proc::SESSION_FIELDS),
    ("Threads", thread::FIELDS),
    ("Users and groups", user::FIELDS),
    ("File descriptors", fd::FIELDS),
    ("Paths of file system calls", fs_path::FIELDS),
    ("Containers", container::FIELDS),
    ("Kubernetes", k8s::FIELDS),
    ("Out of memory", oom::FIELDS),
];

/// Every field.
pub fn all() -> impl Iterator<Item = &'static Field> {
    CLASSES.iter().flat_map(|(_, fields)| fields.iter())
}

/// The field of exactly this name.
pub fn named(name: &str) -> Option<&'static Field> {
    all().find(|field| field.name == name)
}
