//! One cell: what its iterations share, from its start until its load model is over or the run is
//! stopped. The loops that start iterations are `closed_loop` and `open_loop`.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::cancel::Cancel;
use super::cleanup::CleanUps;
use super::error::EngineError;
use super::event::{Events, IterationEnd, RunEvent};
use super::failure::Failures;
use super::iteration::{self, Number};
use super::overseer::{Judged, Overseer};
use super::pacer::Pacing;
use super::traced::Traced;
use super::windows::Windows;
use super::{breakpoint_loop, closed_loop, open_loop};
use crate::client::Client;
use crate::load::{LoadModel, VuCurve};
use crate::metrics::{
    Aggregate, BreakpointSummary, CellCounts, CellFacts, CellSummary, Figures, Metric, Observed,
    Recorder, SharedAggregate, Sinks, StepIndex, Threshold, Verdict,
};
use crate::plan::{Cell, Feed, Plan, Seed};
use crate::trace::CellTracer;

/// What the iterations of a cell share.
#[derive(Debug)]
pub(super) struct CellRun {
    pub(super) plan: Arc<Plan>,
    pub(super) cell: Cell,
    /// Of everything random in it.
    pub(super) seed: Seed,
    pub(super) client: Client,
    pub(super) failures: Arc<Failures>,
    pub(super) cleanups: Arc<CleanUps>,
    pub(super) events: Events,
    pub(super) started: Instant,
    /// What tells when its arrivals are due.
    pub(super) pacing: Pacing,
    /// Number of the next iteration.
    next: AtomicU64,
    aggregate: SharedAggregate,
    passed: AtomicU64,
    failed: AtomicU64,
    interrupted: AtomicU64,
    dropped: AtomicU64,
    /// The most iterations at a time of an open model.
    most: AtomicU32,
    /// Thresholds that were judged while it ran.
    pub(super) judged: Arc<Judged>,
    /// Who gets the windows; nobody when those of a round are kept with those of the others.
    sinks: Option<Sinks>,
    /// The figures of earlier rounds, which are in the aggregate too.
    pub(super) before: Arc<Aggregate>,
    /// What the cell's runtime cannot do.
    not_applicable: OnceLock<String>,
    /// Who wants the traces of iterations.
    pub(super) tracer: Option<Arc<Traced>>,
}

impl CellRun {
    pub(super) fn new(
        plan: &Arc<Plan>,
        cell: &Cell,
        client: Client,
        (failures, cleanups): (&Arc<Failures>, &Arc<CleanUps>),
        events: &Events,
    ) -> Self {
        Self {
            plan: Arc::clone(plan),
            cell: cell.clone(),
            seed: plan.seed,
            client,
            failures: Arc::clone(failures),
            cleanups: Arc::clone(cleanups),
            events: events.clone(),
            started: Instant::now(),
            pacing: Pacing::default(),
            next: AtomicU64::new(0),
            aggregate: SharedAggregate::default(),
            passed: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            interrupted: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            most: AtomicU32::new(0),
            judged: Arc::default(),
            sinks: Some(Sinks::default()),
            before: Arc::default(),
            not_applicable: OnceLock::new(),
            tracer: None,
        }
    }

    /// The same, with arrivals that are waited for like this.
    pub(super) fn paced(mut self, pacing: Pacing) -> Self {
        self.pacing = pacing;
        self
    }

    /// The same, with its iterations traced.
    pub(super) fn traced(mut self, by: Option<Arc<dyn CellTracer>>) -> Self {
        self.tracer = by.map(|by| Arc::new(Traced::new(by, &self.cell)));
        self
    }

    /// Tells these of its windows.
    pub(super) fn with_sinks(mut self, sinks: &Sinks) -> Self {
        self.sinks = Some(sinks.clone());
        self
    }

    /// The same cell, for what comes after its run.
    pub(super) fn again(&self) -> Self {
        Self {
            tracer: self.tracer.clone(),
            ..Self::new(
                &self.plan,
                &self.cell,
                self.client.clone(),
                (&self.failures, &self.cleanups),
                &self.events,
            )
        }
    }

    /// The same cell for one round, from 1; its figures are added to those of the rounds before.
    pub(super) fn of_round(&self, round: u32) -> Self {
        Self {
            seed: self.plan.seed.of_round(round),
            pacing: self.pacing,
            aggregate: self.aggregate.clone(),
            before: Arc::new(self.aggregate.lock().clone()),
            judged: Arc::clone(&self.judged),
            sinks: None,
            ..self.again()
        }
    }

    /// Tells that the cell starts, and keeps its windows from now on.
    pub(super) fn begin_windows(&self) -> Option<Windows> {
        let sinks = self.sinks.as_ref()?;
        self.events.tell(RunEvent::CellStarted {
            cell: self.cell.name.clone(),
            load: self.cell.load.model.to_string(),
        });
        let told = (sinks, &self.failures);
        Some(Windows::begin(self.facts(), self.started, told))
    }

    /// Adds the windows to the summary, and tells that the cell is over.
    pub(super) async fn end_windows(
        &self,
        windows: Option<Windows>,
        summary: &mut CellSummary,
    ) -> Result<(), EngineError> {
        let Some(windows) = windows else {
            return Ok(());
        };
        let (windows, width) = windows.end().await.map_err(|error| self.panicked(&error))?;
        summary.window_ms = milliseconds(width);
        summary.windows = windows;
        self.events.tell(RunEvent::CellEnded {
            cell: self.cell.name.clone(),
        });
        Ok(())
    }

    /// Runs the cell to its end.
    pub(super) async fn run(mut self, cancel: Cancel) -> Result<CellSummary, EngineError> {
        self.started = Instant::now();
        let run = Arc::new(self);
        let windows = run.begin_windows();
        let ended = CancellationToken::new();
        let mut overseers = JoinSet::new();
        if let Some(overseer) = Overseer::of(&run, &cancel) {
            overseers.spawn(overseer.watch(ended.clone()));
        }
        let found = match &run.cell.load.model {
            LoadModel::Closed(closed) => {
                run.set_most(closed.most());
                closed_loop::drive(&run, closed, &cancel).await?;
                None
            }
            LoadModel::Open(open) => {
                open_loop::drive(&run, open, &cancel).await?;
                None
            }
            LoadModel::Breakpoint(breakpoint) => {
                Some(breakpoint_loop::drive(&run, breakpoint, &cancel).await?)
            }
        };
        ended.cancel();
        while let Some(joined) = overseers.join_next().await {
            joined.map_err(|error| run.panicked(&error))?;
        }
        let mut summary = run.summary(found);
        run.end_windows(windows, &mut summary).await?;
        Ok(summary)
    }

    fn facts(&self) -> CellFacts {
        CellFacts {
            cell: self.cell.name.clone(),
            scenario: self.cell.scenario.clone(),
            matrix: self.cell.matrix.clone(),
            tags: self.cell.tags.clone(),
            load: self.cell.load.model.to_string(),
            planned: self.planned(),
            steps: self.cell.step_names(),
            started: self.failures.offset(self.started),
            figures: self.aggregate(),
        }
    }

    /// The curve of a closed model.
    pub(super) fn curve(&self) -> Option<&dyn VuCurve> {
        match &self.cell.load.model {
            LoadModel::Closed(closed) => Some(closed),
            LoadModel::Open(_) | LoadModel::Breakpoint(_) => None,
        }
    }

    /// The runtime cannot do what a step wants: no further iteration begins.
    pub(super) fn not_applicable(&self, why: String) {
        // The first reason stays.
        let _first = self.not_applicable.set(why);
    }

    /// Why the cell is not applicable, if it is not.
    pub(super) fn why_not_applicable(&self) -> Option<&String> {
        self.not_applicable.get()
    }

    /// Whether no further iteration begins, whatever the load model says: the data is used up, or
    /// the cell is not applicable.
    pub(super) fn is_over(&self) -> bool {
        self.why_not_applicable().is_some() || self.has_no_data(self.begun())
    }

    /// Whether the data ends before this iteration.
    pub(super) fn has_no_data(&self, iteration: u64) -> bool {
        let length = self.cell.data.as_ref().and_then(Feed::length);
        length.is_some_and(|length| iteration >= length)
    }

    /// How many iterations have begun.
    pub(super) fn begun(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// The number of a new iteration.
    pub(super) fn begin(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn set_most(&self, most: u32) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// Runs an iteration, its number and its VU's, and counts how it ended. Whether it counts was
    /// told to the recorder.
    pub(super) async fn iterate(
        &self,
        (iteration, vu): (u64, u32),
        planned: Instant,
        recorder: &mut Recorder,
        abort: &CancellationToken,
    ) {
        let number = Number {
            iteration,
            vu,
            planned,
        };
        recorder.enter(iteration, planned);
        let end = iteration::run(self, number, recorder, abort).await;
        let counter = match end {
            IterationEnd::Passed => Some(&self.passed),
            IterationEnd::Failed => Some(&self.failed),
            IterationEnd::Interrupted => Some(&self.interrupted),
            IterationEnd::NotApplicable => None,
        };
        if let Some(counter) = counter {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        recorder.leave();
        recorder.hand_over();
    }

    /// Counts an arrival that found no room.
    pub(super) fn drop_one(&self, recorder: &mut Recorder) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
        recorder.count(Metric::DroppedIterations, None, 1);
        recorder.hand_over();
    }

    /// Whether an iteration of a load that has a warm-up counts.
    pub(super) fn figures(&self, iteration: u64, planned: Instant) -> Figures {
        let offset = planned.saturating_duration_since(self.started);
        if self.cell.load.warmup.holds(iteration, offset) {
            Figures::LeftOut
        } else {
            Figures::Counted
        }
    }

    pub(super) fn panicked(&self, error: &JoinError) -> EngineError {
        EngineError::Panicked {
            cell: self.cell.name.clone(),
            message: error.to_string(),
        }
    }

    /// How many iterations are asked for, as far as that is known before.
    fn planned(&self) -> Option<u64> {
        let rows = self.cell.data.as_ref().and_then(Feed::length);
        let once = match (self.cell.load.planned(), rows) {
            (Some(load), Some(rows)) => Some(load.min(rows)),
            // A load without a number may end before its data does.
            (load, _) => load,
        };
        // One round is asked for itself.
        let rounds = self.cell.rounds.as_ref().filter(|_| self.sinks.is_some());
        once.map(|once| once.saturating_mul(rounds.map_or(1, |rounds| u64::from(rounds.count))))
    }

    pub(super) fn summary(&self, found: Option<BreakpointSummary>) -> CellSummary {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let aggregate = self.aggregate.lock().since(&self.before);
        let mut summary = CellSummary {
            scenario: self.cell.scenario.clone(),
            cell: self.cell.name.clone(),
            matrix: self.cell.matrix.clone(),
            verdict: Verdict::Passed,
            not_applicable: None,
            load: self.cell.load.model.to_string(),
            vus: self.most.load(Ordering::Relaxed),
            iterations_planned: self.planned(),
            iterations_passed: 0,
            iterations_failed: 0,
            iterations_interrupted: 0,
            iterations_dropped: 0,
            iterations_warmup: aggregate.counter(Metric::WarmupIterations),
            started_ms: milliseconds(self.failures.offset(self.started)),
            duration_ms: milliseconds(self.started.elapsed()),
            steps: self.cell.step_summaries(&self.plan.file),
            metrics: aggregate.metrics(&self.cell.step_names()),
            rounds: Vec::new(),
            breakpoint: None,
            window_ms: 0,
            windows: Vec::new(),
        };
        summary.set_counts(CellCounts {
            passed: read(&self.passed),
            failed: read(&self.failed),
            interrupted: read(&self.interrupted),
            dropped: read(&self.dropped),
        });
        if let Some(found) = found {
            summary.found(found);
        }
        if let Some(why) = self.why_not_applicable() {
            summary.not_applicable(why);
        }
        summary
    }

    /// The figures of a threshold's series so far.
    pub(super) fn observed(&self, threshold: &Threshold, steps: Option<&[StepIndex]>) -> Observed {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let selector = &threshold.selector;
        let (histogram, sum) = self.aggregate.lock().chosen(selector, steps);
        let before = self.before.chosen(selector, steps);
        Observed {
            histogram: histogram.since(&before.0),
            sum: sum - before.1,
            iterations: read(&self.passed) + read(&self.failed),
            elapsed: self.started.elapsed(),
            rate: None,
        }
    }

    /// The cell's histograms.
    pub(super) fn aggregate(&self) -> SharedAggregate {
        self.aggregate.clone()
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
