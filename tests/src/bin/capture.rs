//! Makes a capture for the tests: a script, and the records of what it does in a control group of its own.
//!
//! `capture SCRIPT FILE`. Into the capture goes what happens in that group, and nothing about other
//! processes of this machine, nor its names.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use sensor::attribution::cache::Cache;
use sensor::attribution::cgroup::{Hierarchy, Scope};
use sensor::driver::{Control, Live, Stages};
use sensor::event::Event;
use sensor::pipeline::Pipeline;
use sensor::probe::capture::{Origin, Writer};
use sensor::probe::load::{Hooks, Settings};
use sensor::probe::proc::Proc;
use sensor::probe::wanted::Wanted;
use sensor_common::Kind;
use sensor_common::config::Config;

/// What the scripts have in common, beside each.
const SHARED: &str = "lib.sh";
const GROUP: &str = "sensor-capture";
/// Everything that the scripts see of the environment besides their own two variables.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
const RING_BYTES: u32 = 8 << 20;
const WAKE_INTERVAL_NS: u64 = 1_000_000;

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (script, file) = arguments.next().zip(arguments.next()).context("capture SCRIPT FILE")?;
    let group = Group::new()?;
    let directory = Path::new("/tmp").join(GROUP);
    fs::create_dir(&directory).with_context(|| format!("create {}", directory.display()))?;
    let captured = capture(&group, &script, &directory, &file);
    fs::remove_dir_all(&directory).with_context(|| format!("remove {}", directory.display()))?;
    captured
}

fn capture(group: &Group, script: &Path, directory: &Path, file: &Path) -> Result<()> {
    // From where it lies the script is not run: a capture names no directory of this machine.
    let shared = script.with_file_name(SHARED);
    for (from, name) in [(script, "script"), (&shared, SHARED)] {
        fs::copy(from, directory.join(name)).with_context(|| format!("copy {}", from.display()))?;
    }
    let config = Config {
        scope_cgroup_id: group.scope.id,
        scope_level: group.scope.level,
        self_tgid: process::id(),
        wake_bytes: RING_BYTES / 8,
        wake_interval_ns: WAKE_INTERVAL_NS,
        ..Config::default()
    };
    // The same hooks on every kernel.
    let settings =
        Settings { config, wanted: wanted(), ring_bytes: RING_BYTES, hooks: Hooks::Exit };
    let mut live = Live::start(&settings, Proc::only(&group.scope.path))?;
    live.tee(Writer::create(file, &origin())?);
    let mut pipeline = Pipeline::new(Cache::default());
    live.prime(&mut pipeline, &mut Nothing);
    let (control, remote) = Control::new()?;
    let run = std::thread::scope(|scope| {
        let loop_ = scope.spawn(|| live.run(&mut pipeline, &control, &mut Nothing));
        let status = Command::new("sh")
            .arg("./script")
            .env_clear()
            .envs([("PATH", PATH.as_ref()), ("WORK", directory.as_os_str())])
            .env("GROUP", &group.directory)
            .current_dir(directory)
            .stdin(Stdio::null())
            .status();
        remote.stop()?;
        let balance = loop_.join().map_err(|_panic| anyhow::anyhow!("the reader panicked"))??;
        ensure!(status.context("start sh")?.success(), "{} failed", script.display());
        Ok(balance)
    });
    let balance = run?;
    live.close()?;
    ensure!(balance.is_exact() && balance.produced == balance.delivered, "{balance}");
    Ok(())
}

/// No machine's names.
fn origin() -> Origin {
    let [hostname, kernel, boot_id] =
        ["node-1", "", "00000000-0000-4000-8000-000000000000"].map(str::to_owned);
    Origin { hostname, kernel, boot_id }
}

/// The control group, in every hierarchy in which somebody made it.
struct Group {
    directory: PathBuf,
    scope: Scope,
}

impl Group {
    fn new() -> Result<Self> {
        let hierarchy = Hierarchy::find().context("read the mounts")?;
        let hierarchy = hierarchy.context("no cgroup2 hierarchy is mounted")?;
        let directory = hierarchy.directory(GROUP);
        fs::create_dir(&directory).with_context(|| format!("create {}", directory.display()))?;
        Ok(Self { scope: hierarchy.scope(GROUP)?, directory })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let points = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        for point in points.filter(|point| point.starts_with("/sys/fs/cgroup/")) {
            // Most hierarchies have none.
            fs::remove_dir(Path::new(point).join(GROUP)).ok();
        }
        fs::remove_dir(&self.directory).ok();
    }
}

struct Nothing;

impl Stages for Nothing {
    fn event(&mut self, _event: &Event<'_>) {}

    fn tick(&mut self, _pipeline: &mut Pipeline, _source: &mut Live) {}
}

/// What has a kind of its own. Calls of the table also tell of the shell that enters the group.
fn wanted() -> Wanted {
    let kinds = Kind::KERNEL.iter().copied();
    Wanted::of(kinds.filter(|kind| !matches!(kind, Kind::Sample | Kind::Call)))
}
