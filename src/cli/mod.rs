//! The command line: the only module that prints, exits, reads the environment or catches signals.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the terminal is this module's job"
)]

mod args;
mod args_of_results;
mod baseline;
mod board;
mod check;
mod child;
mod cluster;
mod compare;
mod console;
mod dry_run;
mod exit_code;
mod explain;
mod failure;
mod init;
mod list;
mod output;
mod partial;
mod progress;
mod provision;
mod reap;
mod redact;
mod report;
mod run;
mod signal;
mod target;
mod telemetry;
mod web;

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory, FromArgMatches};
use tracing_subscriber::EnvFilter;

use args::{Arguments, ClusterCommand, ColourChoice, Command};
use console::Console;
use exit_code::Exit;
use failure::Failure;
use telemetry::TelemetryCommand;

/// Runs the program with the process's arguments and gives its exit code.
pub fn main() -> ExitCode {
    let matches = Arguments::command().get_matches();
    let arguments = match Arguments::from_arg_matches(&matches) {
        Ok(arguments) => arguments,
        Err(error) => error.exit(),
    };
    let console = Console::new();
    let writer = console.clone();
    let filter =
        EnvFilter::try_from_env("SANDBENCH_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || writer.clone())
        .without_time()
        .init();
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
    let outcome = runtime.block_on(dispatch(arguments, &matches, console));
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

/// The variables of this process that are text.
fn environment() -> BTreeMap<String, String> {
    let all = std::env::vars_os();
    all.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

async fn dispatch(
    arguments: Arguments,
    matches: &ArgMatches,
    console: Console,
) -> Result<Exit, Failure> {
    let choice = arguments.color;
    match arguments.command {
        Command::Run(run) if run.dry_run => {
            let flags = dry_run::flags(matches);
            dry_run::dry_run(&run, &flags, Look::of(choice, &io::stderr()))
        }
        Command::Run(run) => run::run(*run, Screen::of(choice, console)).await,
        Command::Check(check) => Ok(check::run(
            &check.files,
            Look::of(choice, &io::stderr()).source(),
        )),
        Command::Compare(arguments) => compare::run(&arguments, Look::of(choice, &io::stdout())),
        Command::List(list) => list::list(&list.files, Look::of(choice, &io::stderr()).source()),
        Command::Reap(arguments) => reap::run(arguments).await,
        Command::Explain(arguments) => explain::explain(arguments.topic.as_deref()),
        Command::Init(arguments) => init::init(&arguments),
        Command::Schema => {
            output::print(&crate::scenario::schema())?;
            Ok(Exit::Ok)
        }
        Command::Completion(arguments) => init::completion(arguments.shell),
        Command::Report(arguments) => report::report(&arguments, Look::of(choice, &io::stdout())),
        Command::Merge(arguments) => report::merge(&arguments, Look::of(choice, &io::stdout())),
        Command::Cluster(ClusterCommand::Up(up)) => cluster::up(up).await,
        Command::Telemetry(TelemetryCommand::Check(check)) => telemetry::run_check(check).await,
    }
}

/// How output looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Plain,
    Coloured,
}

/// Where a run shows what it does.
#[derive(Debug, Clone)]
struct Screen {
    /// How standard output looks.
    look: Look,
    /// How standard error looks.
    progress: Look,
    console: Console,
}

impl Screen {
    fn of(choice: ColourChoice, console: Console) -> Self {
        Self {
            look: Look::of(choice, &io::stdout()),
            progress: Look::of(choice, &io::stderr()),
            console,
        }
    }
}

impl Look {
    /// `NO_COLOR`, even empty, switches colour off; `CLICOLOR_FORCE` and `FORCE_COLOR` on.
    fn of(choice: ColourChoice, stream: &impl IsTerminal) -> Self {
        let is_set = |name: &str| std::env::var_os(name).is_some();
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let forced = is_set("CLICOLOR_FORCE") || is_set("FORCE_COLOR");
        let coloured = match choice {
            ColourChoice::Always => true,
            ColourChoice::Never => false,
            ColourChoice::Auto if is_set("NO_COLOR") => false,
            ColourChoice::Auto => forced || (stream.is_terminal() && !dumb),
        };
        if coloured {
            Self::Coloured
        } else {
            Self::Plain
        }
    }

    fn source(self) -> crate::source::Colour {
        match self {
            Self::Plain => crate::source::Colour::Plain,
            Self::Coloured => crate::source::Colour::Ansi,
        }
    }

    fn report(self) -> crate::report::Colour {
        match self {
            Self::Plain => crate::report::Colour::Off,
            Self::Coloured => crate::report::Colour::On,
        }
    }
}
