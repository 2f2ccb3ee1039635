//! Wrong input through the program: one clear sentence, the right exit code, never a backtrace.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const FAILED: i32 = 1;
const WRONG_USE: i32 = 2;

/// The program in an empty directory.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with(files: &[(&str, &str)]) -> Self {
        let place = Self::new();
        for (name, content) in files {
            fs::write(place.0.path().join(name), content).unwrap();
        }
        place
    }

    fn run(&self, arguments: &[&str]) -> Output {
        run(Command::new(program()).args(arguments).current_dir(self.0.path()))
    }
}

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_sensor-under-test"))
}

/// As a developer's shell may have it: whoever wants backtraces does not want them of a user's mistake.
fn run(command: &mut Command) -> Output {
    command.env("RUST_BACKTRACE", "1").stdin(Stdio::null()).output().unwrap()
}

fn check(output: &Output, status: i32, expected: &[&str]) -> String {
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(status), "{said}");
    for part in expected {
        assert!(said.contains(part), "{part:?} is not in: {said}");
    }
    for trace in ["stack backtrace", "panicked at", "RUST_BACKTRACE"] {
        assert!(!said.contains(trace), "{said}");
    }
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    said
}

/// Besides the exit code: one line that says what, on what, and what to do.
fn check_sentence(output: &Output, status: i32, expected: &[&str]) {
    let said = check(output, status, expected);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("sensor: "), "{said}");
}

#[test]
fn wrong_use_is_told_apart() {
    let cases: [(&[&str], &[&str]); 11] = [
        (&["run", "--colour"], &["unexpected argument '--colour'"]),
        (&["ruin"], &["unrecognized subcommand 'ruin'", "'run'"]),
        (&["profile"], &["required", "--pid"]),
        (&["profile", "--all", "--duration", "0"], &["'0'", "not a number of seconds above 0"]),
        (
            &["events", "--type", "exek"],
            &["'exek'", "no event has this type", "did you mean `exec`?"],
        ),
        (&["events", "--ring-size", "5000"], &["'5000'", "not a power of two"]),
        (&["run", "--set", "nothing"], &["'nothing'", "not of the form KEY=VALUE"]),
        (&["run", "--container", "web", "--cgroup", "/"], &["cannot be used with", "--cgroup"]),
        (&["containers", "web", "--cgroup", "/"], &["cannot be used with", "--cgroup"]),
        (&["--log", "loud", "containers"], &["'loud'", "warn"]),
        (
            &["rules", "eval", "--condition", "proc.nmae=x", "--event", "{}"],
            &["`proc.nmae` is not a field", "did you mean `proc.name`?", "^^^^^^^^^"],
        ),
    ];
    for (arguments, expected) in cases {
        check(&Place::new().run(arguments), WRONG_USE, expected);
    }
}

#[test]
fn what_is_not_there_is_named() {
    let place = Place::with(&[("script", "#!/bin/sh\n"), ("cut", "sensor capture 1\n{\"host")]);
    let missing = "No such file or directory";
    let cases: [(&[&str], &[&str]); 14] = [
        (&["rules", "check", "none.yaml"], &["none.yaml", missing]),
        (&["rules", "test", "none.yaml"], &["none.yaml", missing]),
        (&["rules", "list", "none.yaml"], &["none.yaml", missing]),
        (&["run", "--rules", "none.yaml"], &["none.yaml", missing]),
        (&["run", "--config", "none.yaml"], &["none.yaml: cannot read the config file", missing]),
        (&["replay", "none.rec"], &["open capture none.rec", missing]),
        (&["replay", "script"], &["script is not a capture"]),
        (&["replay", "cut"], &["capture cut has no readable description"]),
        (&["record", "none/file"], &["create capture none/file", missing]),
        (&["profile", "--pid", "4194305"], &["no process 4194305"]),
        (&["profile", "--all", "-o", "x.png"], &["x.png", ".svg (flame graph)"]),
        (&["events", "--container", "no-such"], &["nothing here is called no-such"]),
        (&["run", "--container", "no-such"], &["nothing here is called no-such"]),
        (&["containers", "-o", "json", "no-such"], &["nothing here is called no-such"]),
    ];
    for (arguments, expected) in cases {
        check_sentence(&place.run(arguments), FAILED, expected);
    }
}

#[test]
fn a_mistyped_setting_is_told_the_nearest_one() {
    let place = Place::with(&[("sensor.yaml", "events:\n  ring_siez: 1048576\n")]);
    let nearest = ["unknown key `ring_siez`", "did you mean `ring_size`?", "sensor.yaml:2:3"];
    check_sentence(&place.run(&["run", "--config", "sensor.yaml"]), FAILED, &nearest);
    let nearest = ["unknown key `events.ring_siez`", "did you mean `events.ring_size`?"];
    check_sentence(&place.run(&["run", "--set", "events.ring_siez=1"]), FAILED, &nearest);
}

#[test]
fn every_error_of_a_rules_file_is_reported() {
    const RULES: &str = r#"
- rule: A field that is not there
  desc: of a test
  condition: evt.type = execve and proc.nmae = sh
  output: "%proc.name"
  priority: WARNING
- rule: A number that is none
  desc: of a test
  condition: evt.type = execve and proc.pid = sh
  output: "%proc.name"
  priority: WARNING
- rule: A parenthesis that stays open
  desc: of a test
  condition: evt.type = execve and (proc.name = sh
  output: "%proc.name"
  priority: WARNING
- rule: A macro that is not there
  desc: of a test
  condition: evt.type = execve and spawned
  output: "%proc.name"
  priority: WARNING
- rule: A priority that is none
  desc: of a test
  condition: evt.type = execve
  output: "%proc.name"
  priority: LOUD
"#;
    let place = Place::with(&[("five.yaml", RULES)]);
    let positions = ["five.yaml:4:36", "five.yaml:9:47", "five.yaml:14:", "five.yaml:19:36"];
    let expected =
        [positions.as_slice(), &["five.yaml:26:13", "did you mean `proc.name`?"]].concat();
    let checked = place.run(&["rules", "check", "five.yaml"]);
    let said = String::from_utf8([checked.stdout, checked.stderr].concat()).unwrap();
    assert_eq!(checked.status.code(), Some(FAILED), "{said}");
    for part in &expected {
        assert!(said.contains(part), "{part} is not in: {said}");
    }
    assert_eq!(said.matches("error[").count(), 5, "{said}");
    assert!(said.contains("5 errors"), "{said}");
    // `run` says the same before it touches the kernel.
    let said = check(&place.run(&["run", "--rules", "five.yaml"]), FAILED, &expected);
    assert_eq!(said.matches("error[").count(), 5, "{said}");
}

#[test]
fn a_port_in_use_is_found_before_the_kernel_is_touched() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let expected = [&*address, "the port is in use", "metrics.listen"];
    check_sentence(&Place::new().run(&["run", "--listen", &address]), FAILED, &expected);
}

#[test]
fn without_root_the_way_to_it_is_said() {
    // Where everybody may execute it: the directory of the build need not be open to others.
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let sensor = directory.path().join("sensor");
    // By another process: a file that this one had open for writing could be, for a moment, open in
    // the child of another test, and is not executed then.
    assert!(Command::new("cp").arg(program()).arg(&sensor).status().unwrap().success());
    let commands: [&[&str]; 3] =
        [&["events"], &["run", "--set", "metrics.enabled=false"], &["profile", "--all"]];
    for arguments in commands {
        let output = run(unprivileged(&sensor).args(arguments));
        check_sentence(&output, FAILED, &["needs root", "sudo"]);
    }
    let output = run(unprivileged(&sensor).arg("doctor"));
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(FAILED), "{said}");
    assert!(said.contains("fix: run it with sudo"), "{said}");
}

#[test]
fn doctor_says_of_each_runtime_s_socket_whether_it_answers() {
    const NO_SUCH_CONTAINER: &[u8] =
        b"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\
          Connection: close\r\n\r\n{\"message\":\"\"}";
    let place = Place::new();
    let path = |name: &str| place.0.path().join(name).to_str().unwrap().to_owned();
    let listen = |name| UnixListener::bind(path(name)).unwrap();
    let (answers, _silent) = (listen("answers"), listen("silent"));
    drop(listen("left"));
    // It ends with the program that asks.
    let server = std::thread::spawn(move || {
        let (mut stream, _) = answers.accept().unwrap();
        let _request = stream.read(&mut [0; 4096]).unwrap();
        stream.write_all(NO_SUCH_CONTAINER).unwrap();
    });
    let names = ["answers", "silent", "left", "nowhere"];
    let sources = names.map(|name| format!("docker-socket={}", path(name))).join(",");
    let output = place.run(&["doctor", "--json", "--source", &sources]);
    server.join().unwrap();
    assert_eq!(output.status.code(), Some(FAILED));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let checks = report["checks"].as_array().unwrap();
    for (name, expected, fix) in [
        ("answers", " answers", None),
        // On a busy machine the connection may be given up before the question is.
        ("silent", " does not answer: ", Some("the engine's own log")),
        ("left", " does not answer: cannot connect: ", Some("remove a socket")),
        ("nowhere", "there is no ", Some("containers.sources")),
    ] {
        let is_about = |check: &&Value| check["detail"].as_str().unwrap().contains(&path(name));
        let check = checks.iter().find(is_about).unwrap();
        let (said, told) = (check["detail"].as_str().unwrap(), check["fix"].as_str());
        assert!(said.contains(expected), "{check}");
        assert_eq!((check["ok"].as_bool(), told.is_some()), (Some(fix.is_none()), fix.is_some()));
        assert!(fix.is_none_or(|fix| told.unwrap().contains(fix)), "{check}");
    }
}

/// A command without any privilege, whoever runs the tests.
fn unprivileged(program: &Path) -> Command {
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]);
    command.args(["--bounding-set=-all", "--no-new-privs"]).arg(program);
    command
}
