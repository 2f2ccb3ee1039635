//! What a guest boots into: busybox, the script that is its first process, and the programs that the host's
//! tests run, with the libraries that they need.

use std::fs;
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::Task;
use super::cpio::Cpio;
use crate::{command, test};

const BUSYBOX: &str = "/bin/busybox";
/// Programs of this host that need its libraries, which go with them.
const DYNAMIC: [&str; 3] = ["runc", "crun", "perl"];
const INIT: &str = include_str!("init.sh");
const DIRECTORIES: [&str; 16] = [
    "bin",
    "dev",
    "etc",
    "lib",
    "lib/x86_64-linux-gnu",
    "lib64",
    "mnt",
    "payload",
    "proc",
    "root",
    "run",
    "sys",
    "tmp",
    "usr",
    "var",
    "var/tmp",
];
/// The tests of probes that have hooks on kernel functions, which `--hooks exit` leaves alone.
const HOOKED: [&str; 4] = ["open::", "connect::", "credentials::", "oom::"];
/// Files that a rule is about must exist where a rule expects them.
const FILES: [(&str, u32, &str); 4] = [
    (
        "etc/passwd",
        0o644,
        "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    ),
    ("etc/group", 0o644, "root:x:0:\nnogroup:x:65534:\n"),
    ("etc/shadow", 0o640, "root:*:20000:0:99999:7:::\n"),
    ("etc/hosts", 0o644, "127.0.0.1 localhost\n"),
];

/// Writes the initial root file system for `task` to `initrd`.
pub(crate) fn write(initrd: &Path, task: &Task) -> Result<()> {
    let file = fs::File::create(initrd).with_context(|| format!("create {}", initrd.display()))?;
    let mut cpio = Cpio::new(BufWriter::new(file));
    let while_writing = || format!("write {}", initrd.display());
    for directory in DIRECTORIES {
        cpio.directory(directory).with_context(while_writing)?;
    }
    for (link, to) in
        [("sbin", "bin"), ("usr/bin", "../bin"), ("usr/sbin", "../bin"), ("bin/sh", "busybox")]
    {
        cpio.symlink(link, to).with_context(while_writing)?;
    }
    for (path, mode, content) in FILES {
        cpio.file(path, mode, content.as_bytes()).with_context(while_writing)?;
    }
    cpio.file("init", 0o755, INIT.as_bytes()).with_context(while_writing)?;
    cpio.file("payload/command", 0o644, script(task).as_bytes()).with_context(while_writing)?;
    let mut files = vec![("bin/busybox".to_owned(), PathBuf::from(BUSYBOX))];
    let stripped = tempfile::tempdir().context("make a temporary directory")?;
    if needs_programs(task) {
        let Programs { live, sensor, workload } = build()?;
        let ours = [("payload/live", live), ("payload/workload", workload), ("bin/sensor", sensor)];
        for (path, program) in ours {
            files.extend(libraries_of(&program)?);
            files.push((path.to_owned(), strip(&program, stripped.path())?));
        }
    }
    for name in DYNAMIC {
        files.extend(with_libraries(name)?);
    }
    // Programs share libraries.
    files.sort();
    files.dedup();
    for (path, file) in files {
        let content = fs::read(&file).with_context(|| format!("read {}", file.display()))?;
        cpio.file(&path, 0o755, &content).with_context(while_writing)?;
    }
    cpio.finish().with_context(while_writing).map(drop)
}

/// A program of this host and its libraries: where each goes, and where it is.
fn with_libraries(name: &str) -> Result<Vec<(String, PathBuf)>> {
    let paths = ["/usr/bin", "/usr/sbin"].map(|directory| Path::new(directory).join(name));
    let program = paths.into_iter().find(|path| path.exists());
    let program = program.with_context(|| format!("{name} is not installed"))?;
    let mut files = libraries_of(&program)?;
    files.push((format!("bin/{name}"), program));
    Ok(files)
}

fn libraries_of(program: &Path) -> Result<Vec<(String, PathBuf)>> {
    let output = command::capture(Command::new("ldd").arg(program))?;
    Ok(libraries(&String::from_utf8_lossy(&output.stdout)).collect())
}

/// A copy without what debuggers want, which is most of it; the symbols stay, since profiles are tested.
fn strip(program: &Path, to: &Path) -> Result<PathBuf> {
    let copy = to.join(program.file_name().context("a program has no name")?);
    command::capture(Command::new("strip").arg("--strip-debug").arg("-o").arg(&copy).arg(program))?;
    Ok(copy)
}

/// The files in the output of `ldd`, which are where the guest has them too.
fn libraries(ldd: &str) -> impl Iterator<Item = (String, PathBuf)> {
    let path =
        |line: &str| line.split_whitespace().find(|word| word.starts_with('/')).map(PathBuf::from);
    ldd.lines()
        .filter_map(path)
        .map(|path| (path.display().to_string().trim_start_matches('/').to_owned(), path))
}

/// Whether the guest runs the sensor or the live tests, which take long to build.
fn needs_programs(task: &Task) -> bool {
    match task {
        Task::Tests(_) | Task::Doctor => true,
        Task::Command(words) => {
            words.iter().any(|word| word.contains("sensor") || word.contains("/payload/live"))
        }
    }
}

/// What the guest says about its kernel, where [`super::expected`] looks for it. The doctor's status
/// is that of the host; here each kernel has its own measure.
///
/// Three copies, since a serial port that is closed may lose what it has not sent yet.
const DOCTOR: &str = "/bin/sensor doctor --json >/tmp/doctor\n\
                      for copy in 1 2 3; do echo; cat /tmp/doctor; done >/dev/ttyS3";
/// What a storm of events is made of where every instruction costs ten.
const STORM: &str = "SENSOR_STORM_OPENS=4500";

/// The shell script that the guest runs.
fn script(task: &Task) -> String {
    match task {
        // One test at a time, since the machine has one CPU; what a test writes is seen at once, since
        // the machine may not live until the end.
        Task::Tests(filters) => {
            let filter = filters.iter().map(|one| quoted(one)).collect::<Vec<_>>().join(" ");
            let tests = "/payload/live --test-threads=1 --nocapture";
            // Once more, what a kernel can hook in two ways.
            let again = if filter.is_empty() { HOOKED.join(" ") } else { filter.clone() };
            format!(
                "export SENSOR_BIN=/bin/sensor SENSOR_WORKLOAD=/payload/workload {STORM}\n{DOCTOR}\n{tests} {filter} 2>&1\nfirst=$?\n\
                 export SENSOR_TEST_HOOKS=exit\n{tests} {again} 2>&1 && exit $first\n"
            )
        }
        Task::Doctor => format!("{DOCTOR}\ntrue\n"),
        Task::Command(words) => {
            let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
            format!("exec {}\n", words.join(" "))
        }
    }
}

/// `word` as one word of a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

struct Programs {
    live: PathBuf,
    sensor: PathBuf,
    workload: PathBuf,
}

/// Builds the live tests and the sensor, as the tests on the host do.
fn build() -> Result<Programs> {
    let mut cargo = test::build();
    cargo.args(["--bins", "--test", "live"]);
    cargo.args(["--message-format", "json-render-diagnostics"]);
    println!("$ {}", command::line(&cargo));
    let output = cargo.stderr(std::process::Stdio::inherit()).output().context("start cargo")?;
    ensure!(output.status.success(), "the programs for the guest did not compile");
    let messages = String::from_utf8_lossy(&output.stdout);
    let built =
        |target| executable(&messages, target).with_context(|| format!("cargo built no {target}"));
    Ok(Programs { live: built("live")?, sensor: built("sensor")?, workload: built("workload")? })
}

/// The program that cargo's messages name for `target`.
fn executable(messages: &str, target: &str) -> Option<PathBuf> {
    messages.lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let path = message["executable"].as_str()?;
        (message["target"]["name"] == target).then(|| PathBuf::from(path))
    })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::{Task, executable, libraries, script};

    #[test]
    fn words_stay_words() {
        let words = ["sh", "-c", "echo 'a b'"].map(str::to_owned).to_vec();
        assert_eq!(script(&Task::Command(words)), "exec 'sh' '-c' 'echo '\\''a b'\\'''\n");
        let filtered = script(&Task::Tests(vec!["exec".into()]));
        assert_eq!(filtered.matches(" 'exec' 2>&1").count(), 2, "{filtered}");
    }

    #[test]
    fn libraries_are_those_that_ldd_names() {
        let ldd = "\tlinux-vdso.so.1 (0x00007fe8)\n\tlibc.so.6 => /lib/x/libc.so.6 (0x00007fe7)\n\
                   \t/lib64/ld-linux-x86-64.so.2 (0x00007fe9)\n";
        let paths: Vec<String> = libraries(ldd).map(|(path, _)| path).collect();
        assert_eq!(paths, ["lib/x/libc.so.6", "lib64/ld-linux-x86-64.so.2"]);
    }

    #[test]
    fn programs_are_those_that_cargo_names() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"serde"},"executable":null}
{"reason":"compiler-artifact","target":{"name":"live"},"executable":"/t/deps/live-1"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(executable(messages, "live"), Some(PathBuf::from("/t/deps/live-1")));
        assert_eq!(executable(messages, "serde"), None);
    }
}
