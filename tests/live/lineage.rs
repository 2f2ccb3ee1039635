//! Who is who where processes are not what they seem: threads that execute, leaders that are gone,
//! parents that are borrowed or dead.

use sensor_common::Kind;
use sensor_common::syscall::{OPEN, Syscall};

use crate::actor::Actor;
use crate::harness::Cgroup;
use crate::observer::{Observer, Seen, What};

/// `CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD`
const THREAD: u32 = 0x1_0f00;
/// `CLONE_VM | CLONE_VFORK`, and SIGCHLD at its end.
const VFORK: u32 = 0x4111;

const fn native(number: u32) -> Syscall {
    Syscall { native: Some(number), compat: 0, compat_16: 0 }
}
const PAUSE: Syscall = native(34);
const NANOSLEEP: Syscall = native(35);
const EXIT: Syscall = native(60);
const WAIT4: Syscall = native(61);
const EXIT_GROUP: Syscall = native(231);

const KINDS: [Kind; 4] = [Kind::Fork, Kind::Exec, Kind::Exit, Kind::Open];

/// Runs a program of these calls; its own execution, and what is seen after it.
fn act(name: &str, make: impl FnOnce(&mut Actor)) -> (Observer, Seen) {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("actor");
    let mut actor = Actor::new();
    make(&mut actor);
    actor.write(&program);
    let cgroup = Cgroup::new(name);
    let observer = Observer::start(&cgroup, &KINDS);
    cgroup.run(&[program.to_str().unwrap()]);
    let own = observer.wait_for(executed("actor"));
    (observer, own)
}

fn executed(name: &str) -> impl Fn(&Seen) -> bool {
    move |seen| seen.what == What::Exec && &*seen.process.name == name.as_bytes()
}

fn opened(path: &str) -> impl Fn(&Seen) -> bool {
    move |seen| matches!(&seen.what, What::Open { path: own, .. } if own == path)
}

fn ended(pid: u32) -> impl Fn(&Seen) -> bool {
    move |seen| seen.process.id.pid == pid && matches!(seen.what, What::Exit { .. })
}

/// The thread that executes becomes the leader, and the process stays what it was.
#[test]
fn a_thread_that_executes_changes_its_process() {
    let (observer, own) = act("thread-exec", |actor| {
        actor.split(THREAD, |thread| thread.execute("/bin/true"));
        actor.call(PAUSE, [0; 3]);
    });
    let executed = observer.wait_for(executed("true"));
    assert_eq!(executed.process.id, own.process.id);
    assert_eq!(executed.process.ppid, own.process.ppid);
    assert_eq!(executed.ancestors, own.ancestors);
    let end = observer.wait_for(ended(own.process.id.pid));
    assert_eq!(end.what, What::Exit { code: Some(0), signal: None });
    assert_eq!(&*end.process.name, b"true");
    observer.stop();
}

/// A leader that has ended stands for its process until the last thread ends.
#[test]
fn a_process_lives_on_without_its_leader() {
    let (observer, own) = act("leader", |actor| {
        let (path, time) = (actor.text("/etc/hostname"), actor.data(&[0, 0, 50_000_000, 0]));
        actor.split(THREAD, |thread| {
            thread.call(NANOSLEEP, [time, 0, 0]);
            thread.call(OPEN, [path, 0, 0]);
            thread.call(EXIT_GROUP, [5, 0, 0]);
        });
        actor.call(EXIT, [7, 0, 0]);
    });
    let open = observer.wait_for(opened("/etc/hostname"));
    assert_eq!(open.process.id, own.process.id);
    assert_eq!(&*open.process.name, b"actor");
    let end = observer.wait_for(ended(own.process.id.pid));
    assert_eq!(end.what, What::Exit { code: Some(5), signal: None });
    let (rest, _) = observer.stop();
    assert!(!rest.iter().any(|seen| ended(own.process.id.pid)(seen)), "it ended twice");
}

/// A child of vfork has its parent's memory until it executes; what it executes is its own.
#[test]
fn a_borrowed_memory_is_not_the_parents_program() {
    let (observer, own) = act("vfork", |actor| {
        let path = actor.text("/etc/hostname");
        actor.split(VFORK, |child| child.execute("/bin/true"));
        // It goes on before the child's execution is over: it stays until the child has ended.
        actor.call(WAIT4, [u32::MAX, 0, 0]);
        actor.call(OPEN, [path, 0, 0]);
        actor.call(EXIT_GROUP, [3, 0, 0]);
    });
    let child = observer.wait_for(executed("true"));
    assert_ne!(child.process.id, own.process.id);
    assert_eq!(child.process.ppid, own.process.id.pid);
    assert_eq!(child.ancestors.first().map(String::as_str), Some("actor"));
    let open = observer.wait_for(opened("/etc/hostname"));
    assert_eq!((open.process.id, &*open.process.name), (own.process.id, b"actor".as_slice()));
    let end = observer.wait_for(ended(own.process.id.pid));
    assert_eq!(end.what, What::Exit { code: Some(3), signal: None });
    observer.stop();
}

/// Whoever lost its parent has the one that the kernel gave it: here a process that asked for that
/// (`PR_SET_CHILD_SUBREAPER`).
#[test]
fn an_orphan_has_another_parent() {
    const SCRIPT: &str = r#"
        syscall(157, 36, 1, 0, 0, 0) == 0 or die "prctl: $!";
        system 'sh', '-c', 'p=$$; (while kill -0 $p 2>/dev/null; do :; done; exec /bin/true) & :';
        wait;
    "#;
    let cgroup = Cgroup::new("orphan");
    let observer = Observer::start(&cgroup, &KINDS);
    assert!(cgroup.run(&["/usr/bin/perl", "-e", SCRIPT]).status.success());
    let adopter = observer.wait_for(executed("perl"));
    let parent = observer.wait_for(executed("sh"));
    let orphan = observer.wait_for(executed("true"));
    assert_ne!(orphan.process.ppid, parent.process.id.pid);
    assert_eq!(orphan.process.ppid, adopter.process.id.pid);
    assert_eq!(orphan.ancestors.first().map(String::as_str), Some("perl"));
    observer.stop();
}

/// A pid can belong to another process at once: what was known of the first is not said of the second.
#[test]
fn a_pid_that_is_used_again_is_another_process() {
    // clone3 takes the pid to give: `set_tid` and its number are the last of the eighty bytes.
    const SCRIPT: &str = r#"
        sub start {
            my ($pid, $act) = @_; my $wanted = pack 'l', $pid;
            my @given = $pid ? (unpack('J', pack 'p', $wanted), 1) : (0, 0);
            my $arguments = pack 'Q10', 0, 0, 0, 0, 17, 0, 0, 0, @given;
            my $new = syscall(435, $arguments, 80);
            $act->() if $new == 0;
            $new;
        }
        for (1..100) {
            my $first = start(0, sub { exec '/bin/sh', '-c', 'exit 3' });
            waitpid $first, 0;
            my $second = start($first, sub { open(F, '/etc/hostname'); syscall(231, 4) });
            # Somebody else had it first.
            next if $second < 0;
            waitpid $second, 0;
            $? >> 8 == 4 or die "the second ended with $?";
            print $first;
            exit 0;
        }
        die "clone3: $!";
    "#;
    let cgroup = Cgroup::new("pid-again");
    let observer = Observer::start(&cgroup, &KINDS);
    let output = cgroup.run(&["/usr/bin/perl", "-e", SCRIPT]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let pid: u32 = String::from_utf8_lossy(&output.stdout).parse().unwrap();
    let own = observer.wait_for(executed("perl"));
    let first = observer.wait_for(|seen| executed("sh")(seen) && seen.process.id.pid == pid);
    let first_end = observer.wait_for(ended(pid));
    assert_eq!(first_end.what, What::Exit { code: Some(3), signal: None });
    assert_eq!(first_end.process.id, first.process.id);
    let open = observer.wait_for(opened("/etc/hostname"));
    assert_eq!(open.process.id.pid, pid);
    assert_ne!(open.process.id, first.process.id);
    assert_eq!(&*open.process.name, b"perl");
    assert_eq!(open.process.program.exe_path, own.process.program.exe_path);
    assert!(open.process.first.is_none(), "it executed nothing");
    assert_eq!(open.process.ppid, own.process.id.pid);
    let second_end = observer.wait_for(ended(pid));
    assert_eq!(second_end.what, What::Exit { code: Some(4), signal: None });
    assert_eq!(second_end.process.id, open.process.id);
    observer.stop();
}
