//! A program that runs beside the workloads: the sensor, the floor, or a peer.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::group::Group;
use super::plan::Beside;
use crate::command;

/// How long a peer, which does not say when it is attached, is given for that.
const PEER_STARTS: Duration = Duration::from_secs(4);
/// How long what runs beside is given to take in the last of a workload.
const SETTLES: Duration = Duration::from_millis(60);

/// It runs until `stop`.
pub(super) struct Session {
    group: Group,
    child: Option<Child>,
    output: Option<BufReader<std::process::ChildStdout>>,
    /// Where nothing runs, for a sensor that is limited to it.
    _elsewhere: Option<Group>,
}

impl Session {
    /// Attached when it returns. `None` if the program is not installed.
    pub(super) fn start(beside: &Beside, programs: &Path) -> Result<Option<Self>> {
        let group = Group::new("watch")?;
        let mut elsewhere = None;
        let watch = programs.join("watch");
        let mut command = match beside {
            Beside::Nothing => {
                return Ok(Some(Self { group, child: None, output: None, _elsewhere: None }));
            }
            Beside::Watch(arguments) => with(&group, &watch, arguments),
            Beside::Elsewhere(arguments) => {
                let empty = elsewhere.insert(Group::new("elsewhere")?);
                let mut command = with(&group, &watch, arguments);
                command.args(["--scope", &empty.id()?.to_string()]);
                command
            }
            Beside::Peer { program, arguments, .. } => {
                let Some(path) = installed(program) else { return Ok(None) };
                let mut command = with(&group, &path, arguments);
                command.stdout(Stdio::null());
                let child = start(command.stderr(Stdio::null()))?;
                std::thread::sleep(PEER_STARTS);
                return Ok(Some(Self {
                    group,
                    child: Some(child),
                    output: None,
                    _elsewhere: None,
                }));
            }
        };
        let mut child = start(command.stdin(Stdio::piped()).stdout(Stdio::piped()))?;
        let output = child.stdout.take().context("its output is a pipe")?;
        let mut session = Self {
            group,
            child: Some(child),
            output: Some(BufReader::new(output)),
            _elsewhere: elsewhere,
        };
        session.line()?;
        Ok(Some(session))
    }

    /// Processor time that it took so far.
    pub(super) fn cpu_ns(&self) -> Result<u64> {
        std::thread::sleep(SETTLES);
        self.group.cpu_ns()
    }

    /// Ends it; what `watch` says at its end.
    pub(super) fn stop(mut self) -> Result<Value> {
        let Some(mut child) = self.child.take() else { return Ok(Value::Null) };
        // `watch` ends with its input, a peer when it is told to.
        if child.stdin.take().is_none() {
            let pid = rustix::process::Pid::from_child(&child);
            rustix::process::kill_process(pid, rustix::process::Signal::INT)
                .context("end a peer")?;
        }
        let end = if self.output.is_some() { self.line()? } else { Value::Null };
        child.wait().context("wait for what runs beside")?;
        Ok(end)
    }

    fn line(&mut self) -> Result<Value> {
        let mut line = String::new();
        let output = self.output.as_mut().context("it has no output")?;
        output.read_line(&mut line).context("read its output")?;
        ensure!(
            !line.is_empty(),
            "what runs beside the workload ended early; its message is above"
        );
        serde_json::from_str(&line).with_context(|| format!("read `{line}`"))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // After a failure: there is nothing left to ask it for.
            let ended = child.kill().and_then(|()| child.wait());
            drop(ended);
        }
    }
}

fn with(group: &Group, program: &Path, arguments: &[&str]) -> Command {
    let mut command = group.command(program);
    command.args(arguments);
    command
}

fn start(command: &mut Command) -> Result<Child> {
    command.spawn().with_context(|| format!("start `{}`", command::line(command)))
}

fn installed(program: &str) -> Option<PathBuf> {
    let directories = ["/usr/bin", "/usr/sbin"];
    directories
        .iter()
        .map(|directory| Path::new(directory).join(program))
        .find(|path| path.exists())
}
