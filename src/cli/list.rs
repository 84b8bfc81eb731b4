//! `sandbench list`: the scenarios of files, with what they are for.

use std::path::PathBuf;

use super::check;
use super::exit_code::Exit;
use super::failure::Failure;
use crate::source::Colour;

/// Prints the scenarios of every file.
pub(super) fn list(files: &[PathBuf], colour: Colour) -> Result<Exit, Failure> {
    let mut exit = Exit::Ok;
    for path in files {
        let Some((_, document)) = check::load(path, colour)? else {
            exit = Exit::Invalid;
            continue;
        };
        println!("{}: {}", path.display(), document.name.value);
        for scenario in &document.scenarios {
            let cells = scenario.matrix.combinations().len();
            let plural = if cells == 1 { "" } else { "s" };
            let description = scenario.description.as_deref().unwrap_or_default();
            let line = format!(
                "  {}  {cells} cell{plural}  {description}",
                scenario.id.value
            );
            println!("{}", line.trim_end());
        }
    }
    Ok(exit)
}
