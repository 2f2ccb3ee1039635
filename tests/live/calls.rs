//! System calls that have a row in the table: each is made by its number, and arrives with its
//! parameters, its descriptors resolved and its paths made absolute.

use std::fs;

use sensor_common::Kind;
use sensor_common::call::table::CALLS;

use crate::harness::Cgroup;
use crate::observer::{Observer, What};

/// A call: its name, what is done before it (Perl), its arguments (Perl), and what the event's
/// parameters must contain. `{dir}` stands for the directory of the test.
struct Case {
    name: &'static str,
    before: &'static str,
    arguments: &'static str,
    expected: &'static [&'static str],
}

const fn case(
    name: &'static str,
    before: &'static str,
    arguments: &'static str,
    expected: &'static [&'static str],
) -> Case {
    Case { name, before, arguments, expected }
}

/// Calls that would do something to this machine are made so that they fail.
#[rustfmt::skip]
const CASES: &[Case] = &[
    case("chmod", "", r#""file", 0755"#, &["filename=file", "S_IXUSR"]),
    case("fchmod", "open(F, '+<file')", "fileno(F), 0600", &["(<f>{dir}/file)", "S_IWUSR|S_IRUSR"]),
    case("fchmodat", "open(D, '<.')", r#"fileno(D), "file", 04755"#, &["filename=file", "S_ISUID"]),
    case("fchmodat2", "", r#"-100, "file", 0600, 0x100"#, &["AT_FDCWD", "filename=file", "flags=AT_SYMLINK_NOFOLLOW"]),
    case("chown", "", r#""none", 1, 2"#, &["res=ENOENT", "path=none", "uid=", "gid="]),
    case("lchown", "", r#""none", -1, 2"#, &["path=none", "uid=-1"]),
    case("fchown", "open(F, '<file')", "fileno(F), 0, 0", &["(<f>{dir}/file)", "uid=root", "gid=root"]),
    case("fchownat", "", r#"-100, "none", 1, 2, 0"#, &["pathname=none"]),
    case("unlink", "", r#""none""#, &["res=ENOENT", "path=none"]),
    case("unlinkat", "mkdir 'gone'", r#"-100, "gone", 0x200"#, &["res=0", "name=gone", "flags=AT_REMOVEDIR"]),
    case("rmdir", "", r#""none""#, &["res=ENOENT", "path=none"]),
    case("mkdir", "", r#""new", 0700"#, &["res=0", "path=new", "S_IXUSR"]),
    case("mkdirat", "", r#"-100, "newat", 0700"#, &["res=0", "path=newat"]),
    case("mknod", "", r#""node", 010600, 0"#, &["res=0", "path=node"]),
    case("mknodat", "", r#"-100, "nodeat", 010600, 0"#, &["res=0", "path=nodeat"]),
    case("rename", "", r#""none", "other""#, &["oldpath=none", "newpath=other"]),
    case("renameat", "", r#"-100, "none", -100, "other""#, &["oldpath=none", "newpath=other"]),
    case("renameat2", "", r#"-100, "none", -100, "other", 1"#, &["oldpath=none", "flags=RENAME_NOREPLACE"]),
    case("link", "", r#""file", "hard""#, &["res=0", "oldpath=file", "newpath=hard"]),
    case("linkat", "", r#"-100, "file", -100, "hardat", 0x400"#, &["res=0", "newpath=hardat", "AT_SYMLINK_FOLLOW"]),
    case("symlink", "", r#""/etc/shadow", "soft""#, &["res=0", "target=/etc/shadow", "linkpath=soft"]),
    case("symlinkat", "", r#""/etc/shadow", -100, "softat""#, &["res=0", "target=/etc/shadow", "linkpath=softat"]),
    case("truncate", "", r#""file", 3"#, &["res=0", "path=file", "size=3"]),
    case("ftruncate", "open(F, '+<file')", "fileno(F), 5", &["(<f>{dir}/file)", "size=5"]),
    case("chroot", "", r#""none""#, &["res=ENOENT", "path=none"]),
    case("chdir", "mkdir 'below'", r#""below""#, &["res=0", "path=below", "cwd={dir}/below"]),
    case("fchdir", "open(D, '<.')", "fileno(D)", &["res=0", "(<d>{dir})"]),
    case("dup", "open(F, '<file'); close STDIN", "fileno(F)", &["res=0(<f>{dir}/file)"]),
    case("dup2", "open(F, '<file')", "fileno(F), 0", &["res=0(<f>{dir}/file)", "newfd=0"]),
    case("dup3", "open(F, '<file')", "fileno(F), 0, 02000000", &["res=0(<f>{dir}/file)", "flags=O_RDONLY|O_CLOEXEC"]),
    case("fcntl", "open(F, '<file')", "fileno(F), 1030, 20", &["res=20(<f>{dir}/file)", "cmd=F_DUPFD_CLOEXEC"]),
    case("memfd_create", "", r#""hidden", 3"#, &["(<m>/memfd:hidden)", "name=hidden", "MFD_CLOEXEC|MFD_ALLOW_SEALING"]),
    case("open_by_handle_at", "", r#"-100, "\0" x 16, 0"#, &["fd=E"]),
    case("setxattr", "", r#""none", "user.a", "b", 1, 0"#, &["path=none", "xattrname=user.a", "size=1"]),
    case("lsetxattr", "", r#""none", "user.a", "b", 1, 0"#, &["path=none", "xattrname=user.a"]),
    case("fsetxattr", "open(F, '<file')", r#"fileno(F), "nonsense", "b", 1, 0"#, &["(<f>{dir}/file)", "xattrname=nonsense"]),
    case("removexattr", "", r#""none", "user.a""#, &["path=none", "xattrname=user.a"]),
    case("mount", "", r#""source", "none", "tmpfs", 0x1001, 0"#, &["dev=source", "dir=none", "type=tmpfs", "flags=RDONLY|BIND"]),
    case("umount2", "", r#""none", 2"#, &["name=none", "flags=DETACH"]),
    case("fsopen", "", r#""nonsense", 0"#, &["fd=ENODEV", "type=nonsense"]),
    case("fsconfig", "", r#"-1, 1, "key", "value", 0"#, &["cmd=FSCONFIG_SET_STRING", "key=key", "value=value"]),
    case("fsmount", "", "-1, 0, 0", &["fd=EBADF", "fs_fd=-1"]),
    case("fspick", "", r#"-100, "none", 0"#, &["fd=ENOENT", "path=none"]),
    case("open_tree", "", r#"-100, "none", 0"#, &["fd=ENOENT", "path=none"]),
    case("move_mount", "", r#"-100, "none", -100, "other", 0"#, &["oldpath=none", "newpath=other"]),
    case("mount_setattr", "", r#"-100, "none", 0, "\0" x 32, 32"#, &["path=none"]),
    case("pivot_root", "", r#""none", "other""#, &["new_root=none", "put_old=other"]),
    case("setns", "open(F, '<file')", "fileno(F), 0x20000", &["res=EINVAL", "(<f>{dir}/file)", "nstype=CLONE_NEWNS"]),
    case("unshare", "", "0x04000000", &["res=0", "flags=CLONE_NEWUTS"]),
    case("swapon", "", r#""none", 0"#, &["res=ENOENT", "path=none"]),
    case("swapoff", "", r#""none""#, &["path=none"]),
    case("reboot", "", "1, 2, 3, 0", &["res=EINVAL", "magic=1", "magic2=2", "cmd=3"]),
    case("kexec_load", "", "1, 17, 0, 4", &["nr_segments=17"]),
    case("kexec_file_load", "", "-1, -1, 0, 0, 0x80", &["initrd_fd=-1", "flags=80"]),
    case("quotactl", "", r#"0x800000, "none", 0, 0"#, &["special=none"]),
    case("sethostname", "", r#""name", -1"#, &["res=EINVAL", "host=name"]),
    case("acct", "", r#""none""#, &["name=none"]),
    case("init_module", "", r#"0, 0, "first=1""#, &["length=0", "uargs=first=1"]),
    case("finit_module", "", r#"-1, "second=2", 0"#, &["uargs=second=2"]),
    case("delete_module", "", r#""no_such_module", 0"#, &["name=no_such_module"]),
    case("bpf", "", "5, 0, 0", &["cmd=BPF_PROG_LOAD"]),
    case("perf_event_open", "", "0, 7, 3, -1, 0", &["pid=7", "cpu=3", "group_fd=-1"]),
    case("ptrace", "", "16, 99999999, 0, 0", &["res=ESRCH", "request=PTRACE_ATTACH", "pid=99999999"]),
    case("process_vm_readv", "", "99999999, 0, 0, 0, 0, 0", &["pid=99999999"]),
    case("process_vm_writev", "", "99999999, 0, 0, 0, 0, 0", &["pid=99999999"]),
    case("pidfd_getfd", "", "-1, 1, 0", &["fd=EBADF", "pid_fd=-1", "target_fd=1"]),
    case("pidfd_open", "", "$$, 0", &["(<"]),
    case("userfaultfd", "", "02000000", &["flags=O_RDONLY|O_CLOEXEC"]),
    case("seccomp", "", "99, 0, 0", &["res=EINVAL", "op=99"]),
    case("prctl", "", "4, 0, 0, 0, 0", &["res=0", "option=PR_SET_DUMPABLE"]),
    case("keyctl", "", "1, 0, 0, 0, 0", &["option=KEYCTL_JOIN_SESSION_KEYRING"]),
    case("add_key", "", r#""nonsense", "described", 0, 0, 0"#, &["type=nonsense", "desc=described"]),
    case("request_key", "", r#""nonsense", "described", 0, 0"#, &["type=nonsense", "desc=described"]),
    case("io_uring_setup", "", "0, 0", &["entries=0"]),
    case("io_uring_register", "", "-1, 5, 0, 2", &["opcode=5", "nr_args=2"]),
    case("mprotect", "", "0, 4096, 7", &["length=4096", "prot=PROT_READ|PROT_WRITE|PROT_EXEC"]),
    case("pkey_mprotect", "", "0, 4096, 7, -1", &["prot=PROT_READ|PROT_WRITE|PROT_EXEC"]),
    case("mmap", "", "0, 4096, 7, 0x22, -1, 0", &["prot=PROT_READ|PROT_WRITE|PROT_EXEC", "flags=MAP_PRIVATE|MAP_ANONYMOUS"]),
    case("kill", "", "$$, 0", &["res=0", "sig=0"]),
    case("tkill", "", "99999999, 9", &["res=ESRCH", "tid=99999999", "sig=SIGKILL"]),
    case("tgkill", "", "99999999, 99999999, 15", &["res=ESRCH", "sig=SIGTERM"]),
    case("pidfd_send_signal", "", "-1, 9, 0, 0", &["res=EBADF", "sig=SIGKILL"]),
    case("execve", "", r#""none", 0, 0"#, &["res=ENOENT", "filename=none"]),
    case("execveat", "", r#"-100, "none", 0, 0, 0x1000"#, &["res=ENOENT", "pathname=none", "flags=AT_EMPTY_PATH"]),
    case("socket", "", "2, 0x80001, 6", &["domain=AF_INET", "type=SOCK_STREAM|SOCK_CLOEXEC", "proto=6"]),
    case("socketpair", "", r#"1, 1, 0, "\0" x 8"#, &["res=0", "domain=AF_UNIX"]),
    case("bind", SOCKET, "fileno(S), $here, 16", &["res=0", "(<4>127.0.0.1:", "addr=127.0.0.1:0"]),
    case("listen", LISTENING, "fileno(S), 7", &["res=0", "(<4>127.0.0.1:", "backlog=7"]),
    case("accept", ACCEPTING, "fileno(S), 0, 0", &["(<4>127.0.0.1:", "->127.0.0.1:"]),
    case("accept4", ACCEPTING, "fileno(S), 0, 0, 02000000", &["(<4>127.0.0.1:", "flags=SOCK_CLOEXEC"]),
    case("sendto", DATAGRAM, r#"fileno(C), "question", 8, 0, $there, 16"#, &["res=8", "data=question", "->127.0.0.1:", "size=8"]),
    case("sendmsg", DATAGRAM, "fileno(C), $message, 0", &["res=8", "data=question", "->127.0.0.1:"]),
    case("sendmmsg", DATAGRAM, r#"fileno(C), $message . "\0" x 8, 1, 0"#, &["res=1", "data=question"]),
    case("recvfrom", SENT, r#"fileno(S), "\0" x 64, 64, 0, 0, 0"#, &["res=8", "data=question"]),
    case("recvmsg", SENT, "fileno(S), $message, 0", &["res=8", "data=question"]),
    case("recvmmsg", SENT, r#"fileno(S), $message . "\0" x 8, 1, 0, 0"#, &["res=1"]),
    case("setxattrat", "", r#"-100, "none", 0x100, "user.a", "\0" x 16, 16"#, &["path=none", "flags=AT_SYMLINK_NOFOLLOW", "xattrname=user.a"]),
    case("lremovexattr", "", r#""none", "user.a""#, &["path=none", "xattrname=user.a"]),
    case("fremovexattr", "open(F, '<file')", r#"fileno(F), "nonsense""#, &["(<f>{dir}/file)", "xattrname=nonsense"]),
    case("removexattrat", "", r#"-100, "none", 0x100, "user.a""#, &["path=none", "flags=AT_SYMLINK_NOFOLLOW", "xattrname=user.a"]),
    case("open_tree_attr", "", r#"-100, "none", 0, "\0" x 32, 32"#, &["path=none"]),
];

const SOCKET: &str = "socket(S, 2, 1, 0); $here = pack('S n N x8', 2, 0, 0x7f000001)";
const LISTENING: &str = "socket(S, 2, 1, 0); bind(S, pack('S n N x8', 2, 0, 0x7f000001))";
const ACCEPTING: &str = "socket(S, 2, 1, 0); bind(S, pack('S n N x8', 2, 0, 0x7f000001)); \
                         listen(S, 1); socket(C, 2, 1, 0); connect(C, getsockname(S))";
/// A datagram socket that listens, another that does not, and a message from the second to the first.
const DATAGRAM: &str = "socket(S, 2, 2, 0); bind(S, pack('S n N x8', 2, 0, 0x7f000001)); \
                        socket(C, 2, 2, 0); $there = getsockname(S); $text = 'question'; \
                        $vector = pack('P Q', $text, 8); \
                        $message = pack('P L x4 P Q Q Q Q', $there, 16, $vector, 1, 0, 0, 0)";
const SENT: &str = "socket(S, 2, 2, 0); bind(S, pack('S n N x8', 2, 0, 0x7f000001)); \
                    socket(C, 2, 2, 0); $there = getsockname(S); send(C, 'question', 0, $there); \
                    $text = \"\\0\" x 64; $vector = pack('P Q', $text, 64); \
                    $message = pack('P L x4 P Q Q Q Q', undef, 0, $vector, 1, 0, 0, 0)";

/// No process has this id: a signal to it marks the end of a case.
const END: &str = "99999998";

#[test]
fn every_row_of_the_table_is_tried() {
    let rows: Vec<&str> = CALLS.iter().map(|row| row.name).collect();
    let cases: Vec<&str> = CASES.iter().map(|case| case.name).collect();
    assert_eq!(cases, rows);
}

#[test]
fn each_call_arrives_with_its_parameters() {
    let directory = tempfile::tempdir().unwrap();
    let path = fs::canonicalize(directory.path()).unwrap();
    let path = path.to_str().unwrap();
    let cgroup = Cgroup::new("calls");
    let observer = Observer::start(&cgroup, &[Kind::Exec, Kind::Call]);
    let mut wrong = Vec::new();
    for (case, row) in CASES.iter().zip(CALLS) {
        fs::write(directory.path().join("file"), "content").unwrap();
        // Perl hands the kernel the address of a text that it may write to, hence the copies.
        let script = format!(
            "sub call {{ my @a = @_; syscall($a[0], @a[1..$#a]) }} chdir '{path}'; {}; \
             call({}, {}); call(62, {END}, 0);",
            case.before, row.numbers.x86_64, case.arguments
        );
        cgroup.run(&["/usr/bin/perl", "-e", &script]);
        let mut seen = Vec::new();
        let is_end = |what: &What| matches!(what, What::Call { name: "kill", arguments, .. } if arguments.contains(END));
        observer.wait_for(|event| {
            if let What::Call { name, arguments, .. } = &event.what
                && *name == case.name
            {
                seen.push(arguments.clone());
            }
            is_end(&event.what)
        });
        let expected: Vec<String> =
            case.expected.iter().map(|part| part.replace("{dir}", path)).collect();
        let holds = |arguments: &String| expected.iter().all(|part| arguments.contains(part));
        if !seen.iter().any(holds) {
            wrong.push(format!("{}: expected {expected:?}, seen {seen:?}", case.name));
        }
    }
    observer.stop();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
