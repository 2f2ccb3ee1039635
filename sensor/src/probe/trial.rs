//! Whether a program on a kernel function runs at all.
//!
//! A compiler may inline a function into a caller; the kernel then still has a copy of it, on which
//! a program attaches, but that caller never comes by. So the sensor makes each system call that
//! has to pass there once, in a way that does nothing, and asks whether its program met it.

use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixDatagram;

use aya::Ebpf;
use aya::maps::Array;
use sensor_common::function::Function;

/// A system call, and how it is made so that it fails with this error behind the hooked function.
struct Caller {
    name: &'static str,
    call: fn() -> libc::c_long,
    error: i32,
}

/// An empty path names nothing.
const PATH: *const libc::c_char = c"".as_ptr();

const OPENS: [Caller; 4] = [
    Caller {
        name: "open",
        // SAFETY: the path is a NUL-terminated string; the other arguments are numbers.
        call: || unsafe { libc::syscall(libc::SYS_open, PATH, libc::O_RDONLY) },
        error: libc::ENOENT,
    },
    Caller {
        name: "openat",
        // SAFETY: as above.
        call: || unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, PATH, libc::O_RDONLY) },
        error: libc::ENOENT,
    },
    Caller { name: "openat2", call: openat2, error: libc::ENOENT },
    Caller {
        name: "creat",
        // SAFETY: as above.
        call: || unsafe { libc::syscall(libc::SYS_creat, PATH, 0) },
        error: libc::ENOENT,
    },
];

const CONNECTS: [Caller; 1] = [Caller { name: "connect", call: connect, error: libc::EINVAL }];

fn openat2() -> libc::c_long {
    // `struct open_how`: flags, mode, resolve.
    let how = [0_u64; 3];
    // SAFETY: the path is a NUL-terminated string, and `how` is as long as is said.
    unsafe {
        libc::syscall(libc::SYS_openat2, libc::AT_FDCWD, PATH, &raw const how, size_of_val(&how))
    }
}

fn connect() -> libc::c_long {
    let Ok(socket) = UnixDatagram::unbound() else { return 0 };
    // SAFETY: an address without bytes is not read.
    unsafe { libc::syscall(libc::SYS_connect, socket.as_raw_fd(), 0, 0) }
}

/// Fails if a system call does not pass the program that is attached to `function`.
pub(super) fn run(ebpf: &Ebpf, function: Function) -> Result<(), String> {
    let callers: &[Caller] = match function {
        Function::DoSysOpenat2 => &OPENS,
        Function::SysConnect | Function::SysConnectFile => &CONNECTS,
    };
    for caller in callers {
        let before = met(ebpf, function)?;
        let result = (caller.call)();
        let error = std::io::Error::last_os_error().raw_os_error();
        // A call that is filtered out for the sensor says nothing about others.
        let passed = result == -1 && error == Some(caller.error);
        if passed && met(ebpf, function)? == before {
            return Err(format!("{} does not call {} here", caller.name, function.name()));
        }
    }
    Ok(())
}

/// How often the program met the sensor.
fn met(ebpf: &Ebpf, function: Function) -> Result<u64, String> {
    let map = ebpf.map("MET").ok_or("the object has no map MET")?;
    let met = Array::<_, u64>::try_from(map).map_err(|error| error.to_string())?;
    met.get(&(function as u32), 0).map_err(|error| format!("read the map MET: {error}"))
}
