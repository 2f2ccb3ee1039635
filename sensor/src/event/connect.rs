//! A connect call returned.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sensor_common::connect::{AF_INET, AF_INET6, AF_UNIX};

/// Who was called, from where, and what came of it.
#[derive(Debug)]
pub struct Connect<'a> {
    /// 0, or the negated errno.
    pub result: i64,
    pub fd: i32,
    pub peer: Peer<'a>,
    /// The socket's own end, once it has one.
    pub local: Option<(IpAddr, u16)>,
    /// `IPPROTO_*`; 0 when the socket has none.
    pub protocol: u16,
    /// `SOCK_*`.
    pub socket_type: u16,
}

/// The address that was passed to connect.
#[derive(Debug, PartialEq, Eq)]
pub enum Peer<'a> {
    Inet(IpAddr, u16),
    /// A path, or an abstract name that begins with `@`.
    Unix(Cow<'a, [u8]>),
    /// An address family without a decoder here.
    Other(u16),
}

impl<'a> Connect<'a> {
    pub fn new(record: &'a sensor_common::connect::Connect) -> Self {
        let peer = match record.family {
            AF_INET | AF_INET6 => Peer::Inet(ip(record.family, &record.remote), record.remote_port),
            AF_UNIX => {
                Peer::Unix(unix(record.unix_path.get(..record.unix_len.into()).unwrap_or(&[])))
            }
            other => Peer::Other(other),
        };
        let has_local = matches!(peer, Peer::Inet(..)) && record.local_port != 0;
        Self {
            result: record.result,
            fd: record.fd,
            local: has_local.then(|| (ip(record.family, &record.local), record.local_port)),
            peer,
            protocol: record.protocol,
            socket_type: record.socket_type,
        }
    }
}

fn ip(family: u16, bytes: &[u8; 16]) -> IpAddr {
    if family == AF_INET {
        let [a, b, c, d, ..] = *bytes;
        return Ipv4Addr::new(a, b, c, d).into();
    }
    Ipv6Addr::from(*bytes).into()
}

/// An abstract name begins with NUL and may hold more; a path ends at its first.
fn unix(bytes: &[u8]) -> Cow<'_, [u8]> {
    match bytes {
        [0, name @ ..] => Cow::Owned([b"@", name].concat()),
        path => Cow::Borrowed(path.split(|byte| *byte == 0).next().unwrap_or(&[])),
    }
}

#[cfg(test)]
mod tests {
    use super::unix;

    #[test]
    fn names_unix_sockets() {
        for (bytes, name) in [
            (b"/run/a.sock\0garbage".as_slice(), b"/run/a.sock".as_slice()),
            (b"/run/a.sock", b"/run/a.sock"),
            (b"\0abstract", b"@abstract"),
            (b"", b""),
        ] {
            assert_eq!(&*unix(bytes), name);
        }
    }
}
