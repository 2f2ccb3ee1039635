//! A connect call returned.

use crate::header::Header;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub const AF_UNIX: u16 = 1;
pub const AF_INET: u16 = 2;
pub const AF_INET6: u16 = 10;

/// `sun_path` of `sockaddr_un`.
pub const UNIX_PATH_MAX: usize = 108;

/// In [`Connect::flags`]: `io_uring` did it, and no system call; which descriptor it was is not known.
pub const IO_URING: u32 = 1;

/// Exit of connect. The address is that of the socket's peer where it has one, else the one that was
/// passed; the local end is the socket's own.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Connect {
    pub header: Header,
    /// 0, or the negated errno; `-EINPROGRESS` for a non-blocking socket.
    pub result: i64,
    pub fd: i32,
    /// Its address family.
    pub family: u16,
    /// `IPPROTO_*` of the socket, 0 when it is none.
    pub protocol: u16,
    /// Remote and local ports in host byte order.
    pub remote_port: u16,
    pub local_port: u16,
    /// `SOCK_*` type of the socket.
    pub socket_type: u16,
    /// Bytes of `unix_path` in use; an abstract name begins with NUL.
    pub unix_len: u16,
    /// IPv4 in the first four bytes, network byte order.
    pub remote: [u8; 16],
    pub local: [u8; 16],
    pub unix_path: [u8; UNIX_PATH_MAX],
    /// [`IO_URING`].
    pub flags: u32,
}
const _: () = assert!(size_of::<Connect>() == 264);
