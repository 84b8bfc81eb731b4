//! [`Board`]: what a run looks like just now, for whoever shows it: terminal, log, browser.
//!
//! Fed with closed windows on a thread of their own; the load knows nothing of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::metrics::{
    CellFacts, ClosedWindow, FailureGroup, Metric, Observed, Outcome, SampleSink, Series,
    StepIndex, Summary, Threshold,
};
use crate::plan::Plan;

/// Everything that is shown of a run. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Board(Arc<Mutex<State>>);

#[derive(Debug)]
pub(super) struct State {
    pub(super) plan: Arc<Plan>,
    pub(super) cells: Vec<CellView>,
    pub(super) over: bool,
}

/// A cell that has started.
#[derive(Debug)]
pub(super) struct CellView {
    pub(super) facts: CellFacts,
    pub(super) begun: Instant,
    pub(super) over: bool,
    pub(super) iterations: u64,
    pub(super) failures: u64,
    pub(super) dropped: u64,
    /// Of the last window.
    pub(super) rate: f64,
    /// p50, p95, p99 of the iterations of the last window that had any.
    pub(super) latency: Option<[Duration; 3]>,
    pub(super) thresholds: Vec<Limit>,
    /// Groups of failures by place and cause, as they were last told.
    pub(super) groups: Vec<FailureGroup>,
}

/// A threshold while the cell runs.
#[derive(Debug)]
pub(super) struct Limit {
    threshold: Threshold,
    steps: Option<Vec<StepIndex>>,
    pub(super) text: String,
    /// What was measured so far, and whether the limit holds for it.
    pub(super) measured: Option<(String, Outcome)>,
}

impl Board {
    pub(super) fn of(plan: &Arc<Plan>) -> Self {
        Self(Arc::new(Mutex::new(State {
            plan: Arc::clone(plan),
            cells: Vec::new(),
            over: false,
        })))
    }

    /// Held for as long as it takes to read or to write a few lines, by nobody who makes load.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SampleSink for Board {
    fn on_cell(&mut self, facts: &CellFacts) {
        let mut state = self.lock();
        let planned = state.plan.cells.iter().find(|cell| cell.name == facts.cell);
        let thresholds = planned.map_or_else(Vec::new, |cell| {
            let all = cell.thresholds.iter();
            all.map(|(threshold, series)| Limit {
                threshold: threshold.clone(),
                steps: steps(series, &facts.steps),
                text: threshold.to_string(),
                measured: None,
            })
            .collect()
        });
        state.cells.push(CellView {
            facts: facts.clone(),
            begun: Instant::now(),
            over: false,
            iterations: 0,
            failures: 0,
            dropped: 0,
            rate: 0.0,
            latency: None,
            thresholds,
            groups: Vec::new(),
        });
    }

    fn on_window(&mut self, window: &ClosedWindow<'_>) {
        let mut state = self.lock();
        let mut cells = state.cells.iter_mut().rev();
        if let Some(cell) = cells.find(|cell| cell.facts.cell == window.cell.cell) {
            cell.add(window);
        }
    }

    fn finish(&mut self, _summary: &Summary) {
        let mut state = self.lock();
        state.over = true;
    }
}

impl CellView {
    fn add(&mut self, window: &ClosedWindow<'_>) {
        let count = |metric| window.series.counter(metric);
        let iterations = count(Metric::Iterations);
        self.iterations += iterations;
        self.failures += count(Metric::Failures);
        self.dropped += count(Metric::DroppedIterations);
        self.over = window.last;
        let seconds = window.to.saturating_sub(window.from).as_secs_f64();
        if seconds > 0.0 {
            self.rate = iterations as f64 / seconds;
        }
        let latency = window.series.trend(Metric::IterationDuration);
        if latency.count() > 0 {
            self.latency = Some([0.5, 0.95, 0.99].map(|share| latency.quantile(share)));
        }
        for failure in &window.failures {
            let same = |known: &&mut FailureGroup| {
                known.place == failure.place && known.cause == failure.cause
            };
            match self.groups.iter_mut().find(same) {
                Some(known) => *known = failure.clone(),
                None => self.groups.push(failure.clone()),
            }
        }
        for limit in &mut self.thresholds {
            let metric = limit.threshold.selector.metric;
            let chosen = self
                .facts
                .figures
                .lock()
                .chosen(metric, limit.steps.as_deref());
            let figures = Observed {
                histogram: chosen.0,
                sum: chosen.1,
                iterations: self.iterations,
                elapsed: window.to,
                rate: None,
            };
            let (outcome, measured) = limit.threshold.evaluate(&figures);
            limit.measured = measured.map(|measured| (measured.to_string(), outcome));
        }
    }

    /// How far it has come, where that is known.
    pub(super) fn share(&self) -> Option<f64> {
        let planned = self.facts.planned.filter(|planned| *planned > 0)?;
        let done = (self.iterations + self.dropped) as f64 / planned as f64;
        Some(done.min(1.0))
    }

    /// The thresholds that do not hold just now.
    pub(super) fn missed(&self) -> impl Iterator<Item = &Limit> {
        self.thresholds.iter().filter(|limit| {
            let outcome = limit.measured.as_ref().map(|(_, outcome)| *outcome);
            outcome == Some(Outcome::Failed)
        })
    }
}

impl State {
    /// What is in flight, how long and on which line: the longest of each cell first, `most` of each.
    pub(super) fn in_flight(&self, most: usize) -> Vec<String> {
        let mut lines = Vec::new();
        for cell in self.cells.iter().filter(|cell| !cell.over) {
            let all = cell.facts.figures.under_way();
            lines.push(format!("{}: {} in flight", cell.facts.cell, all.len()));
            let planned = self
                .plan
                .cells
                .iter()
                .find(|found| found.name == cell.facts.cell);
            let steps = planned.map(|found| found.step_summaries(&self.plan.file));
            for one in all.iter().take(most) {
                let step = one
                    .step
                    .and_then(|StepIndex(place)| steps.as_ref()?.get(usize::from(place)));
                let at = step.map_or_else(
                    || "before its first step, or cleaning up".to_owned(),
                    |step| format!("{}:{}  {}", self.plan.file.path(), step.line, step.name),
                );
                lines.push(format!(
                    "  {:>8.1}s  iteration {}  {at}",
                    one.age.as_secs_f64(),
                    one.iteration + 1
                ));
            }
            if all.len() > most {
                lines.push(format!("  … and {} that began later", all.len() - most));
            }
        }
        if lines.is_empty() {
            lines.push("nothing is in flight".to_owned());
        }
        lines
    }
}

fn steps(series: &Series, names: &[String]) -> Option<Vec<StepIndex>> {
    let Series::Steps(wanted) = series else {
        return None;
    };
    let places = (0_u16..).zip(names);
    let chosen = places.filter(|(_, name)| wanted.contains(name));
    Some(chosen.map(|(place, _)| StepIndex(place)).collect())
}
