//! Flags, commands and options of system calls as text: the names of the kernel's own headers.

use std::io::Write as _;

use sensor_common::call::Format;

use crate::fields::names;

type Names = &'static [(u64, &'static str)];

/// How numbers of a format are named.
enum Table {
    /// Any of these bits; `none` when there is none.
    Bits(Names, &'static str),
    /// One of these numbers.
    One(Names),
    /// One of these numbers in the lower bits, and any of these bits.
    Both(Names, u64, Names),
}

const AT_FLAGS: Names = &[
    (0x100, "AT_SYMLINK_NOFOLLOW"),
    (0x200, "AT_REMOVEDIR"),
    (0x400, "AT_SYMLINK_FOLLOW"),
    (0x800, "AT_NO_AUTOMOUNT"),
    (0x1000, "AT_EMPTY_PATH"),
    (0x8000, "AT_RECURSIVE"),
];

const RENAME_FLAGS: Names =
    &[(1, "RENAME_NOREPLACE"), (2, "RENAME_EXCHANGE"), (4, "RENAME_WHITEOUT")];

const MOUNT_FLAGS: Names = &[
    (1, "RDONLY"),
    (2, "NOSUID"),
    (4, "NODEV"),
    (8, "NOEXEC"),
    (16, "SYNCHRONOUS"),
    (32, "REMOUNT"),
    (64, "MANDLOCK"),
    (128, "DIRSYNC"),
    (256, "NOSYMFOLLOW"),
    (1024, "NOATIME"),
    (2048, "NODIRATIME"),
    (4096, "BIND"),
    (8192, "MOVE"),
    (16_384, "REC"),
    (32_768, "SILENT"),
    (1 << 16, "POSIXACL"),
    (1 << 17, "UNBINDABLE"),
    (1 << 18, "PRIVATE"),
    (1 << 19, "SLAVE"),
    (1 << 20, "SHARED"),
    (1 << 21, "RELATIME"),
    (1 << 24, "STRICTATIME"),
    (1 << 25, "LAZYTIME"),
];

const UMOUNT_FLAGS: Names = &[(1, "FORCE"), (2, "DETACH"), (4, "EXPIRE"), (8, "NOFOLLOW")];

/// Of `linux/sched.h`; the signal at the end is in the lowest byte and is none of them.
const CLONE_FLAGS: Names = &[
    (0x80, "CLONE_NEWTIME"),
    (0x100, "CLONE_VM"),
    (0x200, "CLONE_FS"),
    (0x400, "CLONE_FILES"),
    (0x800, "CLONE_SIGHAND"),
    (0x1000, "CLONE_PIDFD"),
    (0x2000, "CLONE_PTRACE"),
    (0x4000, "CLONE_VFORK"),
    (0x8000, "CLONE_PARENT"),
    (0x1_0000, "CLONE_THREAD"),
    (0x2_0000, "CLONE_NEWNS"),
    (0x4_0000, "CLONE_SYSVSEM"),
    (0x8_0000, "CLONE_SETTLS"),
    (0x10_0000, "CLONE_PARENT_SETTID"),
    (0x20_0000, "CLONE_CHILD_CLEARTID"),
    (0x40_0000, "CLONE_DETACHED"),
    (0x80_0000, "CLONE_UNTRACED"),
    (0x100_0000, "CLONE_CHILD_SETTID"),
    (0x200_0000, "CLONE_NEWCGROUP"),
    (0x400_0000, "CLONE_NEWUTS"),
    (0x800_0000, "CLONE_NEWIPC"),
    (0x1000_0000, "CLONE_NEWUSER"),
    (0x2000_0000, "CLONE_NEWPID"),
    (0x4000_0000, "CLONE_NEWNET"),
    (0x8000_0000, "CLONE_IO"),
    (0x2_0000_0000, "CLONE_INTO_CGROUP"),
];

const MEMFD_FLAGS: Names = &[
    (1, "MFD_CLOEXEC"),
    (2, "MFD_ALLOW_SEALING"),
    (4, "MFD_HUGETLB"),
    (8, "MFD_NOEXEC_SEAL"),
    (16, "MFD_EXEC"),
];

const FCNTL: Names = &[(0, "F_DUPFD"), (1030, "F_DUPFD_CLOEXEC")];

const FSCONFIG: Names = &[
    (0, "FSCONFIG_SET_FLAG"),
    (1, "FSCONFIG_SET_STRING"),
    (2, "FSCONFIG_SET_BINARY"),
    (3, "FSCONFIG_SET_PATH"),
    (4, "FSCONFIG_SET_PATH_EMPTY"),
    (5, "FSCONFIG_SET_FD"),
    (6, "FSCONFIG_CMD_CREATE"),
    (7, "FSCONFIG_CMD_RECONFIGURE"),
];

const BPF: Names = &[
    (0, "BPF_MAP_CREATE"),
    (1, "BPF_MAP_LOOKUP_ELEM"),
    (2, "BPF_MAP_UPDATE_ELEM"),
    (3, "BPF_MAP_DELETE_ELEM"),
    (4, "BPF_MAP_GET_NEXT_KEY"),
    (5, "BPF_PROG_LOAD"),
    (6, "BPF_OBJ_PIN"),
    (7, "BPF_OBJ_GET"),
    (8, "BPF_PROG_ATTACH"),
    (9, "BPF_PROG_DETACH"),
    (10, "BPF_PROG_TEST_RUN"),
    (11, "BPF_PROG_GET_NEXT_ID"),
    (12, "BPF_MAP_GET_NEXT_ID"),
    (13, "BPF_PROG_GET_FD_BY_ID"),
    (14, "BPF_MAP_GET_FD_BY_ID"),
    (15, "BPF_OBJ_GET_INFO_BY_FD"),
    (16, "BPF_PROG_QUERY"),
    (17, "BPF_RAW_TRACEPOINT_OPEN"),
    (18, "BPF_BTF_LOAD"),
    (19, "BPF_BTF_GET_FD_BY_ID"),
    (20, "BPF_TASK_FD_QUERY"),
    (21, "BPF_MAP_LOOKUP_AND_DELETE_ELEM"),
    (22, "BPF_MAP_FREEZE"),
    (23, "BPF_BTF_GET_NEXT_ID"),
    (24, "BPF_MAP_LOOKUP_BATCH"),
    (25, "BPF_MAP_LOOKUP_AND_DELETE_BATCH"),
    (26, "BPF_MAP_UPDATE_BATCH"),
    (27, "BPF_MAP_DELETE_BATCH"),
    (28, "BPF_LINK_CREATE"),
    (29, "BPF_LINK_UPDATE"),
    (30, "BPF_LINK_GET_FD_BY_ID"),
    (31, "BPF_LINK_GET_NEXT_ID"),
    (32, "BPF_ENABLE_STATS"),
    (33, "BPF_ITER_CREATE"),
    (34, "BPF_LINK_DETACH"),
    (35, "BPF_PROG_BIND_MAP"),
    (36, "BPF_TOKEN_CREATE"),
];

const PTRACE: Names = &[
    (0, "PTRACE_TRACEME"),
    (1, "PTRACE_PEEKTEXT"),
    (2, "PTRACE_PEEKDATA"),
    (3, "PTRACE_PEEKUSR"),
    (4, "PTRACE_POKETEXT"),
    (5, "PTRACE_POKEDATA"),
    (6, "PTRACE_POKEUSR"),
    (7, "PTRACE_CONT"),
    (8, "PTRACE_KILL"),
    (9, "PTRACE_SINGLESTEP"),
    (12, "PTRACE_GETREGS"),
    (13, "PTRACE_SETREGS"),
    (14, "PTRACE_GETFPREGS"),
    (15, "PTRACE_SETFPREGS"),
    (16, "PTRACE_ATTACH"),
    (17, "PTRACE_DETACH"),
    (18, "PTRACE_GETFPXREGS"),
    (19, "PTRACE_SETFPXREGS"),
    (24, "PTRACE_SYSCALL"),
    (25, "PTRACE_GET_THREAD_AREA"),
    (26, "PTRACE_SET_THREAD_AREA"),
    (30, "PTRACE_ARCH_PRCTL"),
    (31, "PTRACE_SYSEMU"),
    (32, "PTRACE_SYSEMU_SINGLESTEP"),
    (33, "PTRACE_SINGLEBLOCK"),
    (0x4200, "PTRACE_SETOPTIONS"),
    (0x4201, "PTRACE_GETEVENTMSG"),
    (0x4202, "PTRACE_GETSIGINFO"),
    (0x4203, "PTRACE_SETSIGINFO"),
    (0x4204, "PTRACE_GETREGSET"),
    (0x4205, "PTRACE_SETREGSET"),
    (0x4206, "PTRACE_SEIZE"),
    (0x4207, "PTRACE_INTERRUPT"),
    (0x4208, "PTRACE_LISTEN"),
    (0x4209, "PTRACE_PEEKSIGINFO"),
    (0x420a, "PTRACE_GETSIGMASK"),
    (0x420b, "PTRACE_SETSIGMASK"),
];

const PRCTL: Names = &[
    (4, "PR_SET_DUMPABLE"),
    (15, "PR_SET_NAME"),
    (22, "PR_SET_SECCOMP"),
    (24, "PR_CAPBSET_DROP"),
    (28, "PR_SET_SECUREBITS"),
    (35, "PR_SET_MM"),
    (38, "PR_SET_NO_NEW_PRIVS"),
    (47, "PR_CAP_AMBIENT"),
];

const KEYCTL: Names = &[
    (0, "KEYCTL_GET_KEYRING_ID"),
    (1, "KEYCTL_JOIN_SESSION_KEYRING"),
    (2, "KEYCTL_UPDATE"),
    (3, "KEYCTL_REVOKE"),
    (4, "KEYCTL_CHOWN"),
    (5, "KEYCTL_SETPERM"),
    (6, "KEYCTL_DESCRIBE"),
    (7, "KEYCTL_CLEAR"),
    (8, "KEYCTL_LINK"),
    (9, "KEYCTL_UNLINK"),
    (10, "KEYCTL_SEARCH"),
    (11, "KEYCTL_READ"),
    (12, "KEYCTL_INSTANTIATE"),
    (13, "KEYCTL_NEGATE"),
    (14, "KEYCTL_SET_REQKEY_KEYRING"),
    (15, "KEYCTL_SET_TIMEOUT"),
    (16, "KEYCTL_ASSUME_AUTHORITY"),
    (17, "KEYCTL_GET_SECURITY"),
    (18, "KEYCTL_SESSION_TO_PARENT"),
    (19, "KEYCTL_REJECT"),
];

const PROT: Names = &[(1, "PROT_READ"), (2, "PROT_WRITE"), (4, "PROT_EXEC"), (8, "PROT_SEM")];

const MMAP: Names = &[
    (1, "MAP_SHARED"),
    (2, "MAP_PRIVATE"),
    (0x10, "MAP_FIXED"),
    (0x20, "MAP_ANONYMOUS"),
    (0x40, "MAP_32BIT"),
    (0x100, "MAP_GROWSDOWN"),
    (0x800, "MAP_DENYWRITE"),
    (0x1000, "MAP_EXECUTABLE"),
    (0x2000, "MAP_LOCKED"),
    (0x4000, "MAP_NORESERVE"),
    (0x8000, "MAP_POPULATE"),
    (0x1_0000, "MAP_NONBLOCK"),
    (0x2_0000, "MAP_STACK"),
    (0x4_0000, "MAP_HUGETLB"),
    (0x10_0000, "MAP_FIXED_NOREPLACE"),
];

const DOMAINS: Names = &[
    (0, "AF_UNSPEC"),
    (1, "AF_UNIX"),
    (2, "AF_INET"),
    (3, "AF_AX25"),
    (4, "AF_IPX"),
    (5, "AF_APPLETALK"),
    (6, "AF_NETROM"),
    (7, "AF_BRIDGE"),
    (8, "AF_ATMPVC"),
    (9, "AF_X25"),
    (10, "AF_INET6"),
    (15, "AF_KEY"),
    (16, "AF_NETLINK"),
    (17, "AF_PACKET"),
    (21, "AF_RDS"),
    (24, "AF_PPPOX"),
    (26, "AF_LLC"),
    (29, "AF_CAN"),
    (30, "AF_TIPC"),
    (31, "AF_BLUETOOTH"),
    (38, "AF_ALG"),
    (39, "AF_NFC"),
    (40, "AF_VSOCK"),
    (41, "AF_KCM"),
    (42, "AF_QIPCRTR"),
    (43, "AF_SMC"),
    (44, "AF_XDP"),
    (45, "AF_MCTP"),
];

const SOCKET_TYPES: Names = &[
    (1, "SOCK_STREAM"),
    (2, "SOCK_DGRAM"),
    (3, "SOCK_RAW"),
    (4, "SOCK_RDM"),
    (5, "SOCK_SEQPACKET"),
    (6, "SOCK_DCCP"),
    (10, "SOCK_PACKET"),
];

const SOCKET_FLAGS: Names = &[(0o4000, "SOCK_NONBLOCK"), (0o2_000_000, "SOCK_CLOEXEC")];

/// Signals by number, from 1.
const SIGNALS: &str = "SIGHUP SIGINT SIGQUIT SIGILL SIGTRAP SIGABRT SIGBUS SIGFPE SIGKILL SIGUSR1 \
    SIGSEGV SIGUSR2 SIGPIPE SIGALRM SIGTERM SIGSTKFLT SIGCHLD SIGCONT SIGSTOP SIGTSTP SIGTTIN \
    SIGTTOU SIGURG SIGXCPU SIGXFSZ SIGVTALRM SIGPROF SIGWINCH SIGIO SIGPWR SIGSYS";

/// `None` for what is written as a plain number, or in a way of its own.
const fn table(format: Format) -> Option<Table> {
    Some(match format {
        Format::AtFlags => Table::Bits(AT_FLAGS, "0"),
        Format::RenameFlags => Table::Bits(RENAME_FLAGS, "0"),
        Format::MountFlags => Table::Bits(MOUNT_FLAGS, "0"),
        Format::UmountFlags => Table::Bits(UMOUNT_FLAGS, "0"),
        Format::CloneFlags => Table::Bits(CLONE_FLAGS, "0"),
        Format::MemfdFlags => Table::Bits(MEMFD_FLAGS, "0"),
        Format::Prot => Table::Bits(PROT, "PROT_NONE"),
        Format::MmapFlags => Table::Bits(MMAP, "0"),
        Format::FcntlCmd => Table::One(FCNTL),
        Format::FsconfigCmd => Table::One(FSCONFIG),
        Format::BpfCmd => Table::One(BPF),
        Format::PtraceRequest => Table::One(PTRACE),
        Format::Prctl => Table::One(PRCTL),
        Format::KeyctlOption => Table::One(KEYCTL),
        Format::Domain => Table::One(DOMAINS),
        Format::SocketType => Table::Both(SOCKET_TYPES, 0xf, SOCKET_FLAGS),
        Format::Dec
        | Format::Hex
        | Format::Mode
        | Format::Uid
        | Format::Gid
        | Format::Pid
        | Format::Signal
        | Format::OpenFlags
        | Format::Protocol => return None,
    })
}

/// Whether numbers of this format are 32 bits with a sign: what a register holds above is not read.
pub const fn is_int(format: Format) -> bool {
    matches!(
        format,
        Format::Pid
            | Format::Signal
            | Format::Uid
            | Format::Gid
            | Format::Domain
            | Format::Protocol
    )
}

/// Writes a number the way its format says.
#[expect(clippy::cast_possible_truncation, reason = "the kernel reads as many bits of these")]
pub fn write(format: Format, number: u64, out: &mut Vec<u8>) {
    match (format, table(format)) {
        (Format::Mode, _) => names::mode(number as u32, out),
        (Format::OpenFlags, _) => names::open_flags(number as u32, out),
        (Format::Signal, _) => signal(number as u32, out),
        (_, Some(Table::One(names))) => match name(names, number & 0xffff_ffff) {
            Some(name) => out.extend_from_slice(name.as_bytes()),
            None => decimal(number.cast_signed(), out),
        },
        (_, Some(Table::Bits(names, none))) => bits(names, number, none, out),
        (_, Some(Table::Both(names, mask, flags))) => {
            let start = out.len();
            match name(names, number & mask) {
                Some(name) => out.extend_from_slice(name.as_bytes()),
                // Flags alone, as accept4 takes them.
                None if number & mask == 0 && number != 0 => {}
                None => decimal((number & mask).cast_signed(), out),
            }
            for (_, name) in flags.iter().filter(|(bit, _)| number & bit != 0) {
                if out.len() > start {
                    out.push(b'|');
                }
                out.extend_from_slice(name.as_bytes());
            }
        }
        (Format::Hex, None) => {
            // Writing to a vector cannot fail.
            write!(out, "{number:X}").ok();
        }
        (format, None) if is_int(format) => decimal(i64::from(number as i32), out),
        (_, None) => decimal(number.cast_signed(), out),
    }
}

fn decimal(number: i64, out: &mut Vec<u8>) {
    write!(out, "{number}").ok();
}

fn name(names: Names, number: u64) -> Option<&'static str> {
    names.iter().find(|(known, _)| *known == number).map(|(_, name)| *name)
}

fn bits(names: Names, number: u64, none: &str, out: &mut Vec<u8>) {
    let start = out.len();
    for (_, name) in names.iter().filter(|(bit, _)| number & bit != 0) {
        if out.len() > start {
            out.push(b'|');
        }
        out.extend_from_slice(name.as_bytes());
    }
    if out.len() == start {
        out.extend_from_slice(none.as_bytes());
    }
}

/// The signal's name; real-time signals and 0, which only asks whether it might be sent, as numbers.
pub fn signal(number: u32, out: &mut Vec<u8>) {
    let name = number
        .checked_sub(1)
        .and_then(|index| SIGNALS.split_whitespace().nth(usize::try_from(index).ok()?));
    match name {
        Some(name) => out.extend_from_slice(name.as_bytes()),
        None => decimal(number.into(), out),
    }
}

#[cfg(test)]
mod tests {
    use super::write;
    use sensor_common::call::Format;

    #[test]
    fn numbers_have_the_headers_names() {
        for (format, number, text) in [
            (Format::Domain, 17, "AF_PACKET"),
            (Format::Domain, 99, "99"),
            (Format::SocketType, 0o2_004_001, "SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC"),
            (Format::SocketType, 0o2_000_000, "SOCK_CLOEXEC"),
            (Format::PtraceRequest, 0x4206, "PTRACE_SEIZE"),
            (Format::BpfCmd, 5, "BPF_PROG_LOAD"),
            (Format::CloneFlags, 0x1002_0000, "CLONE_NEWNS|CLONE_NEWUSER"),
            (Format::Prot, 6, "PROT_WRITE|PROT_EXEC"),
            (Format::Prot, 0, "PROT_NONE"),
            (Format::Signal, 9, "SIGKILL"),
            (Format::Signal, 34, "34"),
            (Format::Pid, 0xffff_ffff, "-1"),
            (
                Format::Mode,
                0o4755,
                "S_IXOTH|S_IROTH|S_IXGRP|S_IRGRP|S_IXUSR|S_IWUSR|S_IRUSR|S_ISUID",
            ),
            (Format::Hex, 255, "FF"),
            (Format::Dec, 12, "12"),
        ] {
            let mut out = Vec::new();
            write(format, number, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text, "{format:?} {number}");
        }
    }
}
