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
use sensor_common::syscall::{
    CONNECT, CREAT, OPEN, OPENAT, OPENAT2, SETFSGID, SETFSUID, SETGID, SETREGID, SETRESGID,
    SETRESUID, SETREUID, SETUID, Syscall,
};

/// A system call, and how it is made so that it ends behind the hooked function and changes nothing.
struct Caller {
    name: &'static str,
    syscall: Syscall,
    /// Makes the call of this number; its result, or the negated errno.
    call: fn(libc::c_long) -> i64,
    /// What comes back from behind the function. Anything else says that something before it, such
    /// as a filter, ended the call.
    outcome: Outcome,
}

enum Outcome {
    Error(libc::c_int),
    /// 0, or an id.
    Success,
}

impl Outcome {
    fn is(&self, result: i64) -> bool {
        match self {
            Self::Error(error) => result == -i64::from(*error),
            Self::Success => result >= 0,
        }
    }
}

/// An empty path names nothing.
const PATH: *const libc::c_char = c"".as_ptr();

const OPENS: [Caller; 4] = [
    Caller {
        name: "open",
        syscall: OPEN,
        // SAFETY: the path is a NUL-terminated string; the other arguments are numbers.
        call: |number| result(unsafe { libc::syscall(number, PATH, libc::O_RDONLY) }),
        outcome: Outcome::Error(libc::ENOENT),
    },
    Caller {
        name: "openat",
        syscall: OPENAT,
        call: |number| {
            // SAFETY: as above.
            result(unsafe { libc::syscall(number, libc::AT_FDCWD, PATH, libc::O_RDONLY) })
        },
        outcome: Outcome::Error(libc::ENOENT),
    },
    Caller {
        name: "openat2",
        syscall: OPENAT2,
        call: openat2,
        outcome: Outcome::Error(libc::ENOENT),
    },
    Caller {
        name: "creat",
        syscall: CREAT,
        // SAFETY: as above.
        call: |number| result(unsafe { libc::syscall(number, PATH, 0) }),
        outcome: Outcome::Error(libc::ENOENT),
    },
];

const CONNECTS: [Caller; 1] = [Caller {
    name: "connect",
    syscall: CONNECT,
    call: connect,
    outcome: Outcome::Error(libc::EINVAL),
}];

/// The id that none is: refused, or "leave it".
const NOBODY: libc::c_int = -1;

/// The one that a call with ids is tried by.
const fn ids(name: &'static str, syscall: Syscall, outcome: Outcome) -> [Caller; 1] {
    let call = |number| {
        // SAFETY: the arguments are numbers.
        result(unsafe { libc::syscall(number, NOBODY, NOBODY, NOBODY) })
    };
    [Caller { name, syscall, call, outcome }]
}

const SETUIDS: [Caller; 1] = ids("setuid", SETUID, Outcome::Error(libc::EINVAL));
const SETGIDS: [Caller; 1] = ids("setgid", SETGID, Outcome::Error(libc::EINVAL));
const SETREUIDS: [Caller; 1] = ids("setreuid", SETREUID, Outcome::Success);
const SETREGIDS: [Caller; 1] = ids("setregid", SETREGID, Outcome::Success);
const SETRESUIDS: [Caller; 1] = ids("setresuid", SETRESUID, Outcome::Success);
const SETRESGIDS: [Caller; 1] = ids("setresgid", SETRESGID, Outcome::Success);
const SETFSUIDS: [Caller; 1] = ids("setfsuid", SETFSUID, Outcome::Success);
const SETFSGIDS: [Caller; 1] = ids("setfsgid", SETFSGID, Outcome::Success);

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
        Function::SysSetuid => &SETUIDS,
        Function::SysSetgid => &SETGIDS,
        Function::SysSetreuid => &SETREUIDS,
        Function::SysSetregid => &SETREGIDS,
        Function::SysSetresuid => &SETRESUIDS,
        Function::SysSetresgid => &SETRESGIDS,
        Function::SysSetfsuid => &SETFSUIDS,
        Function::SysSetfsgid => &SETFSGIDS,
    };
    for caller in callers {
        let Some(number) = caller.syscall.native else { continue };
        let before = met(ebpf, function)?;
        let outcome = (caller.call)(number.into());
        if caller.outcome.is(outcome) && met(ebpf, function)? == before {
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
