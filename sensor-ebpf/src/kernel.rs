//! The getters of `shim/shim.c`: the only way to a kernel structure. Those of registers are in the file
//! of their architecture, below `syscall/`.

use core::mem::MaybeUninit;

/// Kernel structures: only ever behind a pointer.
macro_rules! structures {
    ($($name:ident),* $(,)?) => { $(
        #[expect(non_camel_case_types, reason = "the kernel's own name")]
        pub(crate) enum $name {}
    )* };
}

structures!(
    cgroup,
    cgroup_hierarchy,
    cgroup_subsys_state,
    cred,
    css_set,
    dentry,
    fdtable,
    file,
    filename,
    files_struct,
    fs_struct,
    group_info,
    in6_addr,
    inode,
    io_kiocb,
    kernfs_node,
    linux_binprm,
    mm_struct,
    mount,
    path,
    pid,
    pid_namespace,
    pt_regs,
    signal_struct,
    sock,
    socket,
    super_block,
    task_struct,
    tty_driver,
    tty_struct,
    unix_address,
    upid,
    vfsmount,
);

/// Each getter takes any address: an unreadable one yields 0 (or -1 for a login uid).
macro_rules! getters {
    ($($name:ident($from:ty) -> $to:ty;)*) => {
        unsafe extern "C" {
            $( pub(crate) safe fn $name(from: $from) -> $to; )*
        }
    };
}

getters! {
    task_pid(*const task_struct) -> u32;
    task_tgid(*const task_struct) -> u32;
    task_exit_code(*const task_struct) -> u32;
    task_start_boot_ns(*const task_struct) -> u64;
    task_parent(*const task_struct) -> *const task_struct;
    task_leader(*const task_struct) -> *const task_struct;
    task_cred(*const task_struct) -> *const cred;
    task_fs(*const task_struct) -> *const fs_struct;
    task_signal(*const task_struct) -> *const signal_struct;
    task_thread_pid(*const task_struct) -> *const pid;
    task_mm(*const task_struct) -> *const mm_struct;
    task_major_faults(*const task_struct) -> u64;
    task_minor_faults(*const task_struct) -> u64;
    task_css_set(*const task_struct) -> *const css_set;
    task_comm(*const task_struct) -> *const u8;
    task_login_uid(*const task_struct) -> u32;

    request_opcode(*const io_kiocb) -> u8;
    request_result(*const io_kiocb) -> i32;
    request_file(*const io_kiocb) -> *const file;
    request_open_directory(*const io_kiocb) -> i32;
    request_open_slot(*const io_kiocb) -> u32;
    request_open_flags(*const io_kiocb) -> u64;
    request_open_mode(*const io_kiocb) -> u64;
    request_open_resolve(*const io_kiocb) -> u64;
    request_connect_address(*const io_kiocb) -> u64;
    request_connect_len(*const io_kiocb) -> i32;
    request_unlink_directory(*const io_kiocb) -> i32;
    request_unlink_flags(*const io_kiocb) -> i32;
    request_rename_directory(*const io_kiocb) -> i32;
    request_rename_new_directory(*const io_kiocb) -> i32;
    request_rename_flags(*const io_kiocb) -> i32;
    request_mkdir_directory(*const io_kiocb) -> i32;
    request_mkdir_mode(*const io_kiocb) -> i32;
    request_link_directory(*const io_kiocb) -> i32;
    request_link_new_directory(*const io_kiocb) -> i32;
    request_link_flags(*const io_kiocb) -> i32;

    cred_uid(*const cred) -> u32;
    cred_euid(*const cred) -> u32;
    cred_suid(*const cred) -> u32;
    cred_fsuid(*const cred) -> u32;
    cred_gid(*const cred) -> u32;
    cred_egid(*const cred) -> u32;
    cred_sgid(*const cred) -> u32;
    cred_fsgid(*const cred) -> u32;
    cred_cap_inheritable(*const cred) -> u64;
    cred_cap_permitted(*const cred) -> u64;
    cred_groups(*const cred) -> *const group_info;
    groups_count(*const group_info) -> u32;
    groups_ids(*const group_info) -> *const u32;
    cred_cap_effective(*const cred) -> u64;

    pid_level(*const pid) -> u32;
    pid_numbers(*const pid) -> *const upid;
    upid_nr(*const upid) -> u32;
    upid_namespace(*const upid) -> *const pid_namespace;
    namespace_init(*const pid_namespace) -> *const task_struct;

    signal_live(*const signal_struct) -> i32;
    signal_group_exit_code(*const signal_struct) -> u32;
    signal_oom_score_adj(*const signal_struct) -> i16;
    signal_fd_limit(*const signal_struct) -> u64;
    signal_tty(*const signal_struct) -> *const tty_struct;
    signal_pgrp(*const signal_struct) -> *const pid;
    signal_session(*const signal_struct) -> *const pid;
    tty_index(*const tty_struct) -> i32;
    tty_driver(*const tty_struct) -> *const tty_driver;
    tty_driver_major(*const tty_driver) -> i32;
    tty_driver_minor_start(*const tty_driver) -> i32;

    mm_arg_start(*const mm_struct) -> u64;
    mm_arg_end(*const mm_struct) -> u64;
    mm_env_start(*const mm_struct) -> u64;
    mm_env_end(*const mm_struct) -> u64;
    mm_total_vm(*const mm_struct) -> u64;
    mm_file_pages(*const mm_struct) -> i64;
    mm_anon_pages(*const mm_struct) -> i64;
    mm_swapped_pages(*const mm_struct) -> i64;
    mm_shmem_pages(*const mm_struct) -> i64;

    css_set_default(*const css_set) -> *const cgroup;
    css_set_memory(*const css_set) -> *const cgroup_subsys_state;
    css_set_pids(*const css_set) -> *const cgroup_subsys_state;
    cgroup_root(*const cgroup) -> *const cgroup_hierarchy;
    root_hierarchy(*const cgroup_hierarchy) -> u32;
    css_cgroup(*const cgroup_subsys_state) -> *const cgroup;
    cgroup_level(*const cgroup) -> i32;
    cgroup_node(*const cgroup) -> *const kernfs_node;
    node_id(*const kernfs_node) -> u64;
    node_name(*const kernfs_node) -> *const u8;
    node_parent(*const kernfs_node) -> *const kernfs_node;

    fs_pwd(*const fs_struct) -> *const path;
    fs_root(*const fs_struct) -> *const path;
    file_path(*const file) -> *const path;
    file_inode(*const file) -> *const inode;
    file_how(*const file) -> u32;
    file_private(*const file) -> *const socket;
    path_dentry(*const path) -> *const dentry;
    vfsmount_root(*const vfsmount) -> *const dentry;
    mount_of(*const vfsmount) -> *const mount;
    mount_parent(*const mount) -> *const mount;
    mount_point(*const mount) -> *const dentry;
    mount_vfsmount(*const mount) -> *const vfsmount;
    dentry_parent(*const dentry) -> *const dentry;
    dentry_name(*const dentry) -> *const u8;
    dentry_inode(*const dentry) -> *const inode;
    dentry_hash_pprev(*const dentry) -> u64;
    inode_number(*const inode) -> u64;
    inode_mode(*const inode) -> u16;
    inode_uid(*const inode) -> u32;
    inode_gid(*const inode) -> u32;
    inode_changed_ns(*const inode) -> u64;
    inode_modified_ns(*const inode) -> u64;
    inode_super(*const inode) -> *const super_block;
    super_device(*const super_block) -> u32;
    super_magic(*const super_block) -> u64;

    bprm_file(*const linux_binprm) -> *const file;
    bprm_filename(*const linux_binprm) -> *const u8;

    filename_text(*const filename) -> *const u8;

    socket_sock(*const socket) -> *const sock;
    sock_protocol(*const sock) -> u16;
    sock_type(*const sock) -> u16;
    sock_family(*const sock) -> u16;
    sock_local_port(*const sock) -> u16;
    sock_local_v4(*const sock) -> u32;
    sock_local_v6(*const sock) -> *const in6_addr;
    sock_remote_port(*const sock) -> u16;
    sock_remote_v4(*const sock) -> u32;
    sock_remote_v6(*const sock) -> *const in6_addr;
    sock_state(*const sock) -> u8;
    sock_locks(*const sock) -> u32;
    sock_queue_len(*const sock) -> u32;
    sock_queue_max(*const sock) -> u32;
    unix_address(*const sock) -> *const unix_address;
    unix_peer(*const sock) -> *const sock;
    unix_address_len(*const unix_address) -> u32;
    unix_address_name(*const unix_address) -> *const u8;

}

/// Of the current task as [`crate::task::current`] has it, and of what hangs on it: plain loads where the
/// verifier tracks both, a tenth of the cost.
pub(crate) mod own {
    use super::{cred, fdtable, file, files_struct, pid, task_struct};

    macro_rules! own {
        ($($name:ident = $symbol:literal ($from:ty) -> $to:ty;)*) => {
            unsafe extern "C" {
                $( #[link_name = $symbol] pub(crate) safe fn $name(from: $from) -> $to; )*
            }
        };
    }

    own! {
        task_pid = "own_task_pid" (*const task_struct) -> u32;
        task_tgid = "own_task_tgid" (*const task_struct) -> u32;
        task_start_boot_ns = "own_task_start_boot_ns" (*const task_struct) -> u64;
        task_parent = "own_task_parent" (*const task_struct) -> *const task_struct;
        task_leader = "own_task_leader" (*const task_struct) -> *const task_struct;
        task_cred = "own_task_cred" (*const task_struct) -> *const cred;
        task_thread_pid = "own_task_thread_pid" (*const task_struct) -> *const pid;
        task_files = "own_task_files" (*const task_struct) -> *const files_struct;
        task_comm_begin = "own_task_comm_begin" (*const task_struct) -> u64;
        task_comm_end = "own_task_comm_end" (*const task_struct) -> u64;
        cred_euid = "own_cred_euid" (*const cred) -> u32;
        cred_egid = "own_cred_egid" (*const cred) -> u32;
        cred_cap_permitted = "own_cred_cap_permitted" (*const cred) -> u64;
        cred_cap_effective = "own_cred_cap_effective" (*const cred) -> u64;
        pid_level = "own_pid_level" (*const pid) -> u32;
        files_fdt = "own_files_fdt" (*const files_struct) -> *const fdtable;
        fdt_max = "own_fdt_max" (*const fdtable) -> u32;
        fdt_files = "own_fdt_files" (*const fdtable) -> *const *const file;
    }
}

/// Where a file is: what both members of a path point to.
#[repr(C)]
pub(crate) struct Location {
    pub mount: *const vfsmount,
    pub dentry: *const dentry,
}

/// What a walk needs to know of a dentry.
#[repr(C)]
pub(crate) struct Place {
    pub parent: *const dentry,
    /// Of the name, in this order on the machines that this runs on.
    hash_and_len: u64,
    pub name: *const u8,
}

impl Location {
    #[inline(always)]
    pub(crate) fn of(path: *const path) -> Self {
        let mut location = MaybeUninit::uninit();
        // SAFETY: the getter fills all of it.
        unsafe {
            path_location(path, location.as_mut_ptr());
            location.assume_init()
        }
    }
}

impl Place {
    #[inline(always)]
    pub(crate) fn nowhere() -> Self {
        Self { parent: core::ptr::null(), hash_and_len: 0, name: core::ptr::null() }
    }

    /// Bytes of the name, without its NUL.
    #[inline(always)]
    pub(crate) fn len(&self) -> u32 {
        (self.hash_and_len >> 32) as u32
    }

    #[inline(always)]
    pub(crate) fn of(dentry: *const dentry) -> Self {
        let mut place = MaybeUninit::uninit();
        // SAFETY: the getter fills all of it.
        unsafe {
            dentry_place(dentry, place.as_mut_ptr());
            place.assume_init()
        }
    }
}

unsafe extern "C" {
    fn path_location(from: *const path, to: *mut Location);
    fn dentry_place(from: *const dentry, to: *mut Place);

    /// The task that runs the program.
    pub(crate) safe fn current_task() -> *const task_struct;

    /// The registers that the current task entered the kernel with, as a pointer that the verifier
    /// tracks where it can.
    pub(crate) safe fn own_regs(regs: *const pt_regs) -> *const pt_regs;

    /// Id of the cgroup, or of the one above it, at this distance from the root.
    pub(crate) safe fn cgroup_ancestor_id(from: *const cgroup, level: u32) -> u64;
    /// The same of the current task's in the unified hierarchy, for a fifth of the cost, where
    /// `tells_ancestors`.
    pub(crate) safe fn own_ancestor_id(level: u32) -> u64;
    pub(crate) safe fn tells_ancestors() -> bool;

    /// Where the current task's registers were saved when it entered the kernel.
    pub(crate) safe fn current_regs() -> *const pt_regs;

    /// Size of a structure in the running kernel.
    pub(crate) safe fn upid_size() -> u32;
    pub(crate) safe fn inode_size() -> u32;

    // Plain loads: the pointer must be one that the verifier tracks, or the program is refused.
    pub(crate) safe fn task_pid_btf(from: *const task_struct) -> u32;
    pub(crate) safe fn task_cgroup_id_btf(from: *const task_struct) -> u64;
    pub(crate) safe fn task_state_btf(from: *const task_struct) -> u64;
}
