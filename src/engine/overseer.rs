//! [`Overseer`]: looks at a cell's figures while it runs, for thresholds that are judged before its
//! end: those with a `window`, and those that stop the run (`abortOnFail`).
//!
//! It has a task of its own and reads what the VUs have handed over; they never wait for it, but for
//! the moment in which the series are copied.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::cancel::{Cancel, CancelReason, Phase};
use super::cell::CellRun;
use super::event::RunEvent;
use crate::metrics::{
    Observed, OnFail, Outcome, Series, Sliding, StepIndex, Threshold, ThresholdResult, Window,
};

/// How often a threshold without a window is looked at.
const PAUSE: Duration = Duration::from_secs(1);

/// What was judged before a cell's end, by the place of the threshold among the cell's.
#[derive(Debug, Default)]
pub(super) struct Judged(Mutex<BTreeMap<usize, ThresholdResult>>);

impl Judged {
    /// The result of a threshold, if it was judged.
    pub(super) fn get(&self, place: usize) -> Option<ThresholdResult> {
        self.lock().get(&place).cloned()
    }

    /// Keeps a result: the first that failed, or the one that stopped the run, before all others.
    fn keep(&self, place: usize, result: ThresholdResult) {
        let mut kept = self.lock();
        let weight = |result: &ThresholdResult| {
            let failed = result.outcome == Outcome::Failed;
            (result.stopped_at_ms.is_some(), failed)
        };
        let known = kept.get(&place).map(weight);
        if known.is_none_or(|known| weight(&result) > known || known == (false, false)) {
            kept.insert(place, result);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<usize, ThresholdResult>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A threshold that is judged while the cell runs.
#[derive(Debug)]
struct Watched {
    place: usize,
    threshold: Threshold,
    /// None for all.
    steps: Option<Vec<StepIndex>>,
    /// Their names.
    names: Option<Vec<String>>,
    sliding: Option<Sliding>,
}

/// Judges thresholds while a cell runs.
#[derive(Debug)]
pub(super) struct Overseer {
    run: Arc<CellRun>,
    watched: Vec<Watched>,
    cancel: Cancel,
}

impl Overseer {
    /// For a cell that has such thresholds.
    pub(super) fn of(run: &Arc<CellRun>, cancel: &Cancel) -> Option<Self> {
        let names = run.cell.step_names();
        let watched: Vec<Watched> = run
            .cell
            .thresholds
            .iter()
            .enumerate()
            .filter(|(_, (threshold, _))| {
                threshold.window.is_some() || threshold.on_fail != OnFail::GoOn
            })
            .map(|(place, (threshold, series))| Watched {
                names: series.names(),
                place,
                threshold: threshold.clone(),
                steps: steps(series, &names),
                sliding: threshold.window.map(Sliding::new),
            })
            .collect();
        (!watched.is_empty()).then(|| Self {
            run: Arc::clone(run),
            watched,
            cancel: cancel.clone(),
        })
    }

    /// Looks until the cell has ended.
    pub(super) async fn watch(mut self, ended: CancellationToken) {
        let pauses = self.watched.iter().map(|watched| {
            let sliding = watched.sliding.as_ref();
            sliding.map_or(PAUSE, Sliding::pause)
        });
        let pause = pauses.min().unwrap_or(PAUSE);
        let mut ticks = tokio::time::interval(pause);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while ended.run_until_cancelled(ticks.tick()).await.is_some() {
            self.look();
        }
        self.look();
    }

    fn look(&mut self) {
        let at = self.run.started.elapsed();
        for watched in &mut self.watched {
            let figures = self
                .run
                .observed(&watched.threshold, watched.steps.as_deref());
            let Some(result) = watched.judge(at, figures, &self.run.cell.name) else {
                continue;
            };
            let stops = self.cancel.phase() == Phase::Running && watched.stops(&result, at);
            if stops {
                self.run.events.tell(RunEvent::StoppedByThreshold {
                    cell: self.run.cell.name.clone(),
                    threshold: result.threshold.clone(),
                });
                self.cancel.stop(Phase::Draining, CancelReason::Threshold);
            }
            let result = ThresholdResult {
                stopped_at_ms: stops.then(|| milliseconds(at)),
                ..result
            };
            // One without a window is judged by the whole run, unless it has stopped that.
            if stops || watched.sliding.is_some() {
                self.run.judged.keep(watched.place, result);
            }
        }
    }
}

impl Watched {
    /// Whether the run is to end because of this result.
    fn stops(&self, result: &ThresholdResult, at: Duration) -> bool {
        match self.threshold.on_fail {
            OnFail::Abort { not_before } => result.outcome == Outcome::Failed && at >= not_before,
            OnFail::GoOn => false,
        }
    }

    /// Judges what there is now; nothing before a first whole window.
    fn judge(&mut self, at: Duration, figures: Observed, cell: &str) -> Option<ThresholdResult> {
        let (figures, window) = match &mut self.sliding {
            None => (figures, None),
            Some(sliding) => {
                let (figures, from) = sliding.look(at, figures)?;
                let window = Window {
                    from_ms: milliseconds(from),
                    to_ms: milliseconds(at),
                };
                (figures, Some(window))
            }
        };
        let (outcome, measured) = self.threshold.evaluate(&figures);
        // A window in which nothing happened says nothing.
        (outcome != Outcome::NoSamples).then(|| ThresholdResult {
            cell: cell.to_owned(),
            threshold: self.threshold.to_string(),
            steps: self.names.clone(),
            outcome,
            measured,
            window,
            stopped_at_ms: None,
        })
    }
}

/// The places of the steps that a series is of; nothing for all.
pub(super) fn steps(series: &Series, names: &[String]) -> Option<Vec<StepIndex>> {
    let Series::Steps(wanted) = series else {
        return None;
    };
    let places = (0_u16..).zip(names);
    let chosen = places.filter(|(_, name)| wanted.contains(name));
    Some(chosen.map(|(place, _)| StepIndex(place)).collect())
}

pub(super) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
