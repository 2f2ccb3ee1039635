//! The only file that touches the ring buffer: scratch space, counting, waking the reader.
//!
//! Programs nest: an interrupt's program runs on top of a task's, and where the kernel lets
//! tracing programs be preempted, another task's runs in between. Each record is therefore put
//! together in a slot that its program has claimed. The claim needs no atomic that returns a
//! value (those came with 5.12): everyone adds 1 and then looks. Who sees exactly 1 was alone when
//! it looked, and stays alone until it takes its 1 away, because whoever comes later sees at least
//! 2. Two that meet both see 2 and both go on to the next slot, which costs a slot and nothing else.

use core::arch::asm;
use core::ffi::c_void;

use aya_ebpf::helpers::generated::{
    bpf_get_smp_processor_id, bpf_ktime_get_boot_ns, bpf_map_update_elem, bpf_probe_read_kernel,
    bpf_probe_read_kernel_str, bpf_probe_read_user, bpf_probe_read_user_str, bpf_ringbuf_output,
};
use aya_ebpf::maps::LruHashMap;
use sensor_common::Kind;
use sensor_common::config::SCRATCH_SLOTS;
use sensor_common::counters::{self, Outcome};
use sensor_common::filter::Facts;
use sensor_common::header::{Header, RECORD_MAX};
use sensor_common::path::PATH_MAX;
use zerocopy::FromZeros;

use crate::atomic;
use crate::filter::{self, Asker, count_filtered, filter_of};
use crate::kernel::task_struct;
use crate::maps::{BLINDED, CONFIG, COUNTERS, LAST_WAKE, RING, SCRATCH, Slot};
use crate::scope::current_cgroup_id;

const BPF_NOEXIST: u64 = 1;
const BPF_RB_NO_WAKEUP: u64 = 1;
const BPF_RB_FORCE_WAKEUP: u64 = 2;
const BPF_RB_AVAIL_DATA: u64 = 0;

/// A record that is being put together. It must end in [`Draft::submit`].
pub(crate) struct Draft {
    slot: *mut Slot,
    kind: Kind,
}

/// Adds one to a counter of this processor; atomically, because an interrupt may count as well.
#[inline(always)]
pub(crate) fn count(kind: Kind, outcome: Outcome) {
    if let Some(counter) = COUNTERS.get_ptr_mut(counters::slot(kind, outcome)) {
        // SAFETY: the map's values are aligned u64 that live as long as the program.
        unsafe { atomic::add(counter, 1) };
    }
}

/// Counts a record that will not arrive, and whose cgroup is blind to that extent.
#[inline(always)]
pub(crate) fn lose(kind: Kind, outcome: Outcome, cgroup_id: u64) {
    count(kind, outcome);
    if let Some(blinded) = BLINDED.get_ptr_mut(cgroup_id) {
        // SAFETY: an aligned u64 that lives as long as the program; several processors add to it.
        unsafe { atomic::add(blinded, 1) };
        return;
    }
    // Another processor may have been first: its 1 then stands for both, which only the share of
    // this cgroup in the sum feels.
    let _full = BLINDED.insert(cgroup_id, 1_u64, BPF_NOEXIST);
}

/// Zeroes what stands in a slot, word by word: the function that the compiler calls for more than a few
/// bytes goes byte by byte.
#[inline(always)]
pub(crate) fn zero<T: FromZeros>(to: &mut T) {
    const { assert!(size_of::<T>().is_multiple_of(8) && align_of::<T>() == 8) };
    let words = (&raw mut *to).cast::<u64>();
    for word in 0..size_of::<T>() / 8 {
        // SAFETY: within it and aligned, by the line above; all zeroes are one of its values.
        unsafe { words.add(word).write_volatile(0) };
    }
}

/// Zeroes all of a record but its header.
#[inline(always)]
pub(crate) fn zero_body<T: FromZeros>(to: &mut T) {
    const HEADER: usize = size_of::<Header>();
    const { assert!(size_of::<T>().is_multiple_of(8) && align_of::<T>() == 8) };
    const { assert!(HEADER.is_multiple_of(8)) };
    let words = (&raw mut *to).cast::<u64>();
    for word in HEADER / 8..size_of::<T>() / 8 {
        // SAFETY: as above.
        unsafe { words.add(word).write_volatile(0) };
    }
}

impl Draft {
    /// Counts the occurrence and claims scratch space for its record. `None` is a counted drop.
    #[inline(always)]
    pub(crate) fn begin(kind: Kind) -> Option<Self> {
        count(kind, Outcome::Produced);
        Self::claim(kind)
    }

    /// The same, if the filter of the event's type lets it pass; one that it refuses is counted as such.
    #[inline(always)]
    pub(crate) fn begin_if<F: Facts>(
        kind: Kind,
        event: u32,
        task: *const task_struct,
        facts: impl FnOnce(Asker) -> F,
    ) -> Option<Self> {
        if let Some((_, filter)) = filter_of(event)
            && filter.terms == 0
        {
            count_filtered(event);
            return None;
        }
        let draft = Self::wanted_if(kind, Self::claim(kind), event, task, |asker, _| facts(asker))?;
        // SAFETY: the slot is ours until `release`.
        unsafe { (&raw mut (*draft.slot).len).write_volatile(0) };
        Some(draft)
    }

    /// The same, where what the filter asks for is written into the record first.
    #[inline(always)]
    pub(crate) fn begin_filled<T, F: Facts>(
        kind: Kind,
        event: u32,
        task: *const task_struct,
        fill: impl FnOnce(&mut T),
        facts: impl FnOnce(Asker, &T) -> F,
    ) -> Option<Self> {
        const { assert!(size_of::<T>() <= filter::KEY_AT) };
        let mut draft = Self::claim(kind);
        if let Some(draft) = &mut draft {
            // SAFETY: `T` is a record, as in `fixed`.
            fill(unsafe { draft.fixed::<T>() });
        }
        Self::wanted_if(kind, draft, event, task, |asker, slot| {
            // SAFETY: the slot is ours, and begins with the record that was filled in.
            let record = unsafe { &*(&raw const (*slot).bytes).cast::<T>() };
            facts(asker, record)
        })
    }

    #[inline(always)]
    fn wanted_if<F: Facts>(
        kind: Kind,
        draft: Option<Self>,
        event: u32,
        task: *const task_struct,
        facts: impl FnOnce(Asker, *const Slot) -> F,
    ) -> Option<Self> {
        let Some(draft) = draft else {
            // Without room to look anything up it might be wanted.
            count(kind, Outcome::Produced);
            return None;
        };
        if let Some((number, filter)) = filter_of(event)
            && !filter.accepts(&mut facts(Asker::new(task, number, draft.slot), draft.slot))
        {
            count_filtered(event);
            draft.release();
            return None;
        }
        count(kind, Outcome::Produced);
        Some(draft)
    }

    #[inline(always)]
    fn claim(kind: Kind) -> Option<Self> {
        let slot = claim_any();
        if slot.is_none() {
            lose(kind, Outcome::DroppedScratch, current_cgroup_id());
        }
        slot.map(|slot| Self { slot, kind })
    }

    /// Room to put something together that is no record: it must end in [`Draft::keep`].
    #[inline(always)]
    pub(crate) fn borrow(kind: Kind) -> Option<Self> {
        let slot = claim_any()?;
        // SAFETY: the slot is ours until `release`.
        unsafe { (&raw mut (*slot).len).write_volatile(0) };
        Some(Self { slot, kind })
    }

    /// Leaves what was borrowed.
    #[inline(always)]
    pub(crate) fn give_up(self) {
        self.release();
    }

    /// Whether both of these kernel strings are the same, no longer than a path. What is there is lost.
    #[inline(always)]
    pub(crate) fn is_same(&mut self, one: *const u8, other: *const u8) -> bool {
        const WORDS: usize = PATH_MAX / 8;
        // SAFETY: the slot is ours until `release`, and long enough for both.
        let words = unsafe { (&raw mut (*self.slot).bytes).cast::<u64>() };
        let read = |at: usize, from: *const u8| {
            // SAFETY: as above; the helper checks the source.
            unsafe { bpf_probe_read_kernel_str(words.add(at).cast(), PATH_MAX as u32, from.cast()) }
        };
        let len = read(0, one);
        if len <= 0 || read(WORDS, other) != len {
            return false;
        }
        for word in 0..WORDS {
            let left = len - word as i64 * 8;
            if left <= 0 {
                break;
            }
            // SAFETY: as above.
            let differ = unsafe { *words.add(word) ^ *words.add(WORDS + word) };
            let beyond = if left < 8 { 64 - left as u32 * 8 } else { 0 };
            if differ << (beyond & 63) != 0 {
                return false;
            }
        }
        true
    }

    /// Puts what is there into a map. What has no room in it is not kept.
    #[inline(always)]
    pub(crate) fn keep<V>(self, map: *const LruHashMap<u32, V>, key: u32) {
        const { assert!(size_of::<V>() <= RECORD_MAX) };
        // SAFETY: the slot is long enough, and all of it is map memory.
        let _kept = unsafe {
            bpf_map_update_elem(
                map.cast_mut().cast(),
                (&raw const key).cast(),
                (&raw const (*self.slot).bytes).cast(),
                0,
            )
        };
        self.release();
    }

    /// Takes back what was appended since the record was this long.
    #[inline(always)]
    pub(crate) fn cut(&mut self, len: u64) {
        // SAFETY: the slot is ours until `release`.
        unsafe { (&raw mut (*self.slot).len).write_volatile(len) };
    }

    /// Bytes so far.
    #[inline(always)]
    pub(crate) fn len(&self) -> u64 {
        // SAFETY: the slot is ours until `release`.
        unsafe { (&raw const (*self.slot).len).read_volatile() }
    }

    #[inline(always)]
    fn add_len(&mut self, bytes: u64) {
        let len = self.len() + bytes;
        // SAFETY: as above.
        unsafe { (&raw mut (*self.slot).len).write_volatile(len) };
    }

    /// The fixed part of the record, at its beginning; a shorter record grows to hold it.
    ///
    /// # Safety
    /// `T` must be one of `sensor-common`'s records: plain integers, no larger than a record.
    #[inline(always)]
    pub(crate) unsafe fn fixed<T>(&mut self) -> &mut T {
        const { assert!(size_of::<T>() <= RECORD_MAX && align_of::<T>() <= 8) };
        if self.len() == 0 {
            self.add_len(size_of::<T>() as u64);
        }
        // SAFETY: the bytes begin 8 bytes into a map value, so they are aligned, and are ours.
        unsafe { &mut *(&raw mut (*self.slot).bytes).cast::<T>() }
    }

    /// Where the next `MAX` bytes may be written, or null when they no longer fit.
    #[inline(always)]
    fn room<const MAX: usize>(&mut self) -> *mut c_void {
        let at = clamp::<RECORD_MAX>(self.len());
        if at > (RECORD_MAX - MAX) as u64 {
            return core::ptr::null_mut();
        }
        // SAFETY: in bounds by the comparison above.
        unsafe { (&raw mut (*self.slot).bytes).cast::<u8>().add(at as usize).cast() }
    }

    /// Appends a NUL-terminated kernel string of at most `MAX` bytes; the bytes added, or 0.
    #[inline(always)]
    pub(crate) fn kernel_str<const MAX: usize>(&mut self, from: *const u8) -> u64 {
        let to = self.room::<MAX>();
        if to.is_null() {
            return 0;
        }
        // SAFETY: `room` gave MAX bytes; the helper checks the source.
        let read = unsafe { bpf_probe_read_kernel_str(to, MAX as u32, from.cast()) };
        self.grow::<MAX>(read)
    }

    /// Appends a NUL-terminated user string of at most `MAX` bytes; the bytes added, or 0.
    #[inline(always)]
    pub(crate) fn user_str<const MAX: usize>(&mut self, from: *const u8) -> u64 {
        let to = self.room::<MAX>();
        if to.is_null() {
            return 0;
        }
        // SAFETY: as in `kernel_str`.
        let read = unsafe { bpf_probe_read_user_str(to, MAX as u32, from.cast()) };
        self.grow::<MAX>(read)
    }

    /// Appends up to `MAX` user bytes; the bytes added, or 0 when they could not be read.
    #[inline(always)]
    pub(crate) fn user_bytes<const MAX: usize>(&mut self, from: u64, len: u64) -> u64 {
        let to = self.room::<MAX>();
        if to.is_null() {
            return 0;
        }
        let len = clamp::<MAX>(len);
        // SAFETY: as in `kernel_str`.
        if unsafe { bpf_probe_read_user(to, len as u32, from as *const c_void) } != 0 {
            return 0;
        }
        self.add_len(len);
        len
    }

    /// Appends up to `MAX` kernel bytes; the bytes added, or 0 when they could not be read.
    #[inline(always)]
    pub(crate) fn kernel_bytes<const MAX: usize>(&mut self, from: *const u8, len: u64) -> u64 {
        let to = self.room::<MAX>();
        if to.is_null() {
            return 0;
        }
        let len = clamp::<MAX>(len);
        // SAFETY: as in `kernel_str`.
        if unsafe { bpf_probe_read_kernel(to, len as u32, from.cast()) } != 0 {
            return 0;
        }
        self.add_len(len);
        len
    }

    /// Appends what `fill` writes into `MAX` bytes, given their address; it returns their number,
    /// or a negated errno, which is passed on.
    #[inline(always)]
    pub(crate) fn fill<const MAX: usize>(&mut self, fill: impl FnOnce(*mut c_void) -> i64) -> i64 {
        let to = self.room::<MAX>();
        if to.is_null() {
            return 0;
        }
        let written = fill(to);
        if written > 0 {
            self.grow::<MAX>(written);
        }
        written
    }

    #[inline(always)]
    fn grow<const MAX: usize>(&mut self, read: i64) -> u64 {
        if read < 0 {
            return 0;
        }
        let read = clamp::<MAX>(read as u64);
        self.add_len(read);
        read
    }

    /// Sends the record, and wakes the reader if it is time to.
    #[inline(always)]
    pub(crate) fn submit(self) {
        let len = clamp::<RECORD_MAX>(self.len());
        // SAFETY: the slot is ours until `release`; the header is its beginning.
        let bytes = unsafe { &raw mut (*self.slot).bytes };
        // SAFETY: every draft begins with a header (`fixed`).
        let header = unsafe { &mut *bytes.cast::<Header>() };
        header.len = len as u32;
        header.kind = self.kind as u32;
        let flags = wake(self.kind, header.boot_ns);
        // SAFETY: `len` bytes of the slot are initialised map memory.
        let sent = unsafe {
            bpf_ringbuf_output((&raw const RING).cast_mut().cast(), bytes.cast(), len, flags)
        };
        if sent != 0 {
            lose(self.kind, Outcome::LostRing, header.cgroup_id);
        }
        self.release();
    }

    #[inline(always)]
    fn release(self) {
        // SAFETY: as in `begin`.
        unsafe { atomic::add(&raw mut (*self.slot).claims, u64::MAX) };
    }
}

/// Claims one of this processor's slots.
#[inline(always)]
fn claim_any() -> Option<*mut Slot> {
    // SAFETY: a helper without preconditions.
    let first = unsafe { bpf_get_smp_processor_id() } * SCRATCH_SLOTS;
    const { assert!(SCRATCH_SLOTS == 4) };
    // Not a loop: older verifiers do not see that one over slots ends.
    claim(first)
        .or_else(|| claim(first + 1))
        .or_else(|| claim(first + 2))
        .or_else(|| claim(first + 3))
}

/// Claims a slot, if nobody else has it or is about to.
#[inline(always)]
fn claim(index: u32) -> Option<*mut Slot> {
    let slot = SCRATCH.get_ptr_mut(index)?;
    // SAFETY: the slot is a live map value; the read is volatile because others change it.
    let alone = unsafe {
        atomic::add(&raw mut (*slot).claims, 1);
        (&raw const (*slot).claims).read_volatile() == 1
    };
    if alone {
        // SAFETY: as above.
        unsafe { (*slot).len = 0 };
        return Some(slot);
    }
    // SAFETY: as above.
    unsafe { atomic::add(&raw mut (*slot).claims, u64::MAX) };
    None
}

/// Whether this record wakes the reader.
///
/// The reader, once woken, drains the ring and looks again after `wake_interval_ns` until it finds
/// nothing; only then does it sleep without limit. So a record within that interval of the last
/// wake-up needs none: a lone record is seen at once, a stream costs one wake-up an interval. A
/// ring that fills, and the kinds that people wait for, wake in any case.
#[inline(always)]
fn wake(kind: Kind, now_ns: u64) -> u64 {
    let config = CONFIG.load();
    let Some(last) = LAST_WAKE.get_ptr_mut(0) else { return BPF_RB_FORCE_WAKEUP };
    // SAFETY: an aligned u64 in a map; a torn decision wakes once too often.
    let since = now_ns.wrapping_sub(unsafe { *last });
    let urgent = matches!(kind, Kind::Oom | Kind::Cgroup);
    let due = since >= config.wake_interval_ns;
    // A tenth of the interval keeps a full ring from waking for each record that it loses.
    let filling = since >= config.wake_interval_ns / 10
        && RING.query(BPF_RB_AVAIL_DATA) >= u64::from(config.wake_bytes);
    if !(urgent || due || filling) {
        return BPF_RB_NO_WAKEUP;
    }
    // SAFETY: as above.
    unsafe { *last = now_ns };
    BPF_RB_FORCE_WAKEUP
}

/// Nanoseconds since boot, suspend included.
#[inline(always)]
pub(crate) fn now_boot_ns() -> u64 {
    // SAFETY: a helper without preconditions.
    unsafe { bpf_ktime_get_boot_ns() }
}

/// Copies one value from kernel memory.
#[inline(always)]
pub(crate) fn read_kernel<T: Copy>(from: *const T, to: &mut T) -> bool {
    // SAFETY: the destination is a valid `T`; the helper checks the source.
    unsafe { bpf_probe_read_kernel((&raw mut *to).cast(), size_of::<T>() as u32, from.cast()) == 0 }
}

/// Copies one value from user memory.
#[inline(always)]
pub(crate) fn read_user<T: Copy>(from: u64, to: &mut T) -> bool {
    // SAFETY: as in `read_kernel`.
    unsafe {
        bpf_probe_read_user((&raw mut *to).cast(), size_of::<T>() as u32, from as *const c_void)
            == 0
    }
}

/// `min(n, MAX)`, in a form that neither the compiler nor the verifier can lose: the comparison
/// stands on the very register that is used afterwards.
#[inline(always)]
pub(crate) fn clamp<const MAX: usize>(mut n: u64) -> u64 {
    // SAFETY: register arithmetic only.
    unsafe {
        asm!(
            "if {n} <= {max} goto +1",
            "{n} = {max}",
            n = inout(reg) n,
            max = const MAX,
            options(pure, nomem, nostack)
        );
    }
    n
}
