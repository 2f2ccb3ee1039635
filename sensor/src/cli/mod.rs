//! The command line.

pub mod rules;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Runtime security, profiles and container metrics from one agent.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check, list, test and explain rules
    #[command(subcommand)]
    Rules(rules::RulesCommand),
}

pub fn main() -> ExitCode {
    match Args::parse().command {
        Command::Rules(command) => rules::run(command),
    }
}
