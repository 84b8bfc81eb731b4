//! Reading a saved result, JSON or JSON Lines, whole or cut off.
//!
//! Pure: who opens the file says its name. Whatever is not a result of this program is refused with
//! what it seems to be instead.

use serde::Deserialize;
use serde_json::Value;

use super::jsonl::{CellLine, Line};
use crate::metrics::{
    CellFigures, FORMAT_VERSION, FailureGroup, Histogram, RunInfo, Summary, WindowSummary,
};

/// Why a text is no result.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It ends too early.
    #[error(
        "the file ends in the middle, at line {line} column {column}: it was not written whole"
    )]
    Truncated {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// It is empty.
    #[error("the file is empty")]
    Empty,
    /// It is no JSON.
    #[error("line {line} column {column} is no JSON")]
    NotJson {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What the parser says.
        #[source]
        source: serde_json::Error,
    },
    /// It is JSON of something else.
    #[error("this is JSON, but no result of sandbench: {what}")]
    Foreign {
        /// What is missing.
        what: String,
    },
    /// It has the format of another version.
    #[error("the result has format version {found}; this sandbench reads version {FORMAT_VERSION}")]
    Version {
        /// That of the file.
        found: u64,
    },
    /// It has the right version and the wrong fields.
    #[error("the result is damaged")]
    Damaged(#[source] serde_json::Error),
    /// A histogram in it is none.
    #[error("the result is damaged: the histogram of `{metric}` in `{cell}` cannot be read")]
    Histogram {
        /// The cell.
        cell: String,
        /// The metric.
        metric: String,
        /// What is wrong.
        #[source]
        source: crate::metrics::HistogramError,
    },
}

impl ReadError {
    /// What to do.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Truncated { .. } => {
                Some("a run that was killed leaves its windows in `PATH.partial.jsonl`")
            }
            Self::Version { found } if *found > u64::from(FORMAT_VERSION) => {
                Some("use the version of sandbench that wrote it, or a newer one")
            }
            Self::Version { .. } => Some("use the version of sandbench that wrote it"),
            Self::Empty | Self::NotJson { .. } | Self::Foreign { .. } => {
                Some("results are written by `sandbench run FILE --out json=PATH`")
            }
            Self::Damaged(_) | Self::Histogram { .. } => None,
        }
    }
}

/// Reads a result.
///
/// # Errors
/// [`ReadError`]: it is none, or one of another version.
pub fn read(text: &str) -> Result<Summary, ReadError> {
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err(ReadError::Empty);
    }
    let first = text.lines().next().unwrap_or_default();
    let summary = match serde_json::from_str::<Value>(first) {
        Ok(line) if line.get("kind").is_some() => lines(text)?,
        _ => whole(parse(text)?)?,
    };
    sound(&summary)?;
    Ok(summary)
}

fn parse(text: &str) -> Result<Value, ReadError> {
    serde_json::from_str(text).map_err(|source| {
        let (line, column) = (source.line(), source.column());
        if source.is_eof() {
            ReadError::Truncated { line, column }
        } else {
            ReadError::NotJson {
                line,
                column,
                source,
            }
        }
    })
}

fn version(value: &Value) -> Result<(), ReadError> {
    let foreign = |what: &str| {
        Err(ReadError::Foreign {
            what: what.to_owned(),
        })
    };
    let Some(object) = value.as_object() else {
        return foreign("it is not an object");
    };
    match object.get("format_version").map(Value::as_u64) {
        None => foreign("it has no `format_version`"),
        Some(None) => foreign("its `format_version` is no number"),
        Some(Some(found)) if found != u64::from(FORMAT_VERSION) => {
            Err(ReadError::Version { found })
        }
        Some(Some(_)) => Ok(()),
    }
}

fn whole(value: Value) -> Result<Summary, ReadError> {
    version(&value)?;
    Summary::deserialize(value).map_err(ReadError::Damaged)
}

/// The histograms of a result must be some.
fn sound(summary: &Summary) -> Result<(), ReadError> {
    for cell in &summary.cells {
        let windows = cell.windows.iter().flat_map(|window| &window.metrics);
        for series in cell.metrics.iter().chain(windows) {
            let Some(statistics) = &series.statistics else {
                continue;
            };
            Histogram::decode(&statistics.histogram).map_err(|source| ReadError::Histogram {
                cell: cell.cell.clone(),
                metric: series.metric.clone(),
                source,
            })?;
        }
    }
    Ok(())
}

/// What the lines of a run have said so far.
#[derive(Default)]
struct Heard {
    run: Option<RunInfo>,
    cells: Vec<(CellLine, Vec<WindowSummary>)>,
    failures: Vec<FailureGroup>,
    summary: Option<Summary>,
}

fn lines(text: &str) -> Result<Summary, ReadError> {
    let mut heard = Heard::default();
    let count = text.lines().count();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        let value = match parse(line) {
            // A run that was killed may have been killed while it wrote its last line.
            Err(ReadError::Truncated { .. }) if number == count && number > 1 => break,
            Err(ReadError::Truncated { column, .. }) => {
                return Err(ReadError::Truncated {
                    line: number,
                    column,
                });
            }
            Err(ReadError::NotJson { column, source, .. }) => {
                return Err(ReadError::NotJson {
                    line: number,
                    column,
                    source,
                });
            }
            parsed => parsed?,
        };
        if value.get("kind").and_then(Value::as_str) == Some("run") {
            version(&value)?;
        }
        heard.hear(Line::deserialize(value).map_err(ReadError::Damaged)?)?;
    }
    heard.finish()
}

impl Heard {
    fn hear(&mut self, line: Line) -> Result<(), ReadError> {
        match line {
            Line::Run(line) => self.run = Some(line.run),
            Line::Cell(line) => self.cells.push((line, Vec::new())),
            Line::Window(line) => {
                let mut cells = self.cells.iter_mut();
                let Some((_, windows)) = cells.find(|(cell, _)| cell.cell == line.cell) else {
                    let what = format!("a window of the unknown cell `{}`", line.cell);
                    return Err(ReadError::Foreign { what });
                };
                windows.push(line.window);
            }
            Line::Failure(failure) => {
                // A later line of the same group has the count as it was then.
                self.failures.retain(|known| {
                    (&known.cell, &known.place, &known.cause)
                        != (&failure.cell, &failure.place, &failure.cause)
                });
                self.failures.push(failure);
            }
            Line::Summary(summary) => self.summary = Some(*summary),
        }
        Ok(())
    }

    fn finish(self) -> Result<Summary, ReadError> {
        if let Some(mut summary) = self.summary {
            for cell in &mut summary.cells {
                let known = self.cells.iter();
                let windows = known.filter(|(known, _)| known.cell == cell.cell);
                cell.windows = windows.flat_map(|(_, windows)| windows.clone()).collect();
            }
            return Ok(summary);
        }
        let run = self.run.ok_or_else(|| ReadError::Foreign {
            what: "it has no line of the kind `run`".to_owned(),
        })?;
        let cells = self.cells.into_iter();
        let cells = cells.map(|(cell, windows)| CellFigures {
            cell: cell.cell,
            scenario: cell.scenario,
            matrix: cell.matrix,
            load: cell.load,
            planned: cell.planned,
            started_ms: cell.started_ms,
            steps: cell.steps,
            windows,
        });
        Ok(Summary::cut_off(run, cells.collect(), self.failures))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::fixed;
    use super::super::{Colour, Format};
    use super::*;
    use crate::metrics::{MetricSummary, Verdict};

    fn said(text: &str) -> String {
        read(text).unwrap_err().to_string()
    }

    #[test]
    fn a_result_is_read_whether_it_is_json_or_lines() {
        let json = Format::Json.render(&fixed(), Colour::Off);
        for format in [Format::Json, Format::Jsonl] {
            let read = read(&format.render(&fixed(), Colour::Off)).unwrap();
            assert_eq!(Format::Json.render(&read, Colour::Off), json, "{format:?}");
        }
    }

    #[test]
    fn what_is_no_result_is_told_apart() {
        let json = Format::Json.render(&fixed(), Colour::Off);
        assert_eq!(said(""), "the file is empty");
        assert!(said(&json[..json.len() / 2]).contains("ends in the middle"));
        assert!(said("a,b\n1,2\n").contains("line 1 column 1 is no JSON"));
        assert!(said("[1, 2]").contains("no result of sandbench: it is not an object"));
        assert!(said("{\"a\": 1}").contains("it has no `format_version`"));
        let newer = json.replacen("\"format_version\": 1", "\"format_version\": 99", 1);
        assert!(said(&newer).contains("format version 99; this sandbench reads version 1"));
        let older = json.replacen("\"format_version\": 1", "\"format_version\": 0", 1);
        assert!(said(&older).contains("format version 0"));
        let damaged = json.replacen("\"verdict\": \"failed\"", "\"verdict\": \"maybe\"", 1);
        assert_eq!(said(&damaged), "the result is damaged");
        let histogram = json.replacen("HISTFAAAA", "HISTEAAAA", 1);
        assert!(said(&histogram).contains("histogram of `sandbox_create_ack_duration`"));
    }

    #[test]
    fn a_run_that_was_cut_off_is_reported_as_far_as_it_came() {
        let whole = fixed();
        let lines = Format::Jsonl.render(&whole, Colour::Off);
        let end = lines.find("{\"kind\":\"summary\"").unwrap();
        // In the middle of the last line.
        let cut = read(&lines[..end + 30]).unwrap();
        assert_eq!(cut.verdict, Verdict::Interrupted);
        assert_eq!(cut.run.id, whole.run.id);
        let cell = &cut.cells[1];
        assert_eq!(cell.cell, whole.cells[1].cell);
        let of = |cell: &crate::metrics::CellSummary| {
            let found =
                |series: &&MetricSummary| series.metric == "exec_duration" && series.step.is_none();
            cell.metrics
                .iter()
                .find(found)
                .unwrap()
                .distribution()
                .count()
        };
        assert_eq!(of(cell), of(&whole.cells[1]));
        assert_eq!(cut.failures.len(), whole.failures.len());
        assert!(
            cut.warnings[0].to_string().contains("cut off"),
            "{:?}",
            cut.warnings
        );
    }
}
