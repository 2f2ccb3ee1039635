//! Containers that live for a moment, and how much of what happens in them is known to be theirs.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

use anyhow::{Context as _, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::group::Group;
use crate::command;

/// In the arguments of every process of these containers.
const MARK: &str = "a-container-of-the-bench";
const IMAGE: &str = "localhost/bench:1";
/// How many live at a time.
const AT_A_TIME: usize = 2;

/// Events of the containers, and those of which it is known whose they are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    pub(super) containers: usize,
    pub(super) events: usize,
    pub(super) id: usize,
    pub(super) name: usize,
    pub(super) image: usize,
}

/// Runs as many containers beside `sensor events`.
pub(super) fn run(count: usize, programs: &Path) -> Result<Known> {
    let directory = tempfile::tempdir().context("create a directory for the bundle")?;
    let group = Group::new("containers")?;
    for place in 0..AT_A_TIME {
        bundle(&directory.path().join(place.to_string()))?;
    }
    let mut sensor = Command::new(programs.join("sensor"));
    sensor.args(["events", "--type", "exec,exit", "--output", "json"]);
    let sensor = sensor.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut sensor = sensor.context("start `sensor events`")?;
    command::wait_for_message(&mut sensor, "watching")?;
    let reader = read(sensor.stdout.take().context("it has no output")?);
    let numbers: Vec<usize> = (0..count).collect();
    for numbers in numbers.chunks(AT_A_TIME) {
        let start = |number: &usize| start(directory.path(), &group, *number);
        let containers: Vec<Child> = numbers.iter().map(start).collect::<Result<_>>()?;
        for mut container in containers {
            let status = container.wait().context("wait for a container")?;
            ensure!(status.success(), "a container ended with {status}");
        }
        print!("\rcontainers: {} of {count}", numbers.last().map_or(0, |last| last + 1));
        std::io::stdout().flush().context("show the progress")?;
    }
    println!();
    kill_process(Pid::from_child(&sensor), Signal::INT).context("stop `sensor events`")?;
    sensor.wait().context("wait for `sensor events`")?;
    let known = reader.join().map_err(|_panic| anyhow::anyhow!("the reader panicked"))?;
    Ok(Known { containers: count, ..known })
}

fn bundle(directory: &Path) -> Result<()> {
    let bin = directory.join("rootfs/bin");
    fs::create_dir_all(&bin).context("create the root")?;
    fs::create_dir_all(directory.join("rootfs/proc")).context("create the root")?;
    for program in ["sh", "sleep"] {
        fs::copy("/bin/busybox", bin.join(program)).context("copy busybox, of busybox-static")?;
    }
    Ok(())
}

/// Those that live at a time have a bundle and a root each.
fn start(directory: &Path, group: &Group, number: usize) -> Result<Child> {
    let id = format!("{:032x}{number:032x}", std::process::id());
    let bundle = directory.join((number % AT_A_TIME).to_string());
    let namespaces = ["pid", "mount", "ipc", "uts"].map(|name| json!({ "type": name }));
    let config = json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": { "uid": 0, "gid": 0 },
            "args": ["sh", "-c", format!(": {MARK}; sleep 0.02; exit 0")],
            "env": ["PATH=/bin"],
            "cwd": "/",
        },
        "root": { "path": "rootfs" },
        "mounts": [{ "destination": "/proc", "type": "proc", "source": "proc" }],
        "annotations": { "org.opencontainers.image.ref.name": IMAGE },
        "linux": { "cgroupsPath": format!("{}/{id}", group.name()), "namespaces": namespaces },
    });
    fs::write(bundle.join("config.json"), config.to_string()).context("write the bundle")?;
    let mut runc = Command::new("runc");
    runc.args(["run", "--bundle"]).arg(&bundle).arg(&id).stdin(Stdio::null());
    runc.spawn().context("start runc, of package runc")
}

/// Counts events of the containers, and forgets all others.
fn read(output: ChildStdout) -> JoinHandle<Known> {
    std::thread::spawn(move || {
        let mut known = Known::default();
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if line.contains(MARK)
                && let Ok(event) = serde_json::from_str::<Value>(&line)
            {
                known.count(&event);
            }
        }
        known
    })
}

impl Known {
    fn count(&mut self, event: &Value) {
        // What the shell starts has the mark as well, in its parent's arguments.
        if event["proc.name"] != "sh" {
            return;
        }
        let has = |field: &str, len: usize| event[field].as_str().is_some_and(|s| s.len() == len);
        self.events += 1;
        self.id += usize::from(has("container.full_id", 64));
        self.name += usize::from(has("container.name", 64));
        self.image += usize::from(event["container.image"] == IMAGE);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{IMAGE, Known};

    #[test]
    fn what_is_known_is_counted() {
        let mut known = Known::default();
        let id = "0".repeat(64);
        known.count(&json!({ "proc.name": "sh", "container.full_id": id, "container.name": id, "container.image": IMAGE }));
        known.count(&json!({ "proc.name": "sh", "container.full_id": "host" }));
        known.count(&json!({ "proc.name": "other" }));
        assert_eq!((known.events, known.id, known.name, known.image), (2, 1, 1, 1));
    }
}
