//! Drives a [`Breakpoint`]: level by level, each on a system that is at rest, until the search is over.
//!
//! A level is judged by the iterations that were due in its hold and by no others: they have figures of
//! their own, and the verdict waits until they have ended. That wait is also what brings the system back
//! to rest; it is bounded by `gracefulStop`, and what has not ended by then breaks the level.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::cancel::Cancel;
use super::cell::CellRun;
use super::error::EngineError;
use super::event::RunEvent;
use super::flight::{Flight, Schedule};
use super::overseer::{milliseconds, steps};
use super::stop::Stop;
use crate::load::{Breakpoint, Open, Search, Tried};
use crate::metrics::{
    Aggregate, BreakpointSummary, Figures, Finding, LevelSummary, LevelVerdict, Metric, Observed,
    SharedAggregate, ThresholdResult,
};
use crate::units::Rate;

/// Tries levels until the search is over or the run is stopped.
pub(super) async fn drive(
    run: &Arc<CellRun>,
    breakpoint: &Breakpoint,
    cancel: &Cancel,
) -> Result<BreakpointSummary, EngineError> {
    let mut stop = Stop::new(cancel.clone(), run.cell.load.graceful_stop);
    let mut flight = Flight::new(run, breakpoint.max_in_flight, stop.abort.clone());
    let mut search = breakpoint.search();
    let mut levels = Vec::new();
    let mut failed = None;
    while let Some(rate) = search.next() {
        let level = Level {
            run,
            breakpoint,
            rate,
            number: levels.len(),
        };
        let tried = match level.try_it(&mut flight, &mut stop).await {
            Ok(tried) => tried,
            Err(error) => {
                failed = Some(error);
                break;
            }
        };
        let verdict = tried.verdict;
        run.events.tell(RunEvent::LevelEnded {
            cell: run.cell.name.clone(),
            level: rate.to_string(),
            verdict,
        });
        levels.push(tried);
        match verdict {
            LevelVerdict::Held => search.tell(Tried::Held),
            LevelVerdict::Broke => search.tell(Tried::Broke),
            LevelVerdict::Stopped => break,
        }
    }
    stop.drain();
    let ended = match failed {
        None => flight.drained(None, &mut stop).await,
        Some(error) => Err(error),
    };
    stop.abort.cancel();
    run.set_most(flight.peak());
    ended?;
    Ok(BreakpointSummary {
        finding: finding(&search),
        held: search.held(),
        broke: search.broke(),
        tolerance: breakpoint.tolerance,
        settle_ms: milliseconds(breakpoint.settle),
        hold_ms: milliseconds(breakpoint.hold),
        levels,
    })
}

fn finding(search: &Search) -> Finding {
    match (search.next(), search.held(), search.broke()) {
        (Some(_), ..) | (None, None, None) => Finding::Stopped,
        (None, Some(_), Some(_)) => Finding::Found,
        (None, Some(_), None) => Finding::NeverBroke,
        (None, None, Some(_)) => Finding::BrokeAtOnce,
    }
}

/// One level.
struct Level<'a> {
    run: &'a Arc<CellRun>,
    breakpoint: &'a Breakpoint,
    rate: Rate,
    /// Of the levels, from 0.
    number: usize,
}

impl Level<'_> {
    async fn try_it(
        &self,
        flight: &mut Flight,
        stop: &mut Stop,
    ) -> Result<LevelSummary, EngineError> {
        let settle = self.breakpoint.settle;
        let figures = SharedAggregate::default();
        flight.begin_level(&figures);
        let (open, seed) = (self.breakpoint.level(self.rate), self.seed());
        let begins = Instant::now();
        let schedule = Schedule {
            open: &open,
            seed,
            begins,
            figures: &|_, offset| {
                if offset < settle {
                    Figures::LeftOut
                } else {
                    Figures::Counted
                }
            },
        };
        flight.pace(schedule, stop).await?;
        // The last arrival of a level is due before its end.
        let ends = begins + settle + self.breakpoint.hold;
        flight.until(ends, stop).await?;
        let in_flight = flight.in_flight();
        let draining = Instant::now();
        let limit = self.run.cell.load.graceful_stop;
        flight.drained(Some(limit), stop).await?;
        let drain = draining.elapsed();
        flight.flush();
        let stopped = stop.is_draining() || self.run.is_over();
        let from = begins.saturating_duration_since(self.run.started) + settle;
        let summary = self.summary(&figures.lock(), due(&open, seed, settle));
        let summary = LevelSummary {
            from_ms: milliseconds(from),
            to_ms: milliseconds(from + self.breakpoint.hold),
            in_flight,
            drain_ms: milliseconds(drain),
            ..summary
        };
        Ok(if stopped { summary } else { summary.judged() })
    }

    /// Each level has arrivals of its own.
    fn seed(&self) -> u64 {
        let name = format!("{} level {}", self.run.cell.name, self.number);
        self.run.plan.seed.of_arrivals(&name)
    }

    /// Its figures, not judged yet.
    fn summary(&self, figures: &Aggregate, due: u64) -> LevelSummary {
        let names = self.run.cell.step_names();
        let ended = figures.counter(Metric::Iterations);
        let dropped = figures.counter(Metric::DroppedIterations);
        let limits = self.run.cell.holds_while.iter().map(|(limit, series)| {
            let steps = steps(series, &names);
            let (histogram, sum) = figures.chosen(limit.selector.metric, steps.as_deref());
            let (outcome, measured) = limit.evaluate(&Observed {
                histogram,
                sum,
                iterations: ended,
                elapsed: self.breakpoint.hold,
                rate: None,
            });
            ThresholdResult {
                cell: self.run.cell.name.clone(),
                threshold: limit.to_string(),
                outcome,
                measured,
                window: None,
                stopped_at_ms: None,
                steps: series.names(),
            }
        });
        LevelSummary {
            rate: self.rate,
            verdict: LevelVerdict::Stopped,
            from_ms: 0,
            to_ms: 0,
            due,
            iterations: ended,
            failures: figures.counter(Metric::Failures),
            dropped,
            unfinished: due.saturating_sub(ended + dropped),
            in_flight: 0,
            drain_ms: 0,
            limits: limits.collect(),
            metrics: figures.metrics(&names),
        }
    }
}

/// How many arrivals are due in the hold.
fn due(open: &Open, seed: u64, settle: Duration) -> u64 {
    open.arrivals(seed).filter(|at| *at >= settle).count() as u64
}
