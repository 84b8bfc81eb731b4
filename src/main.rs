//! The `sandbench` program: everything is in the library's [`sandbench::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    sandbench::cli::main()
}
