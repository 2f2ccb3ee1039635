//! A control group that accounts for the processor time of what runs in it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

/// Directly below the root of the unified hierarchy, and gone when it is dropped.
pub(crate) struct Group {
    directory: PathBuf,
}

impl Group {
    pub(crate) fn new(name: &str) -> Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts").context("read the mounts")?;
        let root = unified(&mounts).context("no cgroup2 hierarchy is mounted")?;
        let directory = root.join(format!("sensor-bench-{}-{name}", std::process::id()));
        fs::create_dir(&directory).with_context(|| format!("create {}", directory.display()))?;
        Ok(Self { directory })
    }

    /// Its path from the root of the hierarchy.
    pub(crate) fn name(&self) -> String {
        let name = self.directory.file_name().unwrap_or_default();
        format!("/{}", name.to_string_lossy())
    }

    /// Where it is in the file system.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// What the kernel calls it.
    pub(crate) fn id(&self) -> Result<u64> {
        let metadata = fs::metadata(&self.directory);
        Ok(metadata.with_context(|| self.directory.display().to_string())?.ino())
    }

    /// A command whose process joins the group and then becomes `program`.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let script =
            format!("echo $$ > '{}/cgroup.procs' && exec \"$@\"", self.directory.display());
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &script, "sh"]).arg(program);
        command
    }

    /// Reads in it the file that rules are about: `head -c1 /etc/shadow`.
    pub(crate) fn read_sensitive_file(&self) -> Result<()> {
        let mut read = self.command(Path::new("head"));
        let status = read.args(["-c1", "/etc/shadow"]).stdout(Stdio::null()).status();
        ensure!(status.context("read the sensitive file")?.success(), "the read failed");
        Ok(())
    }

    /// Processor time that its processes took, the dead ones included.
    pub(crate) fn cpu_ns(&self) -> Result<u64> {
        let path = self.directory.join("cpu.stat");
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        let us =
            usage_us(&text).with_context(|| format!("{} has no usage_usec", path.display()))?;
        Ok(us * 1000)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Its processes have ended; the kernel may take a moment to let go of the last.
        for _ in 0..1000 {
            if fs::remove_dir(&self.directory).is_ok() {
                return;
            }
            std::thread::yield_now();
        }
        eprintln!("warning: {} is left behind", self.directory.display());
    }
}

fn unified(mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (directory, kind) = (fields.next()?, fields.next()?);
        (kind == "cgroup2").then(|| directory.into())
    })
}

fn usage_us(stat: &str) -> Option<u64> {
    stat.lines().find_map(|line| line.strip_prefix("usage_usec "))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{unified, usage_us};

    #[test]
    fn the_unified_hierarchy_is_found_beside_others() {
        let mounts = "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\ncgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        assert_eq!(unified(mounts).unwrap().to_str(), Some("/sys/fs/cgroup/unified"));
        assert_eq!(unified("proc /proc proc rw 0 0\n"), None);
    }

    #[test]
    fn processor_time_is_in_microseconds() {
        assert_eq!(usage_us("usage_usec 42\nuser_usec 40\nsystem_usec 2\n"), Some(42));
        assert_eq!(usage_us("nr_periods 0\n"), None);
    }
}
