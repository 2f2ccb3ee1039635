//! What the paths that a system call passed lead to, taken where the kernel asks its security modules:
//! it has followed links and dots by then, and will do to this file what it was asked for.
//!
//! Some calls are about a path, and no security module is asked with one: of these it is what
//! `filename_lookup(int dfd, struct filename *name, unsigned int flags, struct path *path, struct path
//! *root)` → int has found, which every look-up passes, so that the program on it is there only while
//! such a call is wanted; or the file that `file_open_name(struct filename *name, int flags, umode_t
//! mode)` has opened, as swapon, swapoff and acct do and little else.
//!
//! The functions are in a unit of their own, so that nobody inlines them. Their prototypes, from 5.10 to
//! 7.2, are in the loader's table. What is found is kept for the task until the exit of its call, where
//! the result is known. The cost is paid by these calls alone: a walk of each path, and a copy.

use aya_ebpf::macros::{fentry, fexit};
use aya_ebpf::programs::{FEntryContext, FExitContext};
use sensor_common::Kind;
use sensor_common::call::{LOOK_UPS, LOOKS_UP_SOURCE, Part};
use sensor_common::path::{PATH_MAX, RESOLVED, TRUNCATED};
use sensor_common::resolved::{ARGUMENTS, PATHS, RESOLVED_MAX, Resolved};

use crate::kernel::{
    Location, dentry, file, file_path, filename, filename_text, path, vfsmount, vfsmount_root,
};
use crate::maps::{PLANS, RESOLVED_BY_TASK};
use crate::scope::{current_tid, current_wanted};
use crate::submit::{Draft, clamp};
use crate::syscall::Exit;

/// The program on a function, and what each of the call's texts leads to.
macro_rules! resolve {
    ($($name:ident on $function:literal: |$ctx:ident| $first:expr, $second:expr;)*) => { $(
        #[fentry(function = $function)]
        pub(crate) fn $name($ctx: FEntryContext) -> i32 {
            if current_wanted() {
                keep($first, $second);
            }
            0
        }
    )* };
}

resolve! {
    path_unlink_fentry on "security_path_unlink": |ctx| in_directory(ctx.arg(0), ctx.arg(1)), NOTHING;
    path_rmdir_fentry on "security_path_rmdir": |ctx| in_directory(ctx.arg(0), ctx.arg(1)), NOTHING;
    path_mkdir_fentry on "security_path_mkdir": |ctx| in_directory(ctx.arg(0), ctx.arg(1)), NOTHING;
    path_mknod_fentry on "security_path_mknod": |ctx| in_directory(ctx.arg(0), ctx.arg(1)), NOTHING;
    // Both are in one mount.
    path_link_fentry on "security_path_link":
        |ctx| in_directory(ctx.arg(1), ctx.arg(0)), in_directory(ctx.arg(1), ctx.arg(2));
    path_rename_fentry on "security_path_rename":
        |ctx| in_directory(ctx.arg(0), ctx.arg(1)), in_directory(ctx.arg(2), ctx.arg(3));
    path_truncate_fentry on "security_path_truncate": |ctx| Location::of(ctx.arg(0)), NOTHING;
    path_chmod_fentry on "security_path_chmod": |ctx| Location::of(ctx.arg(0)), NOTHING;
    path_chown_fentry on "security_path_chown": |ctx| Location::of(ctx.arg(0)), NOTHING;
    path_chroot_fentry on "security_path_chroot": |ctx| Location::of(ctx.arg(0)), NOTHING;
    path_umount_fentry on "security_sb_umount": |ctx| top_of(ctx.arg(0)), NOTHING;
    path_move_mount_fentry on "security_move_mount":
        |ctx| Location::of(ctx.arg(0)), Location::of(ctx.arg(1));
    // The call passes the new root first, the function has it second.
    path_pivot_root_fentry on "security_sb_pivotroot":
        |ctx| Location::of(ctx.arg(1)), Location::of(ctx.arg(0));
}

#[fentry(function = "security_sb_mount")]
pub(crate) fn path_mount_fentry(ctx: FEntryContext) -> i32 {
    if current_wanted() {
        // The first text is what is mounted: it is looked up after this, if it is a path.
        keep_found(ctx.arg(0), |_| Part::default(), |draft| walk(draft, Location::of(ctx.arg(1))));
    }
    0
}

#[fentry(function = "security_path_symlink")]
pub(crate) fn path_symlink_fentry(ctx: FEntryContext) -> i32 {
    if current_wanted() {
        // The first text is what the link will hold.
        let held = |draft: &mut Draft| {
            let len = draft.kernel_str::<PATH_MAX>(ctx.arg(2)) as u32;
            Part { len, flags: 0 }
        };
        keep_found(0, held, |draft| walk(draft, in_directory(ctx.arg(0), ctx.arg(1))));
    }
    0
}

#[fexit(function = "file_open_name")]
pub(crate) fn path_open_fexit(ctx: FExitContext) -> i32 {
    let opened: *const file = ctx.arg(3);
    if !is_error(opened) && current_wanted() {
        keep(Location::of(file_path(opened)), NOTHING);
    }
    0
}

#[fexit(function = "filename_lookup")]
pub(crate) fn lookup_fexit(ctx: FExitContext) -> i32 {
    // What is asked first is what most look-ups end at.
    let asked = look_ups();
    if asked == 0 || !current_wanted() {
        return 0;
    }
    let is_found = ctx.arg::<i32>(5) == 0;
    let found = Location::of(ctx.arg(3));
    if asked & LOOKS_UP_SOURCE != 0 {
        if is_found {
            keep_source(ctx.arg(1), found);
        }
    } else if is_found {
        keep(found, NOTHING);
    } else {
        // What was found before this, as the file of quotas, is not what it is about.
        forget();
    }
    0
}

/// What is asked of what the current system call looks up, by the flags of its plan.
#[inline(always)]
fn look_ups() -> u8 {
    PLANS.get(Exit::inside(0).native_number()).map_or(0, |plan| plan.flags & LOOK_UPS)
}

/// Of a call that mounts something, where that is: it looks up other paths as well, such as those of
/// options, so that it is the look-up of the same text.
#[inline(always)]
fn keep_source(name: *const filename, location: Location) {
    let Some(known) = found(&Exit::inside(0)) else { return };
    let Some(mut draft) = Draft::borrow(Kind::Call) else { return };
    if known.source == 0 || !draft.is_same(filename_text(name), known.source as *const u8) {
        return draft.give_up();
    }
    put(&mut draft, known.source, |draft| walk(draft, location), |draft| copy(draft, known, 1));
    draft.keep(&raw const RESOLVED_BY_TASK, current_tid());
}

/// Whether it is a negated errno, of which the kernel makes pointers.
#[inline(always)]
fn is_error(file: *const file) -> bool {
    const MAX_ERRNO: u64 = 4095;
    file as u64 >= MAX_ERRNO.wrapping_neg()
}

const NOTHING: Location = Location { mount: core::ptr::null(), dentry: core::ptr::null() };

/// A name in a directory; it need not exist.
#[inline(always)]
fn in_directory(directory: *const path, name: *const dentry) -> Location {
    Location { mount: Location::of(directory).mount, dentry: name }
}

/// What a mount begins with, which lies where it is mounted.
#[inline(always)]
fn top_of(mount: *const vfsmount) -> Location {
    Location { mount, dentry: vfsmount_root(mount) }
}

#[inline(always)]
fn keep(first: Location, second: Location) {
    keep_found(0, |draft| walk(draft, first), |draft| walk(draft, second));
}

#[inline(always)]
fn keep_found(
    source: u64,
    first: impl FnOnce(&mut Draft) -> Part,
    second: impl FnOnce(&mut Draft) -> Part,
) {
    // Without room for it the path is what the passed text says.
    let Some(mut draft) = Draft::borrow(Kind::Call) else { return };
    put(&mut draft, source, first, second);
    draft.keep(&raw const RESOLVED_BY_TASK, current_tid());
}

#[inline(always)]
fn put(
    draft: &mut Draft,
    source: u64,
    first: impl FnOnce(&mut Draft) -> Part,
    second: impl FnOnce(&mut Draft) -> Part,
) {
    let exit = Exit::inside(0);
    // SAFETY: plain integers.
    let resolved = unsafe { draft.fixed::<Resolved>() };
    resolved.tid = current_tid();
    resolved.number = exit.number();
    resolved.arguments = arguments(&exit);
    resolved.source = source;
    let paths = [first(draft), second(draft)];
    // SAFETY: as above.
    unsafe { draft.fixed::<Resolved>() }.paths = paths;
}

#[inline(always)]
fn walk(draft: &mut Draft, location: Location) -> Part {
    if location.dentry.is_null() {
        return Part { len: 0, flags: 0 };
    }
    let (len, flags) = crate::path::append_at(draft, location);
    // What is to be made has no place in the kernel's tables yet.
    Part { len, flags: flags & TRUNCATED | RESOLVED }
}

/// What tells one call of a task from the next.
#[inline(always)]
fn arguments(exit: &Exit) -> [u64; ARGUMENTS] {
    [exit.arg::<0>(), exit.arg::<1>(), exit.arg::<2>(), exit.arg::<3>()]
}

/// What was found for the system call that returns now.
#[inline(always)]
pub(crate) fn found(exit: &Exit) -> Option<&'static Resolved> {
    // SAFETY: whoever reads it looks afterwards whether it is still this task's.
    let bytes: *const [u8; RESOLVED_MAX] = unsafe { RESOLVED_BY_TASK.get(current_tid()) }?;
    // SAFETY: it is aligned, and any bytes are one.
    let resolved = unsafe { &*bytes.cast::<Resolved>() };
    (resolved.number == exit.number() && resolved.arguments == arguments(exit)).then_some(resolved)
}

/// Appends what the call's text in this place led to, if that was found.
#[inline(always)]
pub(crate) fn append(draft: &mut Draft, resolved: &Resolved, place: usize) -> Option<Part> {
    let flags = resolved.paths.get(place)?.flags;
    if flags & RESOLVED == 0 { None } else { Some(copy(draft, resolved, place)) }
}

/// Appends what is in this place if it is what a path led to, or if it is a text: as asked; else nothing.
#[inline(always)]
pub(crate) fn append_if(
    draft: &mut Draft,
    resolved: &Resolved,
    place: usize,
    is_path: bool,
) -> Part {
    let flags = resolved.paths[place % PATHS].flags;
    // Not an option: the verifier refuses to read what its empty half leaves open.
    if (flags & RESOLVED != 0) == is_path {
        return copy(draft, resolved, place);
    }
    Part { len: 0, flags: 0 }
}

#[inline(always)]
fn copy(draft: &mut Draft, resolved: &Resolved, place: usize) -> Part {
    let Part { len, flags } = resolved.paths[place % PATHS];
    let before = if place == 0 { 0 } else { resolved.paths[0].len };
    let start = draft.len();
    // SAFETY: in bounds, as the first path is no longer than that.
    let from = unsafe {
        (&raw const *resolved).add(1).cast::<u8>().add(clamp::<PATH_MAX>(before.into()) as usize)
    };
    let added = draft.kernel_bytes::<PATH_MAX>(from, len.into()) as u32;
    // SAFETY: it is this program's to look at, whoever has it now.
    let tid = unsafe { (&raw const resolved.tid).read_volatile() };
    if tid == current_tid() && added == len {
        return Part { len, flags };
    }
    // It has made room for another task's.
    draft.cut(start);
    Part { len: 0, flags: TRUNCATED }
}

/// The call is over.
#[inline(always)]
pub(crate) fn forget() {
    // Not there is what it is to be.
    let _gone = RESOLVED_BY_TASK.remove(current_tid());
}
