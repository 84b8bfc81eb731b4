//! `sandbench init`: an example file with comments; `sandbench completion`: for shells.

use std::fs::OpenOptions;
use std::io::{self, Write};

use clap::CommandFactory;

use super::args::{Arguments, Example, InitArguments};
use super::exit_code::Exit;
use super::failure::Failure;
use super::output;

impl Example {
    fn text(self) -> &'static str {
        match self {
            Self::Lifecycle => include_str!("examples/lifecycle.yaml"),
            Self::Cliff => include_str!("examples/cliff.yaml"),
        }
    }

    fn file(self) -> &'static str {
        match self {
            Self::Lifecycle => "lifecycle.yaml",
            Self::Cliff => "cliff.yaml",
        }
    }
}

/// Writes an example file; one that is there stays, unless `--force` says otherwise.
pub(super) fn init(arguments: &InitArguments) -> Result<Exit, Failure> {
    let path = arguments
        .to
        .clone()
        .unwrap_or_else(|| arguments.example.file().into());
    let mut options = OpenOptions::new();
    options.write(true);
    if arguments.force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    let written = options
        .open(&path)
        .and_then(|mut file| file.write_all(arguments.example.text().as_bytes()));
    if let Err(error) = written {
        let failure = Failure::usage(format!("write `{}`", path.display()));
        let help = match error.kind() {
            io::ErrorKind::AlreadyExists => {
                "it is left as it is; `--force` overwrites it, `--to PATH` writes another file"
            }
            io::ErrorKind::NotFound => "the directory does not exist; create it first",
            _ => "`--to PATH` writes another file",
        };
        return Err(failure.because(error).help(help));
    }
    println!(
        "wrote {0}; try it without a cluster: sandbench run {0}",
        path.display()
    );
    Ok(Exit::Ok)
}

/// Prints the completions of a shell.
pub(super) fn completion(shell: clap_complete::Shell) -> Result<Exit, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "sandbench", &mut text);
    output::print(&String::from_utf8_lossy(&text))?;
    Ok(Exit::Ok)
}
