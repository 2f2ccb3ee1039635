//! Exit of connect: programs on the functions that do its work, or one called by the dispatcher.
//!
//! `__sys_connect(int fd, struct sockaddr *uservaddr, int addrlen)` → int and
//! `__sys_connect_file(struct file *file, struct sockaddr_storage *address, int addrlen,
//! int file_flags)` → int, 5.10 to 7.2. The first copies the address into the kernel and calls the
//! second, so that the second has what the kernel uses, and does not run when the first fails. Who
//! reports is decided by the result alone ([`fails_before`]): once, whichever way it went.

use aya_ebpf::helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_user};
use aya_ebpf::macros::fexit;
use aya_ebpf::programs::FExitContext;
use sensor_common::Kind;
use sensor_common::connect::{AF_INET, AF_INET6, AF_UNIX, Connect, UNIX_PATH_MAX};
use sensor_common::filter::{self, Facts, Flags, Found, Look, Number};
use sensor_common::function::Function;

use crate::filter::Asker;
use crate::kernel::{
    file, file_inode, file_private, inode_mode, sock_family, sock_local_port, sock_local_v4,
    sock_local_v6, sock_protocol, sock_remote_port, sock_remote_v4, sock_remote_v6, sock_type,
    socket_sock,
};
use crate::probe::{Arguments, tracepoint};
use crate::scope::{current_cgroup_id, current_wanted, current_wanted_in};
use crate::submit::{Draft, clamp, read_kernel, read_user, zero_body};
use crate::syscall::Exit;
use crate::task;

tracepoint!("sys_exit", connect_btf, connect_raw, try_connect);

const EBADF: i32 = -9;
const ENOMEM: i32 = -12;
const EFAULT: i32 = -14;
/// `sizeof(struct sockaddr_storage)`
const ADDRESS_MAX: i32 = 128;
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

/// Where an address lies.
#[derive(Clone, Copy)]
pub(crate) enum Address {
    /// As the process passed it; another thread may have changed it since.
    User(u64),
    /// As the kernel used it.
    Kernel(u64),
}

impl Address {
    #[inline(always)]
    fn read<T: Copy>(self, to: &mut T) {
        match self {
            Self::User(at) => read_user(at, to),
            Self::Kernel(at) => read_kernel(at as *const T, to),
        };
    }
}

#[inline(always)]
fn try_connect(ctx: &impl Arguments) {
    if current_wanted() {
        let exit = Exit::new(ctx.arg(0), ctx.arg(1));
        let [fd, address, len] = exit.first_three();
        let (fd, address, len) = (fd as i32, Address::User(address), len as u32);
        record(&exit, &Passed { fd, file: exit.file(fd), address, len, flags: 0 });
    }
}

#[fexit(function = "__sys_connect")]
pub(crate) fn connect_fexit(ctx: FExitContext) -> i32 {
    let (result, len) = (ctx.arg(3), ctx.arg(2));
    if current_wanted_in(Function::SysConnect) && fails_before(result, len) {
        let exit = Exit::inside(result);
        let (fd, address) = (ctx.arg(0), Address::User(ctx.arg(1)));
        record(&exit, &Passed { fd, file: exit.file(fd), address, len: len as u32, flags: 0 });
    }
    0
}

#[fexit(function = "__sys_connect_file")]
pub(crate) fn connect_file_fexit(ctx: FExitContext) -> i32 {
    let (result, len) = (ctx.arg(4), ctx.arg(2));
    if current_wanted_in(Function::SysConnectFile) && !fails_before(result, len) {
        let exit = Exit::inside(result);
        if let Some(fd) = exit.connected() {
            let address = Address::Kernel(ctx.arg(1));
            record(&exit, &Passed { fd, file: ctx.arg(0), address, len: len as u32, flags: 0 });
        }
    }
    0
}

/// Whether `__sys_connect` fails like this before it calls `__sys_connect_file`. Should the latter
/// ever fail for want of memory, the former reports it as well as its own.
#[inline(always)]
fn fails_before(result: i32, len: i32) -> bool {
    matches!(result, EBADF | ENOMEM | EFAULT) || !(0..=ADDRESS_MAX).contains(&len)
}

/// What a connect was asked to do.
pub(crate) struct Passed {
    pub(crate) fd: i32,
    pub(crate) file: *const file,
    pub(crate) address: Address,
    pub(crate) len: u32,
    /// Of `sensor_common::connect`.
    pub(crate) flags: u32,
}

#[inline(always)]
pub(crate) fn record(exit: &Exit, passed: &Passed) {
    let fill = |connect: &mut Connect| {
        zero_body(connect);
        connect.result = exit.result;
        (connect.fd, connect.flags) = (passed.fd, passed.flags);
        remote(connect, passed.address, passed.len);
        local(connect, passed.file);
    };
    let facts = |asker, connect: &Connect| Connected { asker, connect };
    let event = filter::of_connect();
    let draft = Draft::begin_filled(Kind::Connect, event, exit.task, fill, facts);
    let Some(mut draft) = draft else { return };
    // SAFETY: `Connect` is a record.
    let connect = unsafe { draft.fixed::<Connect>() };
    task::fill(&mut connect.header, current_cgroup_id());
    draft.submit();
}

/// What its filter is told of a connect.
struct Connected {
    asker: Asker,
    /// In the slot, which is ours while the filter is asked.
    connect: *const Connect,
}

impl Connected {
    #[inline(always)]
    fn connect(&self) -> &Connect {
        // SAFETY: as said above.
        unsafe { &*self.connect }
    }

    #[inline(always)]
    fn has_address(&self) -> bool {
        matches!(self.connect().family, AF_INET | AF_INET6)
    }

    /// Whether rules see an own end.
    #[inline(always)]
    fn has_local(&self) -> bool {
        self.has_address() && self.connect().local_port != 0
    }
}

impl Facts for Connected {
    #[inline(always)]
    fn number(&mut self, number: Number) -> Option<i64> {
        let connect = self.connect();
        match number {
            Number::Result => Some(connect.result),
            // Of io_uring's it is not known.
            Number::Descriptor => (connect.flags == 0).then_some(connect.fd.into()),
            Number::FileType => Some(i64::from(match connect.family {
                AF_INET => b'4',
                AF_INET6 => b'6',
                AF_UNIX => b'u',
                _ => b'o',
            })),
            Number::RemotePort => self.has_address().then_some(connect.remote_port.into()),
            Number::LocalPort => self.has_local().then_some(connect.local_port.into()),
            _ => self.asker.number(number),
        }
    }

    #[inline(always)]
    fn flags(&mut self, flags: Flags) -> Option<u64> {
        self.asker.flags(flags)
    }

    #[inline(always)]
    fn find(&mut self, look: Look, _lengths: u64) -> Option<Found> {
        let connect = self.connect();
        let is_v4 = connect.family == AF_INET;
        match look {
            Look::Remote if self.has_address() => {
                Some(self.asker.find_address(look, is_v4, connect.remote))
            }
            Look::Local if self.has_local() => {
                Some(self.asker.find_address(look, is_v4, connect.local))
            }
            Look::Remote | Look::Local => None,
            _ => self.asker.find(look),
        }
    }
}

/// The address that was passed, as far as its length reaches.
#[inline(always)]
fn remote(connect: &mut Connect, address: Address, len: u32) {
    let mut inet = Inet::default();
    if len < 2 {
        return;
    }
    address.read(&mut inet.family);
    connect.family = inet.family;
    match inet.family {
        // 8 of sockaddr_in's 16 bytes say all.
        AF_INET if len >= 8 => {
            let mut head = [0_u32; 2];
            address.read(&mut head);
            connect.remote_port = u16::from_be((head[0] >> 16) as u16);
            connect.remote[..4].copy_from_slice(&head[1].to_ne_bytes());
        }
        AF_INET6 if len >= size_of::<Inet>() as u32 => {
            address.read(&mut inet);
            connect.remote_port = u16::from_be(inet.port);
            connect.remote = inet.v6;
        }
        AF_UNIX => {
            let len = clamp::<UNIX_PATH_MAX>(u64::from(len - 2));
            connect.unix_len = len as u16;
            let to = connect.unix_path.as_mut_ptr().cast();
            // SAFETY: `len` is at most the destination's size; the helpers check the source.
            unsafe {
                match address {
                    Address::User(at) => bpf_probe_read_user(to, len as u32, (at + 2) as *const _),
                    Address::Kernel(at) => {
                        bpf_probe_read_kernel(to, len as u32, (at + 2) as *const _)
                    }
                };
            }
        }
        _ => {}
    }
}

/// The socket's own end, where the file is a socket; and its peer, where it has one: another thread
/// may have changed what was passed since the kernel read it.
#[inline(always)]
fn local(connect: &mut Connect, file: *const file) {
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
            if sock_remote_port(sock) != 0 {
                connect.family = AF_INET;
                connect.remote_port = u16::from_be(sock_remote_port(sock));
                connect.remote[..4].copy_from_slice(&sock_remote_v4(sock).to_ne_bytes());
            }
        }
        AF_INET6 => {
            connect.local_port = sock_local_port(sock);
            read_kernel(sock_local_v6(sock).cast::<[u8; 16]>(), &mut connect.local);
            if sock_remote_port(sock) != 0 {
                connect.family = AF_INET6;
                connect.remote_port = u16::from_be(sock_remote_port(sock));
                read_kernel(sock_remote_v6(sock).cast::<[u8; 16]>(), &mut connect.remote);
            }
        }
        _ => {}
    }
}
