//! What probes know of an event before its record is begun, for the filter that the rules made.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::{bpf_map_lookup_elem, bpf_probe_read_kernel_str};
use sensor_common::filter::{
    Filter, Flags, Found, Look, NetworkKey, Number, PathKey, TEXT_MAX, TextKey,
};
use sensor_common::header::COMM_LEN;

use crate::atomic;
use crate::kernel::{
    cred_cap_effective, cred_cap_permitted, cred_egid, cred_euid, dentry, dentry_name,
    dentry_name_len, dentry_parent, file, file_path, mount_of, mount_parent, mount_point,
    mount_vfsmount, path_dentry, path_mount, task_comm, task_cred, task_leader, task_struct,
    task_thread_pid, vfsmount, vfsmount_root,
};
use crate::maps::{CONTAINED, FILTER_OF, FILTERED, FILTERS, NETWORKS, PATHS, Slot, TEXTS};
use crate::scope::{current_cgroup_id, current_tgid, current_tid};
use crate::submit::clamp;
use crate::task;

/// Where the directory of a path ends in the slot; it is put together backwards from here.
const END: usize = 504;
/// What stands before its beginning: the rest of a key.
const HEAD: usize = 8;
/// `NAME_MAX` and its NUL.
const NAME_MAX: usize = 256;
/// Where the key of another text is put together.
pub(crate) const KEY_AT: usize = 1024;
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
            Number::User => Some(cred_euid(task_cred(task)).into()),
            Number::Group => Some(cred_egid(task_cred(task)).into()),
            Number::NamespacePid => {
                Some(task::number_inside(task_thread_pid(task_leader(task))).into())
            }
            _ => None,
        }
    }

    #[inline(always)]
    pub(crate) fn flags(&self, flags: Flags) -> Option<u64> {
        match flags {
            Flags::Effective => Some(cred_cap_effective(task_cred(self.task))),
            Flags::Permitted => Some(cred_cap_permitted(task_cred(self.task))),
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
            key.cast::<[u64; 8]>().write([0; 8]);
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

    /// A place in the slot.
    #[inline(always)]
    fn at<const AT: usize>(&self) -> *mut u8 {
        // SAFETY: in bounds, as the callers' constants are small.
        unsafe { (&raw mut (*self.slot).bytes).cast::<u8>().add(AT) }
    }

    /// `HEAD` bytes before a place in the path's text.
    #[inline(always)]
    fn head(&self, at: u64) -> *mut u8 {
        let at = clamp::<END>(at);
        // SAFETY: in bounds by the line above.
        unsafe { (&raw mut (*self.slot).bytes).cast::<u8>().add(at as usize) }
    }

    /// Where the path's text begins. Kept in the slot, so that the verifier knows nothing about it.
    #[inline(always)]
    fn start(&self) -> u64 {
        // SAFETY: the slot is ours.
        unsafe { (&raw const (*self.slot).len).read_volatile() }
    }

    #[inline(always)]
    fn set_start(&mut self, at: u64) {
        // SAFETY: as above.
        unsafe { (&raw mut (*self.slot).len).write_volatile(at) };
    }
}

/// Whether the current task's cgroup is a container's, if user space has said so.
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
    leaf: *const dentry,
    vfsmount: *const vfsmount,
    /// The directory is put together.
    walked: bool,
}

impl Walk {
    #[inline(always)]
    pub(crate) fn new() -> Self {
        Self { leaf: core::ptr::null(), vfsmount: core::ptr::null(), walked: false }
    }

    /// Finds the file's name; false where it has none, or no place in a tree.
    #[inline(always)]
    fn locate(&mut self, file: *const file) -> bool {
        if !self.leaf.is_null() {
            return true;
        }
        let path = file_path(file);
        let (mut dentry, mut vfsmount) = (path_dentry(path), path_mount(path));
        for _ in 0..CROSSINGS_MAX {
            if dentry != vfsmount_root(vfsmount) {
                break;
            }
            let mount = mount_of(vfsmount);
            let above = mount_parent(mount);
            if above == mount || above.is_null() {
                return false;
            }
            dentry = mount_point(mount);
            vfsmount = mount_vfsmount(above);
        }
        if dentry.is_null() || dentry == vfsmount_root(vfsmount) || dentry_parent(dentry) == dentry
        {
            return false;
        }
        (self.leaf, self.vfsmount) = (dentry, vfsmount);
        true
    }

    /// Puts the file's directory together.
    #[inline(always)]
    pub(crate) fn walk(&mut self, asker: &mut Asker, file: *const file) {
        if !self.locate(file) {
            return;
        }
        let (mut dentry, mut vfsmount) = (dentry_parent(self.leaf), self.vfsmount);
        let mut root = vfsmount_root(vfsmount);
        asker.set_start(END as u64);
        for _ in 0..DEPTH_MAX {
            if dentry == root {
                let mount = mount_of(vfsmount);
                let above = mount_parent(mount);
                if above == mount || above.is_null() {
                    self.walked = true;
                    return;
                }
                dentry = mount_point(mount);
                vfsmount = mount_vfsmount(above);
                root = vfsmount_root(vfsmount);
                continue;
            }
            let parent = dentry_parent(dentry);
            if parent == dentry || parent.is_null() || !prepend(asker, dentry) {
                return;
            }
            dentry = parent;
        }
    }

    #[inline(always)]
    pub(crate) fn find(&mut self, asker: &Asker, look: Look, file: *const file) -> Option<Found> {
        match look {
            Look::Leaf if self.locate(file) => {
                asker.find_text::<NAME_MAX>(look, dentry_name(self.leaf))
            }
            Look::Directory if self.walked => Some(directory(asker)),
            Look::Path if self.walked => whole(asker, dentry_name(self.leaf)),
            _ => None,
        }
    }
}

/// Puts `/` and a name before the text; false if there is no room, or if the name changes meanwhile.
#[inline(always)]
fn prepend(asker: &mut Asker, dentry: *const dentry) -> bool {
    let end = asker.start();
    let len = u64::from(dentry_name_len(dentry));
    let start = end.wrapping_sub(len + 1);
    if len >= NAME_MAX as u64 || start > END as u64 {
        return false;
    }
    let to = asker.head(start);
    // SAFETY: a name's room behind any place of the text is in the slot.
    let read = unsafe {
        let name = to.add(HEAD + 1);
        bpf_probe_read_kernel_str(name.cast(), NAME_MAX as u32, dentry_name(dentry).cast())
    };
    if read != len as i64 + 1 {
        return false;
    }
    // SAFETY: as above. The name's NUL stands where the next name begins.
    unsafe {
        asker.head(end).add(HEAD).write(b'/');
        to.add(HEAD).write(b'/');
    }
    asker.set_start(start);
    true
}

#[inline(always)]
fn directory(asker: &Asker) -> Found {
    let mut start = asker.start();
    // SAFETY: behind the end is room for a name.
    unsafe { asker.at::<{ HEAD + END }>().cast::<[u64; 8]>().write([0; 8]) };
    if start >= END as u64 {
        // Above the text of the directory at the top there is nothing, but it has a name.
        start = END as u64 - 1;
        // SAFETY: as above.
        unsafe { asker.at::<{ HEAD + END - 1 }>().write(b'/') };
    }
    if END as u64 - start > TEXT_MAX as u64 {
        return Found::Nothing;
    }
    // SAFETY: before the text there is room for the head, behind it for the rest of the key.
    unsafe {
        let key = asker.head(start).add(HEAD - size_of::<u32>());
        key.cast::<u32>().write_unaligned(asker.filter | (Look::Directory as u32) << 16);
        found(&raw const TEXTS, key)
    }
}

#[inline(always)]
fn whole(asker: &Asker, leaf: *const u8) -> Option<Found> {
    let start = asker.start();
    // SAFETY: behind the end is room for a name.
    let leaf_len = unsafe {
        let end = asker.at::<{ HEAD + END }>();
        end.write(b'/');
        bpf_probe_read_kernel_str(end.add(1).cast(), NAME_MAX as u32, leaf.cast())
    };
    if leaf_len <= 1 || start > END as u64 {
        return None;
    }
    // With its NUL.
    let len = END as u64 - start + 1 + leaf_len as u64;
    // SAFETY: before the text there is room for the head, behind it for the rest of the key.
    unsafe {
        let key = asker.head(start);
        key.cast::<u32>().write_unaligned(PathKey::bits(len as u32));
        key.add(size_of::<u32>()).cast::<u32>().write_unaligned(asker.filter);
        Some(found(&raw const PATHS, key))
    }
}
