//! Running other programs, with errors that name them.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

/// `program argument…` as a person would type it.
pub(crate) fn line(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}

/// Runs `command` with this program's own output, after showing it.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    println!("$ {}", line(command));
    let status = command.status().with_context(|| format!("start `{}`", line(command)))?;
    ensure!(status.success(), "`{}` ended with {status}", line(command));
    Ok(())
}

/// What `command` printed, if it could be started and succeeded.
pub(crate) fn answer(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs `command` and returns its output; its standard error is part of the message if it fails.
pub(crate) fn capture(command: &mut Command) -> Result<Output> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("start `{}`", line(command)))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`{}` ended with {}\n{errors}", line(command), output.status);
    Ok(output)
}

/// Waits until a program says `text` on its standard error, which is a pipe; what it says later is read
/// and forgotten, so that it is never held up.
pub(crate) fn wait_for_message(child: &mut Child, text: &str) -> Result<()> {
    let messages = child.stderr.take().context("the program's messages are no pipe")?;
    let mut lines = BufReader::new(messages).lines();
    for line in lines.by_ref() {
        if line.context("read what the program says")?.contains(text) {
            std::thread::spawn(move || lines.count());
            return Ok(());
        }
    }
    bail!("the program ended before it said `{text}`")
}

/// cargo of the toolchain that runs this program, in the workspace.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(crate::workspace::root());
    cargo
}
