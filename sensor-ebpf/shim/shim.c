// SPDX-License-Identifier: GPL-2.0-or-later OR MIT
//
// Getters for kernel structures, compiled by clang because rustc emits no CO-RE relocations.
// Each structure names only the members that are read; the loader finds their real offsets in the
// running kernel's BTF. No logic lives here: choices between layouts of different kernels are made
// by asking whether a member exists, which the loader turns into a constant.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long s64;
typedef int s32;
typedef _Bool bool;

#define CORE __attribute__((preserve_access_index))
#define GETTER __attribute__((always_inline))

static long (*bpf_probe_read_kernel)(void *dst, u32 size, const void *from) = (void *)113;
static void *(*bpf_get_current_task)(void) = (void *)35;
// Since 5.11 and 5.15; their numbers among the kernel's own types say whether they are there.
static struct task_struct *(*bpf_get_current_task_btf)(void) = (void *)158;
static void *(*bpf_task_pt_regs)(struct task_struct *task) = (void *)175;
// For programs of ours since 5.14.
static u64 (*bpf_get_current_ancestor_cgroup_id)(s32 level) = (void *)123;
enum bpf_func_id { BPF_FUNC_get_current_task_btf = 158, BPF_FUNC_task_pt_regs = 175 };
#define HAS_HELPER(name) __builtin_preserve_enum_value(*(enum bpf_func_id *)BPF_FUNC_##name, 0)
// Whether the verifier tracks the current task, and its registers.
#define TRACKS_TASK HAS_HELPER(get_current_task_btf)
#define TRACKS_REGS HAS_HELPER(task_pt_regs)

// Reads the member through the helper: for pointers that the verifier does not know.
#define READ(to, from, member)                                                                     \
	bpf_probe_read_kernel(&(to), sizeof(to), __builtin_preserve_access_index(&(from)->member))

// BPF_FIELD_EXISTS
#define EXISTS(type, member) __builtin_preserve_field_info(((struct type *)0)->member, 2)

struct kernfs_node { const char *name; u64 id; struct kernfs_node *parent; } CORE;
// 6.15 made the parent RCU-protected and renamed it.
struct kernfs_node___rcu { struct kernfs_node *__parent; } CORE;
struct cgroup_subsys_state { struct cgroup *cgroup; } CORE;
struct cgroup_root { int hierarchy_id; } CORE;
struct cgroup {
	struct kernfs_node *kn;
	int level;
	struct cgroup_root *root;
	struct cgroup *ancestors[1];
} CORE;
// Before 6.1 the ids themselves.
struct cgroup___old { u64 ancestor_ids[1]; } CORE;
enum cgroup_subsys_id { memory_cgrp_id = 4, pids_cgrp_id = 11 };
struct css_set { struct cgroup_subsys_state *subsys[16]; struct cgroup *dfl_cgrp; } CORE;

struct kuid { u32 val; } CORE;
// A u64 since 6.3, two u32 before: the same eight bytes.
struct kernel_cap { u64 val; } CORE;
struct group_info { int ngroups; struct kuid gid[1]; } CORE;
struct cred {
	struct kuid uid, gid, suid, sgid, euid, egid, fsuid, fsgid;
	struct kernel_cap cap_inheritable, cap_permitted, cap_effective;
	struct group_info *group_info;
} CORE;
struct qstr { const u8 *name; u32 hash, len; } CORE;
struct super_block { u32 s_dev; unsigned long s_magic; } CORE;
struct timespec64 { s64 tv_sec; long tv_nsec; } CORE;
struct inode {
	unsigned long i_ino;
	u16 i_mode;
	struct super_block *i_sb;
	struct kuid i_uid, i_gid;
	// Since 6.11.
	s64 i_ctime_sec, i_mtime_sec;
	u32 i_ctime_nsec, i_mtime_nsec;
} CORE;
// Before 6.6 and 6.7, and from there to 6.10.
struct inode___old { struct timespec64 i_ctime, i_mtime; } CORE;
struct inode___private { struct timespec64 __i_ctime, __i_mtime; } CORE;
struct hlist_bl_node { void *next; void **pprev; } CORE;
struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
	struct hlist_bl_node d_hash;
} CORE;
struct vfsmount { struct dentry *mnt_root; } CORE;
struct mount { struct mount *mnt_parent; struct dentry *mnt_mountpoint; struct vfsmount mnt; } CORE;
struct path { struct vfsmount *mnt; struct dentry *dentry; } CORE;
struct file { struct path f_path; struct inode *f_inode; void *private_data; u32 f_mode; } CORE;
struct fdtable { u32 max_fds; struct file **fd; } CORE;
struct files_struct { struct fdtable *fdt; } CORE;
struct fs_struct { struct path pwd, root; } CORE;

struct percpu_counter { s64 count; } CORE;
struct mm_struct {
	unsigned long arg_start, arg_end, env_start, env_end, total_vm;
	struct percpu_counter rss_stat[4];
} CORE;
// Before 6.2 the counters were plain atomics inside a struct of their own.
struct atomic64 { s64 counter; } CORE;
struct mm_rss_stat { struct atomic64 count[4]; } CORE;
struct mm_struct___old { struct mm_rss_stat rss_stat; } CORE;

struct tty_driver { int major; int minor_start; } CORE;
struct tty_struct { int index; struct tty_driver *driver; } CORE;
struct pid_namespace { struct task_struct *child_reaper; } CORE;
struct upid { int nr; struct pid_namespace *ns; } CORE;
struct rlimit { unsigned long rlim_cur; } CORE;
struct pid { u32 level; struct upid numbers[1]; } CORE;
struct atomic { int counter; } CORE;
struct signal_struct {
	struct atomic live;
	int group_exit_code;
	struct pid *pids[4];
	struct tty_struct *tty;
	short oom_score_adj;
	struct rlimit rlim[16];
} CORE;
#if defined(__TARGET_ARCH_arm64)
struct thread_info { unsigned long flags; } CORE;
#else
struct thread_info { u32 status; } CORE;
#endif
struct task_struct {
	struct thread_info thread_info;
	void *stack;
	int pid, tgid;
	int exit_code;
	u64 start_boottime;
	struct task_struct *real_parent, *group_leader;
	const struct cred *cred;
	char comm[16];
	struct fs_struct *fs;
	struct files_struct *files;
	struct signal_struct *signal;
	struct pid *thread_pid;
	unsigned long maj_flt, min_flt;
	struct mm_struct *mm;
	struct css_set *cgroups;
	struct kuid loginuid;
	unsigned int __state;
} CORE;
// Before 5.14.
struct task_struct___old { long state; } CORE;

struct linux_binprm { struct file *file; const char *filename; } CORE;
struct filename { const char *name; } CORE;

struct in6_addr { u8 bytes[16]; };
struct sock_common {
	u32 skc_daddr, skc_rcv_saddr;
	u16 skc_num, skc_dport;
	u16 skc_family;
	u8 skc_state;
	struct in6_addr skc_v6_rcv_saddr, skc_v6_daddr;
} CORE;
struct sock {
	struct sock_common __sk_common;
	u16 sk_protocol, sk_type;
	u8 sk_userlocks : 4;
	u32 sk_ack_backlog, sk_max_ack_backlog;
} CORE;
struct unix_address { int len; } CORE;
struct unix_sock { struct unix_address *addr; struct sock *peer; } CORE;
struct socket { struct sock *sk; void *file; } CORE;

// Since 5.19; before, the result of a request was nowhere to be found when it was done.
struct io_cqe { s32 res; } CORE;
struct io_kiocb { struct file *file; u8 opcode; struct io_cqe cqe; } CORE;
struct open_how { u64 flags, mode, resolve; } CORE;
struct io_open { int dfd; u32 file_slot; struct open_how how; } CORE;
struct io_connect { void *addr; int addr_len; } CORE;
struct io_unlink { int dfd, flags; } CORE;
struct io_rename { int old_dfd, new_dfd, flags; } CORE;
struct io_mkdir { int dfd; u16 mode; } CORE;
struct io_link { int old_dfd, new_dfd, flags; } CORE;

#if defined(__TARGET_ARCH_arm64)
struct pt_regs { u64 regs[31]; u64 orig_x0; int syscallno; } CORE;
#else
struct pt_regs { unsigned long bx, bp, cx, dx, si, di, r10, r8, r9, ax, orig_ax; } CORE;
#endif

// One member, read through the helper; 0 where it cannot be read.
#define GET(name, type, result, member)                                                            \
	GETTER result name(const struct type *from)                                                \
	{                                                                                          \
		result to = 0;                                                                     \
		READ(to, from, member);                                                            \
		return to;                                                                         \
	}

// The address of a member that is a structure itself.
#define ADDRESS(name, type, result, member)                                                        \
	GETTER const struct result *name(const struct type *from)                                  \
	{                                                                                          \
		return __builtin_preserve_access_index(&from->member);                             \
	}

// The same for pointers that the verifier tracks where it can: `own_` is what the current task is, or
// hangs on it, or its registers. A plain load costs a tenth.
#define OWN(name, type, result, member, tracked)                                                   \
	GETTER result own_##name(const struct type *from)                                          \
	{                                                                                          \
		result to = 0;                                                                     \
		if (tracked)                                                                       \
			return from->member;                                                       \
		READ(to, from, member);                                                            \
		return to;                                                                         \
	}
#define BOTH(name, type, result, member)                                                           \
	GET(name, type, result, member)                                                            \
	OWN(name, type, result, member, TRACKS_TASK)
// Eight bytes, of whatever type the kernel has there.
#define OWN_BYTES(name, type, member, at)                                                          \
	GETTER u64 own_##name(const struct type *from)                                             \
	{                                                                                          \
		u64 to = 0;                                                                        \
		const u64 *place = (const void *)__builtin_preserve_access_index(&from->member);   \
		if (TRACKS_TASK)                                                                   \
			return place[at];                                                          \
		bpf_probe_read_kernel(&to, sizeof(to), place + at);                                \
		return to;                                                                         \
	}
#define REGISTER(name, result, member) OWN(name, pt_regs, result, member, TRACKS_REGS)

// One member as a plain load, of an argument that the verifier always tracks.
#define LOAD(name, type, result, member)                                                           \
	GETTER result name(const struct type *from)                                                \
	{                                                                                          \
		return from->member;                                                               \
	}

BOTH(task_pid, task_struct, u32, pid)
BOTH(task_tgid, task_struct, u32, tgid)
GET(task_exit_code, task_struct, u32, exit_code)
BOTH(task_start_boot_ns, task_struct, u64, start_boottime)
BOTH(task_parent, task_struct, struct task_struct *, real_parent)
BOTH(task_leader, task_struct, struct task_struct *, group_leader)
BOTH(task_cred, task_struct, const struct cred *, cred)
GET(task_fs, task_struct, struct fs_struct *, fs)
OWN(task_files, task_struct, struct files_struct *, files, TRACKS_TASK)
GET(task_signal, task_struct, struct signal_struct *, signal)
BOTH(task_thread_pid, task_struct, struct pid *, thread_pid)
GET(task_mm, task_struct, struct mm_struct *, mm)
GET(task_major_faults, task_struct, u64, maj_flt)
GET(task_minor_faults, task_struct, u64, min_flt)
GET(task_css_set, task_struct, struct css_set *, cgroups)
OWN_BYTES(task_comm_begin, task_struct, comm, 0)
OWN_BYTES(task_comm_end, task_struct, comm, 1)
GETTER const char *task_comm(const struct task_struct *from)
{
	return __builtin_preserve_access_index(&from->comm[0]);
}

GETTER u32 task_login_uid(const struct task_struct *from)
{
	u32 to = -1;
	if (EXISTS(task_struct, loginuid))
		READ(to, from, loginuid.val);
	return to;
}

GET(cred_uid, cred, u32, uid.val)
BOTH(cred_euid, cred, u32, euid.val)
GET(cred_suid, cred, u32, suid.val)
GET(cred_fsuid, cred, u32, fsuid.val)
GET(cred_gid, cred, u32, gid.val)
BOTH(cred_egid, cred, u32, egid.val)
GET(cred_sgid, cred, u32, sgid.val)
GET(cred_fsgid, cred, u32, fsgid.val)
GET(cred_cap_inheritable, cred, u64, cap_inheritable)
GET(cred_cap_permitted, cred, u64, cap_permitted)
OWN_BYTES(cred_cap_permitted, cred, cap_permitted, 0)
GET(cred_groups, cred, struct group_info *, group_info)
GET(groups_count, group_info, u32, ngroups)
GETTER const void *groups_ids(const struct group_info *from)
{
	return __builtin_preserve_access_index(&from->gid[0]);
}
GET(cred_cap_effective, cred, u64, cap_effective)
OWN_BYTES(cred_cap_effective, cred, cap_effective, 0)

BOTH(pid_level, pid, u32, level)
ADDRESS(pid_numbers, pid, upid, numbers[0])
GET(upid_nr, upid, u32, nr)
GET(upid_namespace, upid, struct pid_namespace *, ns)
GET(namespace_init, pid_namespace, struct task_struct *, child_reaper)
GETTER u32 upid_size(void)
{
	return __builtin_preserve_type_info(*(struct upid *)0, 1);
}

GET(signal_live, signal_struct, s32, live.counter)
GET(signal_group_exit_code, signal_struct, u32, group_exit_code)
GET(signal_oom_score_adj, signal_struct, short, oom_score_adj)
// RLIMIT_NOFILE
GET(signal_fd_limit, signal_struct, u64, rlim[7].rlim_cur)
GET(signal_tty, signal_struct, struct tty_struct *, tty)
// PIDTYPE_PGID and PIDTYPE_SID
GET(signal_pgrp, signal_struct, struct pid *, pids[2])
GET(signal_session, signal_struct, struct pid *, pids[3])
GET(tty_index, tty_struct, s32, index)
GET(tty_driver, tty_struct, struct tty_driver *, driver)
GET(tty_driver_major, tty_driver, s32, major)
GET(tty_driver_minor_start, tty_driver, s32, minor_start)

GET(mm_arg_start, mm_struct, unsigned long, arg_start)
GET(mm_arg_end, mm_struct, unsigned long, arg_end)
GET(mm_env_start, mm_struct, unsigned long, env_start)
GET(mm_env_end, mm_struct, unsigned long, env_end)
GET(mm_total_vm, mm_struct, unsigned long, total_vm)

// Which: MM_FILEPAGES 0, MM_ANONPAGES 1, MM_SWAPENTS 2, MM_SHMEMPAGES 3.
#define RSS(name, which)                                                                           \
	GETTER s64 name(const struct mm_struct *from)                                              \
	{                                                                                          \
		s64 to = 0;                                                                        \
		if (EXISTS(mm_rss_stat, count))                                                    \
			READ(to, (const struct mm_struct___old *)from,                             \
			     rss_stat.count[which].counter);                                       \
		else                                                                               \
			READ(to, from, rss_stat[which].count);                                     \
		return to;                                                                         \
	}
RSS(mm_file_pages, 0)
RSS(mm_anon_pages, 1)
RSS(mm_swapped_pages, 2)
RSS(mm_shmem_pages, 3)

GET(css_set_default, css_set, struct cgroup *, dfl_cgrp)
// A controller's place among the subsystems differs between kernel configurations.
#define SUBSYSTEM(name, which)                                                                     \
	GETTER struct cgroup_subsys_state *name(const struct css_set *from)                        \
	{                                                                                          \
		struct cgroup_subsys_state *to = 0;                                                \
		u32 id = __builtin_preserve_enum_value(*(enum cgroup_subsys_id *)which, 1);        \
		bpf_probe_read_kernel(&to, sizeof(to),                                             \
				      (void *)__builtin_preserve_access_index(&from->subsys[0]) +  \
					      (id & 31) * sizeof(void *));                         \
		return to;                                                                         \
	}
SUBSYSTEM(css_set_memory, memory_cgrp_id)
SUBSYSTEM(css_set_pids, pids_cgrp_id)
GET(css_cgroup, cgroup_subsys_state, struct cgroup *, cgroup)
GET(cgroup_node, cgroup, struct kernfs_node *, kn)
GET(cgroup_level, cgroup, s32, level)
GET(cgroup_root, cgroup, struct cgroup_root *, root)
GET(root_hierarchy, cgroup_root, u32, hierarchy_id)
// The cgroup above this one, or itself, whose distance from the root is `level`.
GETTER u64 cgroup_ancestor_id(const struct cgroup *from, u32 level)
{
	u64 id = 0;
	struct cgroup *ancestor = 0;
	struct kernfs_node *node = 0;
	if (EXISTS(cgroup___old, ancestor_ids)) {
		const struct cgroup___old *old = (const void *)from;
		const u64 *ids = __builtin_preserve_access_index(&old->ancestor_ids[0]);
		bpf_probe_read_kernel(&id, sizeof(id), ids + level);
		return id;
	}
	struct cgroup *const *ancestors = __builtin_preserve_access_index(&from->ancestors[0]);
	bpf_probe_read_kernel(&ancestor, sizeof(ancestor), ancestors + level);
	READ(node, ancestor, kn);
	READ(id, node, id);
	return id;
}
// Whether the next can be asked: of the helpers that can be looked for, one is of the release after.
GETTER bool tells_ancestors(void)
{
	return TRACKS_REGS;
}
// The same of the current task's cgroup in the unified hierarchy; 0 if it is not so deep.
GETTER u64 own_ancestor_id(u32 level)
{
	return bpf_get_current_ancestor_cgroup_id(level);
}
GET(node_id, kernfs_node, u64, id)
GET(node_name, kernfs_node, const char *, name)
GETTER struct kernfs_node *node_parent(const struct kernfs_node *from)
{
	struct kernfs_node *to = 0;
	if (EXISTS(kernfs_node___rcu, __parent))
		READ(to, (const struct kernfs_node___rcu *)from, __parent);
	else
		READ(to, from, parent);
	return to;
}

ADDRESS(fs_pwd, fs_struct, path, pwd)
ADDRESS(fs_root, fs_struct, path, root)
OWN(files_fdt, files_struct, struct fdtable *, fdt, TRACKS_TASK)
OWN(fdt_max, fdtable, u32, max_fds, TRACKS_TASK)
OWN(fdt_files, fdtable, struct file **, fd, TRACKS_TASK)
ADDRESS(file_path, file, path, f_path)
GET(file_inode, file, struct inode *, f_inode)
GET(file_how, file, u32, f_mode)
GET(file_private, file, void *, private_data)
GET(path_dentry, path, struct dentry *, dentry)
// How far one member lies behind another.
#define BEHIND(type, first, second)                                                                \
	(__builtin_preserve_field_info(((struct type *)0)->second, 0) -                            \
	 __builtin_preserve_field_info(((struct type *)0)->first, 0))

// Both members of a path, and what a walk needs of a dentry: in one read where they lie side by side,
// as they do unless the kernel's layout is randomised.
struct location { const struct vfsmount *mount; const struct dentry *dentry; };
GETTER void path_location(const struct path *from, struct location *to)
{
	if (BEHIND(path, mnt, dentry) == 8) {
		bpf_probe_read_kernel(to, sizeof(*to),
				      __builtin_preserve_access_index(&from->mnt));
		return;
	}
	to->mount = 0;
	to->dentry = 0;
	READ(to->mount, from, mnt);
	READ(to->dentry, from, dentry);
}
struct place { const struct dentry *parent; u64 hash_and_len; const u8 *name; };
GETTER void dentry_place(const struct dentry *from, struct place *to)
{
	if (BEHIND(dentry, d_parent, d_name.hash) == 8 && BEHIND(dentry, d_parent, d_name.len) == 12 &&
	    BEHIND(dentry, d_parent, d_name.name) == 16) {
		bpf_probe_read_kernel(to, sizeof(*to),
				      __builtin_preserve_access_index(&from->d_parent));
		return;
	}
	u32 len = 0;
	to->parent = 0;
	to->name = 0;
	READ(len, from, d_name.len);
	to->hash_and_len = (u64)len << 32;
	READ(to->parent, from, d_parent);
	READ(to->name, from, d_name.name);
}
GET(vfsmount_root, vfsmount, struct dentry *, mnt_root)
GETTER const struct mount *mount_of(const struct vfsmount *from)
{
	return (const void *)from - __builtin_preserve_field_info(((struct mount *)0)->mnt, 0);
}
GET(mount_parent, mount, struct mount *, mnt_parent)
GET(mount_point, mount, struct dentry *, mnt_mountpoint)
ADDRESS(mount_vfsmount, mount, vfsmount, mnt)
GET(dentry_parent, dentry, struct dentry *, d_parent)
GET(dentry_name, dentry, const u8 *, d_name.name)
GET(dentry_inode, dentry, struct inode *, d_inode)
GET(dentry_hash_pprev, dentry, void *, d_hash.pprev)
GET(inode_number, inode, unsigned long, i_ino)
GET(inode_mode, inode, u16, i_mode)
GET(inode_super, inode, struct super_block *, i_sb)
GET(inode_uid, inode, u32, i_uid.val)
GET(inode_gid, inode, u32, i_gid.val)
// A time of the inode, in nanoseconds since the epoch.
#define INODE_TIME(name, time)                                                                     \
	GETTER u64 name(const struct inode *from)                                                  \
	{                                                                                          \
		s64 seconds = 0;                                                                   \
		u32 fraction = 0;                                                                  \
		struct timespec64 both = {0, 0};                                                   \
		if (EXISTS(inode, i_##time##_sec)) {                                               \
			READ(seconds, from, i_##time##_sec);                                       \
			READ(fraction, from, i_##time##_nsec);                                     \
			return seconds * 1000000000 + fraction;                                    \
		}                                                                                  \
		if (EXISTS(inode___private, __i_##time))                                           \
			READ(both, (const struct inode___private *)from, __i_##time);              \
		else                                                                               \
			READ(both, (const struct inode___old *)from, i_##time);                    \
		return both.tv_sec * 1000000000 + both.tv_nsec;                                    \
	}
INODE_TIME(inode_changed_ns, ctime)
INODE_TIME(inode_modified_ns, mtime)
GETTER u32 inode_size(void)
{
	return __builtin_preserve_type_info(*(struct inode *)0, 1);
}
GET(super_device, super_block, u32, s_dev)
GET(super_magic, super_block, unsigned long, s_magic)

GET(bprm_file, linux_binprm, struct file *, file)
GET(bprm_filename, linux_binprm, const char *, filename)

GET(filename_text, filename, const char *, name)

GET(socket_sock, socket, struct sock *, sk)
GET(sock_protocol, sock, u16, sk_protocol)
GET(sock_type, sock, u16, sk_type)
GET(sock_family, sock, u16, __sk_common.skc_family)
GET(sock_local_port, sock, u16, __sk_common.skc_num)
GET(sock_local_v4, sock, u32, __sk_common.skc_rcv_saddr)
ADDRESS(sock_local_v6, sock, in6_addr, __sk_common.skc_v6_rcv_saddr)
GET(sock_remote_port, sock, u16, __sk_common.skc_dport)
GET(sock_remote_v4, sock, u32, __sk_common.skc_daddr)
ADDRESS(sock_remote_v6, sock, in6_addr, __sk_common.skc_v6_daddr)
GET(sock_state, sock, u8, __sk_common.skc_state)
GET(sock_queue_len, sock, u32, sk_ack_backlog)
GET(sock_queue_max, sock, u32, sk_max_ack_backlog)
// A bit field: where its bytes are, and how far to shift what they hold to both sides.
GETTER u32 sock_locks(const struct sock *from)
{
	u64 to = 0;
	u32 size = __builtin_preserve_field_info(from->sk_userlocks, 1);
	bpf_probe_read_kernel(&to, size > 8 ? 8 : size,
			      (const void *)from +
				      __builtin_preserve_field_info(from->sk_userlocks, 0));
	to <<= __builtin_preserve_field_info(from->sk_userlocks, 4);
	return to >> __builtin_preserve_field_info(from->sk_userlocks, 5);
}
GETTER const struct unix_address *unix_address(const struct sock *from)
{
	struct unix_address *to = 0;
	READ(to, (const struct unix_sock *)from, addr);
	return to;
}
GETTER const struct sock *unix_peer(const struct sock *from)
{
	struct sock *to = 0;
	READ(to, (const struct unix_sock *)from, peer);
	return to;
}
GET(unix_address_len, unix_address, u32, len)
// The address itself follows the structure's last member: `len`, in every version.
GETTER const u8 *unix_address_name(const struct unix_address *from)
{
	return (const u8 *)__builtin_preserve_access_index(&from->len) + sizeof(u32);
}

GETTER const struct task_struct *current_task(void)
{
	if (TRACKS_TASK)
		return bpf_get_current_task_btf();
	return bpf_get_current_task();
}

// The same registers as these, as a pointer that is tracked where that can be.
GETTER const struct pt_regs *own_regs(const struct pt_regs *regs)
{
	if (TRACKS_REGS)
		return bpf_task_pt_regs(bpf_get_current_task_btf());
	return regs;
}

// Where the current task's registers were saved when it entered the kernel.
GETTER const struct pt_regs *current_regs(void)
{
	if (TRACKS_REGS)
		return bpf_task_pt_regs(bpf_get_current_task_btf());
	// Before 5.15, without that helper: the last thing on the kernel's stack, whose size is
	// fixed (x86-64 without KASAN, arm64 with pages of 4 KiB).
	void *stack = 0;
	const struct task_struct *task = bpf_get_current_task();
	READ(stack, task, stack);
	return stack + 16384 - __builtin_preserve_type_info(*(struct pt_regs *)0, 1);
}

#if defined(__TARGET_ARCH_arm64)
REGISTER(regs_orig_x0, u64, orig_x0)
REGISTER(regs_x1, u64, regs[1])
REGISTER(regs_x2, u64, regs[2])
REGISTER(regs_x3, u64, regs[3])
REGISTER(regs_x4, u64, regs[4])
REGISTER(regs_x5, u64, regs[5])
REGISTER(regs_syscallno, u32, syscallno)
LOAD(regs_syscallno_btf, pt_regs, u32, syscallno)
OWN(task_flags, task_struct, u64, thread_info.flags, TRACKS_TASK)
#else
REGISTER(regs_orig_ax, u64, orig_ax)
LOAD(regs_orig_ax_btf, pt_regs, u64, orig_ax)
REGISTER(regs_di, u64, di)
REGISTER(regs_si, u64, si)
REGISTER(regs_dx, u64, dx)
REGISTER(regs_r10, u64, r10)
REGISTER(regs_r8, u64, r8)
REGISTER(regs_r9, u64, r9)
REGISTER(regs_bp, u64, bp)
REGISTER(regs_bx, u64, bx)
REGISTER(regs_cx, u64, cx)
OWN(task_status, task_struct, u32, thread_info.status, TRACKS_TASK)
#endif

// For the scheduler's tracepoints, whose arguments the verifier tracks.
LOAD(task_pid_btf, task_struct, u32, pid)
LOAD(task_cgroup_id_btf, task_struct, u64, cgroups->dfl_cgrp->kn->id)
GETTER u64 task_state_btf(const struct task_struct *from)
{
	if (EXISTS(task_struct, __state))
		return from->__state;
	return ((const struct task_struct___old *)from)->state;
}

GET(request_opcode, io_kiocb, u8, opcode)
GET(request_result, io_kiocb, s32, cqe.res)
GET(request_file, io_kiocb, struct file *, file)
// What belongs to the operation is kept at the beginning of the request.
GET(request_open_directory, io_open, s32, dfd)
GET(request_open_slot, io_open, u32, file_slot)
GET(request_open_flags, io_open, u64, how.flags)
GET(request_open_mode, io_open, u64, how.mode)
GET(request_open_resolve, io_open, u64, how.resolve)
GET(request_connect_address, io_connect, void *, addr)
GET(request_connect_len, io_connect, s32, addr_len)
GET(request_unlink_directory, io_unlink, s32, dfd)
GET(request_unlink_flags, io_unlink, s32, flags)
GET(request_rename_directory, io_rename, s32, old_dfd)
GET(request_rename_new_directory, io_rename, s32, new_dfd)
GET(request_rename_flags, io_rename, s32, flags)
GET(request_mkdir_directory, io_mkdir, s32, dfd)
GET(request_mkdir_mode, io_mkdir, s32, mode)
GET(request_link_directory, io_link, s32, old_dfd)
GET(request_link_new_directory, io_link, s32, new_dfd)
GET(request_link_flags, io_link, s32, flags)
