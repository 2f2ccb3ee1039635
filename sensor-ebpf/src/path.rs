//! A kernel path → its components, leaf first, at the end of a draft.

use sensor_common::exec::FileId;
use sensor_common::path::{COMPONENTS_MAX, DELETED, PATH_MAX, TRUNCATED};

use crate::kernel::{
    Location, Place, dentry_hash_pprev, dentry_parent, file, file_inode, inode_mode, inode_number,
    inode_super, kernfs_node, mount_of, mount_parent, mount_point, mount_vfsmount, node_name,
    node_parent, path, super_device, super_magic, vfsmount_root,
};
use crate::submit::Draft;

/// `NAME_MAX` and its NUL.
const NAME_MAX: usize = 256;

/// As [`append_at`], for what a path points to.
#[inline(always)]
pub(crate) fn append(draft: &mut Draft, path: *const path) -> (u32, u32) {
    append_at(draft, Location::of(path))
}

/// Appends the components of a place up to the root of its mount namespace; the bytes added and
/// the flags of `sensor_common::path`.
///
/// A chroot does not shorten the path: what counts is where the file is, not what the process
/// calls it.
#[inline(always)]
pub(crate) fn append_at(draft: &mut Draft, location: Location) -> (u32, u32) {
    let start = draft.len();
    let Location { mut mount, mut dentry } = location;
    if dentry.is_null() {
        return (0, TRUNCATED);
    }
    let leaf = dentry;
    let mut root = vfsmount_root(mount);
    let mut flags = TRUNCATED;
    for _ in 0..COMPONENTS_MAX {
        if dentry == root {
            let crossed = mount_of(mount);
            let above = mount_parent(crossed);
            if above == crossed || above.is_null() {
                flags = 0;
                break;
            }
            dentry = mount_point(crossed);
            mount = mount_vfsmount(above);
            root = vfsmount_root(mount);
            continue;
        }
        if draft.len() - start > (PATH_MAX - NAME_MAX) as u64 {
            break;
        }
        let Place { parent, name, .. } = Place::of(dentry);
        if draft.kernel_str::<NAME_MAX>(name) == 0 {
            break;
        }
        if parent == dentry || parent.is_null() {
            // Files that never had a place in a tree, such as a memfd: the one name is all.
            flags = 0;
            break;
        }
        dentry = parent;
    }
    // After the walk, so that the verifier has one state less to walk with.
    if dentry_hash_pprev(leaf) == 0 && dentry_parent(leaf) != leaf {
        flags |= DELETED;
    }
    ((draft.len() - start) as u32, flags)
}

/// Appends the components of a cgroup's path, up to and without the hierarchy's root.
#[inline(always)]
pub(crate) fn append_cgroup(draft: &mut Draft, mut node: *const kernfs_node) -> (u32, u32) {
    let start = draft.len();
    for _ in 0..32 {
        let parent = node_parent(node);
        if parent.is_null() {
            return ((draft.len() - start) as u32, 0);
        }
        if draft.kernel_str::<NAME_MAX>(node_name(node)) == 0 {
            break;
        }
        node = parent;
    }
    ((draft.len() - start) as u32, TRUNCATED)
}

/// Which file it is.
#[inline(always)]
pub(crate) fn identify(to: &mut FileId, file: *const file) {
    let inode = file_inode(file);
    let super_block = inode_super(inode);
    to.inode = inode_number(inode);
    to.mode = u32::from(inode_mode(inode));
    to.device = super_device(super_block);
    to.fs_magic = super_magic(super_block);
}
