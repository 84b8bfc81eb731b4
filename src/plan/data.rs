//! Reads data files: what cannot be used is a problem at `data` in the scenario file, with the
//! place in the data file below it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::csv;
use super::feed::Row;
use crate::expr::Value;
use crate::scenario::{Data, DataFormat, ScenarioFile};
use crate::source::{
    Code, Colour, Diagnostic, Problems, SourceFile, Span, did_you_mean, list_of, snippet,
};
use crate::units::ByteSize;

/// The largest data file: it is held in memory.
const LARGEST: ByteSize = ByteSize(64 << 20);

/// Where a scenario file is; paths in it are relative to this.
pub(super) fn directory(file: &SourceFile) -> PathBuf {
    match Path::new(file.path()).parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}

/// Everything that is wrong with the data files of a scenario file.
pub fn check_data(document: &ScenarioFile, file: &SourceFile) -> Problems {
    let mut problems = Problems::new();
    let data = document.scenarios.iter().filter_map(|it| it.data.as_ref());
    for data in data {
        read(data, file, &mut problems);
    }
    problems
}

/// A problem in a data file.
struct Wrong {
    message: String,
    /// Where, unless it is about the whole.
    span: Option<Span>,
    label: String,
}

impl Wrong {
    fn at(span: Span, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            span: Some(span),
            label: "here".to_owned(),
        }
    }

    fn whole(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            span: None,
            label: String::new(),
        }
    }
}

/// The rows of a data file: at least one, and every column that the steps use.
pub(super) fn read(
    data: &Data,
    scenario: &SourceFile,
    problems: &mut Problems,
) -> Option<Arc<[Row]>> {
    let path = directory(scenario).join(&data.file.value);
    let refuse = |message: String| {
        let message = format!(
            "the data file `{}` cannot be used: {message}",
            data.file.value
        );
        Diagnostic::error(Code::Data, data.file.span, message).label("named here")
    };
    let text = match load(&path) {
        Ok(text) => text,
        Err(message) => {
            problems.push(refuse(message).help(format!(
                "the path is relative to the scenario file: `{}`",
                path.display()
            )));
            return None;
        }
    };
    let file = SourceFile::from_text(path.to_string_lossy(), text);
    match rows(data, &file) {
        Ok(rows) => {
            let known = columns_exist(data, &rows, problems);
            known.then(|| rows.into())
        }
        Err(wrong) => {
            let problem = refuse(wrong.message);
            problems.push(match wrong.span {
                None => problem,
                Some(span) => {
                    problem.excerpt(snippet(&file, span, &wrong.label, &[], Colour::Plain))
                }
            });
            None
        }
    }
}

fn load(path: &Path) -> Result<String, String> {
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if metadata.is_dir() {
        return Err("it is a directory".to_owned());
    }
    // A pipe would be waited for, a device may have no end.
    if !metadata.is_file() {
        return Err("it is neither a file nor a directory".to_owned());
    }
    if metadata.len() > LARGEST.0 {
        let size = ByteSize(metadata.len());
        return Err(format!("it has {size}, and at most {LARGEST} are read"));
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let before = error.as_bytes().get(..at).unwrap_or_default();
        let line = before.split(|byte| *byte == b'\n').count();
        format!("line {line} is not UTF-8")
    })
}

fn rows(data: &Data, file: &SourceFile) -> Result<Vec<Row>, Wrong> {
    let rows = match data.format {
        DataFormat::Csv => of_csv(file.text())?,
        DataFormat::Json => of_json(file)?,
        DataFormat::JsonLines => of_lines(file)?,
    };
    if rows.is_empty() {
        return Err(Wrong::whole("it has no rows"));
    }
    Ok(rows)
}

fn of_csv(text: &str) -> Result<Vec<Row>, Wrong> {
    let records = csv::records(text).map_err(|found| Wrong::at(found.span, found.message))?;
    let mut records = records.into_iter();
    let Some(header) = records.next() else {
        return Err(Wrong::whole("it is empty"));
    };
    let mut seen = HashSet::new();
    let mut names: Vec<Arc<str>> = Vec::new();
    for cell in &header {
        let name = cell.text.trim();
        if !is_name(name) {
            let message = format!("`{name}` is not a name for a column");
            return Err(Wrong {
                label: "the first line names the columns: letters, digits and `_`".to_owned(),
                ..Wrong::at(cell.span, message)
            });
        }
        if !seen.insert(name) {
            let message = format!("the column `{name}` is there twice");
            return Err(Wrong::at(cell.span, message));
        }
        names.push(name.into());
    }
    let mut rows = Vec::new();
    for record in records {
        if let (true, Some(first), Some(last)) =
            (record.len() != names.len(), record.first(), record.last())
        {
            let (found, wanted) = (record.len(), names.len());
            return Err(Wrong {
                label: format!("{found} here, {wanted} in the first line"),
                ..Wrong::at(
                    first.span.to(last.span),
                    "a line has another number of values than there are columns",
                )
            });
        }
        let values = record.into_iter().map(|cell| Value::text(cell.text));
        rows.push(names.iter().cloned().zip(values).collect());
    }
    Ok(rows)
}

/// Whether a name can stand after `data.`.
fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn of_json(file: &SourceFile) -> Result<Vec<Row>, Wrong> {
    let value: serde_json::Value =
        serde_json::from_str(file.text()).map_err(|error| not_json(file, &error, error.line()))?;
    let serde_json::Value::Array(items) = value else {
        return Err(Wrong::whole("it is not a list of objects"));
    };
    let rows = items.into_iter().zip(1..).map(|(item, number)| {
        row(item).ok_or_else(|| Wrong::whole(format!("item {number} of the list is not an object")))
    });
    rows.collect()
}

fn of_lines(file: &SourceFile) -> Result<Vec<Row>, Wrong> {
    let mut rows = Vec::new();
    for (line, number) in file.text().lines().zip(1..) {
        if line.trim().is_empty() {
            continue;
        }
        let item = serde_json::from_str(line).map_err(|error| not_json(file, &error, number))?;
        let span = place(file, number, 1);
        let row = row(item).ok_or_else(|| {
            Wrong::at(
                Span::new(span.start, span.start + line.len()),
                "a line is not an object",
            )
        })?;
        rows.push(row);
    }
    Ok(rows)
}

fn row(item: serde_json::Value) -> Option<Row> {
    let serde_json::Value::Object(fields) = item else {
        return None;
    };
    let fields = fields.into_iter();
    Some(
        fields
            .map(|(name, value)| (name.into(), Value::from(value)))
            .collect(),
    )
}

fn not_json(file: &SourceFile, error: &serde_json::Error, line: usize) -> Wrong {
    let text = error.to_string();
    // Without "at line 1 column 2", which would be that of the line alone.
    let reason = text.split(" at line ").next().unwrap_or_default();
    Wrong {
        label: reason.to_owned(),
        ..Wrong::at(place(file, line, error.column()), "it is not JSON")
    }
}

/// The place of a line and a column in bytes, both counted from 1.
fn place(file: &SourceFile, line: usize, column: usize) -> Span {
    let before = file.text().split_inclusive('\n').take(line.max(1) - 1);
    let start: usize = before.map(str::len).sum();
    let mut at = (start + column.max(1) - 1).min(file.text().len());
    while !file.text().is_char_boundary(at) {
        at -= 1;
    }
    Span::new(at, at)
}

/// Whether every row has every column that the steps use; reports the first that has not.
fn columns_exist(data: &Data, rows: &[Row], problems: &mut Problems) -> bool {
    let mut all = true;
    for reference in &data.used {
        let Some(name) = reference.path.get(1) else {
            continue;
        };
        let has = |row: &Row| row.iter().any(|(column, _)| column == name);
        let Some(missing) = rows.iter().position(|row| !has(row)) else {
            continue;
        };
        all = false;
        let columns: Vec<&str> = rows[missing].iter().map(|(name, _)| &**name).collect();
        let message = if missing == 0 {
            format!("`{}` has no column `{name}`", data.file.value)
        } else {
            let number = missing + 1;
            format!("row {number} of `{}` has no `{name}`", data.file.value)
        };
        let label = did_you_mean(name, &columns);
        problems.push(
            Diagnostic::error(Code::UnknownReference, reference.span, message)
                .label(label)
                .help(format!("it has {}", list_of(&columns))),
        );
    }
    all
}
