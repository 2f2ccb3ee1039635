//! One emulated machine: QEMU with four serial ports that are files, and what they say in the end.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::time::Timespec;

pub(crate) struct Machine<'a> {
    pub(crate) kernel: &'a Path,
    pub(crate) initrd: &'a Path,
    /// Kernel arguments beside those that every machine has.
    pub(crate) arguments: String,
    pub(crate) kvm: bool,
    pub(crate) timeout: Duration,
    /// A directory for the files of the serial ports.
    pub(crate) ports: PathBuf,
}

pub(crate) struct Outcome {
    pub(crate) verdict: Verdict,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) console: String,
    /// What the guest said of itself, beside its command's output.
    pub(crate) report: String,
    pub(crate) time: Duration,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Verdict {
    /// The guest's command ended.
    Ended {
        status: i32,
    },
    /// The machine went away without a word: a panic ends it at once.
    Died,
    TimedOut,
}

const PORTS: [&str; 4] = ["console", "stdout", "stderr", "report"];
const MEMORY_MB: &str = "1024";
/// A panic or an oops ends QEMU (`-no-reboot`); the emulated timer needs no check. An emulated processor
/// does not speculate, and walks each level of a page table in software.
const KERNEL_ARGUMENTS: &str = "console=ttyS0 quiet loglevel=5 panic=-1 oops=panic no_timer_check reboot=t \
                                random.trust_cpu=on mitigations=off no5lvl rcupdate.rcu_expedited=1";

pub(crate) fn boot(machine: &Machine<'_>) -> Result<Outcome> {
    fs::create_dir_all(&machine.ports)
        .with_context(|| format!("create {}", machine.ports.display()))?;
    for port in PORTS {
        // QEMU makes the files, but not if it cannot start.
        let path = machine.ports.join(port);
        fs::write(&path, "").with_context(|| format!("write {}", path.display()))?;
    }
    let mut qemu = qemu(machine);
    let start = Instant::now();
    let mut child =
        qemu.spawn().with_context(|| format!("start `{}`", qemu.get_program().display()))?;
    let ended = wait(&child, machine.timeout);
    if !matches!(ended, Ok(true)) {
        child.kill().context("end QEMU")?;
    }
    child.wait().context("wait for QEMU")?;
    let time = start.elapsed();
    let read = |port: &str| {
        let bytes = fs::read(machine.ports.join(port)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let report = read("report");
    let verdict = verdict(&report, ended?);
    // QEMU's own complaints (no such accelerator, no such file) go where the guest's errors go.
    let stderr = read("stderr") + &read("qemu");
    let (stdout, console) = (read("stdout"), read("console"));
    Ok(Outcome { verdict, stdout, stderr, console, report, time })
}

fn qemu(machine: &Machine<'_>) -> Command {
    let mut qemu = Command::new("qemu-system-x86_64");
    let accelerator: [&str; 4] = if machine.kvm {
        ["-accel", "kvm", "-cpu", "host"]
    } else {
        ["-accel", "tcg,thread=multi", "-cpu", "max"]
    };
    qemu.args(accelerator)
        .args(["-smp", "1", "-m", MEMORY_MB, "-display", "none", "-monitor", "none"])
        .args(["-nodefaults", "-no-user-config", "-no-reboot"])
        .arg("-kernel")
        .arg(machine.kernel)
        .arg("-initrd")
        .arg(machine.initrd)
        .arg("-append")
        .arg(format!("{KERNEL_ARGUMENTS} {}", machine.arguments));
    for port in PORTS {
        qemu.arg("-serial").arg(format!("file:{}", machine.ports.join(port).display()));
    }
    qemu.stdin(Stdio::null()).stdout(Stdio::null());
    match fs::File::create(machine.ports.join("qemu")) {
        Ok(file) => qemu.stderr(file),
        Err(_) => qemu.stderr(Stdio::null()),
    };
    qemu
}

/// Waits for `child` to end; false if it takes longer than `timeout`.
fn wait(child: &Child, timeout: Duration) -> Result<bool> {
    let handle = pidfd_open(Pid::from_child(child), PidfdFlags::empty()).context("open a pidfd")?;
    let deadline = Instant::now() + timeout;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).context("the time-out is too long")?;
        match poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&left)) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error).context("wait for QEMU"),
        }
    }
}

/// What the guest's report means. A guest that reported a status has done its work, even if the
/// machine then hung on its way down.
fn verdict(report: &str, ended: bool) -> Verdict {
    let status = report.lines().find_map(|line| line.trim().strip_prefix("status ")?.parse().ok());
    match status {
        Some(status) => Verdict::Ended { status },
        None if ended => Verdict::Died,
        None => Verdict::TimedOut,
    }
}

#[cfg(test)]
mod tests {
    use super::{Verdict, verdict};

    #[test]
    fn verdict_is_what_the_guest_reported() {
        let cases = [
            ("up\nstatus 0\n", true, Verdict::Ended { status: 0 }),
            ("up\r\nstatus 101\r\n", true, Verdict::Ended { status: 101 }),
            ("up\nstatus 0\n", false, Verdict::Ended { status: 0 }),
            ("up\n", true, Verdict::Died),
            ("", true, Verdict::Died),
            ("up\n", false, Verdict::TimedOut),
            ("up\nstatus \n", false, Verdict::TimedOut),
        ];
        for (report, ended, expected) in cases {
            assert_eq!(verdict(report, ended), expected, "{report:?} {ended}");
        }
    }
}
