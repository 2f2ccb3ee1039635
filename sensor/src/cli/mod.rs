//! The command line: what a user types, and the exit code that answers.
//!
//! 0: done. 1: failed, with one message that says what, on what, and what to do. 2: wrong use.
#![expect(clippy::print_stderr, reason = "this is where the program speaks")]

mod compact;
mod containers;
mod doctor;
mod engines;
mod events;
mod log;
mod kept;
mod lookup;
mod outside;
mod pushdown;
mod profile;
mod record;
pub mod rules;
mod ruleset;
mod run;
mod sinks;
mod source;

use std::io;
use std::process::ExitCode;

use anyhow::Result;
use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, Subcommand};

use crate::cli::containers::ContainersArgs;
use crate::cli::events::EventsArgs;
use crate::cli::log::{Log, log_level};
use crate::cli::profile::ProfileArgs;
use crate::cli::record::{RecordArgs, ReplayArgs};
use crate::cli::rules::RulesCommand;
use crate::cli::run::RunArgs;
use crate::cli::sinks::SinksCommand;
use crate::cli::source::SourceArgs;
use crate::config::value::LogLevel;

/// Runtime security, profiles and container metrics from one agent.
#[derive(Debug, Parser)]
#[command(name = "sensor", version, propagate_version = true)]
struct Cli {
    /// Messages of the sensor about itself, on standard error: error, warn, info, debug or trace
    #[arg(long, global = true, value_name = "LEVEL", env = "SENSOR_LOG", value_parser = log_level)]
    log: Option<LogLevel>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch, evaluate rules and send alerts: the agent
    Run(Box<RunArgs>),
    /// Show events as they happen
    Events(EventsArgs),
    /// Profile the processor time of a container, pod, process or cgroup
    Profile(ProfileArgs),
    /// List what runs, and how each was attributed
    Containers(ContainersArgs),
    /// Write the kernel's records to a file
    Record(RecordArgs),
    /// Run the rules over such a file, without root
    Replay(ReplayArgs),
    /// Check, list, test and explain rules
    #[command(subcommand)]
    Rules(RulesCommand),
    /// Try the destinations of alerts
    #[command(subcommand)]
    Sinks(SinksCommand),
    /// Say what this kernel and host support, and the fix for what is missing
    Doctor {
        #[command(flatten)]
        source: SourceArgs,
        #[command(flatten)]
        rules: rules::RulesetArgs,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print a completion script
    Completions { shell: clap_complete::Shell },
    /// Print the manual page
    Man,
    /// Write the reference documents into a directory
    #[command(hide = true)]
    Docs { directory: std::path::PathBuf },
    /// Do nothing: what the sensor executes to see whether it sees
    #[command(hide = true)]
    Canary {
        /// First move into this cgroup
        #[arg(long)]
        cgroup: Option<String>,
    },
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let log = Log::start(cli.log);
    match dispatch(cli.command, log) {
        Ok(code) => code,
        // Whoever reads the output has seen enough (`sensor events | head`).
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sensor: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn usage(error: &clap::Error) -> ExitCode {
    // Help goes to standard output and is what was asked for.
    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if error.print().is_err() || !asked {
        return ExitCode::from(2);
    }
    ExitCode::SUCCESS
}

fn dispatch(command: Command, log: Log) -> Result<ExitCode> {
    match command {
        Command::Run(arguments) => run::run(*arguments, log)?,
        Command::Events(arguments) => events::events(&arguments)?,
        Command::Profile(arguments) => profile::profile(&arguments)?,
        Command::Containers(arguments) => containers::containers(&arguments)?,
        Command::Record(arguments) => record::record(&arguments)?,
        Command::Replay(arguments) => record::replay(&arguments)?,
        Command::Rules(command) => return rules::run(&command),
        Command::Sinks(command) => return sinks::sinks(&command),
        Command::Doctor { source, rules, json } => return doctor::doctor(&source, &rules, json),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "sensor", &mut io::stdout());
        }
        Command::Man => clap_mangen::Man::new(Cli::command()).render(&mut io::stdout())?,
        Command::Docs { directory } => docs(&directory)?,
        Command::Canary { cgroup: Some(path) } => source::enter(&path)?,
        Command::Canary { cgroup: None } => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// The reference documents, each from the table that the code uses.
fn docs(directory: &std::path::Path) -> Result<()> {
    let documents = [
        ("config.md", crate::config::docs::reference()),
        ("metrics.md", crate::metrics::docs::reference()),
        ("probes.md", doctor::reference()),
        ("fields.md", crate::fields::docs::markdown()),
    ];
    for (name, text) in documents {
        std::fs::write(directory.join(name), text)?;
    }
    Ok(())
}

/// Whether to colour what goes there: a terminal, and nobody asked not to (<https://no-color.org>).
fn colour(stream: &impl io::IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
