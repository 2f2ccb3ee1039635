//! Opens and connects through `io_uring`, which no system call makes.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::symlink;

use sensor::probe::kernel;
use sensor_common::Kind;

use crate::harness::Cgroup;
use crate::observer::{Observer, Seen, What};

/// Before, a request does not keep its result, and the verifier refuses the programs.
const KEEPS_RESULTS: (u32, u32) = (5, 19);
const ENOENT: i64 = -2;

/// Perl that sets up a ring, with `submit`: hands a request over and waits until it is done. Memory of
/// the kernel's making is written by reading a pipe into it. What is done stays in the ring, so that each
/// waits for one more.
const RING: &str = r#"
sub put { my ($at, $bytes) = @_; pipe(my $r, my $w); syswrite $w, $bytes;
    syscall(0, fileno($r), $at, length $bytes) == length $bytes or die "put: $!"; }
sub address { unpack "J", pack "p", $_[0] }
my $params = "\0" x 120;
my $ring = syscall(425, 8, $params); $ring >= 0 or die "io_uring_setup: $!";
my ($entries, $completions) = unpack "L2", $params;
my ($tail, $array) = (unpack "L7", substr $params, 40)[1, 6];
my $completed = (unpack "L6", substr $params, 80)[5];
my $size = $completed + 16 * $completions;
my $rings = syscall(9, 0, $size, 3, 1, $ring, 0); $rings != -1 or die "mmap: $!";
my $requests = syscall(9, 0, 64 * $entries, 3, 1, $ring, 0x10000000); $requests != -1 or die "mmap: $!";
my $count = 0;
sub submit { my ($operation, $flags, $fd, $offset, $address, $length, $more, $slot) = @_;
    put($requests, pack "CCSlQQLLQSSlQQ", $operation, $flags, 0, $fd, $offset, $address, $length, $more, 0, 0, 0, $slot, 0, 0);
    put($rings + $array + 4 * ($count % $entries), pack "L", 0);
    put($rings + $tail, pack "L", ++$count);
    syscall(426, $ring, 1, $count, 1, 0, 0) == 1 or die "io_uring_enter: $!"; }
"#;
/// `IORING_OP_CONNECT`, `_OPENAT`, `_OPENAT2` and those on names; `IOSQE_ASYNC`, by which a worker does it.
const OPERATIONS: &str =
    "my ($connect, $openat, $openat2, $async, $here) = (16, 18, 28, 1 << 4, -100);
     my ($renameat, $unlinkat, $mkdirat, $symlinkat, $linkat) = (35 .. 39);";

/// Runs the script; `None` where the kernel cannot be watched at this, as it has to be.
fn observe(name: &str, kind: Kind, probe: &str, script: &str) -> Option<Observer> {
    let cgroup = Cgroup::new(name);
    let observer = Observer::start(&cgroup, &[Kind::Exec, kind]);
    let is_watched = kernel::version(&kernel::release()).unwrap() >= KEEPS_RESULTS;
    assert_eq!(observer.hook(probe).is_some(), is_watched);
    if !is_watched {
        observer.stop();
        return None;
    }
    let output = cgroup.run(&["/usr/bin/perl", "-e", &[RING, OPERATIONS, script].concat()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(observer)
}

fn path_of_open(seen: &Seen) -> Option<(&str, i64)> {
    match &seen.what {
        What::Open { path, result, io_uring: true, .. } => Some((path, *result)),
        _ => None,
    }
}

#[test]
fn opens_are_seen_by_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let link = directory.path().join("innocent");
    symlink("/etc/shadow", &link).unwrap();
    let script = format!(
        "my ($link, $file, $none) = ('{}', '/etc/passwd', '/none'); my $how = pack 'Q3', 0, 0, 0;
        submit($openat, 0, $here, 0, address($link), 0, 0, 0);
        submit($openat2, 0, $here, address($how), address($file), 24, 0, 0);
        submit($openat, $async, $here, 0, address($file), 0, 0, 0);
        submit($openat, 0, $here, 0, address($none), 0, 0, 0);",
        link.display()
    );
    let Some(observer) = observe("io-open", Kind::Open, "io_uring_open", &script) else { return };
    let mut seen = Vec::new();
    observer.wait_for(|event| {
        seen.extend(path_of_open(event).map(|(path, result)| (path.to_owned(), result.min(0))));
        seen.len() == 4
    });
    // A worker takes its time.
    seen.sort();
    let opened = |path: &str| (path.to_owned(), 0);
    let expected = [
        (String::new(), ENOENT),
        opened("/etc/passwd"),
        opened("/etc/passwd"),
        opened("/etc/shadow"),
    ];
    assert_eq!(seen, expected);
    observer.stop();
}

/// An open may put its file into a table of the ring's, where no descriptor leads.
#[test]
fn opens_without_a_descriptor_are_seen() {
    let directory = tempfile::tempdir().unwrap();
    let file = fs::canonicalize(directory.path()).unwrap().join("file");
    fs::write(&file, "").unwrap();
    // A table with room for two files.
    let script = format!(
        "my $file = '{}'; my $table = pack 'LLQQQ', 2, 1, 0, 0, 0;
        syscall(427, $ring, 13, $table, 32) == 0 or die \"io_uring_register: $!\";
        submit($openat, 0, $here, 0, address($file), 0, 0, 1);",
        file.display()
    );
    let Some(observer) = observe("io-slot", Kind::Open, "io_uring_open", &script) else { return };
    let seen = observer.wait_for(|seen| path_of_open(seen).is_some());
    // The function that takes the file in knows it; when all is over, nobody does.
    let path =
        if observer.hook("io_uring_open") == Some("fexit") { file.to_str().unwrap() } else { "" };
    assert_eq!(path_of_open(&seen), Some((path, 0)));
    observer.stop();
}

/// Removed, renamed, made and linked by name: each path is where it led to.
#[test]
fn changes_of_names_are_seen_by_where_they_led_to() {
    let directory = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(directory.path()).unwrap();
    let root = root.to_str().unwrap();
    fs::create_dir(directory.path().join("real")).unwrap();
    symlink("real", directory.path().join("link")).unwrap();
    let script = format!(
        "chdir '{root}'; open(F, '>real/file');
        my ($new, $soft, $hard, $file, $moved, $none, $shadow) =
            ((map {{ \"link/$_\" }} qw(new soft hard file moved none)), '/etc/shadow');
        submit($mkdirat, 0, $here, 0, address($new), 0700, 0, 0);
        submit($symlinkat, 0, $here, address($soft), address($shadow), 0, 0, 0);
        submit($linkat, 0, $here, address($hard), address($file), $here, 0, 0);
        submit($renameat, 0, $here, address($moved), address($hard), $here, 1, 0);
        submit($unlinkat, 0, $here, 0, address($moved), 0, 0, 0);
        submit($unlinkat, 0, $here, 0, address($new), 0, 0x200, 0);
        submit($unlinkat, 0, $here, 0, address($none), 0, 0, 0);"
    );
    let cgroup = Cgroup::new("io-names");
    let observer = Observer::start(&cgroup, &[Kind::Exec, Kind::Open, Kind::Call]);
    let is_watched = observer.hook("io_uring_call").is_some();
    assert_eq!(is_watched, observer.hook("io_uring_open") == Some("fexit"));
    let output = cgroup.run(&["/usr/bin/perl", "-e", &[RING, OPERATIONS, &script].concat()]);
    if !is_watched {
        observer.stop();
        return;
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let expected: [(&str, &[&str], &str, i64); 7] = [
        ("mkdirat", &["real/new"], "mode=S_IXUSR|S_IWUSR|S_IRUSR", 0),
        ("symlinkat", &["real/soft"], "target=/etc/shadow", 0),
        ("linkat", &["real/file", "real/hard"], "olddir=AT_FDCWD", 0),
        ("renameat2", &["real/hard", "real/moved"], "flags=RENAME_NOREPLACE", 0),
        ("unlinkat", &["real/moved"], "flags=0", 0),
        ("unlinkat", &["real/new"], "AT_REMOVEDIR", 0),
        ("unlinkat", &[], "dirfd=AT_FDCWD", ENOENT),
    ];
    for (call, led_to, argument, returned) in expected {
        let seen = observer.wait_for(|seen| matches!(seen.what, What::Call { io_uring: true, .. }));
        let What::Call { name, paths, arguments, result, .. } = &seen.what else { continue };
        let mut led_to: Vec<String> = led_to.iter().map(|path| format!("{root}/{path}")).collect();
        if returned != 0 {
            led_to.push(String::new());
        }
        assert_eq!((*name, paths, *result), (call, &led_to, returned), "{arguments}");
        assert!(arguments.contains(argument), "{arguments}, not {argument}");
        assert_eq!(&*seen.process.name, b"perl");
    }
    observer.stop();
}

#[test]
fn connects_are_seen_with_their_result() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let open = listener.local_addr().unwrap().port();
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let script = format!(
        "for my $port ({open}, {closed}) {{
            my $socket = syscall(41, 2, 1, 0); my $peer = pack 'SnC4x8', 2, $port, 127, 0, 0, 1;
            submit($connect, 0, $socket, 16, address($peer), 0, 0, 0);
        }}"
    );
    let observer = observe("io-connect", Kind::Connect, "io_uring_connect", &script);
    let Some(observer) = observer else { return };
    for (port, result) in [(open, 0), (closed, -111)] {
        let seen = observer.wait_for(|seen| matches!(seen.what, What::Connect { .. }));
        let peer = format!("Inet(127.0.0.1, {port})");
        assert_eq!(seen.what, What::Connect { peer, result, io_uring: true });
    }
    observer.stop();
}
