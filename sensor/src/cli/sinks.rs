//! `sensor sinks test`: a test alert to each configured destination.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Subcommand;

use crate::cli::record::hostname;
use crate::cli::run::RunArgs;
use crate::sinks::test::test_all;

#[derive(Debug, Subcommand)]
pub(super) enum SinksCommand {
    /// Send a test alert to each destination, and say what came of it
    Test(Box<RunArgs>),
}

/// 1 when a destination did not take it.
pub(super) fn sinks(command: &SinksCommand) -> Result<ExitCode> {
    let SinksCommand::Test(arguments) = command;
    let config = arguments.load()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the runtime of the sinks")?;
    let outcomes = runtime.block_on(test_all(&config.sinks, &hostname()));
    let mut code = ExitCode::SUCCESS;
    for outcome in outcomes {
        match outcome.result {
            Ok(()) => eprintln!("ok    {} {}", outcome.sink, outcome.destination),
            Err(error) => {
                code = ExitCode::FAILURE;
                eprintln!("FAIL  {} {}: {error:#}", outcome.sink, outcome.destination);
            }
        }
    }
    Ok(code)
}
