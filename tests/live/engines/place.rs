//! Where a test has an engine of its own: a directory, a control group, an image, and daemons that end
//! with it.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tempfile::TempDir;

use crate::harness::{Cgroup, wait_for};

/// What containers run.
pub(super) const MAIN: &str = "/bin/main";
/// User and group of the containers whose engine can be told; in the image.
pub(super) const USER: &str = "5:6";
pub(super) const IMAGE: &str = "localhost/shop:2";

/// See [`Place::bridge`].
pub(super) const NETWORK: &str = "shop";
pub(super) const ADDRESS: &str = "10.89.7.2";
/// Where Debian has the plug-ins.
pub(super) const PLUGINS: &str = "/usr/lib/cni";

const SCRIPT: &str = "#!/bin/sh\nwhile :; do sleep 0.1; done\n";

/// Gone, with all in it, when it is dropped.
pub(super) struct Place {
    pub(super) cgroup: Cgroup,
    directory: TempDir,
}

impl Place {
    pub(super) fn new(name: &str) -> Self {
        let place = Self { cgroup: Cgroup::new(name), directory: tempfile::tempdir().unwrap() };
        // Users who are not root come by as well.
        let open = fs::Permissions::from_mode(0o755);
        fs::set_permissions(place.directory.path(), open).unwrap();
        place.fill_root();
        fs::create_dir(place.path("data")).unwrap();
        place
    }

    /// A path in its directory.
    pub(super) fn path(&self, below: &str) -> String {
        self.directory.path().join(below).to_str().expect("it is text").to_owned()
    }

    pub(super) fn directory(&self, below: &str) -> String {
        let path = self.path(below);
        fs::create_dir_all(&path).unwrap();
        path
    }

    pub(super) fn file(&self, below: &str, content: &str) -> String {
        let path = self.path(below);
        fs::create_dir_all(Path::new(&path).parent().expect("it is below")).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// What a container is called where people choose: nobody else's.
    pub(super) fn name(&self) -> &str {
        self.cgroup.name()
    }

    /// Where a container of an engine belongs that takes a parent for it.
    pub(super) fn parent(&self, below: &str) -> String {
        format!("/{}/{below}", self.cgroup.name())
    }

    /// A network for the plug-ins that connect containers, on whose bridge the first has [`ADDRESS`];
    /// the directory that says so.
    pub(super) fn bridge(&self) -> String {
        let addresses = json!({
            "type": "host-local",
            "ranges": [[{ "subnet": "10.89.7.0/24" }]],
            "dataDir": self.path("addresses"),
        });
        let bridge =
            json!({ "type": "bridge", "bridge": "shop0", "isGateway": true, "ipam": addresses });
        let network = json!({ "cniVersion": "0.4.0", "name": NETWORK, "plugins": [bridge] });
        self.file("networks/shop.conflist", &network.to_string());
        self.path("networks")
    }

    /// The root of a system that has busybox and nothing else.
    fn fill_root(&self) {
        for directory in ["bin", "data", "dev", "etc", "proc", "sys", "tmp", "usr"] {
            fs::create_dir_all(self.path("root").as_str().to_owned() + "/" + directory).unwrap();
        }
        fs::copy("/bin/busybox", self.path("root/bin/busybox")).unwrap();
        for name in ["sh", "sleep", "true"] {
            symlink("busybox", self.path(&format!("root/bin/{name}"))).unwrap();
        }
        let main = self.file("root/bin/main", SCRIPT);
        fs::set_permissions(main, fs::Permissions::from_mode(0o755)).unwrap();
        self.file("root/etc/os-release", "");
        self.file("root/etc/passwd", "root:x:0:0::/:/bin/sh\napp:x:5:6::/:/bin/sh\n");
        self.file("root/etc/group", "root:x:0:\napp:x:6:\n");
    }

    /// The root as one archive.
    pub(super) fn archive(&self) -> String {
        let archive = self.path("root.tar");
        run(Command::new("tar").args(["-C", &self.path("root"), "-cf", &archive, "."]));
        archive
    }

    /// An image as `docker save` writes it.
    pub(super) fn image(&self, reference: &str, command: &[&str]) -> String {
        let layer = self.archive();
        let config = json!({
            "architecture": "amd64",
            "os": "linux",
            "config": { "User": USER, "Cmd": command, "Labels": { "a": "b" } },
            "rootfs": { "type": "layers", "diff_ids": [digest(&layer)] },
        });
        let manifest =
            json!([{ "Config": "config.json", "RepoTags": [reference], "Layers": ["root.tar"] }]);
        self.file("config.json", &config.to_string());
        self.file("manifest.json", &manifest.to_string());
        let image = self.path("image.tar");
        let mut tar = Command::new("tar");
        tar.args(["-C", &self.path(""), "-cf", &image, "manifest.json", "config.json", "root.tar"]);
        run(&mut tar);
        image
    }
}

/// A container that runs, and how to end it.
pub(super) struct Container {
    pub(super) id: String,
    /// Run one after the other.
    pub(super) remove: Vec<Command>,
    /// What runs for it; ends after it, the last of them first.
    pub(super) daemons: Vec<Daemon>,
}

impl Drop for Container {
    fn drop(&mut self) {
        for command in &mut self.remove {
            let ended = command.stdin(Stdio::null()).output();
            let is_gone = ended.is_ok_and(|output| output.status.success());
            assert!(is_gone || std::thread::panicking(), "{command:?} failed");
        }
        while let Some(daemon) = self.daemons.pop() {
            drop(daemon);
        }
    }
}

/// A process that runs until it is dropped.
pub(super) struct Daemon {
    child: Child,
}

impl Daemon {
    /// Starts it; what it says is in `log`, for a person.
    pub(super) fn start(command: &mut Command, log: &str) -> Self {
        let log = fs::File::create(log).unwrap();
        let child = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        Self { child: child.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")) }
    }

    /// A network of nobody else's, as long as this runs: engines change routes and firewalls.
    pub(super) fn network(place: &Place) -> Self {
        let network = |process: &str| fs::read_link(format!("/proc/{process}/ns/net")).unwrap();
        let mut sleep = command(&["unshare", "--net", "sleep", "infinity"]);
        let daemon = Self::start(&mut sleep, &place.path("network.log"));
        let pid = daemon.child.id().to_string();
        wait_for(|| (network(&pid) != network("self")).then_some(()));
        let up = ["/bin/busybox", "ip", "link", "set", "lo", "up"];
        run(&mut daemon.inside(&up));
        daemon
    }

    /// Where the network of its own is seen.
    pub(super) fn network_path(&self) -> String {
        format!("/proc/{}/ns/net", self.child.id())
    }

    /// A program with its arguments, in the network of its own.
    pub(super) fn inside(&self, words: &[&str]) -> Command {
        let network = format!("--net={}", self.network_path());
        command(&[&["nsenter", &network], words].concat())
    }

    /// Waits until a command that asks it succeeds.
    pub(super) fn wait_until(&mut self, ask: impl Fn() -> Command) {
        wait_for(|| {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "the daemon ended: {ended:?}");
            ask().output().unwrap().status.success().then_some(())
        });
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            kill_process(Pid::from_child(&self.child), Signal::TERM).expect("end the daemon");
        }
        self.child.wait().expect("wait for the daemon");
    }
}

/// What a registry calls a file.
pub(super) fn digest(path: &str) -> String {
    let sum = run(Command::new("sha256sum").arg(path));
    format!("sha256:{}", sum.split(' ').next().expect("a sum"))
}

/// Runs a command to its end; what it printed.
pub(super) fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).trim().to_owned();
    assert!(output.status.success(), "{command:?}: {}", text(output.stderr));
    text(output.stdout)
}

/// A program with its arguments.
pub(super) fn command(words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    command
}

pub(super) fn is_installed(program: &str) -> bool {
    ["/usr/bin", "/usr/sbin", PLUGINS]
        .iter()
        .any(|directory| Path::new(directory).join(program).exists())
}

/// Says that a test lacks what it needs; `cargo xtask test` counts that.
pub(super) fn skip(test: &str, reason: &str) {
    // Not `println!`, which the test harness keeps to itself.
    let note = format!("test engines::{test} ... skipped: {reason}\n");
    std::io::stdout().write_all(note.as_bytes()).unwrap();
}
