//! A control group for a test, and a sensor that watches it.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use sensor::attribution::cgroup::Hierarchy;
use serde_json::Value;

/// How long a test waits for anything. Long, since emulated machines run these tests too; a test that
/// passes does not wait for it.
const PATIENCE: Duration = Duration::from_mins(4);
/// Lines of a sensor's output that a test has not looked at yet.
const LINES: usize = 1 << 18;

/// A control group that exists as long as this value: in the v2 hierarchy, or in the one of v1 that
/// stands in for it, and in further v1 hierarchies where a limit needs them.
pub(crate) struct Cgroup {
    /// Its directory in the hierarchy that tells processes apart, then those in others.
    directories: Vec<PathBuf>,
    name: String,
}

impl Cgroup {
    /// A new control group directly under the root.
    pub(crate) fn new(test: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("sensor-test-{}-{number}-{test}", process::id());
        let hierarchy = Hierarchy::find().unwrap().expect("no cgroup hierarchy is mounted");
        let directory = hierarchy.point().join(&name);
        fs::create_dir(&directory)
            .unwrap_or_else(|error| panic!("create {}: {error}", directory.display()));
        Self { directories: vec![directory], name }
    }

    /// Limits the memory of all processes in it together, swap included.
    pub(crate) fn limit_memory(&mut self, bytes: u64) {
        let controls = if let Some(directory) = self.add_v1("memory") {
            ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"]
                .map(|name| directory.join(name))
        } else {
            self.enable("+memory");
            ["memory.max", "memory.swap.max"].map(|name| self.path().join(name))
        };
        fs::write(&controls[0], bytes.to_string()).unwrap();
        // Without swap accounting there is no such file, and no swap to escape to in a guest.
        if controls[1].exists() {
            let swap = if controls[1].ends_with("memory.swap.max") { 0 } else { bytes };
            fs::write(&controls[1], swap.to_string()).unwrap();
        }
    }

    /// Limits the processor time of all processes in it together, in each period.
    pub(crate) fn limit_cpu(&mut self, quota_us: u64, period_us: u64) {
        let Some(directory) = self.add_v1("cpu") else {
            self.enable("+cpu");
            fs::write(self.path().join("cpu.max"), format!("{quota_us} {period_us}")).unwrap();
            return;
        };
        fs::write(directory.join("cpu.cfs_period_us"), period_us.to_string()).unwrap();
        fs::write(directory.join("cpu.cfs_quota_us"), quota_us.to_string()).unwrap();
        // Usage is counted by another controller, which may be in the same hierarchy.
        self.add_v1("cpuacct");
    }

    /// Makes the group in the hierarchy of a v1 controller as well, if there is one.
    fn add_v1(&mut self, controller: &str) -> Option<PathBuf> {
        let directory = mount_of("cgroup", controller)?.join(&self.name);
        if !self.directories.contains(&directory) && !directory.exists() {
            fs::create_dir(&directory).unwrap();
            self.directories.push(directory.clone());
        }
        Some(directory)
    }

    /// Lets groups below the root of the v2 hierarchy have a controller.
    fn enable(&self, controller: &str) {
        let root = self.path().parent().unwrap();
        fs::write(root.join("cgroup.subtree_control"), controller).unwrap();
    }

    /// Hands a controller down to what is below it, if the hierarchy does that.
    pub(crate) fn hand_down(&self) {
        // A group may have processes all the same where it hands down others only.
        const OF_WHOLE_PROCESSES: [&str; 3] = ["memory", "hugetlb", "io"];
        let controllers = self.path().parent().unwrap().join("cgroup.controllers");
        let Ok(controllers) = fs::read_to_string(controllers) else { return };
        let mut controllers = controllers.split_whitespace();
        let found = controllers.find(|controller| OF_WHOLE_PROCESSES.contains(controller));
        let Some(controller) = found else { return };
        self.enable(&format!("+{controller}"));
        fs::write(self.path().join("cgroup.subtree_control"), format!("+{controller}")).unwrap();
    }

    /// Its directory in the hierarchy that tells processes apart.
    pub(crate) fn path(&self) -> &Path {
        &self.directories[0]
    }

    /// What `/proc/PID/cgroup` shows of it there.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What the kernel calls it.
    pub(crate) fn id(&self) -> u64 {
        fs::metadata(self.path()).unwrap().ino()
    }

    /// Its distance from the root.
    #[expect(clippy::unused_self, reason = "where it is made is this type's own affair")]
    pub(crate) fn level(&self) -> u32 {
        1
    }

    /// Runs a program in it to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        let (program, arguments) = arguments.split_first().expect("a program");
        self.command(program).args(arguments).stdin(Stdio::null()).output().unwrap()
    }

    /// A command whose process joins the group by itself and then becomes `program`: nothing of it
    /// runs outside, and its pid is the child's.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let join =
            |directory: &PathBuf| format!("echo $$ > '{}/cgroup.procs' && ", directory.display());
        let join: String = self.directories.iter().map(join).collect();
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(format!("{join}exec \"$@\"")).arg("sh").arg(found(program.as_ref()));
        command
    }
}

/// Where a program is, by its name. The shell of a guest has many commands inside, and would execute
/// none of those that it has.
fn found(program: &OsStr) -> PathBuf {
    if program.as_bytes().contains(&b'/') {
        return program.into();
    }
    let paths = env::var_os("PATH").unwrap();
    let mut places = env::split_paths(&paths).map(|directory| directory.join(program));
    places.find(|place| place.exists()).unwrap_or_else(|| panic!("no {} here", program.display()))
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        // Runtimes of containers make groups of the same name in the v1 hierarchies.
        for point in mounts_of("cgroup") {
            let directory = point.join(&self.name);
            if directory.exists() && !self.directories.contains(&directory) {
                self.directories.push(directory);
            }
        }
        for directory in &self.directories {
            // A process that has just ended is still in its group until the kernel has let go of it.
            while remove_group(directory)
                .is_err_and(|error| error.kind() == ErrorKind::ResourceBusy)
                && Instant::now() < deadline
            {
                thread::yield_now();
            }
        }
    }
}

/// Engines leave groups behind that they made for their containers.
fn remove_group(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_group(&entry.path())?;
        }
    }
    fs::remove_dir(directory)
}

/// The mount points of all hierarchies of `kind`.
pub(crate) fn mounts_of(kind: &str) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    fields.filter(|fields| fields[2] == kind).map(|fields| fields[1].into()).collect()
}

/// The mount point of a hierarchy of `kind` that has `controller` among its options.
fn mount_of(kind: &str, controller: &str) -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    mounts.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        let wanted =
            controller.is_empty() || fields[3].split(',').any(|option| option == controller);
        (fields[2] == kind && wanted).then(|| PathBuf::from(fields[1]))
    })
}

/// A running sensor; dropping it kills it.
pub(crate) struct Sensor {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
    /// What the test has read so far, for its message if it waits in vain.
    seen: Vec<String>,
}

/// How a sensor ended, with what it wrote since the test last looked.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<String>,
    pub(crate) stderr: Vec<String>,
}

impl Ended {
    /// Events that no rule could match and that stayed in the kernel.
    pub(crate) fn filtered(&self) -> u64 {
        self.number_before(" filtered")
    }

    /// Newer kernels do not run a program that they have preempted in another task, and count that.
    pub(crate) fn missed(&self) -> u64 {
        self.number_before(" missed")
    }

    /// In the last line that it wrote.
    fn number_before(&self, word: &str) -> u64 {
        let balance = self.stderr.last().unwrap();
        let Some((before, _)) = balance.split_once(word) else { return 0 };
        before.rsplit(' ').next().unwrap().parse().unwrap()
    }
}

impl Sensor {
    /// Starts `sensor ARGUMENTS`.
    pub(crate) fn start<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> Self {
        let mut command = Command::new(program());
        command.args(arguments);
        Self::spawn(&mut command)
    }

    /// The same within a control group.
    pub(crate) fn start_in(cgroup: &Cgroup, arguments: &[&str]) -> Self {
        Self::spawn(cgroup.command(program()).args(arguments))
    }

    /// The same where no hierarchy of control groups is mounted.
    pub(crate) fn start_without_cgroups(arguments: &[&str]) -> Self {
        let hide = "for point in $(grep -E ' cgroup2? ' /proc/self/mounts | cut -d ' ' -f 2); do \
                    umount -l \"$point\" || exit; done";
        Self::start_after(hide, arguments)
    }

    /// The same among mounts of its own, after a shell script has changed them.
    pub(crate) fn start_after(script: &str, arguments: &[&str]) -> Self {
        let script = format!("{script}; exec \"$@\"");
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", &script, "sh"]).arg(program()).args(arguments);
        Self::spawn(&mut command)
    }

    /// The same in a cgroup namespace whose root is this group, among mounts of its own, after a shell
    /// script has changed them.
    pub(crate) fn start_in_namespace(cgroup: &Cgroup, script: &str, arguments: &[&str]) -> Self {
        // CLONE_NEWCGROUP | CLONE_NEWNS, and MS_REC | MS_PRIVATE: not every `unshare` knows the first.
        const NAMESPACES: &str = "syscall(272, 0x02020000) == 0 or die \"unshare: $!\"; \
            my ($none, $root) = ('none', '/'); \
            syscall(165, $none, $root, 0, 0x44000, 0) == 0 or die \"make mounts private: $!\"; \
            exec @ARGV or die \"$ARGV[0]: $!\"";
        let script = format!("{script}; exec \"$@\"");
        let mut command = cgroup.command("/usr/bin/perl");
        command.args(["-e", NAMESPACES, "sh", "-c", &script, "sh"]).arg(program()).args(arguments);
        Self::spawn(&mut command)
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("start {command:?}: {error}"));
        let stdout = lines(child.stdout.take().unwrap());
        let stderr = lines(child.stderr.take().unwrap());
        Self { child, stdout, stderr, seen: Vec::new() }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The first JSON object on standard output that `wanted` holds for.
    pub(crate) fn wait_for(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let parse = |line: &str| {
            let object =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            wanted(&object).then_some(object)
        };
        wait(&self.stdout, &mut self.seen, parse, &self.stderr)
    }

    /// The first line on standard error that contains `text`.
    pub(crate) fn wait_for_message(&mut self, text: &str) -> String {
        let find = |line: &str| line.contains(text).then(|| line.to_owned());
        wait(&self.stderr, &mut self.seen, find, &self.stdout)
    }

    /// Sends SIGTERM and waits for the end.
    pub(crate) fn stop(mut self) -> Ended {
        self.signal(Signal::TERM);
        self.wait()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("signal the sensor");
    }

    /// Waits until the sensor ends by itself.
    pub(crate) fn wait(&mut self) -> Ended {
        let deadline = Instant::now() + PATIENCE;
        // Both streams end with the process; reading them to the end is the wait.
        let stdout = drain(&self.stdout, deadline);
        let stderr = drain(&self.stderr, deadline);
        let status = self.child.wait().expect("wait for the sensor");
        Ended { status, stdout, stderr }
    }
}

impl Drop for Sensor {
    fn drop(&mut self) {
        // Of a sensor that has ended there is nothing left to kill.
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            self.child.kill().expect("kill the sensor");
            self.child.wait().expect("wait for the sensor");
        }
    }
}

/// Asks until there is an answer.
pub(crate) fn wait_for<T>(mut answer: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = answer() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain");
        thread::park_timeout(Duration::from_millis(10));
    }
}

/// Where nobody listens.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

/// The answer to a GET, with its head; nothing when nobody answers.
pub(crate) fn get(address: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// The sensor under test: `SENSOR_BIN`, else the one that cargo built for this test.
fn program() -> PathBuf {
    let built = env!("CARGO_BIN_EXE_sensor-under-test");
    env::var_os("SENSOR_BIN").map_or(built.into(), PathBuf::from)
}

fn lines(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = sync_channel(LINES);
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            // The test has seen enough.
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

fn wait<T>(
    stream: &Receiver<String>,
    seen: &mut Vec<String>,
    wanted: impl Fn(&str) -> Option<T>,
    other: &Receiver<String>,
) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match stream.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                if let Some(found) = wanted(&line) {
                    return found;
                }
                seen.push(line);
            }
            Err(end) => {
                let other: Vec<String> = other.try_iter().collect();
                let why = match end {
                    RecvTimeoutError::Timeout => "waited in vain",
                    RecvTimeoutError::Disconnected => "the sensor ended",
                };
                panic!(
                    "{why}; seen:\n{}\nthe other stream:\n{}",
                    seen.join("\n"),
                    other.join("\n")
                );
            }
        }
    }
}

fn drain(stream: &Receiver<String>, deadline: Instant) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        match stream.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => lines.push(line),
            Err(RecvTimeoutError::Disconnected) => return lines,
            Err(RecvTimeoutError::Timeout) => {
                panic!("the sensor does not end; it wrote:\n{}", lines.join("\n"))
            }
        }
    }
}

#[test]
fn a_command_runs_in_its_group_and_the_group_goes_away() {
    let mut group = Cgroup::new("harness");
    group.limit_memory(64 << 20);
    let directories = group.directories.clone();
    let output = group.command("cat").arg("/proc/self/cgroup").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let memberships = text.lines().filter(|line| line.ends_with(group.name())).count();
    assert_eq!(memberships, directories.len(), "{text}");
    drop(group);
    assert!(directories.iter().all(|directory| !directory.exists()));
}

#[test]
fn a_program_is_read_and_ended() {
    let script = "echo '{\"a\":1}'; echo '{\"a\":2}'; echo it is ready >&2; exec sleep 1000";
    let mut program = Sensor::spawn(Command::new("sh").arg("-c").arg(script));
    assert_eq!(program.wait_for(|object| object["a"] == 2)["a"], 2);
    assert_eq!(program.wait_for_message("ready"), "it is ready");
    let ended = program.stop();
    assert_eq!(ended.status.signal(), Some(Signal::TERM.as_raw()));
    assert!(ended.stdout.is_empty() && ended.stderr.is_empty());
}

#[test]
fn the_sensor_is_there() {
    let mut sensor = Sensor::start(["--version"]);
    assert!(sensor.pid() > 0 && sensor.wait().status.success());
}
