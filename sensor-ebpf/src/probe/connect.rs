//! Exit of connect, called by the dispatcher.

use aya_ebpf::helpers::generated::bpf_probe_read_user;
use sensor_common::Kind;
use sensor_common::connect::{AF_INET, AF_INET6, AF_UNIX, Connect, UNIX_PATH_MAX};

use crate::kernel::{
    file_inode, file_private, inode_mode, sock_family, sock_local_port, sock_local_v4,
    sock_local_v6, sock_protocol, sock_type, socket_sock,
};
use crate::probe::{Arguments, tracepoint};
use crate::scope::{current_cgroup_id, current_wanted};
use crate::submit::{Draft, clamp, read_kernel, read_user};
use crate::syscall::Exit;
use crate::task;

tracepoint!("sys_exit", connect_btf, connect_raw, try_connect);

const S_IFMT: u16 = 0o170_000;
const S_IFSOCK: u16 = 0o140_000;

/// The beginning of `sockaddr_in` and `sockaddr_in6`.
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct Inet {
    family: u16,
    port: u16,
    v4_or_flow: u32,
    v6: [u8; 16],
}

#[inline(always)]
fn try_connect(ctx: &impl Arguments) {
    if !current_wanted(Kind::Connect) {
        return;
    }
    let Some(mut draft) = Draft::begin(Kind::Connect) else { return };
    let exit = Exit::new(ctx.arg(0), ctx.arg(1));
    // SAFETY: `Connect` is a record.
    let connect = unsafe { draft.fixed::<Connect>() };
    task::fill(&mut connect.header, exit.task, current_cgroup_id());
    connect.result = exit.result;
    connect.fd = exit.arg::<0>() as i32;
    (connect.family, connect.protocol, connect.socket_type, connect.unix_len) = (0, 0, 0, 0);
    (connect.remote_port, connect.local_port, connect.reserved) = (0, 0, 0);
    (connect.remote, connect.local) = ([0; 16], [0; 16]);
    connect.unix_path = [0; UNIX_PATH_MAX];
    remote(connect, exit.arg::<1>(), exit.arg::<2>());
    local(connect, &exit);
    draft.submit();
}

/// The address that was passed.
#[inline(always)]
fn remote(connect: &mut Connect, address: u64, len: u64) {
    let mut inet = Inet::default();
    read_user(address, &mut inet.family);
    connect.family = inet.family;
    match inet.family {
        AF_INET => {
            // 8 of sockaddr_in's 16 bytes say all.
            let mut head = [0_u32; 2];
            read_user(address, &mut head);
            connect.remote_port = u16::from_be((head[0] >> 16) as u16);
            connect.remote[..4].copy_from_slice(&head[1].to_ne_bytes());
        }
        AF_INET6 => {
            read_user(address, &mut inet);
            connect.remote_port = u16::from_be(inet.port);
            connect.remote = inet.v6;
        }
        AF_UNIX => {
            let len = clamp::<UNIX_PATH_MAX>(len.saturating_sub(2));
            connect.unix_len = len as u16;
            // SAFETY: `len` is at most the destination's size; the helper checks the source.
            unsafe {
                bpf_probe_read_user(
                    connect.unix_path.as_mut_ptr().cast(),
                    len as u32,
                    (address + 2) as *const _,
                );
            }
        }
        _ => {}
    }
}

/// The socket's own end, where the descriptor is a socket.
#[inline(always)]
fn local(connect: &mut Connect, exit: &Exit) {
    let file = exit.file(connect.fd);
    if file.is_null() || inode_mode(file_inode(file)) & S_IFMT != S_IFSOCK {
        return;
    }
    let sock = socket_sock(file_private(file));
    connect.protocol = sock_protocol(sock);
    connect.socket_type = sock_type(sock);
    match sock_family(sock) {
        AF_INET => {
            connect.local_port = sock_local_port(sock);
            connect.local[..4].copy_from_slice(&sock_local_v4(sock).to_ne_bytes());
        }
        AF_INET6 => {
            connect.local_port = sock_local_port(sock);
            read_kernel(sock_local_v6(sock).cast::<[u8; 16]>(), &mut connect.local);
        }
        _ => {}
    }
}
