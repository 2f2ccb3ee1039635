//! Every map: who writes it, who reads it.

use aya_ebpf::Global;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, LpmTrie, LruHashMap, PerCpuArray, ProgramArray, RingBuf};
use sensor_common::call::Plan;
use sensor_common::config::Config;
use sensor_common::counters;
use sensor_common::credentials::Identity;
use sensor_common::filter::{self, Filter, NetworkKey, PathKey, TextKey};
use sensor_common::function;
use sensor_common::header::RECORD_MAX;
use sensor_common::histogram::Histogram;
use sensor_common::resolved::RESOLVED_MAX;
use sensor_common::syscall::Packed;

/// Set by the loader before the load; the verifier folds it into the programs.
#[unsafe(no_mangle)]
pub(crate) static CONFIG: Global<Config> = Global::new(Config {
    scope_cgroup_id: 0,
    scope_level: 0,
    self_tgid: 0,
    sample_tgid: 0,
    wake_bytes: 0,
    wake_interval_ns: 0,
    hierarchy: 0,
    controller: 0,
});

/// Records: every probe writes through `submit.rs`, the agent's one reader reads.
/// The loader sets the size.
#[map]
pub(crate) static RING: RingBuf = RingBuf::with_byte_size(1 << 23, 0);

/// Outcomes by kind: `submit.rs` adds, the agent reads and sums.
#[map]
pub(crate) static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(counters::SLOTS, 0);

/// Where a record is put together: `submit.rs` alone. The loader sets the number of entries to
/// `SCRATCH_SLOTS` for each possible processor.
#[map]
pub(crate) static SCRATCH: Array<Slot> = Array::with_max_entries(1, 0);

/// Cgroup id to the records of its tasks that were lost or dropped: `submit.rs` adds, the agent reads.
/// The cgroup that lost nothing for the longest time makes room for another.
#[map]
pub(crate) static BLINDED: LruHashMap<u64, u64> = LruHashMap::with_max_entries(1_024, 0);

/// When the reader was last woken, nanoseconds since boot: `submit.rs` alone.
#[map]
pub(crate) static LAST_WAKE: Array<u64> = Array::with_max_entries(1, 0);

/// System call number to program, filled by the loader; one for each way to hook `sys_exit`.
#[map]
pub(crate) static SYSCALLS: ProgramArray = ProgramArray::with_max_entries(512, 0);

/// By the number of a system call, in whichever table: 0 if no program has to do with it, so that of most
/// calls no more needs to be known. Filled by the loader.
#[map]
pub(crate) static HANDLED: Array<u32> = Array::with_max_entries(512, 0);

/// The 32-bit table's number to the native one, filled by the loader.
#[map]
pub(crate) static COMPAT: Array<u32> = Array::with_max_entries(512, 0);

/// The number of a call of `socketcall` to the native one, filled by the loader.
#[map]
pub(crate) static PACKED: Array<u32> = Array::with_max_entries(Packed::NUMBERS, 0);

/// Native system call number to what its record holds, filled by the loader.
#[map]
pub(crate) static PLANS: Array<Plan> = Array::with_max_entries(512, 0);

/// Pairs of a socket and a peer that datagrams were seen between: `call` alone.
#[map]
pub(crate) static FLOWS: LruHashMap<Flow, u8> = LruHashMap::with_max_entries(16_384, 0);

/// Index of an event type to the number of its filter, 0 for none: one word, which the agent changes
/// when everything that it leads to is in place.
#[map]
pub(crate) static FILTER_OF: Array<u32> = Array::with_max_entries(filter::EVENTS, 0);

/// Filters by number: the agent writes those that no event type has.
#[map]
pub(crate) static FILTERS: Array<Filter> = Array::with_max_entries(filter::SLOTS, 0);

/// What filters look up: the agent writes rows of filters that no event type has.
#[map]
pub(crate) static TEXTS: HashMap<TextKey, u64> = HashMap::with_max_entries(filter::TEXTS_MAX, 0);
#[map]
pub(crate) static PATHS: LpmTrie<Behind<PathKey>, u64> =
    LpmTrie::with_max_entries(filter::PATHS_MAX, 0);
#[map]
pub(crate) static NETWORKS: LpmTrie<Behind<NetworkKey>, u64> =
    LpmTrie::with_max_entries(filter::NETWORKS_MAX, 0);

/// Cgroup id to 0 where it is no container's: the agent writes what will not change.
#[map]
pub(crate) static CONTAINED: HashMap<u64, u8> = HashMap::with_max_entries(16_384, 0);

/// Events that no rule can match, by index of their type: probes add, the agent reads and sums.
#[map]
pub(crate) static FILTERED: PerCpuArray<u64> = PerCpuArray::with_max_entries(filter::EVENTS, 0);

/// Thread id to what the paths of the system call that it is in lead to: `resolve` writes, the program at
/// the end of the call takes.
#[map]
pub(crate) static RESOLVED_BY_TASK: LruHashMap<u32, [u8; RESOLVED_MAX]> =
    LruHashMap::with_max_entries(128, 0);

/// How often a program on a kernel function met the sensor itself, by `sensor_common::function`:
/// those programs add, the loader reads.
#[map]
pub(crate) static MET: Array<u64> = Array::with_max_entries(function::COUNT, 0);

/// Thread id to the credentials that the system call it is in has replaced: `commit_creds` writes, the
/// program at the end of the call takes.
#[map]
pub(crate) static REPLACED: LruHashMap<u32, Identity> = LruHashMap::with_max_entries(1024, 0);

/// Thread id to the time it became runnable: wakeups write, switches read and delete.
#[map]
pub(crate) static RUNNABLE: HashMap<u32, u64> = HashMap::with_max_entries(16_384, 0);

/// Cgroup id to its run-queue waits: switches add, the agent reads.
#[map]
pub(crate) static RUN_QUEUE: HashMap<u64, Histogram> = HashMap::with_max_entries(4_096, 0);

/// One place to put a record together, and how many programs want it.
#[repr(C)]
pub(crate) struct Slot {
    pub claims: u64,
    /// Bytes of the record so far. Kept here and not in a register, because the verifier then
    /// knows nothing about it: paths that differ only in the length are the same to it.
    pub len: u64,
    pub bytes: [u8; RECORD_MAX],
}

/// What follows the length in a trie's key.
pub(crate) type Behind<K> = <K as Trie>::Behind;

pub(crate) trait Trie {
    type Behind;
}

impl Trie for PathKey {
    type Behind = [u8; size_of::<PathKey>() - size_of::<u32>()];
}

impl Trie for NetworkKey {
    type Behind = [u8; size_of::<NetworkKey>() - size_of::<u32>()];
}

/// Datagrams of one socket with one peer in one direction.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Flow {
    /// The socket's address; with its port, because addresses are reused.
    pub socket: u64,
    pub remote: [u8; 16],
    pub port: u16,
    pub direction: u16,
    pub local_port: u32,
}
