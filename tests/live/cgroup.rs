//! A cgroup of the test's own, in every hierarchy that it needs; gone when the test is.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

static NUMBER: AtomicU32 = AtomicU32::new(0);

pub(crate) struct Cgroup {
    /// In the unified hierarchy first; then, on a hybrid host, in that of the memory controller.
    directories: Vec<PathBuf>,
}

/// Where the unified hierarchy is mounted.
pub(crate) fn unified() -> PathBuf {
    let hybrid = Path::new("/sys/fs/cgroup/unified");
    if hybrid.exists() { hybrid.into() } else { "/sys/fs/cgroup".into() }
}

impl Cgroup {
    pub(crate) fn new(purpose: &str) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("sensor-test-{}-{number}-{purpose}", std::process::id());
        let directory = unified().join(name);
        fs::create_dir(&directory)
            .unwrap_or_else(|error| panic!("make {}: {error}", directory.display()));
        Self { directories: vec![directory] }
    }

    /// Also limits the memory of what runs in it.
    pub(crate) fn with_memory_limit(purpose: &str, bytes: u64) -> Self {
        let mut cgroup = Self::new(purpose);
        let unified_dir = cgroup.path().to_path_buf();
        let v1 = Path::new("/sys/fs/cgroup/memory");
        let limit = if v1.exists() {
            let directory = v1.join(unified_dir.file_name().expect("it has a name"));
            fs::create_dir(&directory).expect("make a memory cgroup");
            cgroup.directories.push(directory.clone());
            directory.join("memory.limit_in_bytes")
        } else {
            fs::write(unified().join("cgroup.subtree_control"), "+memory").expect("memory controller");
            unified_dir.join("memory.max")
        };
        fs::write(&limit, bytes.to_string())
            .unwrap_or_else(|error| panic!("write {}: {error}", limit.display()));
        cgroup
    }

    pub(crate) fn path(&self) -> &Path {
        &self.directories[0]
    }

    /// The path below the hierarchy's root.
    pub(crate) fn name(&self) -> String {
        format!("/{}", self.path().file_name().expect("it has a name").display())
    }

    /// What the kernel calls it.
    pub(crate) fn id(&self) -> u64 {
        fs::metadata(self.path()).expect("the cgroup is there").ino()
    }

    pub(crate) fn level(&self) -> u32 {
        1
    }

    /// A command that moves itself into the cgroup before it becomes `arguments`.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("sh");
        let moves: Vec<_> = self
            .directories
            .iter()
            .map(|directory| format!("echo $$ > {}/cgroup.procs", directory.display()))
            .collect();
        command.arg("-c").arg(format!("{} && exec \"$@\"", moves.join(" && "))).arg("sh");
        command.args(arguments).stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("sh is there")
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // The last process may still be on its way out.
        let deadline = Instant::now() + Duration::from_secs(10);
        for directory in self.directories.iter().rev() {
            while fs::remove_dir(directory).is_err() && Instant::now() < deadline {
                std::thread::yield_now();
            }
        }
    }
}
