//! `sandbench check`: validates files without running them.

use std::path::Path;
use std::sync::Arc;

use super::exit_code::Exit;
use super::failure::Failure;
use crate::plan::check_data;
use crate::scenario::{self, ScenarioFile, parse};
use crate::source::{Colour, Problems, SourceFile, render_all};

/// Reads and checks a file; what is wrong with it goes to standard error.
pub(super) fn load(
    path: &Path,
    colour: Colour,
) -> Result<Option<(Arc<SourceFile>, ScenarioFile)>, Failure> {
    let file = scenario::open(path).map_err(|error| {
        let help = error.help();
        Failure::invalid(format!("use `{}`", path.display()))
            .because(error)
            .maybe_help(help)
    })?;
    let (document, problems) = parse(&file);
    report(&file, &problems, colour);
    if let Some(document) = &document {
        let wrong = check_data(document, &file);
        report(&file, &wrong, colour);
        if wrong.has_errors() {
            return Ok(None);
        }
    }
    Ok(document.map(|document| (Arc::new(file), document)))
}

/// Shows every problem of a file.
pub(super) fn report(file: &SourceFile, problems: &Problems, colour: Colour) {
    if !problems.is_empty() {
        eprint!("{}", render_all(file, problems, colour));
    }
}

/// Checks every file, also after one that is wrong.
pub(super) fn run(files: &[std::path::PathBuf], colour: Colour) -> Exit {
    let mut wrong = 0_usize;
    for path in files {
        match load(path, colour) {
            Ok(Some((_, document))) => {
                let count = document.scenarios.len();
                let plural = if count == 1 { "" } else { "s" };
                println!("{}: ok, {count} scenario{plural}", path.display());
            }
            Ok(None) => wrong += 1,
            Err(failure) => {
                eprintln!("{failure}");
                wrong += 1;
            }
        }
    }
    if wrong == 0 {
        return Exit::Ok;
    }
    eprintln!("{wrong} of {} files cannot be used", files.len());
    Exit::Invalid
}
