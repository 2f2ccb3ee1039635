//! Fields of the process that acted, of its ancestors and of its session.

use std::io::Write as _;

use crate::event::Event;
use crate::event::process::Process;
use crate::fields::ArgumentForm::{OptionalIndex, OptionalKey};
use crate::fields::Get::{
    AncestorInt, AncestorStr, AncestorText, Bool, Duration, Int64, Keyed, Missing, Str, Text, Time,
    Uint32, Uint64,
};
use crate::fields::container::is_below;
use crate::fields::{Argument, Field, Type};

pub const FIELDS: &[Field] = &[
    Field::new("proc.exe", Str(|e| exe(e.process)), "First argument of the command line (`argv[0]`)."),
    Field::new("proc.pexe", Str(|e| parent(e).and_then(exe)), "`proc.exe` of the parent."),
    Field::new("proc.aexe", AncestorStr(exe), "`proc.exe` of an ancestor: `proc.aexe[2]`; without index, of any.").with(OptionalIndex),
    Field::new("proc.exepath", Str(|e| Some(exe_path(e.process))), "Path of the executable, as the kernel opened it."),
    Field::new("proc.pexepath", Str(|e| parent(e).map(exe_path)), "`proc.exepath` of the parent."),
    Field::new("proc.aexepath", AncestorStr(|p| Some(exe_path(p))), "`proc.exepath` of an ancestor; without index, of any.").with(OptionalIndex),
    Field::new("proc.name", Str(|e| Some(&e.process.name)), "Name of the process (`comm`, at most 15 bytes)."),
    Field::new("proc.pname", Str(|e| parent(e).map(name)), "Name of the parent; absent when there is none."),
    Field::new("proc.aname", AncestorStr(|p| Some(name(p))), "Name of an ancestor: `proc.aname[1]` is the parent; without index, of any ancestor.").with(OptionalIndex),
    Field::new("proc.args", Keyed(indexed_arguments), "Arguments after the first, with blanks between; `proc.args[0]` is one of them.").with(OptionalIndex),
    Field::new("proc.aargs", AncestorText(|p, _, out| arguments(p, out)), "`proc.args` of an ancestor; without index, of any.").with(OptionalIndex),
    Field::new("proc.cmdline", Text(|e, out| command_line(e.process, out)), "Name and arguments: `proc.name` + `proc.args`."),
    Field::new("proc.pcmdline", Text(|e, out| parent(e).is_some_and(|p| command_line(p, out))), "`proc.cmdline` of the parent."),
    Field::new("proc.acmdline", AncestorText(|p, _, out| command_line(p, out)), "`proc.cmdline` of an ancestor; without index, of any.").with(OptionalIndex),
    Field::new("proc.cmdnargs", Uint64(|e| Some(argument_strings(e.process).count() as u64)), "Number of arguments after the first."),
    Field::new("proc.cmdlenargs", Uint64(|e| Some(argument_strings(e.process).map(<[u8]>::len).sum::<usize>() as u64)), "Bytes of the arguments after the first, without blanks between."),
    Field::new("proc.exeline", Text(|e, out| exe_line(e.process, out)), "`proc.exe` and `proc.args`."),
    Field::new("proc.env", Keyed(|e, key, out| environment(e.process, key, out)), "Environment: `A=1 B=2`; `proc.env[A]` is one variable, empty when not set.").with(OptionalKey),
    Field::new("proc.aenv", AncestorText(ancestor_environment), "Environment of an ancestor: `proc.aenv[2]`; `proc.aenv[A]` is the nearest ancestor's `A`; without argument, of any.").with(OptionalKey),
    Field::new("proc.cwd", Str(|e| Some(&e.process.cwd)), "Working directory."),
    Field::new("proc.loginshellid", Int64(login_shell), "Process id of the oldest shell among the ancestors."),
    Field::new("proc.tty", Uint32(|e| Some(terminal(e.process.program.session.tty))), "Number of the controlling terminal; 0 without one."),
    Field::new("proc.pid", Int64(|e| Some(e.process.id.pid.into())), "Process id in the host's pid namespace."),
    Field::new("proc.ppid", Int64(|e| Some(e.process.ppid.into())), "Process id of the parent."),
    Field::new("proc.apid", AncestorInt(|p| p.id.pid.into()), "Process id of an ancestor; without index, of any.").with(OptionalIndex),
    Field::new("proc.vpid", Int64(|e| Some(e.process.vpid.into())), "Process id in the process's own pid namespace."),
    Field::new("proc.pvpid", Int64(|e| parent(e).map(|p| p.vpid.into())), "`proc.vpid` of the parent."),
    Field::new("proc.duration", Duration(|e| Some(age(e, e.process))), "Nanoseconds since the process started."),
    Field::new("proc.ppid.duration", Duration(|e| parent(e).map(|p| age(e, p))), "Nanoseconds since the parent started."),
    Field::new("proc.pid.ts", Duration(|e| started(e, e.process)), "Start of the process, in nanoseconds since the epoch."),
    Field::new("proc.ppid.ts", Duration(|e| parent(e).and_then(|p| started(e, p))), "Start of the parent, in nanoseconds since the epoch."),
    Field::new("proc.is_exe_writable", Bool(|e| Some(e.process.program.executable.writable)), "True when the user of the process may write to its executable."),
    Field::new("proc.is_exe_upper_layer", Bool(|e| Some(e.process.program.executable.upper_layer)), "True when the executable lies in a container's writable layer, not in its image."),
    Field::new("proc.is_exe_lower_layer", Bool(|e| Some(e.process.program.executable.lower_layer)), "True when the executable lies in the image of an overlay mount."),
    Field::new("proc.is_exe_from_memfd", Bool(|e| Some(e.process.program.executable.from_memfd)), "True when the executable is an anonymous file in memory (`memfd_create`)."),
    Field::new("proc.exe_ino", Int64(|e| e.process.program.executable.file.inode.try_into().ok()), "Inode of the executable."),
    Field::new("proc.exe_ino.ctime", Time(|e| known(e.process.program.executable.owner.changed_ns)), "Last change of the executable's inode."),
    Field::new("proc.exe_ino.mtime", Time(|e| known(e.process.program.executable.owner.modified_ns)), "Last write to the executable."),
    Field::new("proc.exe_ino.ctime_duration_proc_start", Time(|e| since_change(e, started(e, e.process))), "Nanoseconds from the executable's last change to the start of the process."),
    Field::new("proc.exe_ino.ctime_duration_pidns_start", Time(until_change), "Nanoseconds from the pid namespace's start to the executable's last change."),
    Field::new("proc.pidns_init_start_ts", Uint64(namespace_started), "Start of the pid namespace, in nanoseconds since the epoch."),
    Field::new("proc.fdopencount", Missing(Type::Uint64), "Open descriptors."),
    Field::new("proc.fdlimit", Int64(|e| Some(e.process.program.resources.fd_limit.cast_signed())), "How many descriptors the process may open."),
    Field::new("proc.fdusage", Missing(Type::Double), "Open descriptors as a share of the limit."),
    Field::new("proc.vmsize", Uint64(|e| Some(kib(e.process.program.resources.vm_pages))), "Virtual memory at the exec, in KiB."),
    Field::new("proc.vmrss", Uint64(|e| Some(kib(e.process.program.resources.resident_pages))), "Resident memory at the exec, in KiB."),
    Field::new("proc.vmswap", Uint64(|e| Some(kib(e.process.program.resources.swapped_pages))), "Swapped memory at the exec, in KiB."),
    Field::new("proc.nthreads", Missing(Type::Uint64), "Threads that live, the leader among them."),
    Field::new("proc.nchilds", Missing(Type::Uint64), "Threads that live, without the leader."),
    Field::new("proc.is_container_healthcheck", Bool(|e| is_below(e, |details| details.healthcheck.as_ref())), "True below a container's health check. Deprecated."),
    Field::new("proc.is_container_liveness_probe", Bool(|e| is_below(e, |details| details.liveness_probe.as_ref())), "True below a container's liveness probe. Deprecated."),
    Field::new("proc.is_container_readiness_probe", Bool(|e| is_below(e, |details| details.readiness_probe.as_ref())), "True below a container's readiness probe. Deprecated."),
];

pub const SESSION_FIELDS: &[Field] = &[
    Field::new("proc.sid", Int64(|e| Some(e.process.program.session.sid.into())), "Session id."),
    Field::new("proc.sname", Str(|e| session_leader(e).map(name)), "Name of the session's leader."),
    Field::new(
        "proc.sid.exe",
        Str(|e| session_leader(e).and_then(exe)),
        "`proc.exe` of the session's leader.",
    ),
    Field::new(
        "proc.sid.exepath",
        Str(|e| session_leader(e).map(exe_path)),
        "`proc.exepath` of the session's leader.",
    ),
    Field::new(
        "proc.is_sid_leader",
        Bool(|e| Some(e.process.program.session.sid == e.process.id.pid)),
        "True when the process leads its session.",
    ),
    Field::new(
        "proc.pgid",
        Int64(|e| Some(e.process.program.session.pgid.into())),
        "Process group id in the host's pid namespace.",
    ),
    Field::new(
        "proc.pgid.name",
        Str(|e| group_leader(e).map(name)),
        "Name of the process group's leader.",
    ),
    Field::new(
        "proc.pgid.exe",
        Str(|e| group_leader(e).and_then(exe)),
        "`proc.exe` of the process group's leader.",
    ),
    Field::new(
        "proc.pgid.exepath",
        Str(|e| group_leader(e).map(exe_path)),
        "`proc.exepath` of the process group's leader.",
    ),
    Field::new(
        "proc.is_pgid_leader",
        Bool(|e| Some(e.process.program.session.pgid == e.process.id.pid)),
        "True when the process leads its process group.",
    ),
    Field::new(
        "proc.vpgid",
        Int64(|e| Some(e.process.program.session.vpgid.into())),
        "Process group id in the process's own pid namespace.",
    ),
    Field::new(
        "proc.vpgid.name",
        Str(|e| group_leader(e).map(name)),
        "Name of the process group's leader.",
    ),
    Field::new(
        "proc.vpgid.exe",
        Str(|e| group_leader(e).and_then(exe)),
        "`proc.exe` of the process group's leader.",
    ),
    Field::new(
        "proc.vpgid.exepath",
        Str(|e| group_leader(e).map(exe_path)),
        "`proc.exepath` of the process group's leader.",
    ),
    Field::new(
        "proc.is_vpgid_leader",
        Bool(|e| Some(e.process.program.session.vpgid == e.process.vpid)),
        "True when the process leads its process group: started directly at a shell, say.",
    ),
    Field::new(
        "proc.stdin.type",
        Missing(Type::Text),
        "Type of the standard input: `file`, `pipe`, `ipv4`, …",
    ),
    Field::new("proc.stdout.type", Missing(Type::Text), "Type of the standard output."),
    Field::new("proc.stderr.type", Missing(Type::Text), "Type of the standard error."),
    Field::new("proc.stdin.name", Missing(Type::Text), "Name of the standard input."),
    Field::new("proc.stdout.name", Missing(Type::Text), "Name of the standard output."),
    Field::new("proc.stderr.name", Missing(Type::Text), "Name of the standard error."),
];

fn parent<'a>(event: &'a Event<'a>) -> Option<&'a Process> {
    event.processes.parent(event.process)
}

/// Nanoseconds from the start of a process to the event.
fn age(event: &Event<'_>, process: &Process) -> u64 {
    event.boot_ns.saturating_sub(process.id.start_boot_ns)
}

/// The start of a process, in nanoseconds since the epoch.
fn started(event: &Event<'_>, process: &Process) -> Option<u64> {
    u64::try_from(event.time_ns).ok()?.checked_sub(age(event, process))
}

/// A time; 0 is one that is not known.
fn known(ns: u64) -> Option<u64> {
    (ns != 0).then_some(ns)
}

/// From the executable's last change to a moment.
fn since_change(event: &Event<'_>, moment_ns: Option<u64>) -> Option<u64> {
    moment_ns?.checked_sub(known(event.process.program.executable.owner.changed_ns)?)
}

/// From the start of the pid namespace to the executable's last change.
fn until_change(event: &Event<'_>) -> Option<u64> {
    let changed = known(event.process.program.executable.owner.changed_ns)?;
    changed.checked_sub(namespace_started(event)?)
}

/// The start of the pid namespace, in nanoseconds since the epoch.
fn namespace_started(event: &Event<'_>) -> Option<u64> {
    let boot_ns = known(event.process.program.resources.pid_namespace_boot_ns)?;
    let age = event.boot_ns.saturating_sub(boot_ns);
    u64::try_from(event.time_ns).ok()?.checked_sub(age)
}

/// Pages as KiB. Every architecture that is supported has pages of 4 KiB, or a capture's are unknown.
pub const fn kib(pages: u64) -> u64 {
    pages.saturating_mul(4)
}

/// The oldest ancestor, or the process itself, that is a shell.
fn login_shell(event: &Event<'_>) -> Option<i64> {
    const SHELLS: [&[u8]; 12] = [
        b"ash", b"bash", b"csh", b"ksh", b"sh", b"tcsh", b"zsh", b"dash", b"fish", b"mksh",
        b"rbash", b"busybox",
    ];
    let lineage = std::iter::once(event.process).chain(event.processes.ancestors(event.process));
    let shells = lineage.filter(|process| SHELLS.contains(&&*process.name));
    shells.last().map(|process| process.id.pid.into())
}

fn name(process: &Process) -> &[u8] {
    &process.name
}

fn exe_path(process: &Process) -> &[u8] {
    &process.program.exe_path
}

/// The first argument; the file's name for a process without arguments.
pub fn exe(process: &Process) -> Option<&[u8]> {
    process.program.argv.iter().next()
}

fn argument_strings(process: &Process) -> impl Iterator<Item = &[u8]> {
    process.program.argv.iter().skip(1)
}

/// The arguments after the first, with blanks between.
pub fn arguments(process: &Process, out: &mut Vec<u8>) -> bool {
    join(argument_strings(process), out);
    true
}

fn indexed_arguments(event: &Event<'_>, argument: Option<&Argument>, out: &mut Vec<u8>) -> bool {
    let Some(Argument::Index(index)) = argument else { return arguments(event.process, out) };
    // As in Falco, an argument that is not there is an empty text, not an absent one.
    let index = usize::try_from(*index).unwrap_or(usize::MAX);
    out.extend_from_slice(argument_strings(event.process).nth(index).unwrap_or_default());
    true
}

fn command_line(process: &Process, out: &mut Vec<u8>) -> bool {
    out.extend_from_slice(&process.name);
    for argument in argument_strings(process) {
        out.push(b' ');
        out.extend_from_slice(argument);
    }
    true
}

fn exe_line(process: &Process, out: &mut Vec<u8>) -> bool {
    out.extend_from_slice(exe(process).unwrap_or_default());
    out.push(b' ');
    arguments(process, out)
}

/// The whole environment, or one variable of it: empty when it is not set.
pub fn environment(process: &Process, argument: Option<&Argument>, out: &mut Vec<u8>) -> bool {
    let env = &process.program.env;
    match argument {
        None => join(env.iter(), out),
        Some(Argument::Key(key)) => {
            out.extend_from_slice(variable(process, key.as_bytes()).unwrap_or_default());
        }
        Some(Argument::Index(index)) => {
            let mut key = Vec::new();
            // Writing to a vector cannot fail.
            write!(key, "{index}").ok();
            out.extend_from_slice(variable(process, &key).unwrap_or_default());
        }
    }
    true
}

fn ancestor_environment(process: &Process, key: Option<&[u8]>, out: &mut Vec<u8>) -> bool {
    match key {
        None => join(process.program.env.iter(), out),
        Some(key) => match variable(process, key) {
            Some(value) => out.extend_from_slice(value),
            None => return false,
        },
    }
    true
}

fn variable<'a>(process: &'a Process, key: &[u8]) -> Option<&'a [u8]> {
    process.program.env.iter().find_map(|entry| entry.strip_prefix(key)?.strip_prefix(b"="))
}

fn join(strings: impl Iterator<Item: AsRef<[u8]>>, out: &mut Vec<u8>) {
    for (index, string) in strings.enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(string.as_ref());
    }
}

/// The terminal's number as `/proc/PID/stat` has it: the kernel's `new_encode_dev`.
pub const fn terminal(device: u32) -> u32 {
    let (major, minor) = (device >> 20, device & 0xf_ffff);
    (minor & 0xff) | major << 8 | (minor & !0xff) << 12
}

/// The process whose id is the session's, or the eldest ancestor of the same session.
fn session_leader<'a>(event: &'a Event<'a>) -> Option<&'a Process> {
    leader(event, |process| process.program.session.sid)
}

fn group_leader<'a>(event: &'a Event<'a>) -> Option<&'a Process> {
    leader(event, |process| process.program.session.pgid)
}

fn leader<'a>(event: &'a Event<'a>, id: fn(&Process) -> u32) -> Option<&'a Process> {
    let own = id(event.process);
    let lineage = || std::iter::once(event.process).chain(event.processes.ancestors(event.process));
    event
        .processes
        .get(own)
        .filter(|leader| id(leader) == own)
        .or_else(|| lineage().take_while(|process| id(process) == own).last())
}
