//! Fields of the thread that acted.

use crate::fields::ArgumentForm::Dotted;
use crate::fields::Get::{Bool, Int64, Missing, Text, Uint64};
use crate::fields::proc::kib;
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
    Field::new(
        "thread.vtid",
        Int64(|e| Some(e.thread.vtid.into())),
        "Thread id in its own pid namespace.",
    ),
    Field::new(
        "thread.cap_effective",
        Text(|e, out| {
            names::capabilities(e.thread.cap_effective, out);
            true
        }),
        "Effective capabilities: `CAP_CHOWN CAP_KILL`.",
    ),
    Field::new(
        "thread.cap_permitted",
        Text(|e, out| {
            names::capabilities(e.thread.cap_permitted, out);
            true
        }),
        "Permitted capabilities.",
    ),
    Field::new(
        "thread.cap_inheritable",
        Text(|e, out| {
            names::capabilities(e.process.program.resources.cap_inheritable, out);
            true
        }),
        "Inheritable capabilities at the exec.",
    ),
    Field::new(
        "thread.pfmajor",
        Uint64(|e| Some(e.process.program.resources.major_faults)),
        "Major page faults from the thread's start to the last exec.",
    ),
    Field::new(
        "thread.pfminor",
        Uint64(|e| Some(e.process.program.resources.minor_faults)),
        "Minor page faults from the thread's start to the last exec.",
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
        Uint64(|e| Some(kib(e.process.program.resources.vm_pages))),
        "Virtual memory of the process at the exec, in KiB.",
    ),
    Field::new(
        "thread.vmrss",
        Uint64(|e| Some(kib(e.process.program.resources.resident_pages))),
        "Resident memory of the process at the exec, in KiB.",
    ),
];
