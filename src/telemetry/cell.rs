//! The hot path: an iteration has ended; is its trace a candidate? A few loads from memory for the many that are
//! not, one try to put it into a channel for the few that are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use super::counts::Counts;
use super::judge::is_judged;
use super::keep::{Reason, Sampling};
use crate::metrics::{TraceExpectation, nanos};
use crate::trace::{CellTracer, Describe, Finished, Role, Span, Trace, Tracer};

/// What every iteration's root is called.
pub(super) const ITERATION: &str = "iteration";

/// What is to be known of a cell before it runs.
#[derive(Debug, Clone, PartialEq)]
pub struct CellPlan {
    /// Its name.
    pub name: String,
    /// The operations that it can make: actions, and `iteration` for the whole.
    pub operations: Vec<OperationPlan>,
    /// What is expected of its traces.
    pub expectations: Vec<TraceExpectation>,
}

/// One kind of operation of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OperationPlan {
    /// The action.
    pub name: &'static str,
    /// The tightest limit that a threshold sets for its time.
    pub limit: Option<Duration>,
}

/// A trace that may be worth sending.
#[derive(Debug)]
pub(super) struct Candidate {
    /// Place of its cell.
    pub(super) cell: usize,
    pub(super) trace: Finished,
    /// Why it is kept, whatever becomes of it among the slow ones.
    pub(super) reasons: Vec<Reason>,
}

impl Candidate {
    /// How many spans it stands for.
    pub(super) fn size(&self) -> u64 {
        size(&self.trace)
    }
}

pub(super) fn size(trace: &Finished) -> u64 {
    trace.spans.len() as u64
}

/// The cells of a run.
#[derive(Debug)]
pub(super) struct Cells {
    cells: Vec<Arc<CellKeeper>>,
}

impl Cells {
    pub(super) fn new(
        plans: Vec<CellPlan>,
        sampling: Sampling,
        intake: &mpsc::Sender<Candidate>,
        counts: &Arc<Counts>,
    ) -> Self {
        let cells = plans.into_iter().enumerate().map(|(place, plan)| {
            Arc::new(CellKeeper {
                place,
                name: plan.name,
                sampling,
                operations: plan.operations.into_iter().map(Floor::new).collect(),
                expectations: plan.expectations,
                not_taken: AtomicU64::new(0),
                intake: intake.clone(),
                counts: Arc::clone(counts),
            })
        });
        Self {
            cells: cells.collect(),
        }
    }

    pub(super) fn all(&self) -> &[Arc<CellKeeper>] {
        &self.cells
    }
}

impl Tracer for Cells {
    fn cell(&self, name: &str) -> Arc<dyn CellTracer> {
        let found = self.cells.iter().find(|cell| cell.name == name);
        match found.or_else(|| self.cells.first()) {
            Some(cell) => Arc::clone(cell) as Arc<dyn CellTracer>,
            None => Arc::new(Nobody),
        }
    }
}

/// Wants nothing.
#[derive(Debug)]
struct Nobody;

impl CellTracer for Nobody {
    fn begin(&self, _iteration: u64) -> Trace {
        Trace::begin(ITERATION, crate::trace::Sampled::No)
    }

    fn finish(&self, _iteration: u64, trace: Finished, _describe: Describe<'_>) {
        drop(trace);
    }
}

/// Chooses among the traces of one cell.
#[derive(Debug)]
pub(super) struct CellKeeper {
    place: usize,
    pub(super) name: String,
    sampling: Sampling,
    pub(super) operations: Vec<Floor>,
    pub(super) expectations: Vec<TraceExpectation>,
    /// Traces that were to be judged and that the worker had no time for.
    not_taken: AtomicU64,
    intake: mpsc::Sender<Candidate>,
    counts: Arc<Counts>,
}

/// How slow an operation must be to be a candidate.
#[derive(Debug)]
pub(super) struct Floor {
    pub(super) name: &'static str,
    /// Nanoseconds; set by the collector once it holds enough slower ones.
    slow: AtomicU64,
    limit: u64,
}

impl Floor {
    fn new(plan: OperationPlan) -> Self {
        Self {
            name: plan.name,
            slow: AtomicU64::new(0),
            limit: plan.limit.map_or(u64::MAX, nanos),
        }
    }

    /// Only what is slower is a candidate from now on.
    pub(super) fn raise(&self, slowest: u64) {
        self.slow.store(slowest, Ordering::Relaxed);
    }
}

/// Whether a span is what slow ones are kept of.
pub(super) fn is_ranked(span: &Span) -> bool {
    matches!(span.role, Role::Root | Role::Operation)
}

impl CellKeeper {
    fn reasons(&self, iteration: u64, trace: &Finished) -> Option<Vec<Reason>> {
        let keep = self.sampling.keep;
        let mut slow = false;
        let mut reasons = Vec::new();
        if keep.failed && trace.root().is_some_and(|root| root.error.is_some()) {
            reasons.push(Reason::Failed);
        }
        for span in trace.spans.iter().filter(|span| is_ranked(span)) {
            let known = self.operations.iter().find(|floor| floor.name == span.name);
            let Some(floor) = known else { continue };
            let took = nanos(span.duration());
            slow |= keep.slow > 0 && took > floor.slow.load(Ordering::Relaxed);
            if keep.threshold && took > floor.limit && !reasons.contains(&Reason::Threshold) {
                reasons.push(Reason::Threshold);
            }
        }
        reasons.extend(self.sampling.takes(iteration, trace.id));
        (slow || !reasons.is_empty()).then_some(reasons)
    }
}

impl CellKeeper {
    /// Candidates of all cells that wait.
    pub(super) fn waiting(&self) -> usize {
        self.intake.max_capacity() - self.intake.capacity()
    }

    /// Traces that were to be judged and that the worker had no time for.
    pub(super) fn not_taken(&self) -> u64 {
        self.not_taken.load(Ordering::Relaxed)
    }
}

impl CellTracer for CellKeeper {
    fn begin(&self, iteration: u64) -> Trace {
        let id = crate::trace::TraceId::random();
        Trace::with_id(ITERATION, id, self.sampling.told(iteration, id))
    }

    fn finish(&self, iteration: u64, mut trace: Finished, describe: Describe<'_>) {
        let size = size(&trace);
        self.counts.left_out(u64::from(trace.left_out));
        let Some(reasons) = self.reasons(iteration, &trace) else {
            self.counts.made(u64::from(trace.left_out));
            self.counts.passed_over(size);
            return;
        };
        self.counts.made(size + u64::from(trace.left_out));
        if let Some(root) = trace.spans.first_mut() {
            describe(root);
        }
        let candidate = Candidate {
            cell: self.place,
            trace,
            reasons,
        };
        // The second half of the room is for those that are sent in any case.
        let only_ranked = candidate.reasons.is_empty();
        let busy = only_ranked && self.waiting() > self.intake.max_capacity() / 2;
        let judged = is_judged(&candidate.trace, &candidate.reasons);
        if busy || self.intake.try_send(candidate).is_err() {
            self.counts.dropped_busy(size);
            self.not_taken
                .fetch_add(u64::from(judged), Ordering::Relaxed);
        }
    }
}
