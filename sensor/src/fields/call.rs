//! Parameters of the system calls that have a row in a table: their names, text and numbers.

use std::io::Write as _;

use sensor_common::call::{Format, What};

use crate::event::Event;
use crate::event::call::{Call, File};
use crate::event::socket::{Address, Socket};
use crate::fields::{Value, flags, names, user};

/// The names of the parameters, in order.
pub fn names_of<'a>(call: &Call<'a>) -> impl Iterator<Item = &'static str> + use<'a> {
    call.row.parameters.iter().map(|parameter| parameter.name)
}

/// One parameter as text; false when the call has none of this name.
pub fn text(event: &Event<'_>, call: &Call<'_>, name: &str, out: &mut Vec<u8>) -> bool {
    let Some(what) = what(call, name) else { return false };
    match what {
        What::Result => match call.result() {
            0.. => number(call.result(), out),
            error => names::errno(error.unsigned_abs(), out),
        },
        What::NewFd => match call.result() {
            0.. => descriptor(call, out),
            error => names::errno(error.unsigned_abs(), out),
        },
        What::Number(arg, Format::Uid) => user::write_user(event, id(call, arg), out),
        What::Number(arg, Format::Gid) => user::write_group(event, id(call, arg), out),
        What::Number(arg, format) => flags::write(format, argument(call, arg), out),
        What::Fd(_) => descriptor(call, out),
        What::WorkingDirectory => match &call.file {
            Some(directory) => out.extend_from_slice(&directory.path),
            None => return false,
        },
        What::OtherFd(arg) => number(int(call, arg), out),
        What::Directory(arg) => match int(call, arg) {
            AT_FDCWD => out.extend_from_slice(b"AT_FDCWD"),
            fd => number(fd, out),
        },
        What::Path { .. } if call.is_io_uring => match call.text(name) {
            Some(text) => out.extend_from_slice(&text.path),
            None => return false,
        },
        What::Path { .. } | What::Text(_) | What::Source(_) => match call.text(name) {
            Some(text) => out.extend_from_slice(text.passed),
            None => return false,
        },
        What::Address { .. } | What::Sender { .. } => return address(call, out),
        What::Data { .. } | What::Message(_) => out.extend_from_slice(call.data),
        What::Tuple => return socket(call).is_some_and(|socket| tuple(socket, out)),
    }
    true
}

/// One parameter with its own type.
pub fn raw<'a>(call: &'a Call<'a>, name: &str) -> Option<Value<'a>> {
    Some(match what(call, name)? {
        What::Result | What::NewFd => Value::Number(call.result().into()),
        What::Number(arg, format) if flags::is_int(format) => Value::Number(int(call, arg).into()),
        What::Number(arg, _) => Value::Number(argument(call, arg).into()),
        What::Fd(arg) | What::OtherFd(arg) | What::Directory(arg) => {
            Value::Number(int(call, arg).into())
        }
        What::Path { .. } if call.is_io_uring => Value::Bytes(&call.text(name)?.path),
        What::Path { .. } | What::Text(_) | What::Source(_) => {
            Value::Bytes(call.text(name)?.passed)
        }
        What::Data { .. } | What::Message(_) => Value::Bytes(call.data),
        What::WorkingDirectory => Value::Bytes(&call.file.as_ref()?.path),
        What::Address { .. } | What::Sender { .. } | What::Tuple => return None,
    })
}

const AT_FDCWD: i64 = libc::AT_FDCWD as i64;

fn what(call: &Call<'_>, name: &str) -> Option<What> {
    call.row.parameters.iter().find(|parameter| parameter.name == name).map(|one| one.what)
}

fn argument(call: &Call<'_>, arg: u8) -> u64 {
    call.args[usize::from(arg & 7)]
}

/// What the kernel reads as an int.
#[expect(clippy::cast_possible_truncation, reason = "the kernel reads 32 bits as well")]
fn int(call: &Call<'_>, arg: u8) -> i64 {
    (argument(call, arg) as i32).into()
}

/// A user's or group's.
#[expect(clippy::cast_possible_truncation, reason = "the kernel reads 32 bits as well")]
fn id(call: &Call<'_>, arg: u8) -> u32 {
    argument(call, arg) as u32
}

fn number(number: i64, out: &mut Vec<u8>) {
    // Writing to a vector cannot fail.
    write!(out, "{number}").ok();
}

/// The socket of the event's descriptor.
pub fn socket<'a, 'b>(call: &'b Call<'a>) -> Option<&'b Socket<'a>> {
    call.file.as_ref()?.socket.as_ref()
}

/// As Falco writes descriptors: `3(<f>/etc/passwd)`.
fn descriptor(call: &Call<'_>, out: &mut Vec<u8>) {
    if let Some(fd) = call.fd() {
        number(fd, out);
    }
    let Some(file) = &call.file else { return };
    out.extend_from_slice(b"(<");
    out.extend_from_slice(kind(file).1.as_bytes());
    out.push(b'>');
    match &file.socket {
        Some(socket) => {
            tuple(socket, out);
        }
        None => out.extend_from_slice(&file.path),
    }
    out.push(b')');
}

fn address(call: &Call<'_>, out: &mut Vec<u8>) -> bool {
    match &call.address {
        Some(Address::Inet((ip, port))) => {
            write!(out, "{ip}:{port}").ok();
        }
        Some(Address::Unix(path)) => out.extend_from_slice(path),
        Some(Address::Other(_)) | None => return false,
    }
    true
}

/// `client:port->server:port`, the server's end alone while there is no client, or the path of a
/// unix socket.
pub fn tuple(socket: &Socket<'_>, out: &mut Vec<u8>) -> bool {
    if let Some(path) = &socket.unix {
        out.extend_from_slice(path);
        return true;
    }
    match socket.ends() {
        (Some((client, from)), Some((server, to))) => {
            write!(out, "{client}:{from}->{server}:{to}").is_ok()
        }
        (None, Some((ip, port))) | (Some((ip, port)), None) => write!(out, "{ip}:{port}").is_ok(),
        (None, None) => false,
    }
}

/// The names of a descriptor's type, long and short.
pub fn kind(file: &File<'_>) -> (&'static str, &'static str) {
    const TYPES: [(u32, (&str, &str)); 6] = [
        (0o040_000, ("directory", "d")),
        (0o100_000, ("file", "f")),
        (0o010_000, ("pipe", "p")),
        (0o020_000, ("file", "f")),
        (0o060_000, ("file", "f")),
        (0o120_000, ("file", "f")),
    ];
    const ANONYMOUS: [(&[u8], (&str, &str)); 10] = [
        (b"anon_inode:[eventfd]", ("event", "e")),
        (b"anon_inode:[signalfd]", ("signalfd", "s")),
        (b"anon_inode:[eventpoll]", ("eventpoll", "l")),
        (b"anon_inode:inotify", ("inotify", "i")),
        (b"anon_inode:[timerfd]", ("timerfd", "t")),
        (b"anon_inode:bpf-map", ("bpf", "b")),
        (b"anon_inode:bpf-prog", ("bpf", "b")),
        (b"anon_inode:[userfaultfd]", ("userfaultfd", "u")),
        (b"anon_inode:[io_uring]", ("iouring", "r")),
        (b"anon_inode:[pidfd]", ("pidfd", "P")),
    ];
    if let Some(socket) = &file.socket {
        return match socket.family {
            1 => ("unix", "u"),
            2 => ("ipv4", "4"),
            10 => ("ipv6", "6"),
            16 => ("netlink", "n"),
            _ => ("unknown", "o"),
        };
    }
    if let Some((_, names)) = ANONYMOUS.iter().find(|(name, _)| *file.path == **name) {
        return *names;
    }
    if file.path.starts_with(b"/memfd:") {
        return ("memfd", "m");
    }
    let format = file.id.mode & 0o170_000;
    TYPES.iter().find(|(bits, _)| *bits == format).map_or(("unknown", "o"), |(_, names)| *names)
}
