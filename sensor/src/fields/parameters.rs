//! The arguments of each kind of event, as `evt.arg`, `evt.rawarg` and `evt.args` give them.

use std::io::Write as _;

use sensor_common::call::Format;
use sensor_common::call::table::CALLS;
use sensor_common::credentials::Call;

use crate::event::Event;
use crate::event::connect::{Connect, Peer};
use crate::event::credentials::{Asked, Credentials};
use crate::event::detail::Detail;
use crate::event::exit::Exit;
use crate::event::open::Open;
use crate::event::process::Process;
use crate::fields::proc::kib;
use crate::fields::{Argument, Type, Value, call, fd, flags, names, proc, user};

/// Parameters that hold numbers in some event of Falco's table.
const NUMBERS: &str = "res fd fd1 fd2 fd_in fd_out dirfd olddirfd newdirfd olddir newdir linkdirfd \
    oldfd newfd flags mode dev ino resolve creat_flags size pos offset whence op cmd domain type \
    proto protocol backlog queuepct queuelen queuemax level optname optlen how source uid gid ruid \
    euid suid rgid egid sgid fsuid fsgid pid tid ptid vtid vpid pgid vpgid sid loginuid target_fd \
    status ret sig core reaper_tid fdlimit pgft_maj pgft_min vm_size vm_rss vm_swap cap_inheritable \
    cap_permitted cap_effective exe_ino exe_ino_ctime exe_ino_mtime clone_flags pidns_init_start_ts \
    request nstype length prot interval timeout nsems semid key semflg sem_num_0 sem_op_0 sem_flg_0 \
    sem_num_1 sem_op_1 sem_flg_1 nsops val resource cur max id quota_fmt next id_ value initval \
    clockid flag mask maxevents ndatas nfds sigmask dqb_bhardlimit dqb_bsoftlimit dqb_curspace \
    dqb_ihardlimit dqb_isoftlimit dqb_btime dqb_itime dqi_bgrace dqi_igrace dqi_flags \
    quota_fmt_out entries to_submit min_complete sq_entries cq_entries sq_thread_cpu \
    sq_thread_idle features nr_args opcode option arg2_int who cpu oldcur oldmax newcur newmax \
    ratio error tty next_pid cpuid";

/// Parameters that hold text.
const TEXTS: &str = "name path oldpath newpath target linkpath filename exe args comm cgroups env \
    cwd tuple addr trusted_exepath pathname special special_file dir target_dir linkname host \
    desc scope tags json image uargs arg2_str arg2 info fds events xattrname newname oldname \
    mnt_type source_path plugin_id mountpoint new_root put_old quotafilepath argument reply_type";

/// Parameters that hold bytes.
const BUFFERS: &str = "data img msgcontrol addr_raw";

/// How many parameters an argument number can name.
const INDEX_MAX: u32 = 64;

pub fn names() -> impl Iterator<Item = &'static str> {
    let of_calls = CALLS.iter().flat_map(|row| row.parameters).map(|parameter| parameter.name);
    [NUMBERS, TEXTS, BUFFERS].into_iter().flat_map(str::split_whitespace).chain(of_calls)
}

/// True for parameters that some event has.
pub fn is_known(name: &str) -> bool {
    names().any(|known| known == name)
}

/// The type of `evt.rawarg.NAME`.
pub fn raw_type(name: &str) -> Type {
    let listed = |list: &str| list.split_whitespace().any(|known| known == name);
    match name {
        _ if listed(TEXTS) => Type::Text,
        _ if listed(BUFFERS) => Type::Buffer,
        _ if listed(NUMBERS) => Type::Int64,
        _ if is_text_of_call(name) => Type::Text,
        _ => Type::Int64,
    }
}

fn is_text_of_call(name: &str) -> bool {
    let parameters = CALLS.iter().flat_map(|row| row.parameters);
    parameters.into_iter().any(|one| one.name == name && one.what.is_text())
}

/// The number that the event's call returned.
pub fn result(event: &Event<'_>) -> Option<i64> {
    match &event.detail {
        Detail::Open(open) => Some(open.result),
        Detail::Connect(connect) => Some(connect.result),
        Detail::Credentials(credentials) => Some(credentials.result),
        Detail::Exec(_) => Some(0),
        Detail::Call(call) => Some(call.result()),
        Detail::Fork(fork) => Some(fork.child_pid.into()),
        Detail::Exit(_) | Detail::Oom(_) | Detail::Cgroup(_) => None,
    }
}

/// The names of an event's parameters, in order.
fn of(detail: &Detail<'_>) -> &'static [&'static str] {
    match detail {
        Detail::Open(_) => match detail.event_type() {
            "open" => &["fd", "name", "flags", "mode", "dev", "ino"],
            "openat" => &["fd", "dirfd", "name", "flags", "mode", "dev", "ino"],
            "openat2" => &["fd", "dirfd", "name", "flags", "mode", "resolve", "dev", "ino"],
            _ => &["fd", "name", "mode", "dev", "ino", "creat_flags"],
        },
        Detail::Connect(_) => &["res", "tuple", "fd", "addr"],
        Detail::Credentials(credentials) => match credentials.call {
            Call::Setuid => &["res", "uid"],
            Call::Setgid => &["res", "gid"],
            Call::Setreuid => &["res", "ruid", "euid"],
            Call::Setregid => &["res", "rgid", "egid"],
            Call::Setresuid => &["res", "ruid", "euid", "suid"],
            Call::Setresgid => &["res", "rgid", "egid", "sgid"],
            Call::Setfsuid => &["res", "fsuid"],
            Call::Setfsgid => &["res", "fsgid"],
            Call::Setgroups => &["res", "size"],
            Call::Capset => &["res", "cap_inheritable", "cap_permitted", "cap_effective"],
        },
        Detail::Exec(_) => EXEC,
        Detail::Fork(_) => FORK,
        Detail::Exit(_) => &["status", "ret", "sig"],
        Detail::Oom(_) | Detail::Cgroup(_) | Detail::Call(_) => &[],
    }
}

const EXEC: &[&str] = &[
    "res",
    "exe",
    "args",
    "tid",
    "pid",
    "ptid",
    "cwd",
    "fdlimit",
    "pgft_maj",
    "pgft_min",
    "vm_size",
    "vm_rss",
    "vm_swap",
    "comm",
    "cgroups",
    "env",
    "tty",
    "vpgid",
    "loginuid",
    "flags",
    "cap_inheritable",
    "cap_permitted",
    "cap_effective",
    "exe_ino",
    "exe_ino_ctime",
    "exe_ino_mtime",
    "uid",
    "trusted_exepath",
    "pgid",
    "gid",
    "filename",
];

const FORK: &[&str] = &[
    "res", "exe", "args", "tid", "pid", "ptid", "cwd", "fdlimit", "comm", "cgroups", "flags",
    "uid", "gid", "vtid", "vpid",
];

/// All parameters: `name=value name=value`.
pub fn all_text(event: &Event<'_>, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let mut write = |name: &str| {
        if out.len() > start {
            out.push(b' ');
        }
        out.extend_from_slice(name.as_bytes());
        out.push(b'=');
        named_text(event, name, out);
    };
    match &event.detail {
        Detail::Call(call) => call::names_of(call).for_each(&mut write),
        detail => of(detail).iter().for_each(|name| write(name)),
    }
    true
}

/// One parameter as text; false when this event has no such parameter.
pub fn text(event: &Event<'_>, argument: Option<&Argument>, out: &mut Vec<u8>) -> bool {
    named(event, argument).is_some_and(|name| named_text(event, name, out))
}

fn named<'a>(event: &Event<'_>, argument: Option<&'a Argument>) -> Option<&'a str> {
    let parameters = of(&event.detail);
    match (argument?, &event.detail) {
        (Argument::Key(name), Detail::Call(call)) => {
            call::names_of(call).any(|known| *known == **name).then_some(name)
        }
        (Argument::Key(name), _) => parameters.contains(&&**name).then_some(name),
        (Argument::Index(index), detail) if *index < INDEX_MAX => {
            let index = usize::try_from(*index).ok()?;
            match detail {
                Detail::Call(call) => call::names_of(call).nth(index),
                _ => parameters.get(index).copied(),
            }
        }
        (Argument::Index(_), _) => None,
    }
}

fn named_text(event: &Event<'_>, name: &str, out: &mut Vec<u8>) -> bool {
    match &event.detail {
        Detail::Open(open) => open_text(open, name, out),
        Detail::Connect(connect) => connect_text(connect, name, out),
        Detail::Credentials(credentials) => credentials_text(event, credentials, name, out),
        Detail::Fork(_) if name == "res" => number(result(event), out),
        Detail::Exec(_) | Detail::Fork(_) => exec_text(event, name, out),
        Detail::Exit(exit) => number(exit_number(exit, name), out),
        Detail::Call(call) => call::text(event, call, name, out),
        Detail::Oom(_) | Detail::Cgroup(_) => false,
    }
}

/// One parameter with its own type.
pub fn raw<'a>(event: &'a Event<'a>, argument: &Argument) -> Option<Value<'a>> {
    let name = named(event, Some(argument))?;
    let program = &event.process.program;
    let value = match (&event.detail, name) {
        (Detail::Call(call), _) => return call::raw(call, name),
        (Detail::Open(open), "name") => return Some(Value::Bytes(open.text)),
        (Detail::Open(open), _) => open_number(open, name)?,
        (Detail::Connect(connect), "fd") => connect.fd.into(),
        (Detail::Credentials(credentials), _) => credentials_number(credentials, name)?,
        (Detail::Exec(_), "filename") => return Some(Value::Bytes(&program.filename)),
        (Detail::Exec(_), "trusted_exepath") => return Some(Value::Bytes(&program.exe_path)),
        (Detail::Exec(_) | Detail::Fork(_), "exe") => {
            return proc::exe(event.process).map(Value::Bytes);
        }
        (Detail::Exec(_) | Detail::Fork(_), "cwd") => {
            return Some(Value::Bytes(&event.process.cwd));
        }
        (Detail::Exec(_) | Detail::Fork(_), "comm") => {
            return Some(Value::Bytes(&event.process.name));
        }
        (_, "res") => result(event)?.into(),
        (Detail::Exec(_) | Detail::Fork(_), _) => process_number(event, name)?,
        (Detail::Exit(exit), _) => exit_number(exit, name)?.into(),
        _ => return None,
    };
    Some(Value::Number(value))
}

fn open_number(open: &Open<'_>, name: &str) -> Option<i128> {
    Some(match name {
        "fd" => open.result.into(),
        "flags" => names::open_flags_of(open).into(),
        "mode" => open.mode.into(),
        "resolve" => open.resolve.into(),
        "dirfd" => open.dirfd.into(),
        "dev" => open.file?.device.into(),
        "ino" => open.file?.inode.into(),
        _ => return None,
    })
}

fn open_text(open: &Open<'_>, name: &str, out: &mut Vec<u8>) -> bool {
    match name {
        "name" => out.extend_from_slice(open.text),
        "flags" => names::open_flags(names::open_flags_of(open), out),
        "mode" => names::mode(open.mode, out),
        "resolve" => names::resolve(open.resolve, out),
        "creat_flags" => out.push(b'0'),
        "fd" if open.result < 0 => names::errno(open.result.unsigned_abs(), out),
        "fd" => {
            out.extend_from_slice(b"<f>");
            out.extend_from_slice(&open.path);
        }
        "dirfd" if open.dirfd == libc::AT_FDCWD => out.extend_from_slice(b"AT_FDCWD"),
        _ => return number(open_number(open, name), out),
    }
    true
}

fn connect_text(connect: &Connect<'_>, name: &str, out: &mut Vec<u8>) -> bool {
    match name {
        "res" if connect.result < 0 => names::errno(connect.result.unsigned_abs(), out),
        "res" => out.push(b'0'),
        "fd" => return number(Some(connect.fd), out),
        "tuple" => return fd::connection_name(connect, out),
        "addr" => match &connect.peer {
            Peer::Inet(ip, port) => {
                write!(out, "{ip}:{port}").ok();
            }
            Peer::Unix(path) => out.extend_from_slice(path),
            Peer::Other(_) => return false,
        },
        _ => return false,
    }
    true
}

/// An id that was passed as -1 stands for "leave it". The sets are those that the thread has now.
fn credentials_number(credentials: &Credentials<'_>, name: &str) -> Option<i128> {
    let after = &credentials.after;
    Some(match (name, credentials.asked) {
        ("res", _) => credentials.result.into(),
        ("size", Asked::Groups(count)) => count.into(),
        ("cap_inheritable", _) => after.cap_inheritable.into(),
        ("cap_permitted", _) => after.cap_permitted.into(),
        ("cap_effective", _) => after.cap_effective.into(),
        _ => credentials.id(name)?.cast_signed().into(),
    })
}

fn credentials_text(
    event: &Event<'_>,
    credentials: &Credentials<'_>,
    name: &str,
    out: &mut Vec<u8>,
) -> bool {
    match (name, credentials_number(credentials, name)) {
        ("res", _) if credentials.result < 0 => {
            names::errno(credentials.result.unsigned_abs(), out);
        }
        ("cap_inheritable" | "cap_permitted" | "cap_effective", Some(set)) => {
            names::capabilities(u64::try_from(set).unwrap_or(0), out);
        }
        // Ids are 32 bits; -1 is the largest.
        ("uid" | "ruid" | "euid" | "suid" | "fsuid", Some(uid)) => {
            user::write_user(event, u32::try_from(uid).unwrap_or(u32::MAX), out);
        }
        ("gid" | "rgid" | "egid" | "sgid" | "fsgid", Some(gid)) => {
            user::write_group(event, u32::try_from(gid).unwrap_or(u32::MAX), out);
        }
        (_, value) => return number(value, out),
    }
    true
}

fn exec_text(event: &Event<'_>, name: &str, out: &mut Vec<u8>) -> bool {
    let process = event.process;
    let program = &process.program;
    match name {
        "res" => out.push(b'0'),
        "exe" => out.extend_from_slice(proc::exe(process).unwrap_or_default()),
        "args" => return proc::arguments(process, out),
        "env" => return proc::environment(process, None, out),
        "cwd" => out.extend_from_slice(&process.cwd),
        "comm" => out.extend_from_slice(&process.name),
        "filename" => out.extend_from_slice(&program.filename),
        "trusted_exepath" => out.extend_from_slice(&program.exe_path),
        "cap_effective" => names::capabilities(event.thread.cap_effective, out),
        "cap_permitted" => names::capabilities(event.thread.cap_permitted, out),
        "cap_inheritable" => names::capabilities(program.resources.cap_inheritable, out),
        "cgroups" => out.extend_from_slice(event.attribution.cgroup_path.as_bytes()),
        "flags" => match &event.detail {
            Detail::Fork(fork) => flags::write(Format::CloneFlags, fork.flags, out),
            _ => exec_flags(process, out),
        },
        _ => return number(process_number(event, name), out),
    }
    true
}

fn exec_flags(process: &Process, out: &mut Vec<u8>) {
    let executable = &process.program.executable;
    let flags = [
        (executable.writable, "EXE_WRITABLE"),
        (executable.upper_layer, "EXE_UPPER_LAYER"),
        (executable.from_memfd, "EXE_FROM_MEMFD"),
        (executable.lower_layer, "EXE_LOWER_LAYER"),
    ];
    let names = flags.into_iter().filter(|(set, _)| *set).map(|(_, name)| name);
    names::joined(names, b"|", out);
}

fn process_number(event: &Event<'_>, name: &str) -> Option<i128> {
    let process = event.process;
    let (session, resources) = (&process.program.session, &process.program.resources);
    Some(match name {
        "pid" => process.id.pid.into(),
        "ptid" => process.ppid.into(),
        "tty" => proc::terminal(session.tty).into(),
        "vpgid" => session.vpgid.into(),
        "pgid" => session.pgid.into(),
        "loginuid" => session.login_uid.cast_signed().into(),
        "cap_effective" => event.thread.cap_effective.into(),
        "cap_permitted" => event.thread.cap_permitted.into(),
        "cap_inheritable" => resources.cap_inheritable.into(),
        "tid" => event.thread.tid.into(),
        "vtid" => event.thread.vtid.into(),
        "vpid" => process.vpid.into(),
        "fdlimit" => resources.fd_limit.cast_signed().into(),
        "pgft_maj" => resources.major_faults.into(),
        "pgft_min" => resources.minor_faults.into(),
        "vm_size" => kib(resources.vm_pages).into(),
        "vm_rss" => kib(resources.resident_pages).into(),
        "vm_swap" => kib(resources.swapped_pages).into(),
        "exe_ino_ctime" => process.program.executable.owner.changed_ns.into(),
        "exe_ino_mtime" => process.program.executable.owner.modified_ns.into(),
        "flags" => match &event.detail {
            Detail::Fork(fork) => fork.flags.into(),
            _ => return None,
        },
        "exe_ino" => process.program.executable.file.inode.into(),
        "uid" => event.thread.uid.into(),
        "gid" => event.thread.gid.into(),
        _ => return None,
    })
}

fn exit_number(exit: &Exit, name: &str) -> Option<i32> {
    let (code, signal) = (exit.code.unwrap_or(0), exit.signal.unwrap_or(0));
    Some(match name {
        "status" => i32::from(code) << 8 | i32::from(signal),
        "ret" => code.into(),
        "sig" => signal.into(),
        _ => return None,
    })
}

fn number(number: Option<impl std::fmt::Display>, out: &mut Vec<u8>) -> bool {
    number.is_some_and(|number| write!(out, "{number}").is_ok())
}
