//! `sandbench compare`: saved results against each other.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::Look;
use super::args::CompareArguments;
use super::exit_code::Exit;
use super::failure::Failure;
use super::output;
use super::report::read;
use crate::compare::{self, Side};
use crate::metrics::{ComparedMetric, Comparison, Standing};

/// Compares the results and gives 98 where a regression is to fail.
pub(super) fn run(arguments: &CompareArguments, look: Look) -> Result<Exit, Failure> {
    let mut outs = Vec::new();
    for out in &arguments.out {
        outs.push(output::prepare(out, None)?);
    }
    let metrics = arguments.metric.iter().map(|text| {
        text.parse::<ComparedMetric>()
            .map_err(|error| Failure::usage(format!("compare `{text}`")).because(error))
    });
    let metrics = metrics.collect::<Result<Vec<_>, _>>()?;
    let sides = sides(&arguments.results)?;
    let limits = (arguments.alpha, arguments.min_effect.as_f64());
    let comparisons = compare::results(&sides, &metrics, limits)
        .map_err(|error| Failure::usage("compare the results").because(error))?;
    let text = crate::report::comparisons(&comparisons, look.report());
    let exit = if arguments.fail_on_regression {
        judge(&comparisons)
    } else {
        Exit::Ok
    };
    // A report is that of the last result, with these comparisons in place of its own.
    let last = sides.into_iter().next_back();
    let last = last.and_then(|side| side.results.into_iter().next());
    let Some(mut summary) = last else {
        return Ok(exit);
    };
    summary.comparisons = comparisons;
    output::show_as(text.trim_start_matches('\n'), &summary, outs)?;
    Ok(exit)
}

/// What comparisons come to when a regression is to fail.
pub(super) fn judge(comparisons: &[Comparison]) -> Exit {
    if comparisons.iter().any(Comparison::has_regression) {
        return Exit::Regression;
    }
    let rows = comparisons.iter().flat_map(|comparison| &comparison.rows);
    let judged = rows.flat_map(|row| &row.cells).any(|cell| {
        matches!(
            cell.standing,
            Standing::Worse | Standing::Better | Standing::NotShown
        )
    });
    if judged {
        return Exit::Ok;
    }
    // Silence would look like a pass.
    let needed = comparisons.iter().map(|comparison| comparison.needed).max();
    eprintln!(
        "`--fail-on-regression`: nothing could be judged; it takes {} samples per column",
        needed.unwrap_or(0)
    );
    Exit::NothingRan
}

/// Each argument is a side: one result, or several with commas between them.
fn sides(arguments: &[String]) -> Result<Vec<Side>, Failure> {
    let mut sides = Vec::new();
    for argument in arguments {
        let paths: Vec<&Path> = argument
            .split(',')
            .filter(|path| !path.is_empty())
            .map(Path::new)
            .collect();
        let results = paths.iter().map(|path| read(path));
        let results = results.collect::<Result<Vec<_>, _>>()?;
        let stem = paths.first().and_then(|path| path.file_stem());
        let stem = stem.map(|stem| stem.to_string_lossy().into_owned());
        let name = match (results.len(), stem) {
            (1, Some(stem)) => stem,
            (several, Some(stem)) if several > 1 => format!("{stem} +{}", several - 1),
            _ => return Err(Failure::usage(format!("find a result in `{argument}`"))),
        };
        sides.push(Side { name, results });
    }
    // Files of the same name in different folders are told apart by their paths.
    let mut seen = HashSet::new();
    if !sides.iter().all(|side| seen.insert(side.name.clone())) {
        for (side, argument) in sides.iter_mut().zip(arguments) {
            side.name.clone_from(argument);
        }
    }
    Ok(sides)
}

/// Where a baseline of a name is kept.
pub(super) fn baseline_path(directory: &Path, name: &str) -> Result<PathBuf, Failure> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        return Err(
            Failure::usage(format!("use `{name}` as the name of a baseline"))
                .help("letters, digits, `-`, `_` and `.`, not beginning with `.`"),
        );
    }
    Ok(directory.join(format!("{name}.json")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_baseline_is_no_path() {
        let path = |name: &str| baseline_path(Path::new("d"), name);
        assert_eq!(path("main-1.2").unwrap(), Path::new("d/main-1.2.json"));
        for name in ["", "..", ".hidden", "a/b", "a b"] {
            assert!(path(name).is_err(), "{name}");
        }
    }

    #[test]
    fn nothing_that_could_be_judged_is_no_pass() {
        assert_eq!(judge(&[]), Exit::NothingRan);
    }
}
