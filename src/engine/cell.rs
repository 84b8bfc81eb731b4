//! One cell: its virtual users, until its load model is over or the run is stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::cancel::{Cancel, Phase};
use super::error::EngineError;
use super::event::{Events, IterationEnd, RunEvent};
use super::failure::Failures;
use super::iteration::{self, Number};
use crate::client::Client;
use crate::metrics::{CellCounts, CellSummary, Recorder, SharedAggregate, Verdict};
use crate::plan::{Cell, Plan};

/// What the VUs of a cell share.
#[derive(Debug)]
pub(super) struct CellRun {
    pub(super) plan: Arc<Plan>,
    pub(super) cell: Cell,
    pub(super) client: Client,
    pub(super) failures: Arc<Failures>,
    pub(super) events: Events,
    /// Number of the next iteration.
    next: AtomicU64,
    started: Instant,
    aggregate: SharedAggregate,
    passed: AtomicU64,
    failed: AtomicU64,
    interrupted: AtomicU64,
}

impl CellRun {
    pub(super) fn new(
        plan: &Arc<Plan>,
        cell: &Cell,
        client: Client,
        failures: &Arc<Failures>,
        events: &Events,
    ) -> Self {
        Self {
            plan: Arc::clone(plan),
            cell: cell.clone(),
            client,
            failures: Arc::clone(failures),
            events: events.clone(),
            next: AtomicU64::new(0),
            started: Instant::now(),
            aggregate: SharedAggregate::default(),
            passed: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            interrupted: AtomicU64::new(0),
        }
    }

    /// The same cell, for what comes after its run.
    pub(super) fn again(&self) -> Self {
        Self::new(
            &self.plan,
            &self.cell,
            self.client.clone(),
            &self.failures,
            &self.events,
        )
    }

    /// Runs the cell to its end.
    pub(super) async fn run(self, cancel: Cancel) -> Result<CellSummary, EngineError> {
        let run = Arc::new(self);
        let curve = run.cell.load.curve();
        let vus = curve.vus(Duration::ZERO);
        run.events.tell(RunEvent::CellStarted {
            cell: run.cell.name.clone(),
            vus,
        });
        let abort = CancellationToken::new();
        let mut users = JoinSet::new();
        for vu in 0..vus {
            users.spawn(user(Arc::clone(&run), vu, cancel.clone(), abort.clone()));
        }
        let graceful_stop = run.cell.load.graceful_stop();
        let (mut drain, mut stop) = (cancel.clone(), cancel.clone());
        let mut draining = false;
        let deadline = tokio::time::sleep(Duration::MAX);
        tokio::pin!(deadline);
        loop {
            tokio::select! {
                joined = users.join_next() => match joined {
                    None => break,
                    Some(Ok(())) => {}
                    Some(Err(error)) => {
                        abort.cancel();
                        return Err(EngineError::Panicked {
                            cell: run.cell.name.clone(),
                            message: error.to_string(),
                        });
                    }
                },
                () = drain.reached(Phase::Draining), if !draining => {
                    draining = true;
                    deadline.as_mut().reset(Instant::now() + graceful_stop);
                }
                () = stop.reached(Phase::Aborting), if !abort.is_cancelled() => abort.cancel(),
                () = &mut deadline, if draining && !abort.is_cancelled() => abort.cancel(),
                () = until_over(&run), if !draining => {
                    draining = true;
                    deadline.as_mut().reset(Instant::now() + graceful_stop);
                }
            }
        }
        run.events.tell(RunEvent::CellEnded {
            cell: run.cell.name.clone(),
        });
        Ok(run.summary(vus))
    }

    fn summary(&self, vus: u32) -> CellSummary {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut summary = CellSummary {
            scenario: self.cell.scenario.clone(),
            cell: self.cell.name.clone(),
            matrix: self.cell.matrix.clone(),
            verdict: Verdict::Passed,
            vus,
            iterations_planned: self.cell.load.curve().planned(),
            iterations_passed: 0,
            iterations_failed: 0,
            iterations_interrupted: 0,
            duration_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            metrics: self.aggregate.lock().metrics(&self.cell.step_names()),
        };
        summary.set_counts(CellCounts {
            passed: read(&self.passed),
            failed: read(&self.failed),
            interrupted: read(&self.interrupted),
        });
        summary
    }

    /// How many durations beyond the histograms' range there were.
    pub(super) fn aggregate(&self) -> SharedAggregate {
        self.aggregate.clone()
    }
}

/// Waits until a model with a duration is over; for ever for one with a number of iterations.
async fn until_over(run: &CellRun) {
    if run.cell.load.curve().planned().is_some() {
        std::future::pending::<()>().await;
    }
    // The curve is a function of time, looked at often enough for whole seconds.
    while run.cell.load.curve().vus(run.started.elapsed()) > 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// One virtual user: iterations, one after the other.
async fn user(run: Arc<CellRun>, vu: u32, cancel: Cancel, abort: CancellationToken) {
    let mut recorder = Recorder::new(run.aggregate.clone());
    // In a closed model an iteration is due as soon as its VU is free.
    let mut planned = run.started;
    while cancel.phase() == Phase::Running && !abort.is_cancelled() {
        let iteration = run.next.fetch_add(1, Ordering::Relaxed);
        if !run
            .cell
            .load
            .curve()
            .admits(iteration, run.started.elapsed())
        {
            break;
        }
        let number = Number {
            iteration,
            vu,
            planned,
        };
        let end = iteration::run(&run, number, &mut recorder, &abort).await;
        let counter = match end {
            IterationEnd::Passed => &run.passed,
            IterationEnd::Failed => &run.failed,
            IterationEnd::Interrupted => &run.interrupted,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        run.events.tell(RunEvent::IterationEnded {
            cell: run.cell.name.clone(),
            end,
        });
        recorder.hand_over();
        planned = Instant::now();
    }
}
