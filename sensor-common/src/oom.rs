//! The kernel's OOM killer chose a victim.

use crate::header::{COMM_LEN, Header};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// `oom:mark_victim`. The header is the victim's, whoever ran into the limit; the variable part is
/// the path of its memory cgroup as components ([`crate::path`]).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Oom {
    pub header: Header,
    /// Id of the victim's memory cgroup, in the v1 memory hierarchy where there is one.
    pub memory_cgroup_id: u64,
    /// Pages, as the kernel's own log line counts them.
    pub total_vm_pages: u64,
    pub anon_pages: u64,
    pub file_pages: u64,
    pub shmem_pages: u64,
    /// The task that was allocating.
    pub killer_tgid: u32,
    pub killer_comm: [u8; COMM_LEN],
    pub oom_score_adj: i32,
    /// [`crate::path`] flags of the cgroup path.
    pub path_flags: u32,
    pub path_len: u32,
}
const _: () = assert!(size_of::<Oom>() == 168);
