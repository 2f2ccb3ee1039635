//! Fields of every event: when, what, and how it ended.

use std::io::Write as _;

use jiff::Timestamp;
use sensor_common::call::{Category, Filter};

use crate::event::Event;
use crate::event::call::Call;
use crate::event::detail::Detail;
use crate::fields::ArgumentForm::{Dotted, Parameter as Named, RequiredKey};
use crate::fields::Get::{
    Bool, Buffer, Clock, Duration, Int16, Int64, Keyed, KeyedUint32, Missing, Parameter, Str, Text,
    Time, Uint32, Uint64,
};
use crate::fields::{Argument, Field, Type, event_types, names, parameters};

pub const FIELDS: &[Field] = &[
    Field::new("evt.num", Uint64(|e| Some(e.number)), "Number of the event, from 1."),
    Field::new("evt.time", Clock(|e, out| clock(e, "%H:%M:%S.%9f", out)), "Time of the event (UTC), with nanoseconds."),
    Field::new("evt.time.s", Clock(|e, out| clock(e, "%H:%M:%S", out)), "Time of the event (UTC), without nanoseconds."),
    Field::new("evt.time.iso8601", Clock(|e, out| clock(e, "%Y-%m-%dT%H:%M:%S.%9f+0000", out)), "Date and time of the event in ISO 8601 form."),
    Field::new("evt.datetime", Clock(|e, out| clock(e, "%Y-%m-%d %H:%M:%S.%9f", out)), "Date and time of the event (UTC), with nanoseconds."),
    Field::new("evt.datetime.s", Clock(|e, out| clock(e, "%Y-%m-%d %H:%M:%S", out)), "Date and time of the event (UTC), without nanoseconds."),
    Field::new("evt.rawtime", Time(nanoseconds), "Nanoseconds since the epoch."),
    Field::new("evt.rawtime.s", Time(|e| nanoseconds(e).map(|ns| ns / SECOND)), "Whole seconds since the epoch."),
    Field::new("evt.rawtime.ns", Time(|e| nanoseconds(e).map(|ns| ns % SECOND)), "Nanoseconds of `evt.rawtime` within its second."),
    Field::new("evt.reltime", Duration(|e| Some(e.since.first_ns)), "Nanoseconds since the first event that the kernel let pass (`rules.pushdown`)."),
    Field::new("evt.reltime.s", Duration(|e| Some(e.since.first_ns / SECOND)), "Whole seconds since the first event."),
    Field::new("evt.reltime.ns", Duration(|e| Some(e.since.first_ns % SECOND)), "Nanoseconds of `evt.reltime` within its second."),
    Field::new("evt.pluginname", Missing(Type::Text), "Name of the plugin that made the event."),
    Field::new("evt.plugininfo", Missing(Type::Text), "Summary of a plugin's event."),
    Field::new("evt.source", Str(|_| Some(b"syscall")), "Source of the event: always `syscall`."),
    Field::new("evt.is_async", Bool(|_| Some(false)), "True for events that no system call made at once."),
    Field::new("evt.asynctype", Missing(Type::Text), "Type of an asynchronous event."),
    Field::new("evt.hostname", Text(|_, out| hostname(out)), "Name of the host."),
    Field::new("evt.latency", Duration(|_| Some(0)), "Always 0, as in Falco: there are no enter events."),
    Field::new("evt.latency.s", Duration(|_| Some(0)), "Always 0."),
    Field::new("evt.latency.ns", Duration(|_| Some(0)), "Always 0."),
    Field::new("evt.latency.human", Str(|_| Some(b"0ns")), "Always `0ns`."),
    Field::new("evt.deltatime", Duration(|e| Some(e.since.previous_ns)), "Nanoseconds since the event before, of those that the kernel let pass."),
    Field::new("evt.deltatime.s", Duration(|e| Some(e.since.previous_ns / SECOND)), "Whole seconds since the event before."),
    Field::new("evt.deltatime.ns", Duration(|e| Some(e.since.previous_ns % SECOND)), "Nanoseconds of `evt.deltatime` within its second."),
    Field::new("evt.dir", Str(|_| Some(b"<")), "Always `<`: there are only exit events. Deprecated."),
    Field::new("evt.type", Str(|e| Some(e.detail.event_type().as_bytes())), "Name of the event: the system call's name where there is one."),
    Field::new("evt.type.is", KeyedUint32(is_type), "1 for events of this type: `evt.type.is.open`.").with(Dotted),
    Field::new("syscall.type", Str(syscall), "Name of the system call; absent for other events."),
    Field::new("evt.category", Str(|e| Some(category(e))), "What the event is about: `file`, `net`, `process`, `memory` or `other`."),
    Field::new("evt.cpu", Int16(|e| e.thread.cpu.try_into().ok()), "Number of the CPU where it happened."),
    Field::new("evt.args", Text(parameters::all_text), "All arguments of the event: `name=value name=value`."),
    Field::new("evt.arg", Keyed(parameters::text), "One argument as text, by name (`evt.arg.flags`) or number (`evt.arg[0]`): flags, modes, user and error names are spelled out.").with(Named),
    Field::new("evt.rawarg", Parameter(parameters::raw), "One argument with its own type, by name: `evt.rawarg.flags`.").with(Named),
    Field::new("evt.info", Text(parameters::all_text), "The same as `evt.args`."),
    Field::new("evt.buffer", Buffer(|e| datagram(e).map(|call| call.data)), "Bytes that were read or written."),
    Field::new("evt.buflen", Uint64(|e| datagram(e).and_then(|call| call.result().try_into().ok())), "How many bytes were read or written."),
    Field::new("evt.res", Text(result_text), "`SUCCESS`, or the name of the error: `ENOENT`."),
    Field::new("evt.rawres", Int64(parameters::result), "The result as a number: negative for errors."),
    Field::new("evt.failed", Bool(|e| parameters::result(e).map(|result| result < 0)), "True when the call returned an error."),
    Field::new("evt.is_io", Bool(|e| Some(datagram(e).is_some())), "True for events that read or write a descriptor."),
    Field::new("evt.is_io_read", Bool(|e| Some(direction(e) == Some(b"read"))), "True for events that read from a descriptor."),
    Field::new("evt.is_io_write", Bool(|e| Some(direction(e) == Some(b"write"))), "True for events that write to a descriptor."),
    Field::new("evt.io_dir", Str(direction), "`read` or `write`, for events that do."),
    Field::new("evt.is_wait", Bool(|_| Some(false)), "True for events that make the thread wait."),
    Field::new("evt.wait_latency", Missing(Type::Duration), "How long the thread waited."),
    Field::new("evt.is_syslog", Bool(|_| Some(false)), "True for writes to `/dev/log`."),
    Field::new("evt.count", Uint32(|_| Some(1)), "Always 1."),
    Field::new("evt.count.error", Uint32(|e| Some(failed(e, &[]))), "1 for events that returned an error, else 0."),
    Field::new("evt.count.error.file", Uint32(|e| Some(failed(e, &["file"]))), "1 for failed file events, else 0."),
    Field::new("evt.count.error.net", Uint32(|e| Some(failed(e, &["net"]))), "1 for failed network events, else 0."),
    Field::new("evt.count.error.memory", Uint32(|e| Some(failed(e, &["memory"]))), "1 for failed memory events, else 0."),
    Field::new("evt.count.error.other", Uint32(|e| Some(failed(e, &["process", "other"]))), "1 for other failed events, else 0."),
    Field::new("evt.count.exit", Uint32(|_| Some(1)), "Always 1: there are only exit events."),
    Field::new("evt.around", Missing(Type::Uint64), "Milliseconds around a time: `evt.around[TIME] = 1000`.").with(RequiredKey),
    Field::new("evt.abspath", Str(|e| path(e, 0)), "The call's path made absolute; `.src` and `.dst` for calls with two."),
    Field::new("evt.abspath.src", Str(|e| path(e, 0)), "The first path of the call, made absolute."),
    Field::new("evt.abspath.dst", Str(|e| path(e, 1)), "The second path of the call, made absolute."),
    Field::new("evt.is_open_read", Bool(|e| Some(opened(e, reads))), "True when a file was opened for reading."),
    Field::new("evt.is_open_write", Bool(|e| Some(opened(e, writes))), "True when a file was opened for writing."),
    Field::new("evt.is_open_exec", Bool(|e| Some(creates_executable(e))), "True when the open may create a file with execute permission."),
    Field::new("evt.is_io_uring", Bool(|e| Some(is_io_uring(e))), "True when `io_uring` did it, and no system call."),
    Field::new("evt.is_open_create", Bool(|e| Some(matches!(&e.detail, Detail::Open(open) if open.created))), "True when the open created the file."),
];

fn is_io_uring(event: &Event<'_>) -> bool {
    match &event.detail {
        Detail::Open(open) => open.is_io_uring,
        Detail::Connect(connect) => connect.is_io_uring,
        Detail::Call(call) => call.is_io_uring,
        _ => false,
    }
}

const SECOND: u64 = 1_000_000_000;

fn nanoseconds(event: &Event<'_>) -> Option<u64> {
    u64::try_from(event.time_ns).ok()
}

fn clock(event: &Event<'_>, format: &str, out: &mut Vec<u8>) -> bool {
    Timestamp::from_nanosecond(event.time_ns.into())
        .is_ok_and(|time| write!(out, "{}", time.strftime(format)).is_ok())
}

fn hostname(out: &mut Vec<u8>) -> bool {
    out.extend_from_slice(rustix::system::uname().nodename().to_bytes());
    true
}

fn is_type(event: &Event<'_>, argument: &Argument) -> Option<u32> {
    match argument {
        Argument::Key(name) => Some(u32::from(event.detail.event_type() == &**name)),
        Argument::Index(_) => None,
    }
}

fn syscall<'a>(event: &'a Event<'a>) -> Option<&'a [u8]> {
    let name = event.detail.event_type();
    event_types::is_syscall(name).then_some(name.as_bytes())
}

fn category(event: &Event<'_>) -> &'static [u8] {
    match &event.detail {
        Detail::Open(_) => b"file",
        Detail::Call(call) => match call.row.category {
            Category::File => b"file",
            Category::Net => b"net",
            Category::Process => b"process",
            Category::Memory => b"memory",
            Category::Signal => b"signal",
            Category::System => b"system",
            Category::Io => b"IO-other",
            Category::Other => b"other",
        },
        Detail::Connect(_) => b"net",
        Detail::Fork(_) | Detail::Exec(_) | Detail::Exit(_) | Detail::Credentials(_) => b"process",
        Detail::Oom(_) => b"memory",
        Detail::Cgroup(_) => b"other",
    }
}

fn failed(event: &Event<'_>, categories: &[&str]) -> u32 {
    let about =
        categories.is_empty() || categories.iter().any(|one| one.as_bytes() == category(event));
    (about && parameters::result(event).is_some_and(|result| result < 0)).into()
}

fn result_text(event: &Event<'_>, out: &mut Vec<u8>) -> bool {
    let Some(result) = parameters::result(event) else { return false };
    match result {
        0.. => out.extend_from_slice(b"SUCCESS"),
        errno => names::errno(errno.unsigned_abs(), out),
    }
    true
}

/// The path with this place among those of the call.
fn path<'a>(event: &'a Event<'a>, place: usize) -> Option<&'a [u8]> {
    match &event.detail {
        Detail::Open(open) if place == 0 => Some(&open.path),
        Detail::Call(call) => call.paths().nth(place).map(|path| &*path.path),
        _ => None,
    }
}

/// A call that sent or received.
fn datagram<'a>(event: &'a Event<'a>) -> Option<&'a Call<'a>> {
    match &event.detail {
        Detail::Call(call)
            if matches!(call.row.filter, Filter::FirstSent | Filter::FirstReceived) =>
        {
            Some(call)
        }
        _ => None,
    }
}

fn direction<'a>(event: &'a Event<'a>) -> Option<&'a [u8]> {
    let is_sent = datagram(event)?.row.filter == Filter::FirstSent;
    Some(if is_sent { b"write" } else { b"read" })
}

fn opened(event: &Event<'_>, with: fn(u32) -> bool) -> bool {
    matches!(&event.detail, Detail::Open(open) if with(names::open_flags_of(open)))
}

fn reads(flags: u32) -> bool {
    matches!(flags & names::O_ACCMODE, names::O_RDONLY | names::O_RDWR)
}

fn writes(flags: u32) -> bool {
    matches!(flags & names::O_ACCMODE, names::O_WRONLY | names::O_RDWR)
}

fn creates_executable(event: &Event<'_>) -> bool {
    let Detail::Open(open) = &event.detail else { return false };
    let creates = names::open_flags_of(open) & (names::O_CREAT | names::O_TMPFILE) != 0;
    creates && open.mode & 0o111 != 0
}
