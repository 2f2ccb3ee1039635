//! Sockets and their addresses: what the kernel keeps of them, and what processes pass.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sensor_common::call::Row;
use sensor_common::connect::{AF_INET, AF_INET6, AF_UNIX};

/// One end of a connection.
pub type End = (IpAddr, u16);

/// A socket at the moment when the call returned.
#[derive(Debug)]
pub struct Socket<'a> {
    /// `AF_*`
    pub family: u16,
    /// `SOCK_*`
    pub socket_type: u16,
    /// `IPPROTO_*`
    pub protocol: u16,
    pub local: Option<End>,
    pub remote: Option<End>,
    /// Path, or an abstract name that begins with `@`.
    pub unix: Option<Cow<'a, [u8]>>,
    pub connected: bool,
    pub role: Role,
    /// Connections that wait to be accepted, and how many may.
    pub queue: (u32, u32),
}

/// Which end the process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Client,
    Server,
}

/// An address in the form of `sockaddr`.
#[derive(Debug, PartialEq, Eq)]
pub enum Address<'a> {
    Inet(End),
    Unix(Cow<'a, [u8]>),
    /// An address family without a decoder here.
    Other(u16),
}

const TCP_ESTABLISHED: u16 = 1;
const TCP_LISTEN: u16 = 10;
/// The process chose its address or its port itself, by bind.
const BOUND_BY_PROCESS: u16 = 4 | 8;

impl<'a> Socket<'a> {
    pub fn new(
        record: &sensor_common::call::Socket,
        row: &Row,
        unix_path: &'a [u8],
        address: Option<&Address<'a>>,
    ) -> Self {
        let end = |bytes: &[u8; 16], port: u16| {
            let is_inet = matches!(record.family, AF_INET | AF_INET6);
            let end = is_inet.then(|| (plain(ip(record.family, bytes)), port))?;
            (port != 0 || !end.0.is_unspecified()).then_some(end)
        };
        // A datagram goes to, or comes from, the address that goes with it.
        let passed = match address {
            Some(Address::Inet(end)) if row.name != "bind" => Some((plain(end.0), end.1)),
            _ => None,
        };
        Self {
            family: record.family,
            socket_type: record.socket_type,
            protocol: record.protocol,
            local: end(&record.local, record.local_port),
            remote: passed.or_else(|| end(&record.remote, record.remote_port)),
            unix: (record.family == AF_UNIX && !unix_path.is_empty()).then(|| unix(unix_path)),
            connected: record.state == TCP_ESTABLISHED,
            role: role(record, row),
            queue: (record.queue_len, record.queue_max),
        }
    }

    /// The client's end and the server's.
    pub fn ends(&self) -> (Option<End>, Option<End>) {
        match self.role {
            Role::Client => (self.local, self.remote),
            Role::Server => (self.remote, self.local),
        }
    }
}

/// Who accepts or listens is the server, and so is who bound the socket itself; everybody else calls
/// others. The sockets that a listening one accepts keep its mark of bind.
fn role(record: &sensor_common::call::Socket, row: &Row) -> Role {
    let serves = matches!(row.name, "accept" | "accept4" | "listen" | "bind")
        || record.state == TCP_LISTEN
        || record.locks & BOUND_BY_PROCESS != 0;
    if serves { Role::Server } else { Role::Client }
}

impl<'a> Address<'a> {
    /// Reads a `sockaddr` as far as it goes; `None` for one without a family.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (family, rest) = bytes.split_first_chunk()?;
        let family = u16::from_ne_bytes(*family);
        Some(match family {
            AF_INET | AF_INET6 => match inet(family, rest) {
                Some(end) => Self::Inet(end),
                None => Self::Other(family),
            },
            AF_UNIX => Self::Unix(unix(rest)),
            other => Self::Other(other),
        })
    }
}

/// What follows the family in `sockaddr_in` and `sockaddr_in6`: the port, and the address.
fn inet(family: u16, bytes: &[u8]) -> Option<End> {
    let (port, rest) = bytes.split_first_chunk()?;
    let port = u16::from_be_bytes(*port);
    if family == AF_INET {
        let address: [u8; 4] = *rest.first_chunk()?;
        return Some((Ipv4Addr::from(address).into(), port));
    }
    // After the flow information.
    let address: [u8; 16] = *rest.get(4..)?.first_chunk()?;
    Some((Ipv6Addr::from(address).into(), port))
}

/// An address of this family, from the record's sixteen bytes.
pub fn ip(family: u16, bytes: &[u8; 16]) -> IpAddr {
    if family == AF_INET {
        let [a, b, c, d, ..] = *bytes;
        return Ipv4Addr::new(a, b, c, d).into();
    }
    Ipv6Addr::from(*bytes).into()
}

/// An IPv4 address in IPv6 clothes is what rules about IPv4 are about.
fn plain(ip: IpAddr) -> IpAddr {
    ip.to_canonical()
}

/// An abstract name begins with NUL and may hold more; a path ends at its first.
pub fn unix(bytes: &[u8]) -> Cow<'_, [u8]> {
    match bytes {
        [0, name @ ..] => Cow::Owned([b"@", name].concat()),
        path => Cow::Borrowed(path.split(|byte| *byte == 0).next().unwrap_or(&[])),
    }
}

#[cfg(test)]
mod tests {
    use super::{Address, unix};
    use std::borrow::Cow;

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

    #[test]
    fn reads_addresses_as_far_as_they_go() {
        let parse = |bytes: &'static [u8]| Address::parse(bytes);
        assert_eq!(
            parse(&[2, 0, 0, 80, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]),
            Some(Address::Inet(("10.0.0.1".parse().unwrap(), 80)))
        );
        assert_eq!(
            parse(&[10, 0, 1, 187, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
            None.or(Address::parse(&[
                10, 0, 1, 187, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0,
                0
            ]))
        );
        assert_eq!(parse(&[2, 0, 0, 80, 10]), Some(Address::Other(2)));
        assert_eq!(parse(&[1, 0, b'/', b'a', 0]), Some(Address::Unix(Cow::Borrowed(b"/a"))));
        assert_eq!((parse(&[16, 0]), parse(&[1])), (Some(Address::Other(16)), None));
    }
}
