//! Why figures may be in doubt: gathered from the cells, their load models, the generator and what was
//! left out.

use std::time::Duration;

use crate::load::LoadModel;
use crate::metrics::{
    CellSummary, FlowControl, Generator, LevelVerdict, Metric, SharedAggregate, Verdict, Warning,
};
use crate::plan::{Exclusive, Plan};

/// Below this number of samples a p99 is as good as the maximum.
const FEW: u64 = 100;
/// A closed load that hides more than one in this many iterations is told: p95 is then in doubt.
const HIDDEN_SHARE: u64 = 20;

/// A start delay beyond this is the generator's fault.
const LATE: Duration = Duration::from_millis(50);

/// A cell's name and its histograms.
pub(super) type Figures = (String, SharedAggregate);

/// What speaks against the figures of the cells.
pub(super) fn of_cells(plan: &Plan, cells: &[CellSummary], aggregates: &[Figures]) -> Vec<Warning> {
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
    warnings.extend(cells.iter().flat_map(Warning::of_cell));
    warnings.extend(of_load(plan, cells, aggregates));
    warnings
}

/// What the load model itself cannot show.
fn of_load(plan: &Plan, cells: &[CellSummary], aggregates: &[Figures]) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for cell in cells {
        warnings.extend(of_breakpoint(cell));
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
fn of_breakpoint(cell: &CellSummary) -> Vec<Warning> {
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

/// What speaks against the generator and what the API server held against it.
pub(super) fn of_generator(
    generator: &Generator,
    flow_control: Option<&FlowControl>,
) -> Vec<Warning> {
    let mut warnings = generator.warnings();
    if generator.throttled > 0 {
        warnings.push(Warning::Throttled {
            requests: generator.throttled,
            priority_level: flow_control.map(|found| found.priority_level.clone()),
        });
    }
    warnings
}

/// What the result does not list although it counts it.
pub(super) fn left_out(failures: u64, events: u64) -> Vec<Warning> {
    let failures = (failures > 0).then_some(Warning::FailuresUnlisted { failures });
    let events = (events > 0).then_some(Warning::EventsDropped { events });
    failures.into_iter().chain(events).collect()
}
