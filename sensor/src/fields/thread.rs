//! Fields of the thread that acted.

use crate::fields::ArgumentForm::Dotted;
use crate::fields::Get::{Bool, Int64, Missing, Text};
use crate::fields::{Field, Type, names};

pub const FIELDS: &[Field] = &[
    Field::new(
        "thread.tid",
        Int64(|e| Some(e.thread.tid.into())),
        "Thread id in the host's pid namespace.",
    ),
    Field::new(
        "thread.ismain",
        Bool(|e| Some(e.thread.tid == e.process.id.pid)),
        "True for the main thread of the process.",
    ),
    Field::new("thread.vtid", Missing(Type::Int64), "Thread id in its own pid namespace."),
    Field::new(
        "thread.cap_effective",
        Text(|e, out| {
            names::capabilities(e.process.program.session.cap_effective, out);
            true
        }),
        "Effective capabilities at the exec: `CAP_CHOWN CAP_KILL`.",
    ),
    Field::new("thread.cap_permitted", Missing(Type::Text), "Permitted capabilities."),
    Field::new("thread.cap_inheritable", Missing(Type::Text), "Inheritable capabilities."),
    Field::new(
        "thread.pfmajor",
        Missing(Type::Uint64),
        "Major page faults since the thread's start.",
    ),
    Field::new(
        "thread.pfminor",
        Missing(Type::Uint64),
        "Minor page faults since the thread's start.",
    ),
    Field::new(
        "thread.exectime",
        Missing(Type::Duration),
        "CPU time of the thread that was scheduled last.",
    ),
    Field::new("thread.totexectime", Missing(Type::Duration), "CPU time of the thread."),
    Field::new(
        "thread.cgroups",
        Text(|e, out| {
            out.extend_from_slice(e.attribution.cgroup_path.as_bytes());
            true
        }),
        "Cgroup of the thread.",
    ),
    Field::new(
        "thread.cgroup",
        Missing(Type::Text),
        "Cgroup of the thread in one v1 hierarchy: `thread.cgroup.cpuacct`.",
    )
    .with(Dotted),
    Field::new("thread.cpu", Missing(Type::Double), "CPU use of the thread in the last second."),
    Field::new("thread.cpu.user", Missing(Type::Double), "CPU use in user mode."),
    Field::new("thread.cpu.system", Missing(Type::Double), "CPU use in kernel mode."),
    Field::new(
        "thread.vmsize",
        Missing(Type::Uint64),
        "Virtual memory of the main thread's process, in KiB.",
    ),
    Field::new(
        "thread.vmrss",
        Missing(Type::Uint64),
        "Resident memory of the main thread's process, in KiB.",
    ),
];
