//! /proc → records about what already runs: the process table's starting point, and its repair
//! when an event comes from a process that it does not know.

use std::fs;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use sensor_common::credentials::Identity;
use sensor_common::exec::{Exec, Resources, STRINGS_MAX};
use sensor_common::header::Header;
use sensor_common::path::DELETED;
use zerocopy::{FromBytes as _, FromZeros as _};

use super::record::{self, ExecParts};
use super::users;

/// Jiffies a second in /proc: `USER_HZ`, 100 on every architecture that Linux runs on today.
const USER_HZ: u64 = 100;
/// Times in /proc are whole multiples of this.
pub const TICK_NS: u64 = 1_000_000_000 / USER_HZ;

/// Reads processes below one /proc.
#[derive(Clone, Debug)]
pub struct Proc {
    root: PathBuf,
    /// Of processes outside this cgroup nothing but what ancestry needs is read.
    scope: Option<PathBuf>,
    /// Or nothing at all.
    only: bool,
    /// A controller of the hierarchy that the scope is in; empty for the unified one.
    controller: &'static str,
}

impl Default for Proc {
    fn default() -> Self {
        Self { root: "/proc".into(), scope: None, only: false, controller: "" }
    }
}

impl Proc {
    /// Limited to a cgroup of the unified hierarchy, or of the one of a v1 controller: arguments and
    /// environments of processes outside it are none of the sensor's business then.
    pub fn scoped(scope: Option<PathBuf>, controller: &'static str) -> Self {
        Self { scope, controller, ..Self::default() }
    }

    /// Limited to the processes of a cgroup, their ancestors outside it left out.
    pub fn only(scope: impl Into<PathBuf>) -> Self {
        Self { scope: Some(scope.into()), only: true, ..Self::default() }
    }

    /// The users of a process's container, as it sees them, unless its root is the known one.
    pub fn users(&self, then: &Header, known: Option<[u64; 2]>) -> Option<Vec<u8>> {
        if self.only {
            return None;
        }
        users::record(&self.root, then, known)
    }

    /// A record for every process that can be read, parents before children as far as their ages tell.
    pub fn processes(&self) -> Vec<Vec<u8>> {
        let Ok(entries) = fs::read_dir(&self.root) else { return Vec::new() };
        let mut pids: Vec<u32> = entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect();
        pids.sort_unstable();
        let mut records = self.read(&pids);
        // Stable: where the clock is too coarse, pids decide.
        records.sort_by_key(|record| {
            Header::read_from_prefix(record).map_or(0, |(header, _)| header.start_boot_ns)
        });
        records
    }

    /// In their order, by all processors: the kernel writes each of a dozen files anew for every process.
    fn read(&self, pids: &[u32]) -> Vec<Vec<u8>> {
        /// More than one thread finds enough to do from here on.
        const EACH_MIN: usize = 256;
        const THREADS_MAX: usize = 8;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let each = pids.len().div_ceil(processors.min(THREADS_MAX)).max(EACH_MIN);
        let read = |pids: &[u32]| -> Vec<Vec<u8>> {
            pids.iter().filter_map(|pid| self.process(*pid)).collect()
        };
        if pids.len() <= each {
            return read(pids);
        }
        std::thread::scope(|scope| {
            let threads: Vec<_> =
                pids.chunks(each).map(|pids| scope.spawn(move || read(pids))).collect();
            // One that panics has found nothing; what runs there is found again by its events.
            threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
        })
    }

    /// The record of one process; `None` when it is gone or may not be read.
    pub fn process(&self, pid: u32) -> Option<Vec<u8>> {
        let dir = self.root.join(pid.to_string());
        if self.only && !self.in_scope(&dir) {
            return None;
        }
        let stat = Stat::parse(&contents(&dir.join("stat")).ok()?)?;
        let status = text(&dir.join("status"))?;
        let mut exec = Exec::new_zeroed();
        exec.header.tgid = pid;
        exec.header.tid = pid;
        exec.header.ppid = stat.ppid;
        exec.header.start_boot_ns = stat.start_ticks * TICK_NS;
        exec.header.comm = record::comm(&stat.name);
        exec.header.uid = status_number(&status, "Uid:", 1).unwrap_or(0);
        exec.header.gid = status_number(&status, "Gid:", 1).unwrap_or(0);
        exec.header.vpid = status_last(&status, "NSpid:").unwrap_or(pid);
        exec.header.cgroup_id = 0;
        exec.session.pgid = stat.pgrp;
        exec.session.sid = stat.session;
        exec.session.vpgid = status_last(&status, "NSpgid:").unwrap_or(stat.pgrp);
        exec.session.tty = stat.device();
        exec.session.login_uid = read_number(&dir.join("loginuid")).unwrap_or(u32::MAX);
        exec.header.vtid = exec.header.vpid;
        exec.header.cap_effective = status_hex(&status, "CapEff:").unwrap_or(0);
        exec.header.cap_permitted = status_hex(&status, "CapPrm:").unwrap_or(0);
        exec.identity = identity(&status);
        exec.resources = resources(&dir, &status);

        let exe = executable(&dir, &mut exec);
        let cwd = link(&dir.join("cwd")).unwrap_or_default();
        let in_scope = self.in_scope(&dir);
        let read = |name| if in_scope { strings(&dir.join(name)) } else { (Vec::new(), 0) };
        let ((argv, argv_total), (env, env_total)) = (read("cmdline"), read("environ"));
        (exec.argv_total, exec.env_total) = (argv_total, env_total);
        // A process that executed something in between is of two minds: its own record will tell.
        let name = contents(&dir.join("comm")).ok()?;
        if record::comm(name.strip_suffix(b"\n").unwrap_or(&name)) != exec.header.comm {
            return None;
        }
        Some(record::process(
            exec,
            &ExecParts {
                filename: &[],
                exe: &record::components(&exe),
                cwd: &record::components(&cwd),
                argv: &argv,
                env: &env,
            },
        ))
    }

    fn in_scope(&self, dir: &Path) -> bool {
        let Some(scope) = &self.scope else { return true };
        let Some(cgroups) = text(&dir.join("cgroup")) else { return false };
        path_with(self.controller, &cgroups).is_some_and(|path| Path::new(path).starts_with(scope))
    }
}

fn nanoseconds(seconds: i64, fraction: i64) -> u64 {
    u64::try_from(seconds * 1_000_000_000 + fraction).unwrap_or(0)
}

/// What /proc says of what the process may use and uses.
fn resources(dir: &Path, status: &str) -> Resources {
    let page_kib = rustix::param::page_size() as u64 / 1024;
    let pages = |key| status_number(status, key, 0).map_or(0, |kib| u64::from(kib) / page_kib);
    let limits = text(&dir.join("limits")).unwrap_or_default();
    let fd_limit = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .and_then(|line| line.split_whitespace().next()?.parse().ok());
    Resources {
        fd_limit: fd_limit.unwrap_or(u64::MAX),
        vm_pages: pages("VmSize:"),
        resident_pages: pages("VmRSS:"),
        swapped_pages: pages("VmSwap:"),
        cap_inheritable: status_hex(status, "CapInh:").unwrap_or(0),
        ..Resources::default()
    }
}

/// The credentials in /proc/PID/status: real, effective, saved and file system ids.
fn identity(status: &str) -> Identity {
    let uid = |index| status_number(status, "Uid:", index).unwrap_or(0);
    let gid = |index| status_number(status, "Gid:", index).unwrap_or(0);
    let set = |key| status_hex(status, key).unwrap_or(0);
    Identity {
        uid: uid(0),
        euid: uid(1),
        suid: uid(2),
        fsuid: uid(3),
        gid: gid(0),
        egid: gid(1),
        sgid: gid(2),
        fsgid: gid(3),
        cap_inheritable: set("CapInh:"),
        cap_permitted: set("CapPrm:"),
        cap_effective: set("CapEff:"),
    }
}

/// The path in the line of /proc/PID/cgroup that has this controller: `4:cpu,cpuacct:/a`, `0::/a`.
fn path_with<'a>(controller: &str, cgroups: &'a str) -> Option<&'a str> {
    cgroups.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        controllers.split(',').any(|one| one == controller).then_some(path)
    })
}

/// Path of the executable; fills in which file it is.
fn executable(dir: &Path, exec: &mut Exec) -> Vec<u8> {
    let path = dir.join("exe");
    if let Ok(metadata) = fs::metadata(&path) {
        exec.file.inode = metadata.ino();
        exec.file.device = kernel_device(metadata.dev());
        exec.file.mode = metadata.mode();
        (exec.owner.uid, exec.owner.gid) = (metadata.uid(), metadata.gid());
        exec.owner.changed_ns = nanoseconds(metadata.ctime(), metadata.ctime_nsec());
        exec.owner.modified_ns = nanoseconds(metadata.mtime(), metadata.mtime_nsec());
    }
    let target = link(&path).unwrap_or_default();
    if target.starts_with(b"/memfd:") {
        exec.flags |= sensor_common::exec::FROM_MEMFD;
    }
    if let Some(name) = target.strip_suffix(b" (deleted)") {
        exec.exe_flags |= DELETED;
        return name.to_vec();
    }
    target
}

/// User space's device number → the kernel's own (major << 20 | minor).
fn kernel_device(device: u64) -> u32 {
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    major << 20 | (minor & 0xf_ffff)
}

fn link(path: &Path) -> Option<Vec<u8>> {
    fs::read_link(path).ok().map(|target| target.as_os_str().as_bytes().to_vec())
}

/// What a file of /proc holds. Such a file does not say how long it is, and a buffer that grows asks for
/// it in small pieces.
fn contents(path: &Path) -> io::Result<Vec<u8>> {
    const USUAL: usize = 4096;
    /// Arguments and environment together are limited to 6 MiB by the kernel.
    const WHOLE_MAX: u64 = 8 << 20;
    let mut bytes = Vec::with_capacity(USUAL);
    fs::File::open(path)?.take(WHOLE_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn text(path: &Path) -> Option<String> {
    String::from_utf8(contents(path).ok()?).ok()
}

/// At most [`STRINGS_MAX`] bytes of a file of NUL-separated strings, and its whole length.
fn strings(path: &Path) -> (Vec<u8>, u32) {
    // Kernel threads have none, other users' may not be read: both are empty.
    let mut bytes = contents(path).unwrap_or_default();
    let total = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    bytes.truncate(STRINGS_MAX);
    (bytes, total)
}

fn read_number(path: &Path) -> Option<u32> {
    text(path)?.trim().parse().ok()
}

/// The words after a key of /proc/PID/status.
fn status_words<'a>(status: &'a str, key: &str) -> Option<std::str::SplitWhitespace<'a>> {
    status.lines().find_map(|line| line.strip_prefix(key)).map(str::split_whitespace)
}

fn status_number(status: &str, key: &str, index: usize) -> Option<u32> {
    status_words(status, key)?.nth(index)?.parse().ok()
}

/// The innermost pid namespace comes last.
fn status_last(status: &str, key: &str) -> Option<u32> {
    status_words(status, key)?.next_back()?.parse().ok()
}

fn status_hex(status: &str, key: &str) -> Option<u64> {
    u64::from_str_radix(status_words(status, key)?.next()?, 16).ok()
}

/// The fields of /proc/PID/stat that are read.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    name: Vec<u8>,
    ppid: u32,
    pgrp: u32,
    session: u32,
    tty: i32,
    start_ticks: u64,
}

impl Stat {
    /// The name stands in parentheses and may hold any byte, parentheses included.
    fn parse(stat: &[u8]) -> Option<Self> {
        let open = stat.iter().position(|byte| *byte == b'(')?;
        let close = stat.iter().rposition(|byte| *byte == b')')?;
        let name = stat.get(open + 1..close)?.to_vec();
        let rest = std::str::from_utf8(stat.get(close + 1..)?).ok()?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        Some(Self {
            name,
            ppid: fields.get(1)?.parse().ok()?,
            // 0 and below mean none in some namespaces.
            pgrp: fields.get(2)?.parse().unwrap_or(0),
            session: fields.get(3)?.parse().unwrap_or(0),
            tty: fields.get(4)?.parse().ok()?,
            start_ticks: fields.get(19)?.parse().ok()?,
        })
    }

    /// The terminal as the kernel's own device number; /proc has user space's encoding.
    fn device(&self) -> u32 {
        let device = u32::from_ne_bytes(self.tty.to_ne_bytes());
        let (major, minor) = ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xf_ff00));
        major << 20 | minor
    }
}

#[cfg(test)]
mod tests {
    use super::Stat;

    #[test]
    fn reads_stat_with_any_name() {
        let line = b"42 (a) b (c) S 1 42 7 34816 42 4194304 9 0 0 0 1 2 0 0 20 0 1 0 1234 5 6 7";
        let stat = Stat::parse(line).unwrap();
        assert_eq!(stat.name, b"a) b (c");
        assert_eq!((stat.ppid, stat.pgrp, stat.session), (1, 42, 7));
        assert_eq!(stat.start_ticks, 1234);
        // /dev/pts/0 is 136:0.
        assert_eq!(stat.device(), 136 << 20);
        assert_eq!(Stat::parse(b"42 (cut"), None);
    }

    #[test]
    fn a_scope_is_in_one_hierarchy() {
        let v1 = "9:pids:/a\n4:cpu,cpuacct:/b:c\n1:name=systemd:/d\n0::/e\n";
        for (controller, expected) in
            [("", Some("/e")), ("pids", Some("/a")), ("cpuacct", Some("/b:c")), ("memory", None)]
        {
            assert_eq!(super::path_with(controller, v1), expected, "{controller}");
        }
    }

    #[test]
    fn reads_its_own_process() {
        let record = super::Proc::default().process(std::process::id()).unwrap();
        assert!(record.len() > size_of::<sensor_common::exec::Exec>());
    }
}
