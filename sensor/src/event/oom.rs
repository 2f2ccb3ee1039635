//! The kernel killed a process for memory.

use crate::event::path::from_components;

/// The event's process is the victim.
#[derive(Debug)]
pub struct Oom<'a> {
    pub memory: OomMemory,
    /// Path of the victim's memory cgroup.
    pub memory_cgroup: Vec<u8>,
    pub memory_cgroup_id: u64,
    /// The process that was allocating.
    pub killer_pid: u32,
    pub killer_name: &'a [u8],
    pub oom_score_adj: i32,
}

/// Bytes that the victim held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OomMemory {
    pub total_vm: u64,
    pub anon: u64,
    pub file: u64,
    pub shmem: u64,
}

impl<'a> Oom<'a> {
    /// `page_bytes` is the size of a page on the machine that made the record.
    pub fn new(record: &'a sensor_common::oom::Oom, components: &[u8], page_bytes: u64) -> Self {
        let bytes = |pages: u64| pages.saturating_mul(page_bytes);
        Self {
            memory: OomMemory {
                total_vm: bytes(record.total_vm_pages),
                anon: bytes(record.anon_pages),
                file: bytes(record.file_pages),
                shmem: bytes(record.shmem_pages),
            },
            memory_cgroup: from_components(components),
            memory_cgroup_id: record.memory_cgroup_id,
            killer_pid: record.killer_tgid,
            killer_name: crate::event::name(&record.killer_comm),
            oom_score_adj: record.oom_score_adj,
        }
    }
}
