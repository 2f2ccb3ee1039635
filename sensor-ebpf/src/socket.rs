//! A socket and the addresses that are passed with it.

use sensor_common::call::Socket;
use sensor_common::connect::{AF_INET, AF_INET6, AF_UNIX, UNIX_PATH_MAX};

use crate::kernel::{
    file, file_inode, file_private, inode_mode, sock, sock_family, sock_local_port, sock_local_v4,
    sock_local_v6, sock_locks, sock_protocol, sock_queue_len, sock_queue_max, sock_remote_port,
    sock_remote_v4, sock_remote_v6, sock_state, sock_type, socket_sock, unix_address,
    unix_address_len, unix_address_name, unix_peer,
};
use crate::submit::{Draft, read_kernel};

const S_IFMT: u16 = 0o170_000;
const S_IFSOCK: u16 = 0o140_000;

/// The socket behind a file, or null.
#[inline(always)]
pub(crate) fn of(file: *const file) -> *const sock {
    if file.is_null() || inode_mode(file_inode(file)) & S_IFMT != S_IFSOCK {
        return core::ptr::null();
    }
    socket_sock(file_private(file))
}

/// Fills in what the kernel keeps about it.
#[inline(always)]
pub(crate) fn fill(to: &mut Socket, sock: *const sock) {
    to.family = sock_family(sock);
    to.socket_type = sock_type(sock);
    to.protocol = sock_protocol(sock);
    to.state = u16::from(sock_state(sock));
    to.locks = sock_locks(sock) as u16;
    match to.family {
        AF_INET => {
            to.local[..4].copy_from_slice(&sock_local_v4(sock).to_ne_bytes());
            to.remote[..4].copy_from_slice(&sock_remote_v4(sock).to_ne_bytes());
        }
        AF_INET6 => {
            read_kernel(sock_local_v6(sock).cast::<[u8; 16]>(), &mut to.local);
            read_kernel(sock_remote_v6(sock).cast::<[u8; 16]>(), &mut to.remote);
        }
        _ => return,
    }
    to.local_port = sock_local_port(sock);
    to.remote_port = u16::from_be(sock_remote_port(sock));
    (to.queue_len, to.queue_max) = (sock_queue_len(sock), sock_queue_max(sock));
}

/// Appends the address of a unix socket as `sun_path` holds it: its own, or where it has none, that
/// of its peer; the bytes added.
#[inline(always)]
pub(crate) fn append_unix(draft: &mut Draft, sock: *const sock) -> u32 {
    if sock_family(sock) != AF_UNIX {
        return 0;
    }
    let mut address = unix_address(sock);
    if address.is_null() {
        address = unix_address(unix_peer(sock));
    }
    // The length counts the family, which is before the path.
    let len = unix_address_len(address);
    if len <= 2 {
        return 0;
    }
    let path = unix_address_name(address).wrapping_add(2);
    draft.kernel_bytes::<UNIX_PATH_MAX>(path, u64::from(len - 2)) as u32
}
