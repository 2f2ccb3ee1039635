//! What the programs take for granted of the kernel functions and tracepoints that they are hooked
//! on. A live test compares it with the kernel that it runs on, so that an argument that moved fails
//! a test and not a user.

use super::table::Target;

/// A place in the kernel that programs are hooked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Tracepoint(&'static str),
    Function(&'static str),
    /// The own function of any system call, on architectures that pass it the registers.
    SystemCall,
}

/// The C prototype of a place in the oldest and in the newest kernel; one in between has any of them.
#[derive(Debug)]
pub struct Prototype {
    pub place: Place,
    /// Empty where the oldest kernel has no such place.
    pub oldest: &'static str,
    /// Of kernels in between, if it differs from both.
    pub between: &'static str,
    pub newest: &'static str,
}

const fn same(place: &'static str, prototype: &'static str) -> Prototype {
    Prototype {
        place: Place::Tracepoint(place),
        oldest: prototype,
        between: prototype,
        newest: prototype,
    }
}

/// One that the oldest kernel has not, or not as a function of its own.
const fn newer(place: &'static str, prototype: &'static str) -> Prototype {
    Prototype { place: Place::Function(place), oldest: "", between: "", newest: prototype }
}

const fn function(place: &'static str, prototype: &'static str) -> Prototype {
    Prototype {
        place: Place::Function(place),
        oldest: prototype,
        between: prototype,
        newest: prototype,
    }
}

/// With [`NAME`] for the function's own.
const SYSTEM_CALL: &str = "long int NAME(const struct pt_regs *regs)";
pub const NAME: &str = "NAME";

/// The oldest kernel is 5.10, the newest 7.2.
pub const PROTOTYPES: &[Prototype] = &[
    same("sys_exit", "sys_exit(struct pt_regs *regs, long int ret)"),
    same(
        "sched_process_fork",
        "sched_process_fork(struct task_struct *parent, struct task_struct *child)",
    ),
    same(
        "sched_process_exec",
        "sched_process_exec(struct task_struct *p, pid_t old_pid, struct linux_binprm *bprm)",
    ),
    // From 6.17 on.
    Prototype {
        place: Place::Tracepoint("sched_process_exit"),
        oldest: "sched_process_exit(struct task_struct *p)",
        between: "",
        newest: "sched_process_exit(struct task_struct *p, bool group_dead)",
    },
    // Before 6.8, and before the stable releases of older branches since, it was `mark_victim(int pid)`.
    same("mark_victim", "mark_victim(struct task_struct *task, uid_t uid)"),
    // The result is an int on newer kernels.
    Prototype {
        place: Place::Function("do_sys_openat2"),
        oldest: "long int do_sys_openat2(int dfd, const char *filename, struct open_how *how)",
        between: "",
        newest: "int do_sys_openat2(int dfd, const char *filename, struct open_how *how)",
    },
    function("__sys_connect", "int __sys_connect(int fd, struct sockaddr *uservaddr, int addrlen)"),
    function(
        "__sys_connect_file",
        "int __sys_connect_file(struct file *file, struct __kernel_sockaddr_storage *address, int addrlen, int file_flags)",
    ),
    newer("io_openat", "int io_openat(struct io_kiocb *req, unsigned int issue_flags)"),
    function("io_openat2", "int io_openat2(struct io_kiocb *req, unsigned int issue_flags)"),
    function("io_connect", "int io_connect(struct io_kiocb *req, unsigned int issue_flags)"),
    newer(
        "io_fixed_fd_install",
        "int io_fixed_fd_install(struct io_kiocb *req, unsigned int issue_flags, struct file *file, unsigned int file_slot)",
    ),
    newer("io_unlinkat", "int io_unlinkat(struct io_kiocb *req, unsigned int issue_flags)"),
    newer("io_renameat", "int io_renameat(struct io_kiocb *req, unsigned int issue_flags)"),
    newer("io_mkdirat", "int io_mkdirat(struct io_kiocb *req, unsigned int issue_flags)"),
    newer("io_symlinkat", "int io_symlinkat(struct io_kiocb *req, unsigned int issue_flags)"),
    newer("io_linkat", "int io_linkat(struct io_kiocb *req, unsigned int issue_flags)"),
    // The oldest kernel does not say which request it is; the first argument became typed in 6.1.
    Prototype {
        place: Place::Tracepoint("io_uring_complete"),
        oldest: "io_uring_complete(void *ctx, u64 user_data, int res, unsigned int cflags)",
        between: "io_uring_complete(void *ctx, void *req, u64 user_data, int res, unsigned int cflags, u64 extra1, u64 extra2)",
        newest: "io_uring_complete(struct io_ring_ctx *ctx, void *req, struct io_uring_cqe *cqe)",
    },
    function("__sys_setuid", "long int __sys_setuid(uid_t uid)"),
    function("__sys_setgid", "long int __sys_setgid(gid_t gid)"),
    function("__sys_setreuid", "long int __sys_setreuid(uid_t ruid, uid_t euid)"),
    function("__sys_setregid", "long int __sys_setregid(gid_t rgid, gid_t egid)"),
    function("__sys_setresuid", "long int __sys_setresuid(uid_t ruid, uid_t euid, uid_t suid)"),
    function("__sys_setresgid", "long int __sys_setresgid(gid_t rgid, gid_t egid, gid_t sgid)"),
    function("__sys_setfsuid", "long int __sys_setfsuid(uid_t uid)"),
    function("__sys_setfsgid", "long int __sys_setfsgid(gid_t gid)"),
    function(
        "security_path_unlink",
        "int security_path_unlink(const struct path *dir, struct dentry *dentry)",
    ),
    function(
        "security_path_rmdir",
        "int security_path_rmdir(const struct path *dir, struct dentry *dentry)",
    ),
    function(
        "security_path_mkdir",
        "int security_path_mkdir(const struct path *dir, struct dentry *dentry, umode_t mode)",
    ),
    function(
        "security_path_mknod",
        "int security_path_mknod(const struct path *dir, struct dentry *dentry, umode_t mode, unsigned int dev)",
    ),
    function(
        "security_path_symlink",
        "int security_path_symlink(const struct path *dir, struct dentry *dentry, const char *old_name)",
    ),
    function(
        "security_path_link",
        "int security_path_link(struct dentry *old_dentry, const struct path *new_dir, struct dentry *new_dentry)",
    ),
    function(
        "security_path_rename",
        "int security_path_rename(const struct path *old_dir, struct dentry *old_dentry, const struct path *new_dir, struct dentry *new_dentry, unsigned int flags)",
    ),
    function("security_path_truncate", "int security_path_truncate(const struct path *path)"),
    function(
        "security_path_chmod",
        "int security_path_chmod(const struct path *path, umode_t mode)",
    ),
    function(
        "security_path_chown",
        "int security_path_chown(const struct path *path, kuid_t uid, kgid_t gid)",
    ),
    function("security_path_chroot", "int security_path_chroot(const struct path *path)"),
    function(
        "security_sb_mount",
        "int security_sb_mount(const char *dev_name, const struct path *path, const char *type, long unsigned int flags, void *data)",
    ),
    function("security_sb_umount", "int security_sb_umount(struct vfsmount *mnt, int flags)"),
    function(
        "security_move_mount",
        "int security_move_mount(const struct path *from_path, const struct path *to_path)",
    ),
    function(
        "security_sb_pivotroot",
        "int security_sb_pivotroot(const struct path *old_path, const struct path *new_path)",
    ),
    function(
        "file_open_name",
        "struct file *file_open_name(struct filename *name, int flags, umode_t mode)",
    ),
    Prototype {
        place: Place::Function("filename_lookup"),
        oldest: "int filename_lookup(int dfd, struct filename *name, unsigned int flags, struct path *path, struct path *root)",
        between: "",
        newest: "int filename_lookup(int dfd, struct filename *name, unsigned int flags, struct path *path, const struct path *root)",
    },
    function("commit_creds", "int commit_creds(struct cred *new)"),
    Prototype {
        place: Place::SystemCall,
        oldest: SYSTEM_CALL,
        between: SYSTEM_CALL,
        newest: SYSTEM_CALL,
    },
    function(
        "__oom_kill_process",
        "void __oom_kill_process(struct task_struct *victim, const char *message)",
    ),
    same("cgroup_mkdir", "cgroup_mkdir(struct cgroup *cgrp, const char *path)"),
    same("cgroup_rmdir", "cgroup_rmdir(struct cgroup *cgrp, const char *path)"),
    same("sched_wakeup", "sched_wakeup(struct task_struct *p)"),
    same("sched_wakeup_new", "sched_wakeup_new(struct task_struct *p)"),
    // The last argument came in 5.18.
    Prototype {
        place: Place::Tracepoint("sched_switch"),
        oldest: "sched_switch(bool preempt, struct task_struct *prev, struct task_struct *next)",
        between: "",
        newest: "sched_switch(bool preempt, struct task_struct *prev, struct task_struct *next, unsigned int prev_state)",
    },
];

/// Where a program is hooked; `None` for what is no place in the kernel's code.
pub const fn place(target: &Target) -> Option<Place> {
    match target {
        Target::BtfTracepoint(name) | Target::RawTracepoint(name) => Some(Place::Tracepoint(name)),
        Target::SyscallBtf(_)
        | Target::SyscallRaw(_)
        | Target::CallsBtf(_)
        | Target::CallsRaw(_) => Some(Place::Tracepoint("sys_exit")),
        Target::Fentry(name) | Target::FexitOf(name) => Some(Place::Function(name)),
        Target::Fexit(function) => Some(Place::Function(function.name())),
        Target::Called(_) | Target::CalledCompat(_) => Some(Place::SystemCall),
        Target::CpuClock => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{PROTOTYPES, place};
    use crate::probe::table::{DISPATCH, FLOOR, PROBES};

    #[test]
    fn every_place_has_a_prototype_and_no_other() {
        let ways = PROBES.iter().flat_map(|probe| probe.ways).chain(DISPATCH).chain(FLOOR);
        let places: Vec<_> = ways
            .flat_map(|way| way.programs)
            .filter_map(|program| place(&program.target))
            .collect();
        for place in &places {
            let rows = PROTOTYPES.iter().filter(|prototype| prototype.place == *place).count();
            assert_eq!(rows, 1, "{place:?}");
        }
        for prototype in PROTOTYPES {
            assert!(places.contains(&prototype.place), "nothing is hooked on {prototype:?}");
        }
    }
}
