//! The command line: the only module that prints, exits, reads the environment or catches signals.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the terminal is this module's job"
)]

mod args;
mod child;
mod cluster;
mod exit_code;
mod failure;
mod provision;
mod signal;

use std::process::ExitCode;

use clap::Parser;

use args::{Arguments, ClusterCommand, Command};
use exit_code::Exit;
use failure::Failure;

/// Runs the program with the process's arguments and gives its exit code.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // The only provider that is compiled in; a second install would be harmless.
    let _installed = rustls::crypto::ring::default_provider()
        .install_default()
        .is_ok();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!(
                "{}",
                Failure::internal("start the asynchronous runtime").because(error)
            );
            return Exit::Internal.into();
        }
    };
    let outcome = runtime.block_on(dispatch(arguments));
    // A task that blocks must not hold the exit back: everything that matters was joined.
    runtime.shutdown_background();
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => {
            eprintln!("{failure}");
            failure.exit.into()
        }
    }
}

async fn dispatch(arguments: Arguments) -> Result<Exit, Failure> {
    match arguments.command {
        Command::Cluster(ClusterCommand::Up(up)) => cluster::up(up).await,
        Command::Run(_) | Command::Check(_) => Ok(Exit::Ok),
    }
}
