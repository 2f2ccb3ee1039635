//! Hooks program execution, after the point of no return and before the new program runs.
//!
//! `sched_process_exec(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)`,
//! 5.10 to 7.2.

use sensor_common::Kind;
use sensor_common::exec::{EXECVEAT, Exec, FROM_MEMFD, LOWER_LAYER, STRINGS_MAX, UPPER_LAYER};
use sensor_common::path::PATH_MAX;
use sensor_common::syscall::EXECVE;

use crate::kernel::{
    bprm_file, bprm_filename, current_regs, dentry, dentry_inode, dentry_name, dentry_parent, file,
    file_inode, file_path, fs_pwd, inode, inode_changed_ns, inode_gid, inode_modified_ns,
    inode_number, inode_size, inode_super, inode_uid, linux_binprm, mm_arg_end, mm_arg_start,
    mm_env_end, mm_env_start, path_dentry, super_magic, task_cred, task_fs, task_mm, task_struct,
};
use crate::path;
use crate::probe::credentials::identify;
use crate::probe::{Arguments, tracepoint};
use crate::scope::{current_cgroup_id, current_wanted};
use crate::submit::{Draft, read_kernel};
use crate::syscall::architecture;
use crate::task;

tracepoint!("sched_process_exec", exec_btf, exec_raw, try_exec);

const OVERLAYFS_SUPER_MAGIC: u64 = 0x794c_7630;
const PAGE: usize = 4096;

#[inline(always)]
fn try_exec(ctx: &impl Arguments) {
    if !current_wanted() {
        return;
    }
    let Some(mut draft) = Draft::begin(Kind::Exec) else { return };
    let task: *const task_struct = ctx.arg(0);
    let bprm: *const linux_binprm = ctx.arg(2);
    let file = bprm_file(bprm);
    // SAFETY: `Exec` is a record; each borrow ends before the next.
    let exec = unsafe { draft.fixed::<Exec>() };
    task::fill(&mut exec.header, current_cgroup_id());
    path::identify(&mut exec.file, file);
    exec.flags = flags(file) | called();
    task::session(&mut exec.session, task);
    task::resources(&mut exec.resources, task);
    let inode = file_inode(file);
    (exec.owner.uid, exec.owner.gid) = (inode_uid(inode), inode_gid(inode));
    exec.owner.changed_ns = inode_changed_ns(inode);
    exec.owner.modified_ns = inode_modified_ns(inode);
    identify(&mut exec.identity, task_cred(task));

    let filename_len = draft.kernel_str::<PATH_MAX>(bprm_filename(bprm)) as u32;
    let (exe_len, exe_flags) = path::append(&mut draft, file_path(file));
    let (cwd_len, cwd_flags) = path::append(&mut draft, fs_pwd(task_fs(task)));
    let mm = task_mm(task);
    let (argv_len, argv_total) = strings(&mut draft, mm_arg_start(mm), mm_arg_end(mm));
    let (env_len, env_total) = strings(&mut draft, mm_env_start(mm), mm_env_end(mm));

    // SAFETY: as above.
    let exec = unsafe { draft.fixed::<Exec>() };
    (exec.filename_len, exec.exe_len, exec.exe_flags) = (filename_len, exe_len, exe_flags);
    (exec.cwd_len, exec.cwd_flags) = (cwd_len, cwd_flags);
    (exec.argv_len, exec.argv_total) = (argv_len, argv_total);
    (exec.env_len, exec.env_total) = (env_len, env_total);
    draft.submit();
}

/// Appends the strings between two user addresses; the bytes carried, and the bytes there are.
#[inline(always)]
fn strings(draft: &mut Draft, start: u64, end: u64) -> (u32, u32) {
    let total = end.wrapping_sub(start);
    let mut carried = 0;
    // Page by page, so that one unreadable page costs what follows it and not the whole list.
    for _ in 0..STRINGS_MAX / PAGE {
        let left = total - carried;
        if left == 0 {
            break;
        }
        let read = draft.user_bytes::<PAGE>(start + carried, left);
        if read == 0 {
            break;
        }
        carried += read;
    }
    (carried as u32, total as u32)
}

#[inline(always)]
fn flags(file: *const file) -> u32 {
    let mut flags = 0;
    let dentry = path_dentry(file_path(file));
    if is_memfd(dentry) {
        flags |= FROM_MEMFD;
    }
    let inode = file_inode(file);
    if super_magic(inode_super(inode)) == OVERLAYFS_SUPER_MAGIC {
        flags |= if has_upper(inode) { UPPER_LAYER } else { LOWER_LAYER };
    }
    flags
}

/// Whether the call was execveat. The registers are the new program's, but for the call's number; a
/// program of the other word size was still called through the caller's table, so both numbers count.
#[inline(always)]
fn called() -> u32 {
    let number = architecture::number(current_regs());
    if EXECVE.is(false, number) || EXECVE.is(true, number) { 0 } else { EXECVEAT }
}

/// A memfd's dentry is its own parent and its name begins with `memfd:`.
#[inline(always)]
fn is_memfd(dentry: *const dentry) -> bool {
    let mut name = [0_u8; 6];
    dentry_parent(dentry) == dentry
        && read_kernel(dentry_name(dentry).cast::<[u8; 6]>(), &mut name)
        && name == *b"memfd:"
}

/// Overlayfs embeds the inode in a structure of its own, and the very next member is the dentry of
/// the upper layer (`struct ovl_inode`, 5.10 to 7.2); overlayfs may be a module, whose BTF is not
/// the kernel's.
#[inline(always)]
fn has_upper(inode: *const inode) -> bool {
    let mut upper: *const dentry = core::ptr::null();
    let member = inode.cast::<u8>().wrapping_add(inode_size() as usize);
    read_kernel(member.cast::<*const dentry>(), &mut upper);
    !upper.is_null() && inode_number(dentry_inode(upper)) != 0
}
