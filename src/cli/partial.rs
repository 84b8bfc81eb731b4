//! [`Partial`]: the windows of a run on disk while it is under way, so that a run that is killed can still be
//! reported: `sandbench report PATH.partial.jsonl`.
//!
//! As bounded as the result: when a cell has written as many windows as a
//! [`Timeline`] keeps, the next ones are twice as long.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::metrics::{Aggregate, CellFacts, ClosedWindow, RunInfo, SampleSink, Summary, Timeline};
use crate::plan::Plan;
use crate::report::Line;

/// The length of the windows of a run that is not long.
const WIDTH: Duration = Duration::from_secs(1);

/// Writes the windows of a run.
#[derive(Debug)]
pub(super) struct Partial {
    plan: Arc<Plan>,
    file: File,
    cells: BTreeMap<String, Pace>,
    /// A disk that is full is told once; the run goes on.
    broken: bool,
}

/// How far a cell has been written.
#[derive(Debug)]
struct Pace {
    width: Duration,
    written: usize,
    open: Option<Open>,
}

/// What waits for its window to be as long as it should.
#[derive(Debug)]
struct Open {
    from: Duration,
    windows: Aggregate,
    in_flight_max: u64,
}

/// Where it is; for its removal when the report is there.
#[derive(Debug)]
pub(super) struct PartialPath(PathBuf);

impl PartialPath {
    /// The report is written: the windows are in it.
    pub(super) fn remove(self) {
        if let Err(error) = fs::remove_file(&self.0) {
            eprintln!("warning: {} was not removed: {error}", self.0.display());
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Partial {
    /// Begins with the facts of a run.
    pub(super) fn begin(
        path: PathBuf,
        plan: &Arc<Plan>,
        run: &RunInfo,
    ) -> io::Result<(Self, PartialPath)> {
        let mut file = File::create(&path)?;
        file.write_all(Line::of_run(run).text().as_bytes())?;
        let partial = Self {
            plan: Arc::clone(plan),
            file,
            cells: BTreeMap::new(),
            broken: false,
        };
        Ok((partial, PartialPath(path)))
    }

    fn write(&mut self, line: &Line) {
        if self.broken {
            return;
        }
        if let Err(error) = self.file.write_all(line.text().as_bytes()) {
            self.broken = true;
            eprintln!("warning: the windows of the run are written no further: {error}");
        }
    }
}

impl SampleSink for Partial {
    fn on_cell(&mut self, cell: &CellFacts) {
        let planned = self.plan.cells.iter().find(|found| found.name == cell.cell);
        let steps = planned.map_or_else(Vec::new, |found| found.step_summaries(&self.plan.file));
        self.write(&Line::of_start(cell, steps));
    }

    fn on_window(&mut self, window: &ClosedWindow<'_>) {
        for failure in &window.failures {
            self.write(&Line::Failure(failure.clone()));
        }
        let pace = self.cells.entry(window.cell.cell.clone()).or_insert(Pace {
            width: WIDTH,
            written: 0,
            open: None,
        });
        if let Some(line) = pace.add(window) {
            self.write(&line);
        }
    }

    fn finish(&mut self, _summary: &Summary) {}
}

impl Pace {
    /// The line of a window that is long enough.
    fn add(&mut self, next: &ClosedWindow<'_>) -> Option<Line> {
        let open = self.open.get_or_insert_with(|| Open {
            from: next.from,
            windows: Aggregate::default(),
            in_flight_max: 0,
        });
        open.windows.merge(&next.series);
        open.in_flight_max = open.in_flight_max.max(next.in_flight_max);
        if !next.last && next.to + self.width / 8 < open.from + self.width {
            return None;
        }
        let open = self.open.take()?;
        self.written += 1;
        if self.written >= Timeline::LIMIT {
            self.written = Timeline::LIMIT / 2;
            self.width *= 2;
        }
        let whole = ClosedWindow {
            cell: next.cell,
            from: open.from,
            to: next.to,
            last: next.last,
            in_flight: next.in_flight,
            in_flight_max: open.in_flight_max,
            series: open.windows,
            failures: Vec::new(),
        };
        Some(Line::of_window(&next.cell.cell, whole.detailed()))
    }
}
