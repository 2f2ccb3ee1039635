//! Numbers of the kernel as text: errors, open flags, permissions, capabilities.

use std::io::Write as _;

use sensor_common::open::Call;

use crate::event::open::Open;

pub const O_ACCMODE: u32 = 0o3;
pub const O_RDONLY: u32 = 0o0;
pub const O_WRONLY: u32 = 0o1;
pub const O_RDWR: u32 = 0o2;
pub const O_CREAT: u32 = 0o100;
/// Without the bit of `O_DIRECTORY` that glibc's constant includes.
pub const O_TMPFILE: u32 = 0o20_000_000;
const O_TRUNC: u32 = 0o1000;

/// Flags in the order in which they are written, after the access mode.
const OPEN_FLAGS: &[(u32, &str)] = &[
    (O_CREAT, "O_CREAT"),
    (0o2000, "O_APPEND"),
    (0o10_000, "O_DSYNC"),
    (0o200, "O_EXCL"),
    (0o4000, "O_NONBLOCK"),
    (0o4_000_000, "O_SYNC"),
    (O_TRUNC, "O_TRUNC"),
    (0o40_000, "O_DIRECT"),
    (0o200_000, "O_DIRECTORY"),
    (0o100_000, "O_LARGEFILE"),
    (0o2_000_000, "O_CLOEXEC"),
    (0o400_000, "O_NOFOLLOW"),
    (0o400, "O_NOCTTY"),
    (0o1_000_000, "O_NOATIME"),
    (0o10_000_000, "O_PATH"),
    (O_TMPFILE, "O_TMPFILE"),
];

const MODES: &[(u32, &str)] = &[
    (0o1, "S_IXOTH"),
    (0o2, "S_IWOTH"),
    (0o4, "S_IROTH"),
    (0o10, "S_IXGRP"),
    (0o20, "S_IWGRP"),
    (0o40, "S_IRGRP"),
    (0o100, "S_IXUSR"),
    (0o200, "S_IWUSR"),
    (0o400, "S_IRUSR"),
    (0o1000, "S_ISVTX"),
    (0o2000, "S_ISGID"),
    (0o4000, "S_ISUID"),
];

const RESOLVE: &[(u32, &str)] = &[
    (0x08, "RESOLVE_BENEATH"),
    (0x10, "RESOLVE_IN_ROOT"),
    (0x02, "RESOLVE_NO_MAGICLINKS"),
    (0x04, "RESOLVE_NO_SYMLINKS"),
    (0x01, "RESOLVE_NO_XDEV"),
    (0x20, "RESOLVE_CACHED"),
];

/// By bit number, from `linux/capability.h`.
const CAPABILITIES: &[&str] = &[
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// By number, from `asm-generic/errno.h`; numbers without a name are empty.
const ERRORS: &str = "EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM \
    EACCES EFAULT ENOTBLK EBUSY EEXIST EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY \
    ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS \
    ENOTEMPTY ELOOP - ENOMSG EIDRM ECHRNG EL2NSYNC EL3HLT EL3RST ELNRNG EUNATCH ENOCSI EL2HLT \
    EBADE EBADR EXFULL ENOANO EBADRQC EBADSLT - EBFONT ENOSTR ENODATA ETIME ENOSR ENONET ENOPKG \
    EREMOTE ENOLINK EADV ESRMNT ECOMM EPROTO EMULTIHOP EDOTDOT EBADMSG EOVERFLOW ENOTUNIQ EBADFD \
    EREMCHG ELIBACC ELIBBAD ELIBSCN ELIBMAX ELIBEXEC EILSEQ ERESTART ESTRPIPE EUSERS ENOTSOCK \
    EDESTADDRREQ EMSGSIZE EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT ESOCKTNOSUPPORT EOPNOTSUPP \
    EPFNOSUPPORT EAFNOSUPPORT EADDRINUSE EADDRNOTAVAIL ENETDOWN ENETUNREACH ENETRESET \
    ECONNABORTED ECONNRESET ENOBUFS EISCONN ENOTCONN ESHUTDOWN ETOOMANYREFS ETIMEDOUT \
    ECONNREFUSED EHOSTDOWN EHOSTUNREACH EALREADY EINPROGRESS ESTALE EUCLEAN ENOTNAM ENAVAIL \
    EISNAM EREMOTEIO EDQUOT ENOMEDIUM EMEDIUMTYPE ECANCELED ENOKEY EKEYEXPIRED EKEYREVOKED \
    EKEYREJECTED EOWNERDEAD ENOTRECOVERABLE ERFKILL EHWPOISON";

/// The flags of an open call; creat's are fixed.
pub fn open_flags_of(open: &Open<'_>) -> u32 {
    match open.call {
        Call::Creat => O_WRONLY | O_CREAT | O_TRUNC,
        Call::Open | Call::Openat | Call::Openat2 => open.flags,
    }
}

pub fn open_flags(flags: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(match flags & O_ACCMODE {
        O_RDONLY => b"O_RDONLY",
        O_WRONLY => b"O_WRONLY",
        O_RDWR => b"O_RDWR",
        _ => b"O_NONE",
    });
    for (_, name) in OPEN_FLAGS.iter().filter(|(bit, _)| flags & bit != 0) {
        out.push(b'|');
        out.extend_from_slice(name.as_bytes());
    }
}

/// Permission bits: `S_IRUSR|S_IWUSR`, or `0`.
pub fn mode(mode: u32, out: &mut Vec<u8>) {
    joined(MODES.iter().filter(|(bit, _)| mode & bit != 0).map(|(_, name)| *name), b"|", out);
}

pub fn resolve(flags: u32, out: &mut Vec<u8>) {
    joined(RESOLVE.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name), b"|", out);
}

/// Capabilities by name, with blanks between them; empty for none.
pub fn capabilities(set: u64, out: &mut Vec<u8>) {
    let names = (0..64).zip(CAPABILITIES).filter(|(bit, _)| set & (1 << bit) != 0);
    for (index, (_, name)) in names.enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(name.as_bytes());
    }
}

/// The error's name, or its number when it has none.
pub fn errno(errno: u64, out: &mut Vec<u8>) {
    let index = usize::try_from(errno).ok().and_then(|errno| errno.checked_sub(1));
    let name = index.and_then(|index| ERRORS.split_whitespace().nth(index));
    match name.filter(|name| *name != "-") {
        Some(name) => out.extend_from_slice(name.as_bytes()),
        // Writing to a vector cannot fail.
        None => {
            write!(out, "{errno}").ok();
        }
    }
}

pub fn joined(names: impl Iterator<Item = &'static str>, separator: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    for name in names {
        if out.len() > start {
            out.extend_from_slice(separator);
        }
        out.extend_from_slice(name.as_bytes());
    }
    if out.len() == start {
        out.push(b'0');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_have_the_kernels_names() {
        assert_eq!(text(|out| errno(2, out)), "ENOENT");
        assert_eq!(text(|out| errno(111, out)), "ECONNREFUSED");
        assert_eq!(text(|out| errno(115, out)), "EINPROGRESS");
        assert_eq!(text(|out| errno(133, out)), "EHWPOISON");
        assert_eq!(text(|out| errno(512, out)), "512");
        assert_eq!(text(|out| open_flags(0o2_000_101, out)), "O_WRONLY|O_CREAT|O_CLOEXEC");
        assert_eq!(
            text(|out| mode(0o4755, out)),
            "S_IXOTH|S_IROTH|S_IXGRP|S_IRGRP|S_IXUSR|S_IWUSR|S_IRUSR|S_ISUID"
        );
        assert_eq!(text(|out| mode(0, out)), "0");
        assert_eq!(text(|out| capabilities(1 << 21 | 1, out)), "CAP_CHOWN CAP_SYS_ADMIN");
    }
}
