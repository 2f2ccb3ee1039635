//! Fields of the file or connection that the event is about.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sensor_common::connect::{AF_INET, AF_INET6, AF_UNIX};
use sensor_common::exec::FileId;

use crate::event::Event;
use crate::event::connect::{Connect, Peer};
use crate::event::detail::Detail;
use crate::event::socket::{End, Role, Socket};
use crate::fields::ArgumentForm::OptionalIndex;
use crate::fields::Get::{
    Bool, Int32, Int64, Ip, Ips, Missing, MissingList, Net, Nets, Port, Ports, Str, StrOrText, Text,
};
use crate::fields::{Field, Type, call, container, services};

pub const FIELDS: &[Field] = &[
    Field::new("fd.num", Int64(number), "Number of the descriptor; -1 after a failed open."),
    Field::new(
        "fd.type",
        Str(|e| kind(e).map(|(name, _)| name.as_bytes())),
        "Type of the descriptor: `file`, `directory`, `ipv4`, `ipv6`, `unix`, …",
    ),
    Field::new(
        "fd.typechar",
        Str(|e| kind(e).map(|(_, char)| char.as_bytes())),
        "Type as one character: `f` file, `d` directory, `4` IPv4, `6` IPv6, `u` unix socket, …",
    ),
    Field::new(
        "fd.name",
        StrOrText(path, name),
        "Full path of a file, or `client:port->server:port` of a connection.",
    ),
    Field::new("fd.directory", Str(directory), "Directory of the file."),
    Field::new("fd.filename", Str(filename), "Name of the file without its directory."),
    Field::new("fd.nameraw", Str(raw_name), "The path as the process passed it."),
    Field::new(
        "fd.ip",
        Ips(|e| [local(e).map(|end| end.0), remote(e).map(|end| end.0)]),
        "Address of either end of the connection.",
    ),
    Field::new("fd.cip", Ip(|e| client(e).map(|end| end.0)), "Address of the client."),
    Field::new("fd.sip", Ip(|e| server(e).map(|end| end.0)), "Address of the server."),
    Field::new("fd.lip", Ip(|e| local(e).map(|end| end.0)), "Address of this host's end."),
    Field::new("fd.rip", Ip(|e| remote(e).map(|end| end.0)), "Address of the other end."),
    Field::new(
        "fd.port",
        Ports(|e| [local(e).map(|end| end.1), remote(e).map(|end| end.1)]),
        "Port of either end of the connection.",
    ),
    Field::new("fd.cport", Port(|e| client(e).map(|end| end.1)), "Port of the client."),
    Field::new("fd.sport", Port(|e| server(e).map(|end| end.1)), "Port of the server."),
    Field::new("fd.lport", Port(|e| local(e).map(|end| end.1)), "Port of this host's end."),
    Field::new("fd.rport", Port(|e| remote(e).map(|end| end.1)), "Port of the other end."),
    Field::new(
        "fd.net",
        Nets(|e| [local(e).map(|end| end.0), remote(e).map(|end| end.0)]),
        "Network of either end of the connection.",
    ),
    Field::new("fd.cnet", Net(|e| client(e).map(|end| end.0)), "Network of the client."),
    Field::new("fd.snet", Net(|e| server(e).map(|end| end.0)), "Network of the server."),
    Field::new("fd.lnet", Net(|e| local(e).map(|end| end.0)), "Network of this host's end."),
    Field::new("fd.rnet", Net(|e| remote(e).map(|end| end.0)), "Network of the other end."),
    Field::new(
        "fd.proto",
        Ports(|e| [local(e).map(|end| end.1), remote(e).map(|end| end.1)]),
        "Service of either end, by name or port.",
    ),
    Field::new(
        "fd.cproto",
        Text(|e, out| service(client(e), out)),
        "Service name of the client's port, or the port.",
    ),
    Field::new(
        "fd.sproto",
        Text(|e, out| service(server(e), out)),
        "Service name of the server's port, or the port.",
    ),
    Field::new(
        "fd.lproto",
        Text(|e, out| service(local(e), out)),
        "Service name of the port at this host's end.",
    ),
    Field::new(
        "fd.rproto",
        Text(|e, out| service(remote(e), out)),
        "Service name of the port at the other end.",
    ),
    Field::new(
        "fd.l4proto",
        Str(|e| protocol(e).map(str::as_bytes)),
        "Protocol of the socket: `tcp`, `udp`, `icmp`, `raw`.",
    ),
    Field::new("fd.sockfamily", Str(family), "Family of the socket: `ip` or `unix`."),
    Field::new(
        "fd.is_server",
        Bool(|e| match &e.detail {
            Detail::Connect(_) => Some(false),
            _ => socket(e).map(|socket| socket.role == Role::Server),
        }),
        "True when the process is the server of the connection.",
    ),
    Field::new(
        "fd.connected",
        Bool(|e| match &e.detail {
            Detail::Connect(connect) => Some(connect.result == 0),
            _ => socket(e).map(|socket| socket.connected),
        }),
        "True when the socket is connected.",
    ),
    Field::new(
        "fd.name_changed",
        Bool(name_changed),
        "True when the event changes the name of the descriptor.",
    ),
    Field::new("fd.uid", Text(unique), "Descriptor and thread ids together: unique on the host."),
    Field::new(
        "fd.containername",
        Text(|e, out| in_container(e, out, name)),
        "Container id and `fd.name`.",
    ),
    Field::new(
        "fd.containerdirectory",
        Text(|e, out| {
            in_container(e, out, |e, out| {
                directory(e).is_some_and(|path| {
                    out.extend_from_slice(path);
                    true
                })
            })
        }),
        "Container id and `fd.directory`.",
    ),
    Field::new(
        "fd.cip.name",
        Str(|e| e.names.host(client(e)?.0)),
        "Domain name of the client's address.",
    ),
    Field::new(
        "fd.sip.name",
        Str(|e| e.names.host(server(e)?.0)),
        "Domain name of the server's address.",
    ),
    Field::new(
        "fd.lip.name",
        Str(|e| e.names.host(local(e)?.0)),
        "Domain name of the address at this host's end.",
    ),
    Field::new(
        "fd.rip.name",
        Str(|e| e.names.host(remote(e)?.0)),
        "Domain name of the address at the other end.",
    ),
    Field::new(
        "fd.dev",
        Int32(|e| device(e).map(|device| encoded(device).cast_signed())),
        "Device number of the file.",
    ),
    Field::new(
        "fd.dev.major",
        Int32(|e| device(e).map(|device| (device >> 20).cast_signed())),
        "Major device number of the file.",
    ),
    Field::new(
        "fd.dev.minor",
        Int32(|e| device(e).map(|device| (device & 0xf_ffff).cast_signed())),
        "Minor device number of the file.",
    ),
    Field::new(
        "fd.ino",
        Int64(|e| file(e).and_then(|file| file.inode.try_into().ok())),
        "Inode of the file.",
    ),
    Field::new(
        "fd.is_upper_layer",
        Missing(Type::Bool),
        "True when the file lies in the upper layer of an overlay mount.",
    ),
    Field::new(
        "fd.is_lower_layer",
        Missing(Type::Bool),
        "True when the file lies in the lower layer of an overlay mount.",
    ),
    Field::new("fd.types", MissingList(Type::Text), "Types of all descriptors of the process.")
        .with(OptionalIndex),
    Field::new("fdlist.nums", Missing(Type::Text), "Descriptors of a poll or select: `4,5`."),
    Field::new("fdlist.names", Missing(Type::Text), "Names of those descriptors."),
    Field::new("fdlist.cips", Missing(Type::Text), "Client addresses of those descriptors."),
    Field::new("fdlist.sips", Missing(Type::Text), "Server addresses of those descriptors."),
    Field::new("fdlist.cports", Missing(Type::Text), "Client ports of those descriptors."),
    Field::new("fdlist.sports", Missing(Type::Text), "Server ports of those descriptors."),
];

const DIRECTORY_BITS: u32 = 0o040_000;
const TYPE_BITS: u32 = 0o170_000;

/// The event's descriptor, where it stands for a file.
struct Opened<'a> {
    path: &'a [u8],
    id: Option<FileId>,
}

fn opened<'a>(event: &'a Event<'a>) -> Option<Opened<'a>> {
    match &event.detail {
        Detail::Open(open) if open.path.is_empty() => None,
        Detail::Open(open) => Some(Opened { path: &open.path, id: open.file }),
        Detail::Call(call) => {
            let file = call.file.as_ref().filter(|file| file.socket.is_none())?;
            Some(Opened { path: &file.path, id: Some(file.id) })
        }
        _ => None,
    }
}

/// The event's descriptor, where it stands for a socket; connect has a record of its own.
fn socket<'a>(event: &'a Event<'a>) -> Option<&'a Socket<'a>> {
    match &event.detail {
        Detail::Call(call) => call::socket(call),
        _ => None,
    }
}

fn number(event: &Event<'_>) -> Option<i64> {
    match &event.detail {
        Detail::Open(open) => Some(open.result.max(-1)),
        Detail::Connect(connect) if connect.is_io_uring => None,
        Detail::Connect(connect) => Some(connect.fd.into()),
        Detail::Call(call) => call.fd(),
        _ => None,
    }
}

/// The names of the descriptor's type, long and short.
fn kind(event: &Event<'_>) -> Option<(&'static str, &'static str)> {
    Some(match &event.detail {
        Detail::Open(open) => match open.file.map(|file| file.mode & TYPE_BITS) {
            Some(DIRECTORY_BITS) => ("directory", "d"),
            _ => ("file", "f"),
        },
        Detail::Connect(connect) => match &connect.peer {
            Peer::Inet(IpAddr::V4(_), _) => ("ipv4", "4"),
            Peer::Inet(IpAddr::V6(_), _) => ("ipv6", "6"),
            Peer::Unix(_) => ("unix", "u"),
            Peer::Other(_) => ("unknown", "o"),
        },
        Detail::Call(call) => call::kind(call.file.as_ref()?),
        _ => return None,
    })
}

/// A call on a path without a descriptor has none: the path is what rules ask for.
fn path<'a>(event: &'a Event<'a>) -> Option<&'a [u8]> {
    opened(event).map(|opened| opened.path)
}

fn name(event: &Event<'_>, out: &mut Vec<u8>) -> bool {
    if let Some(path) = path(event) {
        out.extend_from_slice(path);
        return true;
    }
    match &event.detail {
        Detail::Connect(connect) => connection_name(connect, out),
        Detail::Call(call) => call::socket(call).is_some_and(|socket| call::tuple(socket, out)),
        _ => false,
    }
}

/// Bound and accepted sockets, and the first datagram to or from a peer, give the descriptor a name.
fn name_changed(event: &Event<'_>) -> Option<bool> {
    match &event.detail {
        Detail::Connect(_) => Some(true),
        Detail::Call(call) => call::socket(call).map(|_| call.row.name != "listen"),
        _ => None,
    }
}

fn raw_name<'a>(event: &'a Event<'a>) -> Option<&'a [u8]> {
    match &event.detail {
        Detail::Open(open) => (!open.is_io_uring).then_some(open.text),
        Detail::Call(call) if call.is_io_uring => None,
        Detail::Call(call) => call.paths().next().map(|path| path.passed),
        _ => None,
    }
}

/// `client:port->server:port`, or the path of a unix socket.
pub fn connection_name(connect: &Connect<'_>, out: &mut Vec<u8>) -> bool {
    match &connect.peer {
        Peer::Inet(ip, port) => {
            let unspecified = match ip {
                IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            };
            let (local_ip, local_port) = connect.local.unwrap_or((unspecified, 0));
            write!(out, "{local_ip}:{local_port}->{ip}:{port}").is_ok()
        }
        Peer::Unix(path) => {
            out.extend_from_slice(path);
            true
        }
        Peer::Other(_) => false,
    }
}

fn directory<'a>(event: &'a Event<'a>) -> Option<&'a [u8]> {
    opened(event).map(|opened| split(opened.path).0)
}

fn filename<'a>(event: &'a Event<'a>) -> Option<&'a [u8]> {
    opened(event).map(|opened| split(opened.path).1)
}

/// Directory and name; a file in the root directory has `/`.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memrchr(b'/', path) {
        Some(slash) => (&path[..slash.max(1)], &path[slash + 1..]),
        None => (b"/", path),
    }
}

fn local(event: &Event<'_>) -> Option<End> {
    match &event.detail {
        Detail::Connect(connect) => connect.local,
        _ => socket(event)?.local,
    }
}

fn remote(event: &Event<'_>) -> Option<End> {
    match &event.detail {
        Detail::Connect(connect) => match &connect.peer {
            Peer::Inet(ip, port) => Some((*ip, *port)),
            Peer::Unix(_) | Peer::Other(_) => None,
        },
        _ => socket(event)?.remote,
    }
}

/// Who connects is the client.
fn client(event: &Event<'_>) -> Option<End> {
    match &event.detail {
        Detail::Connect(_) => local(event),
        _ => socket(event)?.ends().0,
    }
}

fn server(event: &Event<'_>) -> Option<End> {
    match &event.detail {
        Detail::Connect(_) => remote(event),
        _ => socket(event)?.ends().1,
    }
}

fn protocol(event: &Event<'_>) -> Option<&'static str> {
    const SOCK_STREAM: u16 = 1;
    const SOCK_DGRAM: u16 = 2;
    const SOCK_RAW: u16 = 3;
    let (socket_type, protocol, is_inet) = if let Detail::Connect(connect) = &event.detail {
        (connect.socket_type, connect.protocol, matches!(connect.peer, Peer::Inet(..)))
    } else {
        let socket = socket(event)?;
        (socket.socket_type, socket.protocol, matches!(socket.family, AF_INET | AF_INET6))
    };
    Some(match (socket_type, protocol) {
        _ if !is_inet => "<NA>",
        (SOCK_RAW, _) => "raw",
        (_, 1 | 58) => "icmp",
        (_, 6) | (SOCK_STREAM, _) => "tcp",
        (_, 17) | (SOCK_DGRAM, _) => "udp",
        _ => "<NA>",
    })
}

fn family<'a>(event: &'a Event<'a>) -> Option<&'a [u8]> {
    let family = match &event.detail {
        Detail::Connect(connect) => match connect.peer {
            Peer::Inet(..) => AF_INET,
            Peer::Unix(_) => AF_UNIX,
            Peer::Other(family) => family,
        },
        _ => socket(event)?.family,
    };
    match family {
        AF_INET | AF_INET6 => Some(b"ip"),
        AF_UNIX => Some(b"unix"),
        _ => None,
    }
}

fn service(end: Option<End>, out: &mut Vec<u8>) -> bool {
    let Some((_, port)) = end else { return false };
    match services::name(port) {
        Some(name) => out.extend_from_slice(name.as_bytes()),
        // Writing to a vector cannot fail.
        None => {
            write!(out, "{port}").ok();
        }
    }
    true
}

fn unique(event: &Event<'_>, out: &mut Vec<u8>) -> bool {
    number(event).is_some_and(|number| write!(out, "{}{number}", event.thread.tid).is_ok())
}

fn in_container(
    event: &Event<'_>,
    out: &mut Vec<u8>,
    write: fn(&Event<'_>, &mut Vec<u8>) -> bool,
) -> bool {
    out.extend_from_slice(container::id(event));
    out.push(b':');
    write(event, out)
}

fn file(event: &Event<'_>) -> Option<FileId> {
    opened(event).and_then(|opened| opened.id)
}

fn device(event: &Event<'_>) -> Option<u32> {
    file(event).map(|file| file.device)
}

/// The device number as user space has it.
const fn encoded(device: u32) -> u32 {
    crate::fields::proc::terminal(device)
}
