//! A whole run: cells, then the search for what was left behind.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::beforehand;
use super::cancel::{Cancel, CancelReason, Phase};
use super::cell::CellRun;
use super::cleanup::CleanUps;
use super::error::EngineError;
use super::event::{Events, RunEvent};
use super::failure::Failures;
use super::overseer::Judged;
use super::own_health::OwnHealth;
use super::pacer::Pacing;
use super::reasons::{self, Figures};
use super::renewal::Renewal;
use super::rounds;
use super::sweep::sweep;
use super::windows;
use crate::client::Client;
use crate::metrics::{
    CellSummary, Doubt, FORMAT_VERSION, RunInfo, Sinks, Summary, ThresholdResult, Verdict, Warning,
};
use crate::plan::{Cell, Exclusive, Plan};
use crate::trace::Tracer;

/// What the caller knows about the run and the engine does not.
#[derive(Debug, Clone)]
pub struct RunFacts {
    /// Facts for the result; id, name and the like are taken from the plan.
    pub info: RunInfo,
    /// One client per namespace of the plan.
    pub clients: BTreeMap<String, Client>,
    /// Who wants traces of the iterations, if anybody does.
    pub tracer: Option<Arc<dyn Tracer>>,
    /// Who gets the windows while the cells run.
    pub sinks: Sinks,
    /// What tells when arrivals are due.
    pub pacing: Pacing,
}

/// Runs a plan. Whatever happens, what was created is deleted and the summary tells what was not.
///
/// # Errors
/// [`EngineError`]: a fault of the harness. A failed step is data in the summary.
///
/// # Cancel safety
/// Do not drop the future: stop the run with the [`CancelHandle`](super::CancelHandle), so that it
/// cleans up.
pub async fn run(
    plan: &Arc<Plan>,
    facts: RunFacts,
    cancel: Cancel,
    events: &Events,
) -> Result<Summary, EngineError> {
    let started = Instant::now();
    let mut info = facts.info;
    info.flow_control = beforehand::flow_control(plan, &facts.clients).await;
    let unseen = beforehand::watch_pods(plan, &facts.clients).await;
    let health = OwnHealth::start();
    let (failures, cleanups) = (
        Arc::new(Failures::since(started)),
        Arc::new(CleanUps::new(plan.cleanup_limit)),
    );
    let renewal = Renewal::start(plan, &facts.clients);
    let mut aggregates: Vec<Figures> = Vec::new();
    let mut judged = BTreeMap::new();
    let mut prepare = |cell: &Cell| {
        let client = facts.clients.get(&cell.namespace).cloned();
        let client = client.ok_or_else(|| EngineError::NoClient {
            namespace: cell.namespace.clone(),
        })?;
        let tracer = facts.tracer.as_ref().map(|tracer| tracer.cell(&cell.name));
        let shared = (&failures, &cleanups);
        let run = CellRun::new(plan, cell, client, shared, events);
        let run = run
            .with_sinks(&facts.sinks)
            .traced(tracer)
            .paced(facts.pacing);
        aggregates.push((cell.name.clone(), run.aggregate()));
        judged.insert(cell.name.clone(), Arc::clone(&run.judged));
        Ok(run)
    };
    let (alone, side): (Vec<&Cell>, Vec<&Cell>) = plan
        .cells
        .iter()
        .partition(|cell| cell.exclusive == Exclusive::Yes);
    let jobs = usize::try_from(plan.jobs).unwrap_or(1);
    let together = side.len().min(jobs);
    let waiting = side.into_iter();
    let waiting = waiting.map(|cell| Ok(Lane::of(vec![prepare(cell)?])));
    let waiting = waiting.collect::<Result<_, EngineError>>()?;
    let mut cells = side_by_side(waiting, jobs, &cancel).await?;
    let lanes = lanes(plan, &alone, prepare)?;
    let jobs = lanes.len();
    cells.extend(side_by_side(lanes, jobs, &cancel).await?);
    let mut generator = health.finish().await;
    generator.throttled = beforehand::throttled(&facts.clients);
    events.tell(RunEvent::CellsEnded);
    sort_as_planned(&mut cells, plan);
    let unseen = beforehand::pods_unseen(unseen, &facts.clients);
    let not_renewed = renewal.finish().await;
    let leaks = sweep(&facts.clients, &cleanups, events).await;
    info.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut warnings = reasons::of_cells(plan, &cells, &aggregates);
    let flow_control = info.flow_control.as_ref();
    warnings.extend(reasons::of_generator(&generator, flow_control));
    warnings.extend(unseen.into_iter().chain(not_renewed));
    warnings.extend(cleanups.warning());
    if together > 1 {
        warnings.insert(0, Warning::RanTogether { cells: together });
    }
    warnings.extend(reasons::left_out(failures.unlisted(), events.dropped()));
    let thresholds = judge(plan, &cells, &judged);
    let summary = Summary {
        format_version: FORMAT_VERSION,
        verdict: verdict(&cells, &thresholds, &cancel),
        thresholds,
        traces: Vec::new(),
        comparisons: Vec::new(),
        run: info,
        cells,
        collected: failures.evidence.finish(),
        failures: failures.finish(),
        leaks,
        doubt: Doubt::of(&warnings),
        generator,
        warnings,
        telemetry: None,
    };
    windows::finish(facts.sinks, summary).await
}

/// The cells that run alone: those of a scenario one after the other, and all of them if no two scenarios are
/// on one timeline.
fn lanes(
    plan: &Plan,
    alone: &[&Cell],
    mut prepare: impl FnMut(&Cell) -> Result<CellRun, EngineError>,
) -> Result<VecDeque<Lane>, EngineError> {
    let lanes = alone.chunk_by(|a, b| !plan.on_one_timeline() || a.scenario == b.scenario);
    let lanes = lanes.map(|lane| {
        let runs = lane.iter().map(|cell| prepare(cell));
        Ok(Lane::of(runs.collect::<Result<_, _>>()?))
    });
    lanes.collect()
}

/// The order of the file, whatever the order in which they ended.
fn sort_as_planned(cells: &mut [CellSummary], plan: &Plan) {
    let order: Vec<&str> = plan.cells.iter().map(|cell| cell.name.as_str()).collect();
    cells.sort_by_key(|cell| order.iter().position(|name| *name == cell.cell));
}

/// Cells that run one after the other.
struct Lane {
    starts: Duration,
    cells: Vec<CellRun>,
}

impl Lane {
    fn of(cells: Vec<CellRun>) -> Self {
        let starts = cells.first().and_then(|run| run.cell.start_time);
        Self {
            starts: starts.unwrap_or(Duration::ZERO),
            cells,
        }
    }

    async fn run(self, cancel: Cancel) -> Result<Vec<CellSummary>, EngineError> {
        let mut stopped = cancel.clone();
        tokio::select! {
            () = stopped.reached(Phase::Draining) => {}
            () = tokio::time::sleep(self.starts) => {}
        }
        // A boxed future, since this one stands in the state of every lane.
        Box::pin(rounds::one_after_the_other(self.cells, &cancel)).await
    }
}

async fn side_by_side(
    mut waiting: VecDeque<Lane>,
    jobs: usize,
    cancel: &Cancel,
) -> Result<Vec<CellSummary>, EngineError> {
    let mut running = JoinSet::new();
    let mut ended = Vec::new();
    loop {
        while running.len() < jobs
            && let Some(lane) = waiting.pop_front()
        {
            running.spawn(lane.run(cancel.clone()));
        }
        match running.join_next().await {
            None => return Ok(ended),
            Some(Ok(summaries)) => ended.extend(summaries?),
            Some(Err(error)) => {
                return Err(EngineError::Panicked {
                    cell: "?".to_owned(),
                    message: error.to_string(),
                });
            }
        }
    }
}

/// Every threshold of every cell, in the order of the file: as it was judged while the cell ran, or else
/// by the whole cell.
fn judge(
    plan: &Plan,
    cells: &[CellSummary],
    judged: &BTreeMap<String, Arc<Judged>>,
) -> Vec<ThresholdResult> {
    let mut results = Vec::new();
    for summary in cells {
        let cell = plan.cells.iter().find(|cell| cell.name == summary.cell);
        if summary.verdict == Verdict::NotApplicable {
            continue;
        }
        let thresholds = cell.into_iter().flat_map(|cell| &cell.thresholds);
        for (place, (threshold, series)) in thresholds.enumerate() {
            let earlier = judged
                .get(&summary.cell)
                .and_then(|judged| judged.get(place));
            results.push(earlier.unwrap_or_else(|| threshold.judge(summary, series)));
        }
    }
    results
}

fn verdict(cells: &[CellSummary], thresholds: &[ThresholdResult], cancel: &Cancel) -> Verdict {
    match of_cells(cells, cancel) {
        Verdict::Passed | Verdict::Interrupted
            if cancel.reason() == Some(CancelReason::Threshold) =>
        {
            Verdict::Failed
        }
        Verdict::Passed if thresholds.iter().any(ThresholdResult::is_failed) => Verdict::Failed,
        verdict => verdict,
    }
}

fn of_cells(cells: &[CellSummary], cancel: &Cancel) -> Verdict {
    if cells.iter().any(|cell| cell.verdict == Verdict::Failed) {
        Verdict::Failed
    } else if cancel.reason().is_some()
        || cells
            .iter()
            .any(|cell| cell.verdict == Verdict::Interrupted)
    {
        Verdict::Interrupted
    } else if !cells.is_empty()
        && cells
            .iter()
            .all(|cell| cell.verdict == Verdict::NotApplicable)
    {
        Verdict::NotApplicable
    } else {
        Verdict::Passed
    }
}
