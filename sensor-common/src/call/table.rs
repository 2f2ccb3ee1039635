//! The rows: every system call that is reported as a [`super::Call`].

use super::Category::{self, File, Io, Memory, Net, Other, Process, Signal, System};
use super::Format::{
    self, AtFlags, BpfCmd, CloneFlags, Dec, Domain, FcntlCmd, FsconfigCmd, Gid, Hex, KeyctlOption,
    MemfdFlags, MmapFlags, Mode, MountFlags, OpenFlags, Pid, Prctl, Prot, Protocol, PtraceRequest,
    RenameFlags, SocketType, Uid, UmountFlags,
};
use super::{Filter, NO_DIRECTORY, Numbers, Parameter, RESULT, Row, What};

/// `F_DUPFD` and `F_DUPFD_CLOEXEC`
const DUPLICATES: Filter = Filter::Either(1, 0, 1030);
/// `PROT_WRITE | PROT_EXEC`
const WRITABLE_CODE: Filter = Filter::AllOf(2, 6);
/// `PR_SET_DUMPABLE`, `PR_SET_NAME`, `PR_SET_SECCOMP`, `PR_CAPBSET_DROP`, `PR_SET_SECUREBITS`,
/// `PR_SET_MM`, `PR_SET_NO_NEW_PRIVS`, `PR_CAP_AMBIENT`: what changes what a process may do or
/// what it is taken for.
const PRCTL: Filter =
    Filter::OneOf(0, 1 << 4 | 1 << 15 | 1 << 22 | 1 << 24 | 1 << 28 | 1 << 35 | 1 << 38 | 1 << 47);

const RES: Parameter = Parameter { name: "res", what: What::Result };
const NEW_FD: Parameter = Parameter { name: "fd", what: What::NewFd };
const NEW_FD_RES: Parameter = Parameter { name: "res", what: What::NewFd };
const TUPLE: Parameter = Parameter { name: "tuple", what: What::Tuple };
const WORKING_DIRECTORY: Parameter = Parameter { name: "cwd", what: What::WorkingDirectory };

const fn n(arg: u8, name: &'static str, format: Format) -> Parameter {
    Parameter { name, what: What::Number(arg, format) }
}

const fn fd(arg: u8) -> Parameter {
    Parameter { name: "fd", what: What::Fd(arg) }
}

const fn other(arg: u8, name: &'static str) -> Parameter {
    Parameter { name, what: What::OtherFd(arg) }
}

const fn dir(arg: u8, name: &'static str) -> Parameter {
    Parameter { name, what: What::Directory(arg) }
}

/// A path relative to the working directory.
const fn path(text: u8, name: &'static str) -> Parameter {
    at(text, NO_DIRECTORY, name)
}

/// A path relative to a directory's descriptor.
const fn at(text: u8, directory: u8, name: &'static str) -> Parameter {
    Parameter { name, what: What::Path { text, directory } }
}

const fn text(arg: u8, name: &'static str) -> Parameter {
    Parameter { name, what: What::Text(arg) }
}

const fn source(arg: u8, name: &'static str) -> Parameter {
    Parameter { name, what: What::Source(arg) }
}

const fn address(at: u8, len: u8) -> Parameter {
    Parameter { name: "addr", what: What::Address { at, len } }
}

const fn sender(at: u8, len: u8) -> Parameter {
    Parameter { name: "addr", what: What::Sender { at, len } }
}

const fn sent(at: u8, len: u8) -> Parameter {
    Parameter { name: "data", what: What::Data { at, len } }
}

const fn received(at: u8) -> Parameter {
    sent(at, RESULT)
}

const fn message(at: u8) -> Parameter {
    Parameter { name: "data", what: What::Message(at) }
}

const fn row(
    name: &'static str,
    (x86_64, i386, aarch64): (i16, i16, i16),
    category: Category,
    filter: Filter,
    parameters: &'static [Parameter],
) -> Row {
    Row { name, numbers: Numbers { x86_64, i386, aarch64 }, category, filter, parameters }
}

/// Numbers of the 32-bit table that mean the call of this name as well: older forms of it.
pub const I386_OLDER_FORMS: &[(i16, &str)] = &[
    (182, "chown"),
    (16, "lchown"),
    (95, "fchown"),
    (92, "truncate"),
    (93, "ftruncate"),
    (55, "fcntl"),
];

/// Calls that no security module is told the path of, by a mount and an entry, that they act on.
pub const LOOK_UP: &[&str] = &[
    "setxattr",
    "lsetxattr",
    "setxattrat",
    "removexattr",
    "lremovexattr",
    "removexattrat",
    "fspick",
    "open_tree",
    "open_tree_attr",
    "mount_setattr",
    "quotactl",
];

#[rustfmt::skip]
pub const CALLS: &[Row] = &[
    // Files.
    row("chmod", (90, 15, -1), File, Filter::All, &[RES, path(0, "filename"), n(1, "mode", Mode)]),
    row("fchmod", (91, 94, 52), File, Filter::All, &[RES, fd(0), n(1, "mode", Mode)]),
    row("fchmodat", (268, 306, 53), File, Filter::All, &[RES, dir(0, "dirfd"), at(1, 0, "filename"), n(2, "mode", Mode)]),
    row("fchmodat2", (452, 452, 452), File, Filter::All, &[RES, dir(0, "dirfd"), at(1, 0, "filename"), n(2, "mode", Mode), n(3, "flags", AtFlags)]),
    row("chown", (92, 212, -1), File, Filter::All, &[RES, path(0, "path"), n(1, "uid", Uid), n(2, "gid", Gid)]),
    row("lchown", (94, 198, -1), File, Filter::All, &[RES, path(0, "path"), n(1, "uid", Uid), n(2, "gid", Gid)]),
    row("fchown", (93, 207, 55), File, Filter::All, &[RES, fd(0), n(1, "uid", Uid), n(2, "gid", Gid)]),
    row("fchownat", (260, 298, 54), File, Filter::All, &[RES, dir(0, "dirfd"), at(1, 0, "pathname"), n(2, "uid", Uid), n(3, "gid", Gid), n(4, "flags", AtFlags)]),
    row("unlink", (87, 10, -1), File, Filter::All, &[RES, path(0, "path")]),
    row("unlinkat", (263, 301, 35), File, Filter::All, &[RES, dir(0, "dirfd"), at(1, 0, "name"), n(2, "flags", AtFlags)]),
    row("rmdir", (84, 40, -1), File, Filter::All, &[RES, path(0, "path")]),
    row("mkdir", (83, 39, -1), File, Filter::All, &[RES, path(0, "path"), n(1, "mode", Mode)]),
    row("mkdirat", (258, 296, 34), File, Filter::All, &[RES, dir(0, "dirfd"), at(1, 0, "path"), n(2, "mode", Mode)]),
    row("mknod", (133, 14, -1), File, Filter::All, &[RES, path(0, "path"), n(1, "mode", Mode), n(2, "dev", Hex)]),
    row("mknodat", (259, 297, 33), File, Filter::All, &[RES, dir(0, "dirfd"), at(1, 0, "path"), n(2, "mode", Mode), n(3, "dev", Hex)]),
    row("rename", (82, 38, -1), File, Filter::All, &[RES, path(0, "oldpath"), path(1, "newpath")]),
    row("renameat", (264, 302, 38), File, Filter::All, &[RES, dir(0, "olddirfd"), at(1, 0, "oldpath"), dir(2, "newdirfd"), at(3, 2, "newpath")]),
    row("renameat2", (316, 353, 276), File, Filter::All, &[RES, dir(0, "olddirfd"), at(1, 0, "oldpath"), dir(2, "newdirfd"), at(3, 2, "newpath"), n(4, "flags", RenameFlags)]),
    row("link", (86, 9, -1), File, Filter::All, &[RES, path(0, "oldpath"), path(1, "newpath")]),
    row("linkat", (265, 303, 37), File, Filter::All, &[RES, dir(0, "olddir"), at(1, 0, "oldpath"), dir(2, "newdir"), at(3, 2, "newpath"), n(4, "flags", AtFlags)]),
    row("symlink", (88, 83, -1), File, Filter::All, &[RES, text(0, "target"), path(1, "linkpath")]),
    row("symlinkat", (266, 304, 36), File, Filter::All, &[RES, text(0, "target"), dir(1, "linkdirfd"), at(2, 1, "linkpath")]),
    row("truncate", (76, 193, 45), File, Filter::All, &[RES, path(0, "path"), n(1, "size", Dec)]),
    row("ftruncate", (77, 194, 46), File, Filter::All, &[RES, fd(0), n(1, "size", Dec)]),
    row("chroot", (161, 61, 51), Process, Filter::All, &[RES, path(0, "path")]),
    row("chdir", (80, 12, 49), File, Filter::All, &[RES, path(0, "path"), WORKING_DIRECTORY]),
    row("fchdir", (81, 133, 50), File, Filter::All, &[RES, fd(0)]),
    row("dup", (32, 41, 23), Io, Filter::AtMost(RESULT, 2), &[NEW_FD_RES, other(0, "oldfd")]),
    row("dup2", (33, 63, -1), Io, Filter::AtMost(RESULT, 2), &[NEW_FD_RES, other(0, "oldfd"), other(1, "newfd")]),
    row("dup3", (292, 330, 24), Io, Filter::AtMost(RESULT, 2), &[NEW_FD_RES, other(0, "oldfd"), other(1, "newfd"), n(2, "flags", OpenFlags)]),
    row("fcntl", (72, 221, 25), Io, DUPLICATES, &[NEW_FD_RES, other(0, "fd"), n(1, "cmd", FcntlCmd)]),
    row("memfd_create", (319, 356, 279), Memory, Filter::All, &[NEW_FD, text(0, "name"), n(1, "flags", MemfdFlags)]),
    row("open_by_handle_at", (304, 342, 265), File, Filter::All, &[NEW_FD, dir(0, "mountfd"), n(2, "flags", OpenFlags)]),
    row("setxattr", (188, 226, 5), File, Filter::All, &[RES, path(0, "path"), text(1, "xattrname"), n(3, "size", Dec), n(4, "flags", Hex)]),
    row("lsetxattr", (189, 227, 6), File, Filter::All, &[RES, path(0, "path"), text(1, "xattrname"), n(3, "size", Dec), n(4, "flags", Hex)]),
    row("fsetxattr", (190, 228, 7), File, Filter::All, &[RES, fd(0), text(1, "xattrname"), n(3, "size", Dec), n(4, "flags", Hex)]),
    row("removexattr", (197, 235, 14), File, Filter::All, &[RES, path(0, "path"), text(1, "xattrname")]),
    // Mounts and namespaces.
    row("mount", (165, 21, 40), File, Filter::All, &[RES, source(0, "dev"), path(1, "dir"), text(2, "type"), n(3, "flags", MountFlags)]),
    row("umount2", (166, 52, 39), File, Filter::All, &[RES, path(0, "name"), n(1, "flags", UmountFlags)]),
    row("fsopen", (430, 430, 430), File, Filter::All, &[NEW_FD, text(0, "type"), n(1, "flags", Hex)]),
    row("fsconfig", (431, 431, 431), File, Filter::All, &[RES, other(0, "fd"), n(1, "cmd", FsconfigCmd), text(2, "key"), text(3, "value")]),
    row("fsmount", (432, 432, 432), File, Filter::All, &[NEW_FD, other(0, "fs_fd"), n(1, "flags", Hex), n(2, "attr_flags", Hex)]),
    row("fspick", (433, 433, 433), File, Filter::All, &[NEW_FD, dir(0, "dirfd"), at(1, 0, "path"), n(2, "flags", Hex)]),
    row("open_tree", (428, 428, 428), File, Filter::All, &[NEW_FD, dir(0, "dirfd"), at(1, 0, "path"), n(2, "flags", Hex)]),
    row("move_mount", (429, 429, 429), File, Filter::All, &[RES, dir(0, "from_dirfd"), at(1, 0, "oldpath"), dir(2, "to_dirfd"), at(3, 2, "newpath"), n(4, "flags", Hex)]),
    row("mount_setattr", (442, 442, 442), File, Filter::All, &[RES, dir(0, "dirfd"), at(1, 0, "path"), n(2, "flags", AtFlags)]),
    row("pivot_root", (155, 217, 41), File, Filter::All, &[RES, path(0, "new_root"), path(1, "put_old")]),
    row("setns", (308, 346, 268), Process, Filter::All, &[RES, fd(0), n(1, "nstype", CloneFlags)]),
    row("unshare", (272, 310, 97), Process, Filter::All, &[RES, n(0, "flags", CloneFlags)]),
    row("swapon", (167, 87, 224), System, Filter::All, &[RES, path(0, "path"), n(1, "flags", Hex)]),
    row("swapoff", (168, 115, 225), System, Filter::All, &[RES, path(0, "path")]),
    row("reboot", (169, 88, 142), System, Filter::All, &[RES, n(0, "magic", Hex), n(1, "magic2", Hex), n(2, "cmd", Hex)]),
    row("kexec_load", (246, 283, 104), System, Filter::All, &[RES, n(0, "entry", Hex), n(1, "nr_segments", Dec), n(3, "flags", Hex)]),
    row("kexec_file_load", (320, -1, 294), System, Filter::All, &[RES, fd(0), other(1, "initrd_fd"), n(4, "flags", Hex)]),
    row("quotactl", (179, 131, 60), System, Filter::All, &[RES, n(0, "cmd", Hex), path(1, "special"), n(2, "id", Dec)]),
    row("sethostname", (170, 74, 161), System, Filter::All, &[RES, text(0, "host"), n(1, "size", Dec)]),
    row("acct", (163, 51, 89), System, Filter::All, &[RES, path(0, "name")]),
    // Modules, BPF, tracing.
    row("init_module", (175, 128, 105), Process, Filter::All, &[RES, n(0, "img", Hex), n(1, "length", Dec), text(2, "uargs")]),
    row("finit_module", (313, 350, 273), Process, Filter::All, &[RES, fd(0), text(1, "uargs"), n(2, "flags", Hex)]),
    row("delete_module", (176, 129, 106), Process, Filter::All, &[RES, text(0, "name"), n(1, "flags", OpenFlags)]),
    row("bpf", (321, 357, 280), Other, Filter::All, &[NEW_FD, n(0, "cmd", BpfCmd)]),
    row("perf_event_open", (298, 336, 241), Other, Filter::All, &[NEW_FD, n(1, "pid", Pid), n(2, "cpu", Dec), other(3, "group_fd"), n(4, "flags", Hex)]),
    row("ptrace", (101, 26, 117), Process, Filter::All, &[RES, n(2, "addr", Hex), n(3, "data", Hex), n(0, "request", PtraceRequest), n(1, "pid", Pid)]),
    row("process_vm_readv", (310, 347, 270), Process, Filter::All, &[RES, n(0, "pid", Pid), n(2, "liovcnt", Dec), n(4, "riovcnt", Dec)]),
    row("process_vm_writev", (311, 348, 271), Process, Filter::All, &[RES, n(0, "pid", Pid), n(2, "liovcnt", Dec), n(4, "riovcnt", Dec)]),
    row("pidfd_getfd", (438, 438, 438), Process, Filter::All, &[NEW_FD, other(0, "pid_fd"), other(1, "target_fd"), n(2, "flags", Hex)]),
    row("pidfd_open", (434, 434, 434), Process, Filter::All, &[NEW_FD, n(0, "pid", Pid), n(1, "flags", Hex)]),
    row("userfaultfd", (323, 374, 282), Other, Filter::All, &[NEW_FD_RES, n(0, "flags", OpenFlags)]),
    row("seccomp", (317, 354, 277), Other, Filter::All, &[RES, n(0, "op", Dec), n(1, "flags", Hex)]),
    row("prctl", (157, 172, 167), Process, PRCTL, &[RES, n(0, "option", Prctl), n(1, "arg2_int", Hex)]),
    row("keyctl", (250, 288, 219), Other, Filter::All, &[RES, n(0, "option", KeyctlOption), n(1, "arg2_int", Hex)]),
    row("add_key", (248, 286, 217), Other, Filter::All, &[RES, text(0, "type"), text(1, "desc"), n(3, "length", Dec)]),
    row("request_key", (249, 287, 218), Other, Filter::All, &[RES, text(0, "type"), text(1, "desc")]),
    row("io_uring_setup", (425, 425, 425), Io, Filter::All, &[NEW_FD, n(0, "entries", Dec)]),
    row("io_uring_register", (427, 427, 427), Io, Filter::All, &[RES, other(0, "fd"), n(1, "opcode", Dec), n(3, "nr_args", Dec)]),
    // Memory.
    row("mprotect", (10, 125, 226), Memory, WRITABLE_CODE, &[RES, n(0, "addr", Hex), n(1, "length", Dec), n(2, "prot", Prot)]),
    row("pkey_mprotect", (329, 380, 288), Memory, WRITABLE_CODE, &[RES, n(0, "addr", Hex), n(1, "length", Dec), n(2, "prot", Prot), n(3, "pkey", Dec)]),
    row("mmap", (9, 192, 222), Memory, WRITABLE_CODE, &[RES, n(0, "addr", Hex), n(1, "length", Dec), n(2, "prot", Prot), n(3, "flags", MmapFlags), fd(4), n(5, "offset", Dec)]),
    // Signals.
    row("kill", (62, 37, 129), Signal, Filter::All, &[RES, n(0, "pid", Pid), n(1, "sig", Format::Signal)]),
    row("tkill", (200, 238, 130), Signal, Filter::All, &[RES, n(0, "tid", Pid), n(1, "sig", Format::Signal)]),
    row("tgkill", (234, 270, 131), Signal, Filter::All, &[RES, n(0, "pid", Pid), n(1, "tid", Pid), n(2, "sig", Format::Signal)]),
    row("pidfd_send_signal", (424, 424, 424), Signal, Filter::All, &[RES, other(0, "pid_fd"), n(1, "sig", Format::Signal), n(3, "flags", Hex)]),
    // Executions that failed: those that succeed have a record of their own.
    row("execve", (59, 11, 221), Process, Filter::Failed, &[RES, path(0, "filename")]),
    row("execveat", (322, 358, 281), Process, Filter::Failed, &[RES, dir(0, "dirfd"), at(1, 0, "pathname"), n(4, "flags", AtFlags)]),
    // Sockets.
    row("socket", (41, 359, 198), Net, Filter::All, &[NEW_FD, n(0, "domain", Domain), n(1, "type", SocketType), n(2, "proto", Protocol)]),
    row("socketpair", (53, 360, 199), Net, Filter::All, &[RES, n(0, "domain", Domain), n(1, "type", SocketType), n(2, "proto", Protocol)]),
    row("bind", (49, 361, 200), Net, Filter::All, &[RES, fd(0), address(1, 2)]),
    row("listen", (50, 363, 201), Net, Filter::All, &[RES, fd(0), n(1, "backlog", Dec)]),
    row("accept", (43, -1, 202), Net, Filter::All, &[NEW_FD, TUPLE]),
    row("accept4", (288, 364, 242), Net, Filter::All, &[NEW_FD, TUPLE, n(3, "flags", SocketType)]),
    row("sendto", (44, 369, 206), Net, Filter::FirstSent, &[RES, sent(1, 2), fd(0), n(2, "size", Dec), address(4, 5), TUPLE]),
    row("sendmsg", (46, 370, 211), Net, Filter::FirstSent, &[RES, message(1), fd(0), TUPLE]),
    row("sendmmsg", (307, 345, 269), Net, Filter::FirstSent, &[RES, message(1), fd(0), TUPLE]),
    row("recvfrom", (45, 371, 207), Net, Filter::FirstReceived, &[RES, received(1), TUPLE, fd(0), n(2, "size", Dec), sender(4, 5)]),
    row("recvmsg", (47, 372, 212), Net, Filter::FirstReceived, &[RES, message(1), TUPLE, fd(0)]),
    row("recvmmsg", (299, 337, 243), Net, Filter::FirstReceived, &[RES, message(1), TUPLE, fd(0)]),
    // Attributes of files and mounts, as newer kernels have them too.
    row("setxattrat", (463, 463, 463), File, Filter::All, &[RES, dir(0, "dirfd"), at(1, 0, "path"), n(2, "flags", AtFlags), text(3, "xattrname")]),
    row("lremovexattr", (198, 236, 15), File, Filter::All, &[RES, path(0, "path"), text(1, "xattrname")]),
    row("fremovexattr", (199, 237, 16), File, Filter::All, &[RES, fd(0), text(1, "xattrname")]),
    row("removexattrat", (466, 466, 466), File, Filter::All, &[RES, dir(0, "dirfd"), at(1, 0, "path"), n(2, "flags", AtFlags), text(3, "xattrname")]),
    row("open_tree_attr", (467, 467, 467), File, Filter::All, &[NEW_FD, dir(0, "dirfd"), at(1, 0, "path"), n(2, "flags", Hex)]),
];
