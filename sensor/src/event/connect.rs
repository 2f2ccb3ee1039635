//! A connect call returned.

use std::borrow::Cow;
use std::net::IpAddr;

use sensor_common::connect::{AF_INET, AF_INET6, AF_UNIX, IO_URING};

use crate::event::socket::{ip, unix};

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
    /// `io_uring` did it, and no system call; the descriptor is not known then.
    pub is_io_uring: bool,
}

/// The address of the peer.
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
            is_io_uring: record.flags & IO_URING != 0,
        }
    }
}
