//! Paths of system calls: what the kernel found, whatever text was passed. Where the kernel side cannot be
//! told, it is the text made absolute.

use std::fs;

use sensor_common::Kind;
use sensor_common::call::table::CALLS;

use crate::harness::Cgroup;
use crate::observer::{Observer, What};

/// A call that leads somewhere. `{dir}` stands for the directory of the case.
struct Case {
    what: &'static str,
    /// What is done before it, in Perl.
    before: &'static str,
    call: &'static str,
    /// Its arguments, in Perl.
    arguments: &'static str,
    /// Where its paths lead to.
    found: &'static [&'static str],
    /// The same by the texts alone.
    by_text: &'static [&'static str],
    result: i64,
}

/// A case whose texts say as much as the kernel knows.
const fn same(
    what: &'static str,
    before: &'static str,
    (call, arguments): (&'static str, &'static str),
    found: &'static [&'static str],
) -> Case {
    Case { what, before, call, arguments, found, by_text: found, result: 0 }
}

const fn case(
    what: &'static str,
    before: &'static str,
    (call, arguments): (&'static str, &'static str),
    found: &'static [&'static str],
    by_text: &'static [&'static str],
) -> Case {
    Case { what, before, call, arguments, found, by_text, result: 0 }
}

/// In each directory: `real/file`, `deep/er/x`, `jail/file`, and links to `real`, `deep/er` and
/// `real/file`.
const STAGE: &str = "
    sub call { my @a = @_; syscall($a[0], @a[1..$#a]) }
    sub file { open(my $f, '>', $_[0]) or die \"$_[0]: $!\"; }
    call(272, 0x20000) == 0 or die \"unshare: $!\";
    call(165, 'none', '/', 0, 0x44000, 0) == 0 or die \"make mounts private: $!\";
    mkdir $_ for qw(real deep deep/er jail empty); file($_) for qw(real/file deep/er/x jail/file);
    symlink('real', 'link'); symlink('deep/er', 'way'); symlink('real/file', 'soft');
    sub lay { call(165, $_[0], $_[1], 0, 0x1000, 0) == 0 or die \"mount: $!\"; }
    ";

#[rustfmt::skip]
const CASES: &[Case] = &[
    case("a linked directory", "", ("unlink", "'link/file'"), &["{dir}/real/file"], &["{dir}/link/file"]),
    same("dots", "", ("unlink", "'real/../real/./file'"), &["{dir}/real/file"]),
    case("dots behind a link", "file('deep/y')", ("unlink", "'way/../y'"), &["{dir}/deep/y"], &["{dir}/y"]),
    same("below a descriptor", "open(D, '<link')", ("unlinkat", "fileno(D), 'file', 0"), &["{dir}/real/file"]),
    case("both of a rename", "", ("rename", "'link/file', 'way/new'"), &["{dir}/real/file", "{dir}/deep/er/new"], &["{dir}/link/file", "{dir}/way/new"]),
    case("both of a hard link", "", ("link", "'link/file', 'way/new'"), &["{dir}/real/file", "{dir}/deep/er/new"], &["{dir}/link/file", "{dir}/way/new"]),
    case("a new directory", "", ("mkdir", "'link/new', 0700"), &["{dir}/real/new"], &["{dir}/link/new"]),
    case("a directory that goes", "mkdir 'real/new'", ("rmdir", "'link/new'"), &["{dir}/real/new"], &["{dir}/link/new"]),
    case("a new node", "", ("mknod", "'link/pipe', 010600, 0"), &["{dir}/real/pipe"], &["{dir}/link/pipe"]),
    case("a new link", "", ("symlink", "'/etc/shadow', 'link/new'"), &["{dir}/real/new"], &["{dir}/link/new"]),
    case("a link as the last name, followed", "", ("truncate", "'soft', 0"), &["{dir}/real/file"], &["{dir}/soft"]),
    case("the same for its mode", "", ("chmod", "'soft', 0600"), &["{dir}/real/file"], &["{dir}/soft"]),
    case("the same for its owner", "", ("chown", "'soft', 0, 0"), &["{dir}/real/file"], &["{dir}/soft"]),
    same("a link as the last name, not followed", "", ("lchown", "'soft', 0, 0"), &["{dir}/soft"]),
    same("a bind mount", "lay('real', 'empty')", ("unlink", "'empty/file'"), &["{dir}/empty/file"]),
    case("another mount namespace", "call(165, 'none', 'empty', 'tmpfs', 0, 0); file('empty/file'); symlink('empty', 'own')", ("unlink", "'own/file'"), &["{dir}/empty/file"], &["{dir}/own/file"]),
    same("a changed root", "chroot('jail')", ("unlink", "'/file'"), &["{dir}/jail/file"]),
    case("out of a changed root", "open(D, '<real'); chroot('jail')", ("unlinkat", "fileno(D), '../link/file', 0"), &["{dir}/real/file"], &["{dir}/link/file"]),
    case("/proc/self/root", "", ("unlink", "'/proc/self/root{dir}/real/file'"), &["{dir}/real/file"], &["/proc/self/root{dir}/real/file"]),
    case("a deleted file", "open(F, '<real/file'); unlink('real/file'); my $f = fileno(F)", ("chmod", "\"/proc/self/fd/$f\", 0600"), &["{dir}/real/file"], &[]),
    case("a bind, and where it is mounted", "", ("mount", "'link', 'way', 0, 0x1000, 0"), &["{dir}/real", "{dir}/deep/er"], &["{dir}/way"]),
    case("a mount that moves", "lay('real', 'empty'); symlink('empty', 'own')", ("mount", "'own', 'way', 0, 0x2000, 0"), &["{dir}/empty", "{dir}/deep/er"], &["{dir}/way"]),
    Case { result: -2, ..case("a source that is not there", "", ("mount", "'none', 'way', 0, 0x1000, 0"), &["{dir}/deep/er"], &["{dir}/way"]) },
    case("a source that is a name", "", ("mount", "'none', 'way', 'tmpfs', 0, 0"), &["{dir}/deep/er"], &["{dir}/way"]),
    case("what is unmounted", "lay('real', 'empty'); symlink('empty', 'own')", ("umount2", "'own', 2"), &["{dir}/empty"], &["{dir}/own"]),
    case("a new root", "symlink('jail', 'cell')", ("chroot", "'cell'"), &["{dir}/jail"], &["{dir}/cell"]),
    same("a new working directory", "", ("chdir", "'link'"), &["{dir}/real"]),
    Case { result: -2, ..same("what is not there", "", ("unlink", "'none/file'"), &["{dir}/none/file"]) },
    case("an attribute", ATTRIBUTES, ("setxattr", "'own/soft', 'trusted.b', 'v', 1, 0"), &["{dir}/empty/file"], &["{dir}/own/soft"]),
    case("an attribute of a link", ATTRIBUTES, ("lsetxattr", "'own/soft', 'trusted.b', 'v', 1, 0"), &["{dir}/empty/soft"], &["{dir}/own/soft"]),
    case("the same by another call", ATTRIBUTES, ("setxattrat", "-100, 'own/soft', 0, 'trusted.b', pack('pLL', $v, 1, 0), 16"), &["{dir}/empty/file"], &["{dir}/own/soft"]),
    case("an attribute that goes", ATTRIBUTES, ("removexattr", "'own/soft', 'trusted.a'"), &["{dir}/empty/file"], &["{dir}/own/soft"]),
    case("an attribute of a link that goes", ATTRIBUTES, ("lremovexattr", "'own/soft', 'trusted.a'"), &["{dir}/empty/soft"], &["{dir}/own/soft"]),
    case("the same by another call", ATTRIBUTES, ("removexattrat", "-100, 'own/soft', 0, 'trusted.a'"), &["{dir}/empty/file"], &["{dir}/own/soft"]),
    Case { result: -61, ..case("one that is not there", ATTRIBUTES, ("removexattr", "'own/soft', 'trusted.b'"), &["{dir}/empty/file"], &["{dir}/own/soft"]) },
    case("a mount that is changed", ATTRIBUTES, ("mount_setattr", "-100, 'own', 0, pack('Q4', 8, 0, 0, 0), 32"), &["{dir}/empty"], &["{dir}/own"]),
    Case { result: DESCRIPTOR, ..case("a mount that is to be changed", ATTRIBUTES, ("fspick", "-100, 'own', 0"), &["{dir}/empty"], &["{dir}/own"]) },
    Case { result: DESCRIPTOR, ..case("a tree", "", ("open_tree", "-100, 'link', 0"), &["{dir}/real"], &["{dir}/link"]) },
    Case { result: DESCRIPTOR, ..case("a tree of its own", "", ("open_tree", "-100, 'way', 1"), &["{dir}/deep/er"], &["{dir}/way"]) },
    Case { result: DESCRIPTOR, ..case("a tree with attributes", "", ("open_tree_attr", "-100, 'way', 1, pack('Q4', 8, 0, 0, 0), 32"), &["{dir}/deep/er"], &["{dir}/way"]) },
    // Nothing of what follows comes to pass: it would be the host's.
    Case { result: -15, ..case("no device with quotas", "", ("quotactl", "0x80000400, 'soft', 0, 0"), &["{dir}/real/file"], &["{dir}/soft"]) },
    Case { result: -2, ..same("none at all, and the quotas' file", "", ("quotactl", "0x80000200, 'none', 2, 'link/file'"), &["{dir}/none"]) },
    Case { result: -22, ..case("no swap space", "", ("swapon", "'link/file', 0"), &["{dir}/real/file"], &["{dir}/link/file"]) },
    Case { result: -22, ..case("none that is used", "", ("swapoff", "'link/file'"), &["{dir}/real/file"], &["{dir}/link/file"]) },
    Case { result: -13, ..case("no file for accounts", "symlink('/dev/null', 'null')", ("acct", "'null'"), &["/dev/null"], &["{dir}/null"]) },
];

/// A file and a link to it that have an attribute, on a mount that a link leads to; not every filesystem
/// has attributes.
const ATTRIBUTES: &str = "
    call(165, 'none', 'empty', 'tmpfs', 0, 0) == 0 or die \"mount: $!\"; symlink('empty', 'own');
    file('own/file'); symlink('file', 'own/soft'); our $v = 'v';
    call($_, 'own/soft', 'trusted.a', 'v', 1, 0) == 0 or die \"setxattr: $!\" for (188, 189);
    ";
/// Of a call that opens something.
const DESCRIPTOR: i64 = i64::MAX;
/// The kernel is older than the call.
const ENOSYS: i64 = -38;

/// Overlays are a module on some kernels.
#[rustfmt::skip]
const OVERLAYS: &[Case] = &[
    case(
        "an overlay",
        "mkdir $_ for qw(upper work); symlink('empty', 'own');
         call(165, 'none', 'empty', 'overlay', 0, 'lowerdir=real,upperdir=upper,workdir=work') == 0 or die \"overlay: $!\"",
        ("unlink", "'own/file'"),
        &["{dir}/empty/file"],
        &["{dir}/own/file"],
    ),
    // Its layers are looked up by other texts than what it is called.
    case("layers", "mkdir $_ for qw(upper work)", ("mount", "'real/', 'way', 'overlay', 0, 'lowerdir=real,upperdir=upper,workdir=work'"), &["{dir}/deep/er"], &["{dir}/way"]),
];

/// No process has this id: a signal to it marks the end of a case.
const END: &str = "99999998";

/// What is wrong about what was seen of a case, if something is.
fn wrong(case: &Case, place: &str, cgroup: &Cgroup, observer: &Observer) -> Option<String> {
    let filled = |text: &str| text.replace("{dir}", place);
    let row = CALLS.iter().find(|row| row.name == case.call).unwrap();
    let script = format!(
        "chdir '{place}'; {STAGE} {}; call({}, {}); call(62, {END}, 0);",
        filled(case.before),
        row.numbers.x86_64,
        filled(case.arguments)
    );
    let output = cgroup.run(&["/usr/bin/perl", "-e", &script]);
    assert!(output.status.success(), "{}: {output:?}", case.what);
    let (mut seen, mut returned) = (Vec::new(), i64::MIN);
    observer.wait_for(|event| {
        let What::Call { name, arguments, paths, result, .. } = &event.what else { return false };
        if *name == case.call {
            seen.clone_from(paths);
            returned = *result;
        }
        *name == "kill" && arguments.contains(END)
    });
    let is_found = observer.hook(if row.looks_up() { "lookup" } else { "path" }) != Some("text");
    let expected = if is_found { case.found } else { case.by_text };
    let expected: Vec<String> = expected.iter().map(|path| filled(path)).collect();
    let is_result = match case.result {
        DESCRIPTOR => returned >= 0,
        result => returned == result,
    };
    let is_wrong = !is_result || (!expected.is_empty() && seen != expected);
    let text = || format!("{}: {returned} {seen:?}, not {} {expected:?}", case.what, case.result);
    (is_wrong && returned != ENOSYS).then(text)
}

#[test]
fn paths_are_what_the_kernel_found() {
    let directory = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(directory.path()).unwrap();
    let cgroup = Cgroup::new("paths");
    let observer = Observer::start(&cgroup, &[Kind::Exec, Kind::Call]);
    let has_overlays = fs::read_to_string("/proc/filesystems").unwrap().contains("\toverlay\n");
    let cases = CASES.iter().chain(if has_overlays { OVERLAYS } else { &[] });
    let mut all = Vec::new();
    for (number, case) in cases.enumerate() {
        let place = root.join(number.to_string());
        fs::create_dir(&place).unwrap();
        all.extend(wrong(case, place.to_str().unwrap(), &cgroup, &observer));
    }
    observer.stop();
    assert!(all.is_empty(), "{}", all.join("\n"));
}

/// As deep as a path may be, step by step.
#[test]
fn a_path_may_be_as_long_as_the_kernel_allows() {
    let directory = tempfile::tempdir().unwrap();
    let root = fs::canonicalize(directory.path()).unwrap();
    let (root, name) = (root.to_str().unwrap(), "n".repeat(150));
    let depth = (3900 - root.len()) / 151;
    let script = format!(
        "sub call {{ my @a = @_; syscall($a[0], @a[1..$#a]) }} chdir '{root}';
         for (1..{depth}) {{ mkdir '{name}'; chdir '{name}'; }} open(F, '>file');
         my $file = 'file'; call(87, $file); chdir '{root}';
         # What deletes the directory afterwards is not made for paths as long as this.
         system('rm', '-r', '{name}');"
    );
    let cgroup = Cgroup::new("long-path");
    let observer = Observer::start(&cgroup, &[Kind::Exec, Kind::Call]);
    let output = cgroup.run(&["/usr/bin/perl", "-e", &script]);
    assert!(output.status.success(), "{output:?}");
    let expected = format!("{root}/{}file", format!("{name}/").repeat(depth));
    let mut seen = String::new();
    observer.wait_for(|event| match &event.what {
        What::Call { name: "unlink", paths, .. } => {
            seen.clone_from(&paths[0]);
            true
        }
        _ => false,
    });
    observer.stop();
    assert_eq!(seen, expected);
}
