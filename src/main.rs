//! The `sandbench` program: everything is in the library's [`sandbench::cli`].

use std::process::ExitCode;

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    sandbench::cli::main()
}
