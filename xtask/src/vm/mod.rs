//! `cargo xtask vm`: the live tests on other kernels, in emulated machines.
//!
//! A kernel comes from the distribution's package archive ([`kernel`]), and with the live tests
//! and busybox ([`guest`]) it boots in QEMU ([`machine`]). Nothing of it is installed.

pub(crate) mod archive;
mod cpio;
mod expected;
mod guest;
mod kernel;
mod machine;

use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tempfile::NamedTempFile;

use crate::setup;
use crate::test::Counts;
use crate::workspace;
use kernel::Kernel;
use machine::{Outcome, Verdict};

/// Three times what a machine takes alone, in seconds: others share the processors with it.
const TIMEOUT: u64 = 2700;

/// What the layout of control groups matters to: identity, OOM kills, throttling, and what they need.
const LAYOUT_TESTS: [&str; 6] = ["cgroups", "container", "exec", "harness", "oom", "throttling"];

/// The kernels of every CI run, oldest first.
pub(crate) const KERNELS: [&str; 5] = ["5.10", "6.1", "6.12", "6.18", "7.2"];

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Kernel branches, or exact versions as the packages have them
    #[arg(long, value_delimiter = ',', value_name = "LIST", default_values = KERNELS)]
    kernel: Vec<String>,
    /// How many machines run at a time; one more than there are CPUs if not given
    #[arg(long)]
    jobs: Option<usize>,
    /// Security modules in their order, instead of each kernel's own
    #[arg(long, value_name = "LIST")]
    lsm: Option<String>,
    /// Further kernel arguments
    #[arg(long, value_name = "ARGUMENTS", default_value = "")]
    append: String,
    /// The layout of the control groups
    #[arg(long, value_enum, default_value_t = Cgroups::V2)]
    cgroups: Cgroups,
    /// Let the host's KVM run the machines instead of emulating them
    #[arg(long)]
    kvm: bool,
    /// Seconds that a machine may take
    #[arg(long, value_name = "SECONDS", default_value_t = TIMEOUT)]
    timeout: u64,
    /// Look for newer kernels and for newer package lists
    #[arg(long)]
    refresh: bool,
    /// Write what `sensor doctor` says on these kernels to tests/kernels.tsv, and run no tests
    #[arg(long, conflicts_with_all = ["words", "lsm"])]
    bless: bool,
    /// Only live tests whose name contains one of these
    #[arg(skip)]
    only: &'static [&'static str],
    /// One word: only live tests whose name contains it. More words, or a path: this
    /// command instead, which may be `sensor` or `/payload/live`, the tests
    #[arg(trailing_var_arg = true, value_name = "FILTER | COMMAND")]
    words: Vec<String>,
}

/// How a guest mounts control groups.
#[derive(Clone, Copy, Debug, PartialEq, clap::ValueEnum)]
pub(crate) enum Cgroups {
    /// One hierarchy with all controllers
    V2,
    /// A hierarchy for each controller, and the unified one beside them
    Hybrid,
    /// A hierarchy for each controller, and no other
    V1,
}

impl Cgroups {
    fn name(self) -> &'static str {
        match self {
            Self::V2 => "v2",
            Self::Hybrid => "hybrid",
            Self::V1 => "v1",
        }
    }
}

impl Arguments {
    /// The tests that a layout matters to, on one kernel.
    pub(crate) fn of(kernel: &str, cgroups: Cgroups) -> Self {
        Self { kernel: vec![kernel.to_owned()], cgroups, only: &LAYOUT_TESTS, ..Self::default() }
    }
}

impl Default for Arguments {
    fn default() -> Self {
        Self {
            kernel: KERNELS.map(str::to_owned).to_vec(),
            jobs: None,
            lsm: None,
            append: String::new(),
            cgroups: Cgroups::V2,
            kvm: false,
            timeout: TIMEOUT,
            refresh: false,
            bless: false,
            only: &[],
            words: Vec::new(),
        }
    }
}

/// Runs the machines and ends with a line that counts all their tests.
pub(crate) fn vm(arguments: &Arguments) -> Result<bool> {
    let counts = all(arguments)?;
    println!("\n{counts}");
    Ok(counts.failed == 0)
}

/// Runs the machines without the closing line.
pub(crate) fn all(arguments: &Arguments) -> Result<Counts> {
    ensure!(!arguments.kernel.is_empty(), "no kernel given: `--kernel {}`", KERNELS.join(","));
    setup::build()?;
    setup::vm()?;
    let cache = workspace::target()?.join("vm");
    let kernels = kernel::fetch(&cache, &arguments.kernel, arguments.refresh)?;
    let task = match arguments.words.as_slice() {
        _ if arguments.bless => Task::Doctor,
        [] => Task::Tests(arguments.only.iter().map(|&name| name.to_owned()).collect()),
        words => Task::from_words(words),
    };
    // Of this run alone: another one may go on beside it.
    let initrd = NamedTempFile::new_in(&cache).context("create the initial file system")?;
    guest::write(initrd.path(), &task)?;
    let outcomes = run(arguments, &cache, initrd.path(), &kernels, &task)?;
    println!();
    let mut counts = Counts::default();
    for (kernel, outcome) in kernels.iter().zip(&outcomes) {
        println!("{}", summary(kernel, outcome, &task));
        let mut result = result(outcome, &task);
        if let Task::Tests(_) = task {
            again(arguments, &cache, (kernel, outcome), &mut result)?;
        }
        counts.add(&result);
    }
    // Another choice of security modules has other hooks.
    if !matches!(task, Task::Command(_)) && arguments.lsm.is_none() {
        counts.add(&programs(&kernels, &outcomes, arguments.bless)?);
    }
    Ok(counts)
}

/// Runs what failed on a kernel once more: an emulated machine may stand still for as long as a test
/// waits. What passes then has passed, and is named.
fn again(
    arguments: &Arguments,
    cache: &Path,
    (kernel, first): (&Kernel, &Outcome),
    counts: &mut Counts,
) -> Result<()> {
    let failed = failed_tests(&first.stdout);
    if failed.is_empty() {
        return Ok(());
    }
    println!("{}: once more: {}", kernel.version, failed.join(", "));
    let task = Task::Tests(failed);
    let initrd = NamedTempFile::new_in(cache).context("create the initial file system")?;
    guest::write(initrd.path(), &task)?;
    let outcomes = run(arguments, cache, initrd.path(), std::slice::from_ref(kernel), &task)?;
    let failed = outcomes.iter().map(|outcome| result(outcome, &task).failed).sum::<usize>();
    if failed == 0 {
        println!("{}: passed at the second attempt", kernel.version);
        counts.passed += std::mem::take(&mut counts.failed);
    }
    Ok(())
}

/// The names that stand below `failures:` at the end of each run of tests, each once.
fn failed_tests(output: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut in_list = false;
    for line in output.lines() {
        in_list = line == "failures:" || (in_list && !line.starts_with("test result"));
        let name = line.strip_prefix("    ").filter(|name| in_list && !name.contains(' '));
        names.extend(name.map(str::to_owned).filter(|name| !names.contains(name)));
    }
    names
}

/// Compares the programs that each kernel took with those that the file expects, or makes it expect
/// them. Each kernel counts as a test.
fn programs(kernels: &[Kernel], outcomes: &[Outcome], bless: bool) -> Result<Counts> {
    let known = expected::read()?;
    let mut blessed = Vec::new();
    let mut counts = Counts::default();
    for (kernel, outcome) in kernels.iter().zip(outcomes) {
        let branch = expected::branch(&kernel.version);
        let differences = match expected::found(&branch, &outcome.report) {
            Ok(found) if bless => {
                blessed.extend(found);
                Vec::new()
            }
            Ok(found) => expected::differences(&branch, &known, &found),
            Err(error) => vec![format!("{branch}: {error:#}")],
        };
        for difference in &differences {
            println!("probe table: {difference}");
        }
        counts.passed += usize::from(differences.is_empty());
        counts.failed += usize::from(!differences.is_empty());
    }
    if bless {
        expected::bless(&blessed, &KERNELS)?;
    } else if counts.failed > 0 {
        println!("if that is meant: `cargo xtask vm --bless`");
    }
    Ok(counts)
}

/// What a guest does.
pub(crate) enum Task {
    /// Runs the live tests whose name contains one of these, or all.
    Tests(Vec<String>),
    Command(Vec<String>),
    /// Asks the sensor what this kernel supports.
    Doctor,
}

impl Task {
    fn from_words(words: &[String]) -> Self {
        match words {
            [] => Self::Tests(Vec::new()),
            [word] if !word.contains('/') => Self::Tests(vec![word.clone()]),
            words => Self::Command(words.to_vec()),
        }
    }
}

/// Boots all kernels, some at a time, and shows what each wrote when it has ended.
fn run(
    arguments: &Arguments,
    cache: &Path,
    initrd: &Path,
    kernels: &[Kernel],
    task: &Task,
) -> Result<Vec<Outcome>> {
    let jobs = match arguments.jobs {
        Some(jobs) => jobs.max(1),
        // For a fifth of its time a machine waits.
        None => 1 + thread::available_parallelism().map_or(1, usize::from),
    };
    // The largest kernels take longest: they start first.
    let waiting = Mutex::new((0..kernels.len()).collect::<Vec<_>>());
    let finished = Mutex::new(Vec::new());
    let work = || {
        // One statement, so that the lock is not held while the machine runs.
        while let Some(index) = waiting.lock().ok().and_then(|mut waiting| waiting.pop()) {
            let kernel = &kernels[index];
            let outcome = machine::boot(&machine::Machine {
                kernel: &kernel.image,
                initrd,
                arguments: kernel_arguments(kernel, arguments),
                kvm: arguments.kvm,
                timeout: Duration::from_secs(arguments.timeout),
                ports: cache.join("runs").join(format!(
                    "{}-{}",
                    kernel.version,
                    arguments.cgroups.name()
                )),
            });
            if let Ok(mut finished) = finished.lock() {
                if let Ok(outcome) = &outcome {
                    print!("{}", transcript(kernel, outcome, task));
                }
                finished.push((index, outcome));
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..jobs.min(kernels.len()) {
            scope.spawn(work);
        }
    });
    let mut finished = finished.into_inner().ok().context("a thread that ran a machine died")?;
    finished.sort_by_key(|(index, _)| *index);
    finished.into_iter().map(|(_, outcome)| outcome).collect()
}

fn kernel_arguments(kernel: &Kernel, arguments: &Arguments) -> String {
    let mut line = format!("CGROUPS={} {}", arguments.cgroups.name(), arguments.append);
    if let Some(list) = arguments.lsm.as_deref().or(kernel.lsm()) {
        line.push_str(" lsm=");
        line.push_str(list);
    }
    line
}

/// Lines of a console that show why a machine came to no end.
const TAIL: usize = 40;

/// What the guest wrote; if it came to no end, also the last lines of its console.
fn transcript(kernel: &Kernel, outcome: &Outcome, task: &Task) -> String {
    let mut text = format!("\n== {}\n{}{}", kernel.version, outcome.stdout, outcome.stderr);
    if let Verdict::Ended { status } = outcome.verdict {
        let has_results =
            || Counts::of(&outcome.stdout).is_some_and(|counts| is_whole(status, &counts));
        let complete = !matches!(task, Task::Tests(_)) || has_results();
        if complete {
            return text;
        }
    }
    let lines: Vec<&str> = outcome.console.lines().collect();
    text.push_str("-- the end of its console:\n");
    for line in &lines[lines.len().saturating_sub(TAIL)..] {
        text.push_str(line);
        text.push('\n');
    }
    text
}

fn summary(kernel: &Kernel, outcome: &Outcome, task: &Task) -> String {
    let seconds = outcome.time.as_secs_f64();
    let what = match (&outcome.verdict, task) {
        (Verdict::TimedOut, _) => "TIMED OUT".to_owned(),
        (Verdict::Died, _) => "DIED before it came to an end".to_owned(),
        (Verdict::Ended { status: 0 }, Task::Command(_) | Task::Doctor) => "ok".to_owned(),
        (Verdict::Ended { status }, Task::Command(_) | Task::Doctor) => {
            format!("FAILED with status {status}")
        }
        (Verdict::Ended { status }, Task::Tests(_)) => match Counts::of(&outcome.stdout) {
            Some(counts) if is_whole(*status, &counts) => counts.to_string(),
            _ => format!("FAILED: the tests died with status {status}"),
        },
    };
    format!("{:32} {seconds:5.1} s  {what}", kernel.version)
}

/// Whether these are all results of tests that ended with this status: one run that died may stand
/// beside another that did not.
fn is_whole(status: i32, counts: &Counts) -> bool {
    status == 0 || counts.failed > 0
}

/// Counts a machine's tests. One without results, and a command, counts as one test.
fn result(outcome: &Outcome, task: &Task) -> Counts {
    let passed = Counts { passed: 1, ..Counts::default() };
    let failed = Counts { failed: 1, ..Counts::default() };
    match (&outcome.verdict, task) {
        // What the doctor said is looked at, and counted, for itself.
        (Verdict::Ended { .. }, Task::Doctor) => Counts::default(),
        (Verdict::Ended { status: 0 }, Task::Command(_)) => passed,
        (Verdict::Ended { status }, Task::Tests(_)) => match Counts::of(&outcome.stdout) {
            Some(counts) if is_whole(*status, &counts) => counts,
            _ => failed,
        },
        (Verdict::Ended { .. } | Verdict::Died | Verdict::TimedOut, _) => failed,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Outcome, Task, Verdict, failed_tests, result};

    const PASSED: &str = "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured\n";
    const FAILED: &str = "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured\n";

    #[test]
    fn a_machine_without_results_has_failed() {
        let tests = || Task::Tests(Vec::new());
        let command = || Task::Command(vec!["uname".into(), "-r".into()]);
        let cases = [
            (Verdict::Ended { status: 0 }, PASSED, tests(), (3, 0)),
            (Verdict::Ended { status: 101 }, FAILED, tests(), (2, 1)),
            // The results were good, but then the program died.
            (Verdict::Ended { status: 139 }, PASSED, tests(), (0, 1)),
            (Verdict::Ended { status: 0 }, "", tests(), (0, 1)),
            (Verdict::Died, PASSED, tests(), (0, 1)),
            (Verdict::TimedOut, PASSED, tests(), (0, 1)),
            (Verdict::Ended { status: 0 }, "", command(), (1, 0)),
            (Verdict::Ended { status: 3 }, "", command(), (0, 1)),
            (Verdict::Died, "", command(), (0, 1)),
        ];
        for (verdict, stdout, task, expected) in cases {
            let outcome = Outcome {
                verdict,
                stdout: stdout.into(),
                stderr: String::new(),
                console: String::new(),
                report: String::new(),
                time: Duration::ZERO,
            };
            let counts = result(&outcome, &task);
            assert_eq!((counts.passed, counts.failed), expected, "{:?} {stdout}", outcome.verdict);
        }
    }

    #[test]
    fn failed_tests_are_those_of_the_list() {
        let output = "test a::b ... ok\ntest c::d ... FAILED\n\nfailures:\n\n---- c::d stdout ----\n\n\
                      failures:\n    c::d\n    e::f\n\ntest result: FAILED. 1 passed; 2 failed\n    not::a_test\n\
                      failures:\n    c::d\n\ntest result: FAILED. 0 passed; 1 failed\n";
        assert_eq!(failed_tests(output), ["c::d", "e::f"]);
        assert!(failed_tests(PASSED).is_empty());
    }

    #[test]
    fn one_word_is_a_filter() {
        let task = |words: &[&str]| {
            Task::from_words(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>())
        };
        assert!(matches!(task(&[]), Task::Tests(filters) if filters.is_empty()));
        assert!(matches!(task(&["connect"]), Task::Tests(filters) if filters == ["connect"]));
        assert!(matches!(task(&["/bin/true"]), Task::Command(words) if words == ["/bin/true"]));
        assert!(matches!(task(&["uname", "-r"]), Task::Command(words) if words == ["uname", "-r"]));
    }
}
