//! What the README shows is so: commands exist as they are written, and what they print is what it says.

use std::fs;
use std::process::{Command, Output, Stdio};

/// Lines of the README's blocks of text that begin with `sensor`, `$` and `sudo` taken off; and
/// what follows a `$`, up to the next one or the block's end.
fn commands() -> Vec<(String, Option<String>)> {
    let readme = fs::read_to_string(sensor_tests::root().join("README.md")).unwrap();
    let blocks = readme.split("```").skip(1).step_by(2);
    let mut commands = Vec::new();
    for block in blocks {
        commands.extend(commands_in(block));
    }
    assert!(commands.len() > 8, "{commands:?}");
    commands
}

fn commands_in(block: &str) -> Vec<(String, Option<String>)> {
    let mut commands = Vec::new();
    for line in block.lines() {
        let (line, shows_output) = match line.strip_prefix("$ ") {
            Some(line) => (line, true),
            None => (line, false),
        };
        let command = line.strip_prefix("sudo ").unwrap_or(line);
        // The words of a comment are none of the command.
        let command = command.split(" #").next().unwrap_or(command).trim();
        match command.strip_prefix("sensor ") {
            Some(arguments) => {
                commands.push((arguments.to_owned(), shows_output.then(String::new)));
            }
            None => {
                if let Some((_, Some(output))) = commands.last_mut() {
                    output.push_str(line);
                    output.push('\n');
                }
            }
        }
    }
    commands
}

fn sensor(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sensor-under-test"))
        .args(arguments)
        .current_dir(sensor_tests::root())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn every_command_is_one() {
    for (command, _) in commands() {
        // Whatever is wrong with the words before it is found first.
        let words: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        let output = sensor(&words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "sensor {command}: {said}");
    }
}

#[test]
fn replays_and_rules_print_what_is_shown() {
    let mut shown = 0;
    for (command, expected) in commands() {
        let words: Vec<&str> = command.split_whitespace().collect();
        // The others need root, or somebody's container.
        if let (Some(expected), "replay" | "rules") = (expected, words[0]) {
            let output = sensor(&words);
            let given = String::from_utf8_lossy(&output.stdout);
            assert_eq!(given, expected, "sensor {command}; `cargo xtask capture` writes it anew");
            shown += 1;
        }
    }
    assert!(shown > 0);
}
