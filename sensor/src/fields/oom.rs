//! Fields of a kill by the kernel for want of memory: this project's own.

use crate::event::Event;
use crate::event::detail::Detail;
use crate::event::oom::Oom;
use crate::fields::Field;
use crate::fields::Get::{Int64, Str, Uint64};

pub const FIELDS: &[Field] = &[
    Field::new(
        "oom.memory_cgroup",
        Str(memory_cgroup),
        "Path of the cgroup whose memory limit was hit; `/` for the whole host. The event's process is the victim.",
    ),
    Field::new(
        "oom.total_vm",
        Uint64(|e| oom(e).map(|oom| oom.memory.total_vm)),
        "Virtual memory of the victim, in bytes.",
    ),
    Field::new(
        "oom.anon_rss",
        Uint64(|e| oom(e).map(|oom| oom.memory.anon)),
        "Anonymous memory that the victim held, in bytes.",
    ),
    Field::new(
        "oom.file_rss",
        Uint64(|e| oom(e).map(|oom| oom.memory.file)),
        "File pages that the victim held, in bytes.",
    ),
    Field::new(
        "oom.shmem_rss",
        Uint64(|e| oom(e).map(|oom| oom.memory.shmem)),
        "Shared memory that the victim held, in bytes.",
    ),
    Field::new(
        "oom.score_adj",
        Int64(|e| oom(e).map(|oom| oom.oom_score_adj.into())),
        "`oom_score_adj` of the victim.",
    ),
    Field::new(
        "oom.killer.pid",
        Int64(|e| oom(e).map(|oom| oom.killer_pid.into())),
        "Process id of the process that was allocating.",
    ),
    Field::new("oom.killer.name", Str(killer_name), "Name of the process that was allocating."),
];

fn oom<'a>(event: &'a Event<'a>) -> Option<&'a Oom<'a>> {
    match &event.detail {
        Detail::Oom(oom) => Some(oom),
        _ => None,
    }
}

fn memory_cgroup<'a>(event: &'a Event<'a>) -> Option<&'a [u8]> {
    oom(event).map(|oom| &*oom.memory_cgroup)
}

fn killer_name<'a>(event: &'a Event<'a>) -> Option<&'a [u8]> {
    oom(event).map(|oom| oom.killer_name)
}
