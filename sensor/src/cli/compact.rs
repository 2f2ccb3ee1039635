//! An event on one line that a person understands.

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter};

use crate::alert::rfc3339;
use crate::event::Event;
use crate::event::call::Call;
use crate::event::connect::{Connect, Peer};
use crate::event::credentials::{Asked, Credentials};
use crate::event::detail::Detail;
use crate::event::oom::Oom;
use crate::event::open::Open;
use crate::fields::{self, names::errno};

/// Arguments beyond this many bytes are cut from the line; `-o json` has them whole.
const ARGUMENTS_MAX: usize = 200;

/// `10:20:30.123456 execve   web              bash[812]  bash -c id`
pub(super) struct Compact<'a>(pub(super) &'a Event<'a>);

impl Display for Compact<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let event = self.0;
        let time = rfc3339(event.time_ns);
        // Hours to microseconds: the day is known to whoever watches.
        let clock = time.get(11..26).unwrap_or(&time);
        let place = place(event);
        let name = text(&event.process.name);
        let pid = event.process.id.pid;
        write!(f, "{clock} {:<12} {place:<16} {name}[{pid}] ", event.detail.event_type())?;
        match &event.detail {
            Detail::Fork(fork) => write!(f, "→ {}", fork.child_pid),
            Detail::Exec(_) => arguments(event, f),
            Detail::Exit(exit) => match (exit.code, exit.signal) {
                (_, Some(signal)) => write!(f, "killed by signal {signal}"),
                (code, None) => write!(f, "exit code {}", code.unwrap_or(0)),
            },
            Detail::Open(open) => opened(open, f),
            Detail::Connect(connect) => connected(connect, f),
            Detail::Credentials(credentials) => identified(credentials, f),
            Detail::Oom(oom) => killed(oom, f),
            Detail::Cgroup(cgroup) => write!(f, "{}", text(cgroup.path)),
            Detail::Call(call) => called(event, call, f),
        }
    }
}

/// The container, the unit, or the host.
fn place<'a>(event: &'a Event<'_>) -> Cow<'a, str> {
    let attribution = event.attribution;
    match (&attribution.container, &attribution.unit) {
        (Some(container), _) => match &container.name {
            Some(name) => Cow::Borrowed(name),
            None => Cow::Borrowed(container.short_id()),
        },
        (None, Some(unit)) => Cow::Borrowed(unit),
        (None, None) => Cow::Borrowed("host"),
    }
}

fn arguments(event: &Event<'_>, f: &mut Formatter<'_>) -> fmt::Result {
    let program = &event.process.program;
    let shown = &program.argv.bytes[..program.argv.bytes.len().min(ARGUMENTS_MAX)];
    let line = text(shown).trim_end_matches('\0').replace('\0', " ");
    write!(f, "{line}")?;
    if shown.len() < program.argv.total {
        write!(f, "… ({} bytes)", program.argv.total)?;
    }
    if program.executable.from_memfd {
        write!(f, " (from memory)")?;
    }
    Ok(())
}

fn opened(open: &Open<'_>, f: &mut Formatter<'_>) -> fmt::Result {
    const ACCESS: [&str; 4] = ["read", "write", "read+write", "path"];
    write!(f, "{}", text(&open.path))?;
    if &*open.path != open.text {
        write!(f, " (as {})", text(open.text))?;
    }
    write!(f, " {}", ACCESS[(open.flags & 3) as usize])?;
    if open.flags & 0o100 != 0 {
        write!(f, "+create")?;
    }
    result(open.result, f)
}

/// `uid=0 gid=4294967295`: what was passed, then what changed.
fn identified(credentials: &Credentials<'_>, f: &mut Formatter<'_>) -> fmt::Result {
    for (name, id) in credentials.id_names().iter().zip(credentials.ids()) {
        write!(f, "{name}={} ", id.cast_signed())?;
    }
    match credentials.asked {
        Asked::Ids(_) => {}
        Asked::Groups(_) => {
            let groups: Vec<String> = credentials.groups().map(|id| id.to_string()).collect();
            write!(f, "groups={} ", groups.join(","))?;
        }
        Asked::Capabilities { effective, permitted, inheritable } => {
            write!(f, "effective={effective:x} permitted={permitted:x} ")?;
            write!(f, "inheritable={inheritable:x} ")?;
        }
    }
    if let Some(before) = credentials.before {
        let after = credentials.after;
        write!(f, "uid {}→{} gid {}→{}", before.euid, after.euid, before.egid, after.egid)?;
    }
    result(credentials.result, f)
}

fn connected(connect: &Connect<'_>, f: &mut Formatter<'_>) -> fmt::Result {
    match connect.protocol {
        6 => write!(f, "tcp ")?,
        17 => write!(f, "udp ")?,
        _ => {}
    }
    match &connect.peer {
        Peer::Inet(ip, port) => {
            if let Some((local, local_port)) = connect.local {
                write!(f, "{} → ", std::net::SocketAddr::new(local, local_port))?;
            }
            write!(f, "{}", std::net::SocketAddr::new(*ip, *port))?;
        }
        Peer::Unix(path) => write!(f, "unix {}", text(path))?,
        Peer::Other(family) => write!(f, "address family {family}")?,
    }
    result(connect.result, f)
}

fn killed(oom: &Oom<'_>, f: &mut Formatter<'_>) -> fmt::Result {
    const MIB: u64 = 1 << 20;
    let resident = oom.memory.anon + oom.memory.file + oom.memory.shmem;
    write!(
        f,
        "out of memory in {}: {} MiB resident, {} MiB of them anonymous",
        text(&oom.memory_cgroup),
        resident / MIB,
        oom.memory.anon / MIB
    )
}

/// What was passed, without the result where that says nothing.
fn called(event: &Event<'_>, call: &Call<'_>, f: &mut Formatter<'_>) -> fmt::Result {
    let mut first = true;
    let mut value = Vec::new();
    for name in fields::call::names_of(call) {
        value.clear();
        let is_result = name == "res" || (name == "fd" && call.result() < 0);
        if is_result || !fields::call::text(event, call, name, &mut value) {
            continue;
        }
        if !first {
            f.write_str(" ")?;
        }
        first = false;
        let shown = &value[..value.len().min(ARGUMENTS_MAX)];
        write!(f, "{name}={}", text(shown).replace('\0', "·"))?;
        if shown.len() < value.len() {
            write!(f, "… ({} bytes)", value.len())?;
        }
    }
    let paths = call.source().into_iter().chain(call.paths());
    for path in paths.filter(|path| *path.path != *path.passed) {
        write!(f, " ({})", text(&path.path))?;
    }
    result(call.result(), f)
}

/// Nothing for success: what a person looks for is the failure.
fn result(result: i64, f: &mut Formatter<'_>) -> fmt::Result {
    if result >= 0 {
        return Ok(());
    }
    let mut name = Vec::new();
    errno(result.unsigned_abs(), &mut name);
    write!(f, " = {}", text(&name))
}

/// Control characters would let an event rewrite the terminal of whoever looks at it.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .map(|c| if c.is_control() && c != '\0' { '\u{fffd}' } else { c })
        .collect()
}
