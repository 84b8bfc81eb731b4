//! A whole run: cells, then the search for what was left behind.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use super::cancel::{Cancel, CancelReason, Phase};
use super::cell::CellRun;
use super::error::EngineError;
use super::event::{Events, RunEvent};
use super::failure::Failures;
use super::overseer::Judged;
use super::own_health::OwnHealth;
use super::pacer::Pacing;
use super::rounds;
use super::windows;
use crate::client::Client;
use crate::load::LoadModel;
use crate::metrics::{
    CellSummary, Doubt, FORMAT_VERSION, Leaks, LevelVerdict, Metric, RunInfo, SharedAggregate,
    Sinks, Summary, ThresholdResult, Verdict, Warning,
};
use crate::plan::{Cell, Exclusive, Plan};

/// How long the end of everything that the run created is waited for.
const GONE_LIMIT: Duration = Duration::from_secs(60);
/// How often it is looked at.
const GONE_POLL: Duration = Duration::from_millis(50);
/// Below this number of samples a p99 is as good as the maximum.
const FEW: u64 = 100;
/// A start delay beyond this is the generator's fault.
const LATE: Duration = Duration::from_millis(50);

/// A closed load that hides more than one in this many iterations is told: p95 is then in doubt.
const HIDDEN_SHARE: u64 = 20;

/// A cell's name and its histograms.
type Figures = (String, SharedAggregate);

/// What the caller knows about the run and the engine does not.
#[derive(Debug, Clone)]
pub struct RunFacts {
    /// Facts for the result; id, name and the like are taken from the plan.
    pub info: RunInfo,
    /// One client per namespace of the plan.
    pub clients: BTreeMap<String, Client>,
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
    let health = OwnHealth::start();
    let failures = Arc::new(Failures::since(started));
    let mut aggregates = Vec::new();
    let mut judged = BTreeMap::new();
    let mut prepare = |cell: &Cell| {
        let client = facts.clients.get(&cell.namespace).cloned();
        let client = client.ok_or_else(|| EngineError::NoClient {
            namespace: cell.namespace.clone(),
        })?;
        let mut run = CellRun::new(plan, cell, client, &failures, events).with_sinks(&facts.sinks);
        run.pacing = facts.pacing;
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
    let mut waiting = VecDeque::new();
    for cell in side {
        waiting.push_back(Lane::of(vec![prepare(cell)?]));
    }
    let mut cells = side_by_side(waiting, jobs, &cancel).await?;
    let mut lanes = VecDeque::new();
    for lane in alone.chunk_by(|a, b| !plan.on_one_timeline() || a.scenario == b.scenario) {
        let runs: Result<Vec<CellRun>, EngineError> =
            lane.iter().map(|cell| prepare(cell)).collect();
        lanes.push_back(Lane::of(runs?));
    }
    let jobs = lanes.len();
    cells.extend(side_by_side(lanes, jobs, &cancel).await?);
    let generator = health.finish().await;
    events.tell(RunEvent::CellsEnded);
    let order: Vec<&str> = plan.cells.iter().map(|cell| cell.name.as_str()).collect();
    cells.sort_by_key(|cell| order.iter().position(|name| *name == cell.cell));
    let leaks = look_for_leaks(&facts.clients, cancel.phase()).await;
    let mut info = facts.info;
    info.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut warnings = warnings(&cells, &aggregates);
    warnings.extend(load_warnings(plan, &cells, &aggregates));
    warnings.extend(generator.warnings());
    if together > 1 {
        warnings.insert(0, Warning::RanTogether { cells: together });
    }
    if events.dropped() > 0 {
        warnings.push(Warning::EventsDropped {
            events: events.dropped(),
        });
    }
    let thresholds = judge(plan, &cells, &judged);
    let verdict = match verdict(&cells, &cancel) {
        Verdict::Passed | Verdict::Interrupted
            if cancel.reason() == Some(CancelReason::Threshold) =>
        {
            Verdict::Failed
        }
        Verdict::Passed if thresholds.iter().any(ThresholdResult::is_failed) => Verdict::Failed,
        verdict => verdict,
    };
    let summary = Summary {
        format_version: FORMAT_VERSION,
        verdict,
        thresholds,
        comparisons: Vec::new(),
        run: info,
        cells,
        failures: failures.finish(),
        leaks,
        doubt: Doubt::of(&warnings),
        generator,
        warnings,
    };
    windows::finish(facts.sinks, summary).await
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
        rounds::one_after_the_other(self.cells, &cancel).await
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

fn verdict(cells: &[CellSummary], cancel: &Cancel) -> Verdict {
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

/// Deletes what is still there and waits until it is gone; counts what stays.
async fn look_for_leaks(clients: &BTreeMap<String, Client>, phase: Phase) -> Leaks {
    let mut leaks = Leaks::default();
    for (namespace, client) in clients {
        if let Err(error) = sweep(client, phase, &mut leaks).await {
            leaks.unknown = Some(format!("namespace {namespace}: {error}"));
        }
        client.close().await;
        let open = client.open_connections() + client.open_tunnels();
        leaks.connections += open as u64;
    }
    leaks
}

async fn sweep(
    client: &Client,
    phase: Phase,
    leaks: &mut Leaks,
) -> Result<(), crate::client::DeleteError> {
    let deadline = Instant::now() + GONE_LIMIT;
    if phase == Phase::Aborting {
        client.delete_claims_of_run().await?;
        // A create that was cancelled on its way may still arrive; it is deleted below.
        tokio::time::sleep(GONE_POLL).await;
    }
    loop {
        let left = client.leftovers().await?;
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            leaks.claims += left.claims as u64;
            leaks.sandboxes += left.sandboxes as u64;
            leaks.pods += left.pods as u64;
            return Ok(());
        }
        if left.claims > 0 {
            client.delete_claims_of_run().await?;
        }
        tokio::time::sleep(GONE_POLL).await;
    }
}

fn warnings(cells: &[CellSummary], aggregates: &[Figures]) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if cfg!(debug_assertions) {
        warnings.push(Warning::DebugBuild);
    }
    let few: Vec<&CellSummary> = cells
        .iter()
        .filter(|cell| cell.verdict != Verdict::NotApplicable)
        .filter(|cell| cell.iterations_passed + cell.iterations_failed < FEW)
        .collect();
    let fewest = few
        .iter()
        .map(|cell| cell.iterations_passed + cell.iterations_failed)
        .min();
    if let Some(samples) = fewest {
        let cells = few.iter().map(|cell| cell.cell.clone()).collect();
        warnings.push(Warning::FewSamples { cells, samples });
    }
    let clamped = aggregates
        .iter()
        .map(|(_, aggregate)| aggregate.lock().clamped())
        .sum();
    if clamped > 0 {
        warnings.push(Warning::Clamped { samples: clamped });
    }
    for cell in cells {
        let delay = cell
            .metrics
            .iter()
            .find(|metric| metric.metric == "iteration_start_delay" && metric.step.is_none())
            .and_then(|metric| metric.statistics.as_ref());
        if let Some(delay) = delay.filter(|delay| u128::from(delay.p99_ns) > LATE.as_nanos()) {
            warnings.push(Warning::StartedLate {
                cell: cell.cell.clone(),
                p99_ns: delay.p99_ns,
            });
        }
    }
    warnings
}

/// What the load model itself cannot show.
fn load_warnings(plan: &Plan, cells: &[CellSummary], aggregates: &[Figures]) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for cell in cells {
        warnings.extend(breakpoint_warnings(cell));
        if cell.iterations_dropped > 0 && cell.breakpoint.is_none() {
            warnings.push(Warning::Dropped {
                cell: cell.cell.clone(),
                iterations: cell.iterations_dropped,
            });
        }
        let closed = plan.cells.iter().any(|planned| {
            planned.name == cell.cell
                && planned.exclusive == Exclusive::Yes
                && matches!(planned.load.model, LoadModel::Closed(_))
        });
        let figures = aggregates.iter().find(|(name, _)| *name == cell.cell);
        let Some((_, aggregate)) = figures.filter(|_| closed) else {
            continue;
        };
        let iterations = aggregate.lock().trend(Metric::IterationServiceDuration);
        let (hidden, measured) = (iterations.hidden(), iterations.count());
        if measured >= FEW && hidden * HIDDEN_SHARE > measured {
            warnings.push(Warning::ClosedLoad {
                cell: cell.cell.clone(),
                hidden,
                measured,
            });
        }
    }
    warnings
}

/// What speaks against single levels of a breakpoint.
fn breakpoint_warnings(cell: &CellSummary) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for level in cell.breakpoint.iter().flat_map(|found| &found.levels) {
        let rate = level.rate.to_string();
        if level.unfinished > 0 && level.verdict != LevelVerdict::Stopped {
            warnings.push(Warning::NotDrained {
                cell: cell.cell.clone(),
                rate: rate.clone(),
                in_flight: level.unfinished,
                waited_ms: level.drain_ms,
            });
        }
        let delay = level
            .metrics
            .iter()
            .find(|series| series.is(Metric::IterationStartDelay));
        let p99_ns = delay.and_then(|delay| Some(delay.statistics.as_ref()?.p99_ns));
        let late = p99_ns.filter(|p99| u128::from(*p99) > LATE.as_nanos());
        if let Some(p99_ns) = late.filter(|_| level.verdict == LevelVerdict::Broke) {
            warnings.push(Warning::BrokeLate {
                cell: cell.cell.clone(),
                rate,
                p99_ns,
            });
        }
    }
    warnings
}
