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
use sensor_common::syscall::{CONNECT, CREAT, OPEN, OPENAT, OPENAT2, Syscall};

/// A system call, and how it is made so that it ends behind the hooked function and changes nothing.
struct Caller {
    name: &'static str,
    syscall: Syscall,
    /// Makes the call of this number; its result, or the negated errno.
    call: fn(libc::c_long) -> i64,
    /// What comes back from behind the function. Anything else says that something before it, such
    /// as a filter, ended the call.
    outcome: i32,
}

/// An empty path names nothing.
const PATH: *const libc::c_char = c"".as_ptr();

const OPENS: [Caller; 4] = [
    Caller {
        name: "open",
        syscall: OPEN,
        // SAFETY: the path is a NUL-terminated string; the other arguments are numbers.
        call: |number| result(unsafe { libc::syscall(number, PATH, libc::O_RDONLY) }),
        outcome: -libc::ENOENT,
    },
    Caller {
        name: "openat",
        syscall: OPENAT,
        call: |number| {
            // SAFETY: as above.
            result(unsafe { libc::syscall(number, libc::AT_FDCWD, PATH, libc::O_RDONLY) })
        },
        outcome: -libc::ENOENT,
    },
    Caller { name: "openat2", syscall: OPENAT2, call: openat2, outcome: -libc::ENOENT },
    Caller {
        name: "creat",
        syscall: CREAT,
        // SAFETY: as above.
        call: |number| result(unsafe { libc::syscall(number, PATH, 0) }),
        outcome: -libc::ENOENT,
    },
];

const CONNECTS: [Caller; 1] =
    [Caller { name: "connect", syscall: CONNECT, call: connect, outcome: -libc::EINVAL }];

fn openat2(number: libc::c_long) -> i64 {
    // `struct open_how`: flags, mode, resolve.
    let how = [0_u64; 3];
    // SAFETY: the path is a NUL-terminated string, and `how` is as long as is said.
    result(unsafe {
        libc::syscall(number, libc::AT_FDCWD, PATH, &raw const how, size_of_val(&how))
    })
}

fn connect(number: libc::c_long) -> i64 {
    let Ok(socket) = UnixDatagram::unbound() else { return 0 };
    // SAFETY: an address without bytes is not read.
    result(unsafe { libc::syscall(number, socket.as_raw_fd(), 0, 0) })
}

/// The result as the kernel gave it: libc keeps the error elsewhere.
fn result(returned: libc::c_long) -> i64 {
    if returned != -1 {
        return returned;
    }
    std::io::Error::last_os_error().raw_os_error().map_or(-1, |error| -i64::from(error))
}

/// Fails if a system call does not pass the program that is attached to `function`.
pub(super) fn run(ebpf: &Ebpf, function: Function) -> Result<(), String> {
    let callers: &[Caller] = match function {
        Function::DoSysOpenat2 => &OPENS,
        Function::SysConnect | Function::SysConnectFile => &CONNECTS,
    };
    for caller in callers {
        let Some(number) = caller.syscall.native else { continue };
        let before = met(ebpf, function)?;
        let outcome = (caller.call)(number.into());
        if outcome == i64::from(caller.outcome) && met(ebpf, function)? == before {
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
