//! `jsonl`: a line per thing, so that a run can be read while it is under way and after it was killed.
//!
//! ```text
//! {"kind":"run", …}        facts of the run, first
//! {"kind":"cell", …}       a cell starts
//! {"kind":"window", …}     a window of it is closed
//! {"kind":"failure", …}    failures of one cause at one place
//! {"kind":"summary", …}    everything but the windows, last; missing when the run was cut off
//! ```

use serde::{Deserialize, Serialize};

use crate::metrics::{
    CellFacts, CellSummary, FORMAT_VERSION, FailureGroup, RunInfo, StepSummary, Summary,
    WindowSummary,
};

/// A line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Line {
    /// Facts of the run.
    Run(RunLine),
    /// A cell starts.
    Cell(CellLine),
    /// A window of a cell is closed.
    Window(WindowLine),
    /// Failures of one cause at one place.
    Failure(FailureGroup),
    /// Everything but the windows.
    Summary(Box<Summary>),
}

/// Facts of the run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunLine {
    /// Version of this format.
    pub format_version: u32,
    /// The facts.
    pub run: RunInfo,
}

/// A cell starts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CellLine {
    /// `scenario[axis=value]`.
    pub cell: String,
    /// Its scenario.
    pub scenario: String,
    /// Its combination of the matrix.
    pub matrix: std::collections::BTreeMap<String, String>,
    /// Its load model in words.
    pub load: String,
    /// Iterations that are asked for, if that is known.
    pub planned: Option<u64>,
    /// When it started, in milliseconds from the start of the run.
    pub started_ms: u64,
    /// Its steps.
    #[serde(default)]
    pub steps: Vec<StepSummary>,
}

/// A window of a cell is closed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WindowLine {
    /// `scenario[axis=value]`.
    pub cell: String,
    /// The window.
    #[serde(flatten)]
    pub window: WindowSummary,
}

impl Line {
    /// The first line.
    pub fn of_run(run: &RunInfo) -> Self {
        Self::Run(RunLine {
            format_version: FORMAT_VERSION,
            run: run.clone(),
        })
    }

    /// A cell that starts, with its steps.
    pub fn of_start(cell: &CellFacts, steps: Vec<StepSummary>) -> Self {
        Self::Cell(CellLine {
            cell: cell.cell.clone(),
            scenario: cell.scenario.clone(),
            matrix: cell.matrix.clone(),
            load: cell.load.clone(),
            planned: cell.planned,
            started_ms: u64::try_from(cell.started.as_millis()).unwrap_or(u64::MAX),
            steps,
        })
    }

    fn of_cell(cell: &CellSummary) -> Self {
        Self::Cell(CellLine {
            cell: cell.cell.clone(),
            scenario: cell.scenario.clone(),
            matrix: cell.matrix.clone(),
            load: cell.load.clone(),
            planned: cell.iterations_planned,
            started_ms: cell.started_ms,
            steps: cell.steps.clone(),
        })
    }

    /// A window of a cell.
    pub fn of_window(cell: &str, window: WindowSummary) -> Self {
        Self::Window(WindowLine {
            cell: cell.to_owned(),
            window,
        })
    }

    /// The line as it is written, with its end.
    #[expect(
        clippy::missing_panics_doc,
        reason = "a line has only text keys and finite numbers"
    )]
    pub fn text(&self) -> String {
        let mut text =
            serde_json::to_string(self).expect("a line has only text keys and finite numbers");
        text.push('\n');
        text
    }
}

pub(super) fn render(summary: &Summary) -> String {
    let mut out = Line::of_run(&summary.run).text();
    for cell in &summary.cells {
        out.push_str(&Line::of_cell(cell).text());
    }
    let mut windows: Vec<(u64, Line)> = Vec::new();
    for cell in &summary.cells {
        let lines = cell.windows.iter().map(|window| {
            let line = Line::of_window(&cell.cell, window.clone());
            (cell.started_ms + window.to_ms, line)
        });
        windows.extend(lines);
    }
    windows.sort_by_key(|(at, _)| *at);
    for (_, line) in windows {
        out.push_str(&line.text());
    }
    for failure in &summary.failures {
        out.push_str(&Line::Failure(failure.clone()).text());
    }
    let mut rest = summary.clone();
    for cell in &mut rest.cells {
        cell.windows.clear();
    }
    out.push_str(&Line::Summary(Box::new(rest)).text());
    out
}
