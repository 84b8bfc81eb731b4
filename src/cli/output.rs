//! Where reports go: files, standard output, GitHub's summary and annotations.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::Look;
use super::args::Assignment;
use super::failure::Failure;
use crate::metrics::Summary;
use crate::report::{Colour, Format, Out, annotations};

/// In a path: the name of the scenario file without its ending.
const NAME: &str = "{name}";

/// Prepares a report. `file` is the scenario file when there are several: their paths must differ.
pub(super) fn prepare(out: &Assignment, file: Option<&Path>) -> Result<Out, Failure> {
    let fail = |error| Failure::usage("prepare a report").because(error);
    let Some(file) = file else {
        return Out::prepare(&out.name, &out.value).map_err(fail);
    };
    if !out.value.contains(NAME) {
        return Err(
            Failure::usage("write the reports of several files to one path").help(format!(
                "put `{NAME}` into it: `--out {}=result-{NAME}.json`",
                out.name
            )),
        );
    }
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    Out::prepare(&out.name, &out.value.replace(NAME, &stem)).map_err(fail)
}

/// Where the windows of a run are written until its report is there.
pub(super) fn partial(report: &Path) -> PathBuf {
    let mut name = report.as_os_str().to_owned();
    name.push(".partial.jsonl");
    PathBuf::from(name)
}

/// The text goes to standard output, unless a report is to have that for itself.
pub(super) fn show(summary: &Summary, outs: Vec<Out>, look: Look) -> Result<(), Failure> {
    let text = Format::Text.render(summary, look.report());
    show_as(&text, summary, outs)
}

/// The same with this text.
pub(super) fn show_as(text: &str, summary: &Summary, outs: Vec<Out>) -> Result<(), Failure> {
    if outs.iter().any(Out::is_stdout) {
        eprint!("{text}");
    } else {
        print(text)?;
    }
    write(summary, outs)
}

/// Prints the text report.
pub(super) fn text(summary: &Summary, look: Look) -> Result<(), Failure> {
    print(&Format::Text.render(summary, look.report()))
}

/// Writes every report; one that cannot be written does not keep the others from being.
pub(super) fn write(summary: &Summary, outs: Vec<Out>) -> Result<(), Failure> {
    let mut failed = None;
    for out in outs {
        let report = out.format.render(summary, Colour::Off);
        if let Err(failure) = put(out, report)
            && let Some(earlier) = failed.replace(failure)
        {
            eprintln!("{earlier}");
        }
    }
    failed.map_or(Ok(()), Err)
}

/// Writes one report.
pub(super) fn put(out: Out, report: String) -> Result<(), Failure> {
    match out.write(report) {
        Ok(None) => Ok(()),
        Ok(Some(report)) => print(&report),
        Err(error) => Err(Failure::setup("write a report").because(error)),
    }
}

/// Prints; a reader that has gone (`| head`) is no failure.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::setup("write to standard output").because(error))
        }
        _ => Ok(()),
    }
}

/// In GitHub Actions: the Markdown into the summary of the step, the first failures as annotations.
/// A summary that cannot be written is told and fails nothing.
pub(super) fn github(summary: &Summary) {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(path) = variable("GITHUB_STEP_SUMMARY") {
        let report = Format::Markdown.render(summary, Colour::Off);
        let opened = OpenOptions::new().append(true).create(true).open(&path);
        if let Err(error) = opened.and_then(|mut file| file.write_all(report.as_bytes())) {
            let path = PathBuf::from(path);
            eprintln!(
                "warning: the summary of the step ({}) was not written: {error}",
                path.display()
            );
        }
    }
    if variable("GITHUB_ACTIONS").is_some_and(|value| value == "true") {
        let workspace = variable("GITHUB_WORKSPACE").map(PathBuf::from);
        let here = std::env::current_dir().unwrap_or_default();
        let relative = |file: &str| {
            let whole = here.join(file);
            let inside = workspace
                .as_ref()
                .and_then(|root| whole.strip_prefix(root).ok());
            inside.map_or_else(|| file.to_owned(), |path| path.display().to_string())
        };
        for line in annotations(summary, relative) {
            eprintln!("{line}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_files_need_paths_that_differ() {
        let directory = tempfile::tempdir().unwrap();
        let out = |value: &str| Assignment {
            name: "json".to_owned(),
            value: directory.path().join(value).display().to_string(),
        };
        let file = Path::new("scenarios/a.yaml");
        let refused = prepare(&out("r.json"), Some(file)).unwrap_err().to_string();
        assert!(refused.contains("put `{name}` into it"), "{refused}");
        let named = prepare(&out("r-{name}.json"), Some(file)).unwrap();
        assert_eq!(
            named.path(),
            Some(directory.path().join("r-a.json").as_path())
        );
    }
}
