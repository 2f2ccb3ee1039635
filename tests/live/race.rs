//! Another thread changes what a pointer points to while the kernel uses it: the event has what the kernel
//! used.

use std::fs;

use sensor_common::Kind;
use sensor_common::syscall::Syscall;

use crate::actor::Actor;
use crate::harness::Cgroup;
use crate::observer::{Observer, Seen, What};

/// A process with memory that another one writes to without a pause: `$text` is its address, and the byte
/// at `$place` is what is changed from one of `$bytes` to the other.
const RACE: &str = r#"
sub address { unpack "J", pack "p", $_[0] }
my $id = shmget(0, 4096, 0600 | 01000); defined $id or die "shmget: $!";
my $text = syscall(30, $id, 0, 0); $text != -1 or die "shmat: $!";
shmwrite($id, $content, 0, length $content) or die "shmwrite: $!";
my $parent = $$; my $other = fork();
if ($other == 0) { while (kill 0, $parent) { for my $byte (@bytes) { for (1..20) { shmwrite($id, $byte, $place, 1); } } } exit }
# Says what the kernel did; until there was enough of either, and more calls than fit into one turn.
my (%seen, $calls);
sub did { $seen{$_[0]}++; print "$_[0]\n"; syscall(24) }
sub again { ++$calls <= 300 || grep({ $_ >= 20 } values %seen) < 2 }
sub done { kill 'KILL', $other; waitpid $other, 0; shmctl($id, 0, 0); }
"#;

/// What the script printed: what the kernel did, line by line.
fn run(name: &str, kind: Kind, script: &str) -> (Observer, Vec<String>) {
    let cgroup = Cgroup::new(name);
    let observer = Observer::start(&cgroup, &[Kind::Exec, Kind::Exit, kind]);
    let output = cgroup.run(&["/usr/bin/perl", "-e", script]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<String> =
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    // Both of what it is changed between, or nothing was raced.
    assert!(lines.iter().any(|line| *line != lines[0]), "always {}", lines[0]);
    (observer, lines)
}

/// As many events as there are lines, and the same, but for those that the kernel counts as missed.
fn compare(observer: Observer, lines: &[String], of: impl Fn(&Seen) -> Option<String>) {
    let mut seen = Vec::new();
    observer.wait_for(|event| {
        seen.extend(of(event));
        event.what == What::Exit { code: Some(0), signal: None }
    });
    let (_, balance) = observer.stop();
    let absent = u64::try_from(lines.len() - seen.len()).unwrap();
    assert!(absent <= balance.missed, "{absent} events did not come: {balance}");
    let mut lines_left = lines.iter();
    let wrong = seen.iter().find(|seen| !lines_left.any(|line| line == *seen));
    assert_eq!(wrong, None, "{seen:?}, not {lines:?}");
}

fn directory() -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = fs::canonicalize(directory.path()).unwrap().to_str().unwrap().to_owned();
    for file in ["a", "b"] {
        fs::write(directory.path().join(file), "").unwrap();
    }
    (directory, path)
}

#[test]
fn an_open_has_the_file_that_was_opened() {
    let (_directory, path) = directory();
    let script = format!(
        "my ($content, $place, @bytes) = (\"{path}/a\\0\", length('{path}/'), 'a', 'b'); {RACE}
        while (again()) {{
            my $fd = syscall(257, -100, $text, 0); $fd >= 0 or die \"openat: $!\";
            did(readlink \"/proc/self/fd/$fd\"); syscall(3, $fd);
        }} done();"
    );
    let (observer, lines) = run("race-open", Kind::Open, &script);
    let below = format!("{path}/");
    compare(observer, &lines, |seen| match &seen.what {
        What::Open { path, .. } if path.starts_with(&below) => Some(path.clone()),
        _ => None,
    });
}

#[test]
fn a_connect_has_the_peer_that_was_connected_to() {
    let script = format!(
        "socket(my $a, 2, 1, 0); socket(my $b, 2, 1, 0); my $any = pack('SnC4x8', 2, 0, 127, 0, 0, 1);
        for ($a, $b) {{ bind($_, $any); listen($_, 1000); }}
        my @peers = map {{ getsockname($_) }} ($a, $b);
        # Ports that differ in one byte alone.
        my ($high, $low) = unpack('x2C2', $peers[0]);
        close $b; socket($b, 2, 1, 0); my $next = ($low + 1) % 256;
        bind($b, pack('SC2C4x8', 2, $high, $next, 127, 0, 0, 1)) or die \"bind: $!\"; listen($b, 1000);
        my ($content, $place, @bytes) = ($peers[0], 3, chr $low, chr $next); {RACE}
        while (again()) {{
            my $fd = syscall(41, 2, 1, 0); syscall(42, $fd, $text, 16) == 0 or die \"connect: $!\";
            open(my $peer, '+<&=', $fd); my ($port, $address) = unpack('x2nN', getpeername($peer));
            did(\"Inet(127.0.0.1, $port)\"); close $peer;
        }} done();"
    );
    let (observer, lines) = run("race-connect", Kind::Connect, &script);
    compare(observer, &lines, |seen| match &seen.what {
        What::Connect { peer, .. } if peer.starts_with("Inet") => Some(peer.clone()),
        _ => None,
    });
}

/// What was executed, and the text that it was executed by: the kernel's own copy.
#[test]
fn an_execution_has_the_program_that_ran() {
    const EXIT: Syscall = Syscall { native: Some(60), compat: 1, compat_16: 0 };
    let (directory, path) = directory();
    for (program, status) in [("a", 1), ("b", 2)] {
        let mut actor = Actor::new();
        actor.call(EXIT, [status, 0, 0]);
        actor.write(&directory.path().join(program));
    }
    let script = format!(
        "my ($content, $place, @bytes) = (\"{path}/a\\0\", length('{path}/'), 'a', 'b'); {RACE}
        my ($name, $none) = ('raced', pack 'J', 0); my $argv = pack 'pJ', $name, 0;
        while (again()) {{
            my $new = fork();
            if ($new == 0) {{ syscall(59, $text, $argv, $none); syscall(231, 9); }}
            waitpid $new, 0; my $ran = $? >> 8; $ran < 3 or die 'execve failed';
            did('{path}/' . ('a', 'b')[$ran - 1]);
        }} done();"
    );
    let (observer, lines) = run("race-exec", Kind::Exec, &script);
    let below = format!("{path}/");
    compare(observer, &lines, |seen| {
        let program = &seen.process.program;
        let path = String::from_utf8_lossy(&program.exe_path).into_owned();
        if seen.what != What::Exec || !path.starts_with(&below) {
            return None;
        }
        assert_eq!(program.filename, program.exe_path);
        Some(path)
    });
}

/// Where the kernel side is told what a path led to.
#[test]
fn an_unlink_has_the_file_that_went() {
    let (_directory, path) = directory();
    let script = format!(
        "my ($content, $place, @bytes) = (\"{path}/a\\0\", length('{path}/'), 'a', 'b'); {RACE}
        while (again()) {{
            for ('a', 'b') {{ open(F, '>', \"{path}/$_\"); close F; }}
            syscall(87, $text) == 0 or die \"unlink: $!\";
            for ('a', 'b') {{ did(\"{path}/$_\") unless -e \"{path}/$_\"; }}
        }} done();"
    );
    let (observer, lines) = run("race-unlink", Kind::Call, &script);
    let is_found = observer.hook("path") == Some("fentry");
    let below = format!("{path}/");
    if !is_found {
        // The text is read when the call returns: here it is not known to be what was used.
        observer.stop();
        return;
    }
    compare(observer, &lines, |seen| match &seen.what {
        What::Call { name: "unlink", paths, .. } if paths[0].starts_with(&below) => {
            Some(paths[0].clone())
        }
        _ => None,
    });
}
