//! What probes know of an event before its record is begun, for the filter that the rules made.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::{
    bpf_map_lookup_elem, bpf_probe_read_kernel_str, bpf_probe_read_user_str,
};
use sensor_common::filter::{
    BEGINNING, ENDING_MAX, Filter, Flags, Found, Look, NetworkKey, Number, PathKey, TEXT_MAX,
    TextKey, has_length,
};
use sensor_common::header::COMM_LEN;

use crate::atomic;
use crate::kernel::{
    Location, Place, dentry, dentry_name, dentry_parent, file, file_path, mount_of, mount_parent,
    mount_point, mount_vfsmount, own, task_comm, task_struct, vfsmount, vfsmount_root,
};
use crate::maps::{CONTAINED, FILTER_OF, FILTERED, FILTERS, NETWORKS, PATHS, Slot, TEXTS};
use crate::scope::{current_cgroup_id, current_tgid, current_tid};
use crate::submit::{clamp, zero};
use crate::task;

/// Where the text of a path begins in the slot; before it stands the rest of its key.
const TEXT_AT: usize = 8;
/// What a directory's text may be long before its path is looked up: what of it counts is shorter.
const DIRECTORY_MAX: usize = 512;
/// `NAME_MAX` and its NUL.
const NAME_MAX: usize = 256;
/// Where the key of another text is put together.
pub(crate) const KEY_AT: usize = 1024;
/// Where the directories above a file are kept, and before them their number.
const CHAIN_AT: usize = 2048;
/// Deeper paths are not looked up: what a filter would say of them is not known.
const DEPTH_MAX: usize = 24;
/// Mounts on one directory or file.
const CROSSINGS_MAX: usize = 4;

/// The filter of an event type, and its number; none where all events pass.
#[inline(always)]
pub(crate) fn filter_of(event: u32) -> Option<(u32, &'static Filter)> {
    let number = *FILTER_OF.get(event)?;
    if number == 0 {
        return None;
    }
    Some((number, FILTERS.get(number)?))
}

/// Counts an event that no rule can match.
#[inline(always)]
pub(crate) fn count_filtered(event: u32) {
    if let Some(counter) = FILTERED.get_ptr_mut(event) {
        // SAFETY: the map's values are aligned u64 that live as long as the program.
        unsafe { atomic::add(counter, 1) };
    }
}

/// What is the same for every event: who did it, and room to look texts up.
pub(crate) struct Asker {
    task: *const task_struct,
    filter: u32,
    slot: *mut Slot,
}

impl Asker {
    #[inline(always)]
    pub(crate) fn new(task: *const task_struct, filter: u32, slot: *mut Slot) -> Self {
        Self { task, filter, slot }
    }

    #[inline(always)]
    pub(crate) fn number(&self, number: Number) -> Option<i64> {
        let task = self.task;
        match number {
            Number::InContainer => contained(),
            Number::User => Some(own::cred_euid(own::task_cred(task)).into()),
            Number::Group => Some(own::cred_egid(own::task_cred(task)).into()),
            Number::NamespacePid => Some(task::own_number_inside(own::task_leader(task)).into()),
            _ => None,
        }
    }

    #[inline(always)]
    pub(crate) fn flags(&self, flags: Flags) -> Option<u64> {
        match flags {
            Flags::Effective => Some(own::cred_cap_effective(own::task_cred(self.task))),
            Flags::Permitted => Some(own::cred_cap_permitted(own::task_cred(self.task))),
            Flags::Open => None,
        }
    }

    #[inline(always)]
    pub(crate) fn find(&mut self, look: Look) -> Option<Found> {
        // A process is called what its first thread is called, which user space remembers.
        if look != Look::Name || current_tid() != current_tgid() {
            return None;
        }
        self.find_text::<COMM_LEN>(look, task_comm(self.task))
    }

    /// Looks up a kernel text of at most `MAX` bytes, NUL included.
    #[inline(always)]
    pub(crate) fn find_text<const MAX: usize>(&self, look: Look, from: *const u8) -> Option<Found> {
        const { assert!(KEY_AT.is_multiple_of(8) && size_of::<TextKey>() == 64) };
        let key = self.at::<KEY_AT>();
        // SAFETY: the slot is ours, aligned and long enough.
        let len = unsafe {
            zero(&mut *key.cast::<[u64; size_of::<TextKey>() / 8]>());
            key.cast::<u32>().write(self.filter | (look as u32) << 16);
            bpf_probe_read_kernel_str(key.add(size_of::<u32>()).cast(), MAX as u32, from.cast())
        };
        if len <= 0 {
            return None;
        }
        // With its NUL: what is longer has no row.
        if len > TEXT_MAX as i64 + 1 {
            return Some(Found::Nothing);
        }
        Some(found(&raw const TEXTS, key))
    }

    /// Looks up an address of IPv4 or IPv6, of which the first has four bytes.
    #[inline(always)]
    pub(crate) fn find_address(&self, look: Look, is_v4: bool, address: [u8; 16]) -> Found {
        let (version, bits) = if is_v4 { (4, 32) } else { (6, 128) };
        let key = self.at::<KEY_AT>();
        // SAFETY: the slot is ours, aligned and long enough.
        unsafe {
            let row = NetworkKey::new(self.filter as u16, look, version, address, bits);
            key.cast::<NetworkKey>().write(row);
        }
        found(&raw const NETWORKS, key)
    }

    /// How often a dot follows a dot in a text of the process; not known of one that is long.
    #[inline(always)]
    pub(crate) fn double_dots(&mut self, text: *const u8) -> Option<i64> {
        const WORDS: usize = 32;
        let to = self.at::<KEY_AT>();
        // SAFETY: the slot is ours and long enough; the helper checks the source.
        let len = unsafe { bpf_probe_read_user_str(to.cast(), (WORDS * 8) as u32, text.cast()) };
        if len <= 0 || len as usize >= WORDS * 8 {
            return None;
        }
        let (mut before, mut sums) = (0, 0);
        for at in 0..WORDS {
            if (at * 8) as i64 >= len {
                break;
            }
            // SAFETY: within what was read, or behind its end, where a dot too many does no harm.
            let dots = dots_in(unsafe { to.cast::<u64>().add(at).read() });
            // Eight sums side by side, none of them above 32.
            sums += (dots & (dots << 8 | before >> 56)) >> 7;
            before = dots;
        }
        self.set::<SUMS_AT>(sums);
        // The sum of the bytes, in the highest one.
        Some((self.get::<SUMS_AT>().wrapping_mul(0x0101_0101_0101_0101) >> 56) as i64)
    }

    /// A place in the slot.
    #[inline(always)]
    fn at<const AT: usize>(&self) -> *mut u8 {
        // SAFETY: in bounds, as the callers' constants are small.
        unsafe { (&raw mut (*self.slot).bytes).cast::<u8>().add(AT) }
    }

    /// A number in the slot: not in a register, so that the verifier knows nothing about it and two ways
    /// that differ in it alone are one to it.
    #[inline(always)]
    fn get<const AT: usize>(&self) -> u64 {
        // SAFETY: the slot is ours and aligned.
        unsafe { self.at::<AT>().cast::<u64>().read_volatile() }
    }

    #[inline(always)]
    fn set<const AT: usize>(&mut self, number: u64) {
        // SAFETY: as above.
        unsafe { self.at::<AT>().cast::<u64>().write_volatile(number) };
    }
}

/// The number of directories in the chain, and the length of the text.
const COUNT_AT: usize = CHAIN_AT - 8;
const LEN_AT: usize = CHAIN_AT - 16;
/// How many double dots were found, at each place of a word.
const SUMS_AT: usize = CHAIN_AT - 24;

/// The highest bit of each byte that is a dot.
#[inline(always)]
fn dots_in(word: u64) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let differing = word ^ 0x2e2e_2e2e_2e2e_2e2e;
    !((differing & LOW).wrapping_add(LOW) | differing | LOW)
}

/// 0 where the current task's cgroup is no container's, if user space has said so. Who is in a
/// container's may be its runtime still: of that nothing is known.
#[inline(always)]
fn contained() -> Option<i64> {
    // SAFETY: the value is copied at once.
    unsafe { CONTAINED.get(current_cgroup_id()) }.map(|known| i64::from(*known))
}

#[inline(always)]
fn found<M>(map: *const M, key: *const u8) -> Found {
    // SAFETY: the map's keys are as long as what the callers put there; the verifier checks it.
    let terms = unsafe { bpf_map_lookup_elem(map.cast_mut().cast(), key.cast::<c_void>()) };
    if terms.is_null() {
        return Found::Nothing;
    }
    // SAFETY: a row's value is a u64.
    Found::Terms(unsafe { *terms.cast::<u64>() })
}

/// The path of an open file, as [`crate::path::append`] walks it.
pub(crate) struct Walk {
    leaf: Place,
    mount: *const vfsmount,
    /// The root of that mount.
    root: *const dentry,
    walked: Walked,
}

#[derive(Clone, Copy, PartialEq)]
enum Walked {
    No,
    /// To a directory below which no row lies.
    Partly,
    Wholly,
}

impl Walk {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        let (mount, root) = (core::ptr::null(), core::ptr::null());
        Self { leaf: Place::nowhere(), mount, root, walked: Walked::No }
    }

    /// Finds the file's name; false where it has none, or no place in a tree.
    #[inline(always)]
    fn locate(&mut self, file: *const file) -> bool {
        if !self.leaf.name.is_null() {
            return true;
        }
        let Location { mut mount, mut dentry } = Location::of(file_path(file));
        let mut root = vfsmount_root(mount);
        for _ in 0..CROSSINGS_MAX {
            if dentry != root {
                break;
            }
            let crossed = mount_of(mount);
            let above = mount_parent(crossed);
            if above == crossed || above.is_null() {
                return false;
            }
            dentry = mount_point(crossed);
            mount = mount_vfsmount(above);
            root = vfsmount_root(mount);
        }
        let place = Place::of(dentry);
        if dentry == root || place.parent == dentry || place.name.is_null() {
            return false;
        }
        (self.leaf, self.mount, self.root) = (place, mount, root);
        true
    }

    /// Puts the file's directory together, from the top to where it is seen that nothing is asked of
    /// what lies below.
    #[inline(always)]
    pub(crate) fn walk(&mut self, asker: &mut Asker, file: *const file) {
        if self.locate(file) && self.climb(asker) {
            self.walked = descend(asker);
        }
    }

    /// Keeps the directories above the file; false if they are too many, or lead nowhere.
    #[inline(always)]
    fn climb(&self, asker: &mut Asker) -> bool {
        let (mut dentry, mut mount, mut root) = (self.leaf.parent, self.mount, self.root);
        asker.set::<COUNT_AT>(0);
        for _ in 0..DEPTH_MAX {
            if dentry == root {
                let crossed = mount_of(mount);
                let above = mount_parent(crossed);
                if above == crossed || above.is_null() {
                    return true;
                }
                dentry = mount_point(crossed);
                mount = mount_vfsmount(above);
                root = vfsmount_root(mount);
                continue;
            }
            let parent = dentry_parent(dentry);
            if parent == dentry || parent.is_null() {
                return false;
            }
            let count = asker.get::<COUNT_AT>();
            let place = clamp::<{ DEPTH_MAX - 1 }>(count);
            // SAFETY: in bounds by the line above.
            unsafe {
                asker.at::<CHAIN_AT>().cast::<u64>().add(place as usize).write(dentry as u64);
            }
            asker.set::<COUNT_AT>(count + 1);
            dentry = parent;
        }
        false
    }

    #[inline(always)]
    pub(crate) fn find(
        &mut self,
        asker: &Asker,
        look: Look,
        lengths: u64,
        file: *const file,
    ) -> Option<Found> {
        match look {
            Look::Leaf if self.locate(file) => find_name(asker, look, lengths, &self.leaf),
            Look::Ending if self.locate(file) => ending(asker, self.leaf.name),
            // The directory that a mount begins with is called what it is mounted on.
            Look::Parent if self.locate(file) && self.leaf.parent != self.root => {
                find_name(asker, look, lengths, &Place::of(self.leaf.parent))
            }
            Look::Directory => match self.walked {
                Walked::No => None,
                Walked::Partly => Some(Found::Nothing),
                Walked::Wholly => Some(directory(asker)),
            },
            Look::Path => match self.walked {
                Walked::No => None,
                Walked::Partly => Some(beginning(asker, 0)),
                Walked::Wholly => whole(asker, self.leaf.name),
            },
            _ => None,
        }
    }
}

/// A name of a length that no row has is not even read.
#[inline(always)]
fn find_name(asker: &Asker, look: Look, lengths: u64, place: &Place) -> Option<Found> {
    if place.name.is_null() {
        return None;
    }
    if !has_length(lengths, place.len()) {
        return Some(Found::Nothing);
    }
    asker.find_text::<NAME_MAX>(look, place.name)
}

/// From the directory at the top down, as far as rows lie below.
#[inline(always)]
fn descend(asker: &mut Asker) -> Walked {
    asker.set::<LEN_AT>(0);
    // SAFETY: the slot is ours, aligned and long enough.
    zero(unsafe { &mut *asker.at::<TEXT_AT>().cast::<[u64; 8]>() });
    for _ in 0..DEPTH_MAX {
        let count = asker.get::<COUNT_AT>();
        if count == 0 {
            return Walked::Wholly;
        }
        asker.set::<COUNT_AT>(count - 1);
        let place = clamp::<{ DEPTH_MAX - 1 }>(count - 1);
        // SAFETY: in bounds by the line above.
        let dentry = unsafe { asker.at::<CHAIN_AT>().cast::<u64>().add(place as usize).read() };
        let len = asker.get::<LEN_AT>();
        if len >= (DIRECTORY_MAX - NAME_MAX) as u64 {
            return Walked::No;
        }
        let read = append(asker, len, dentry_name(dentry as *const dentry));
        if read <= 1 {
            return Walked::No;
        }
        // A slash came before the name, and its NUL goes.
        let len = len + read as u64;
        asker.set::<LEN_AT>(len);
        if len <= TEXT_MAX as u64 && find_directory(asker, BEGINNING) == Found::Nothing {
            return Walked::Partly;
        }
    }
    if asker.get::<COUNT_AT>() == 0 { Walked::Wholly } else { Walked::No }
}

/// Puts `/` and a name behind the text; the name's bytes with its NUL.
#[inline(always)]
fn append(asker: &Asker, len: u64, name: *const u8) -> i64 {
    let at = clamp::<DIRECTORY_MAX>(len);
    // SAFETY: behind any place of the text is room for a name.
    unsafe {
        let to = asker.at::<TEXT_AT>().add(at as usize);
        to.write(b'/');
        bpf_probe_read_kernel_str(to.add(1).cast(), NAME_MAX as u32, name.cast())
    }
}

/// Looks the text up that is in its place.
#[inline(always)]
fn find_directory(asker: &Asker, look: u16) -> Found {
    let key = asker.at::<{ TEXT_AT - size_of::<u32>() }>();
    // SAFETY: before the text there is room for the head of its key.
    unsafe { key.cast::<u32>().write(asker.filter | u32::from(look) << 16) };
    found(&raw const TEXTS, key)
}

#[inline(always)]
fn directory(asker: &Asker) -> Found {
    let len = asker.get::<LEN_AT>();
    if len > TEXT_MAX as u64 {
        return Found::Nothing;
    }
    if len == 0 {
        // The directory at the top.
        // SAFETY: the slot is ours.
        unsafe { asker.at::<TEXT_AT>().write(b'/') };
    }
    find_directory(asker, Look::Directory as u16)
}

#[inline(always)]
fn whole(asker: &Asker, leaf: *const u8) -> Option<Found> {
    let read = append(asker, asker.get::<LEN_AT>(), leaf);
    (read > 1).then(|| beginning(asker, read as u32))
}

/// Looks up what the path begins with: its directory, a slash, and so many bytes more.
#[inline(always)]
fn beginning(asker: &Asker, more: u32) -> Found {
    let len = asker.get::<LEN_AT>();
    let at = clamp::<DIRECTORY_MAX>(len);
    let key = asker.at::<{ TEXT_AT - 2 * size_of::<u32>() }>();
    // SAFETY: before the text there is room for the head of its key, behind it for a slash.
    unsafe {
        asker.at::<TEXT_AT>().add(at as usize).write(b'/');
        key.cast::<[u32; 2]>().write([
            PathKey::bits(len as u32 + 1 + more),
            asker.filter | (Look::Path as u32) << 16,
        ]);
    }
    found(&raw const PATHS, key)
}

/// Looks up what a name ends with: its last bytes, turned round.
#[inline(always)]
fn ending(asker: &Asker, name: *const u8) -> Option<Found> {
    const WORDS: usize = ENDING_MAX / 8;
    const { assert!(TEXT_AT + ENDING_MAX + 64 <= KEY_AT && ENDING_MAX.is_multiple_of(8)) };
    let from = asker.at::<KEY_AT>();
    // SAFETY: the slot is ours and long enough; the helper checks the source.
    let read = unsafe { bpf_probe_read_kernel_str(from.cast(), NAME_MAX as u32, name.cast()) };
    if read <= 1 {
        return None;
    }
    let len = clamp::<{ NAME_MAX - 1 }>((read - 1) as u64);
    let (key, text) =
        (asker.at::<{ TEXT_AT - 2 * size_of::<u32>() }>(), asker.at::<TEXT_AT>().cast::<u64>());
    // SAFETY: before the name the slot has as many bytes as are read, and those that are not of the name
    // do not count; before the text there is room for the head of its key.
    unsafe {
        let last = from.add(len as usize).cast::<u64>();
        for at in 0..WORDS {
            text.add(at).write(last.sub(at + 1).read_unaligned().swap_bytes());
        }
        let bits = PathKey::bits((len as u32).min(ENDING_MAX as u32));
        key.cast::<[u32; 2]>().write([bits, asker.filter | (Look::Ending as u32) << 16]);
    }
    Some(found(&raw const PATHS, key))
}
