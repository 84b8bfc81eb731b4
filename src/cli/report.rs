//! `sandbench report` and `sandbench merge`: reports from saved results alone.

use std::fs;
use std::path::{Path, PathBuf};

use super::args::{Assignment, MergeArguments, ReportArguments};
use super::exit_code::Exit;
use super::failure::Failure;
use super::{Look, output};
use crate::metrics::Summary;
use crate::report::{self, Out};

/// Renders a saved result again; as text where nothing else is asked for.
pub(super) fn report(arguments: &ReportArguments, look: Look) -> Result<Exit, Failure> {
    let outs = prepare(&arguments.out)?;
    let summary = read(&arguments.result)?;
    if outs.is_empty() {
        output::text(&summary, look)?;
    }
    output::write(&summary, outs)?;
    Ok(Exit::Ok)
}

/// Adds results; the text of the sum where nothing else is asked for.
pub(super) fn merge(arguments: &MergeArguments, look: Look) -> Result<Exit, Failure> {
    let outs = prepare(&arguments.out)?;
    let parts: Result<Vec<Summary>, Failure> =
        arguments.results.iter().map(|path| read(path)).collect();
    let whole = Summary::merge(parts?).map_err(|error| {
        Failure::usage("merge the results")
            .because(error)
            .help("results of the same scenario file, variables and cluster add up, each once")
    })?;
    if outs.is_empty() {
        output::text(&whole, look)?;
    }
    output::write(&whole, outs)?;
    Ok(Exit::Ok)
}

fn prepare(outs: &[Assignment]) -> Result<Vec<Out>, Failure> {
    let prepared = outs.iter().map(|out| output::prepare(out, None));
    prepared.collect()
}

/// Reads a result; a problem is one of the file, not of the cluster.
pub(super) fn read(path: &Path) -> Result<Summary, Failure> {
    let action = format!("read the result {}", path.display());
    let text = fs::read(path).map_err(|error| {
        let failure = Failure::invalid(action.clone()).because(error);
        failure.maybe_help(beside(path))
    })?;
    let text = String::from_utf8(text).map_err(|error| {
        Failure::invalid(action.clone())
            .because(error)
            .help("results are text: JSON or JSON Lines")
    })?;
    report::read(&text).map_err(|error| {
        let help = beside(path).or_else(|| error.help().map(str::to_owned));
        Failure::invalid(action).because(error).maybe_help(help)
    })
}

/// The windows that a killed run left where its result would have been.
fn beside(path: &Path) -> Option<String> {
    let partial = output::partial(path);
    let there = partial.is_file();
    there.then(|| {
        let partial: PathBuf = partial;
        format!(
            "the run was cut off; its windows are in `{}`",
            partial.display()
        )
    })
}
