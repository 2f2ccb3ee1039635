//! `cargo xtask run`: from a fresh clone to a running sensor.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::{command, setup, workspace};

/// The commands that load programs into the kernel.
const NEED_ROOT: [&str; 5] = ["run", "events", "top", "profile", "record"];

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    setup::build()?;
    command::run(command::cargo().args(["build", "--release", "--package", "sensor"]))?;
    let sensor = workspace::sensor("release")?;
    let arguments = if arguments.is_empty() { vec!["run".to_owned()] } else { arguments.to_vec() };
    let mut command = Command::new(&sensor);
    command.args(&arguments);
    ensure!(
        rustix::process::geteuid().is_root() || !needs_root(&arguments),
        "`sensor {}` loads programs into the kernel, which root may do; the sensor is built: sudo {}",
        arguments[0],
        command::line(&command)
    );
    println!("$ {}", command::line(&command));
    // Returns only if it could not start.
    Err(command.exec()).with_context(|| format!("start {}", sensor.display()))
}

fn needs_root(arguments: &[String]) -> bool {
    let help = arguments.iter().any(|argument| argument == "--help" || argument == "-h");
    !help && arguments.first().is_some_and(|name| NEED_ROOT.contains(&name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::needs_root;

    #[test]
    fn only_what_loads_programs_needs_root() {
        let cases = [
            (&["run"][..], true),
            (&["profile", "--pid", "1"], true),
            (&["profile", "--help"], false),
            (&["rules", "check", "run"], false),
            (&["doctor"], false),
        ];
        for (arguments, expected) in cases {
            let owned: Vec<String> = arguments.iter().map(|&word| word.to_owned()).collect();
            assert_eq!(needs_root(&owned), expected, "{arguments:?}");
        }
    }
}
