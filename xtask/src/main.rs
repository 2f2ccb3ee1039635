//! The project's own commands: `cargo xtask setup`, `run`, `test`, `vm`, `bench`, `soak`,
//! `capture`, `ci`, `docs`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line program of developers"
)]

mod aarch64;
mod apt;
mod bench;
mod capture;
mod ci;
mod command;
mod docs;
mod run;
mod setup;
mod soak;
mod test;
#[path = "../../sensor-ebpf/tools.rs"]
mod tools;
mod vm;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    bin_name = "cargo xtask",
    about = "Sets up, runs, tests and measures the sensor",
    version
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the build needs and this host lacks
    Setup,
    /// Build the sensor and start it: `sensor run`, or with the arguments after `--`
    Run {
        #[arg(last = true, value_name = "ARGUMENTS")]
        arguments: Vec<String>,
    },
    /// Run every test that this host can run
    Test {
        /// Only tests whose name contains this
        filter: Option<String>,
    },
    /// Run the live tests, or a command, on other kernels in emulated machines
    Vm(vm::Arguments),
    /// Measure what watching costs, and write docs/benchmarks.md
    Bench(bench::Arguments),
    /// Storm the agent with more than it can take, and see that it accounts for all and recovers
    Soak(soak::Arguments),
    /// Make the captures of the tests anew, and the alerts that replaying them must give
    Capture(capture::Arguments),
    /// Run all that a change has to pass
    Ci {
        /// Leave out what takes longest: the storm, the other kernels and the other architecture
        #[arg(long)]
        quick: bool,
    },
    /// Check the agent for 64-bit ARM
    Aarch64,
    /// Write the reference under docs/ from the tables in the code
    Docs {
        /// Change nothing; fail if a file differs
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    let passed = match Arguments::parse().task {
        Task::Setup => setup::build_and_say().map(|()| true),
        Task::Run { arguments } => run::run(&arguments).map(|()| true),
        Task::Test { filter } => test::test(filter.as_deref()),
        Task::Vm(arguments) => vm::vm(&arguments),
        Task::Bench(arguments) => bench::bench(&arguments).map(|()| true),
        Task::Soak(arguments) => soak::soak(&arguments).map(|()| true),
        Task::Capture(arguments) => capture::capture(&arguments).map(|()| true),
        Task::Ci { quick } => ci::ci(quick),
        Task::Aarch64 => aarch64::check().map(|()| true),
        Task::Docs { check } => docs::docs(check).map(|()| true),
    };
    match passed {
        Ok(true) => ExitCode::SUCCESS,
        // The closing line of the tests has said it.
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
