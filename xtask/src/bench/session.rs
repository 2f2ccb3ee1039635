//! A program that runs beside the workloads: the sensor, the floor, or a peer.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::group::Group;
use super::plan::Beside;
use crate::command;

/// How long a peer, which does not say when it is attached, is given for that.
const PEER_STARTS: Duration = Duration::from_secs(4);
/// How long what runs beside is given to take in the last of a workload.
const SETTLES: Duration = Duration::from_millis(60);

/// The agent, which takes any port.
const AGENT: [&str; 5] = ["run", "--output", "json", "--listen", "127.0.0.1:0"];

/// It runs until `stop`.
pub(crate) struct Session {
    group: Group,
    child: Option<Child>,
    /// What `watch` says.
    output: Option<BufReader<ChildStdout>>,
    /// What the agent says of itself.
    messages: Option<BufReader<ChildStderr>>,
    metrics: Option<SocketAddr>,
    /// Where nothing runs, for a sensor that is limited to it.
    elsewhere: Option<Group>,
}

impl Session {
    /// Attached when it returns; alerts and what else it prints go to `printed`. `None` if the
    /// program is not installed.
    pub(crate) fn start(beside: &Beside, programs: &Path, printed: Stdio) -> Result<Option<Self>> {
        let mut session = Self {
            group: Group::new("watch")?,
            child: None,
            output: None,
            messages: None,
            metrics: None,
            elsewhere: None,
        };
        let watch = programs.join("watch");
        match beside {
            Beside::Nothing => {}
            Beside::Watch(arguments) => session.watch(&watch, arguments, &[])?,
            Beside::Elsewhere(arguments) => {
                let id = session.elsewhere.insert(Group::new("elsewhere")?).id()?.to_string();
                session.watch(&watch, arguments, &["--scope", &id])?;
            }
            Beside::Agent { rules, more } => {
                let mut agent = with(&session.group, &programs.join("sensor"), &AGENT);
                agent.args(more);
                agent.args(rules.iter().flat_map(|path| [Path::new("--rules"), path]));
                session.agent(&mut agent, printed)?;
            }
            Beside::Peer { program, arguments, .. } => {
                let Some(path) = installed(program) else { return Ok(None) };
                session.peer(&mut with(&session.group, &path, arguments), printed)?;
            }
            Beside::Command(line) => {
                let shell = with(&session.group, Path::new("/bin/sh"), &["-c"]);
                session.peer({ shell }.arg(format!("exec {line}")), printed)?;
            }
        }
        Ok(Some(session))
    }

    fn watch(&mut self, program: &Path, arguments: &[&str], more: &[&str]) -> Result<()> {
        let mut command = with(&self.group, program, arguments);
        let mut child = start(command.args(more).stdin(Stdio::piped()).stdout(Stdio::piped()))?;
        self.output = child.stdout.take().map(BufReader::new);
        self.child = Some(child);
        self.line().map(drop)
    }

    fn agent(&mut self, command: &mut Command, printed: Stdio) -> Result<()> {
        let mut child = start(command.stdout(printed).stderr(Stdio::piped()))?;
        self.messages = child.stderr.take().map(BufReader::new);
        self.child = Some(child);
        let metrics = self.message("metrics on http://")?;
        let address = metrics.split("http://").nth(1).and_then(|url| url.split('/').next());
        self.metrics = address.and_then(|address| address.parse().ok());
        self.message("watching with").map(drop)
    }

    fn peer(&mut self, command: &mut Command, printed: Stdio) -> Result<()> {
        self.child = Some(start(command.stdout(printed).stderr(Stdio::null()))?);
        std::thread::sleep(PEER_STARTS);
        Ok(())
    }

    /// What it printed, for whoever asked for a pipe.
    pub(crate) fn printed(&mut self) -> Option<ChildStdout> {
        self.child.as_mut()?.stdout.take()
    }

    /// Where the agent serves its metrics.
    pub(crate) fn metrics(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// Makes the agent's first thread, which takes the events, more or less nice to others.
    pub(crate) fn set_nice(&self, nice: i32) -> Result<()> {
        let child = self.child.as_ref().context("nothing runs beside")?;
        let pid = rustix::process::Pid::from_child(child);
        rustix::process::setpriority_process(Some(pid), nice).context("set its priority")
    }

    /// What it keeps in memory now.
    pub(crate) fn memory_mib(&self) -> Option<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.as_ref()?.id()));
        let status = status.ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kib: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kib / 1024.0)
    }

    /// Processor time that it took so far.
    pub(crate) fn cpu_ns(&self) -> Result<u64> {
        std::thread::sleep(SETTLES);
        self.group.cpu_ns()
    }

    /// Ends it; the records that it says it lost or dropped.
    pub(crate) fn stop(mut self) -> Result<End> {
        let Some(mut child) = self.child.take() else { return Ok(End::default()) };
        // `watch` ends with its input, the others when they are told to.
        if child.stdin.take().is_none() {
            let pid = rustix::process::Pid::from_child(&child);
            rustix::process::kill_process(pid, rustix::process::Signal::INT)
                .context("end what runs beside")?;
        }
        let mut end = End::default();
        if self.output.is_some() {
            end = End::of_watch(&self.line()?);
        } else if self.messages.is_some() {
            end = End::of_agent(self.message(" produced ")?)?;
        }
        child.wait().context("wait for what runs beside")?;
        Ok(end)
    }

    /// The next message that contains this.
    fn message(&mut self, text: &str) -> Result<String> {
        let messages = self.messages.as_mut().context("it has no messages")?;
        let mut said = String::new();
        for line in messages.lines() {
            let line = line.context("read what the agent says")?;
            if line.contains(text) {
                return Ok(line);
            }
            said += &line;
            said.push('\n');
        }
        bail!("the agent ended without `{text}`; it said:\n{said}")
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

/// What it said of itself at its end.
#[derive(Debug, Default)]
pub(crate) struct End {
    pub(crate) produced: u64,
    pub(crate) delivered: u64,
    /// Records produced and not delivered.
    pub(crate) lost: u64,
    pub(crate) is_exact: bool,
    /// The agent's own words.
    pub(crate) message: String,
    /// Name, runs and nanoseconds of each program, if the kernel was asked to account for them.
    pub(crate) programs: Vec<(String, u64, u64)>,
}

impl End {
    fn of_watch(said: &Value) -> Self {
        let number = |object: &Value, key: &str| object[key].as_u64().unwrap_or(0);
        let rows = said["programs"].as_array().map_or(&[][..], Vec::as_slice);
        let program = |row: &Value| {
            let name = row["name"].as_str().unwrap_or_default().to_owned();
            (name, number(row, "runs"), number(row, "time_ns"))
        };
        Self {
            lost: number(said, "lost") + number(said, "dropped"),
            programs: rows.iter().map(program).collect(),
            ..Self::default()
        }
    }

    /// From `19 produced = 12 delivered + 3 lost + 4 dropped`.
    fn of_agent(message: String) -> Result<Self> {
        let before = |word: &str| -> Result<u64> {
            let number = message.split(word).next().and_then(|text| text.rsplit(' ').next());
            let number = number.and_then(|text| text.parse().ok());
            number.with_context(|| format!("no number of `{word}` is in `{message}`"))
        };
        Ok(Self {
            produced: before(" produced")?,
            delivered: before(" delivered")?,
            lost: before(" lost")? + before(" dropped")?,
            is_exact: message.contains(" produced = "),
            programs: Vec::new(),
            message,
        })
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

#[cfg(test)]
mod tests {
    use super::End;

    #[test]
    fn losses_are_read_off_the_closing_line() {
        let line = "INFO 19 produced = 12 delivered + 3 lost + 4 dropped alerts=1";
        let end = End::of_agent(line.to_owned()).unwrap();
        assert_eq!((end.produced, end.delivered, end.lost, end.is_exact), (19, 12, 7, true));
        assert!(!End::of_agent(line.replace('=', "≠")).unwrap().is_exact);
        assert!(End::of_agent("INFO ended".to_owned()).is_err());
    }
}
