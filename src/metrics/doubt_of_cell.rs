//! What speaks against the figures of one cell: pure functions of its summary.

use super::metric::Metric;
use super::series::Statistics;
use super::summary::CellSummary;
use super::warning::Warning;

/// A start delay beyond this is the generator's fault.
const LATE_NS: u64 = 50_000_000;
/// Requests that wait this long in the client blur the times of creating and deleting.
const QUEUED_NS: u64 = 5_000_000;
/// Causes of failed attempts that are the generator's own: what it had none left of.
const OWN_FAULTS: [(&str, &str); 2] = [("no-port", "local port"), ("no-descriptor", "descriptor")];

impl Warning {
    /// What speaks against the figures of a cell.
    pub fn of_cell(cell: &CellSummary) -> Vec<Self> {
        let name = || cell.cell.clone();
        let p99 = |metric| whole(cell, metric).map(|figures| figures.p99_ns);
        let mut warnings = Vec::new();
        if let Some(p99_ns) = p99(Metric::IterationStartDelay).filter(|p99| *p99 > LATE_NS) {
            warnings.push(Self::StartedLate {
                cell: name(),
                p99_ns,
            });
        }
        // At the levels of a breakpoint dropping is what is looked for.
        if cell.iterations_dropped > 0 && cell.breakpoint.is_none() {
            warnings.push(Self::Dropped {
                cell: name(),
                iterations: cell.iterations_dropped,
            });
        }
        warnings.extend(not_started(cell));
        if let Some(p99_ns) = p99(Metric::ApiQueueDuration).filter(|p99| *p99 >= QUEUED_NS) {
            warnings.push(Self::ApiQueued {
                cell: name(),
                p99_ns,
            });
        }
        for (cause, what) in OWN_FAULTS {
            let attempts = failed_attempts(cell, cause);
            if attempts > 0 {
                warnings.push(Self::UsedUp {
                    cell: name(),
                    what: what.to_owned(),
                    attempts,
                });
            }
        }
        warnings
    }
}

/// Iterations that were planned and neither run nor counted as dropped: never silently fewer.
fn not_started(cell: &CellSummary) -> Option<Warning> {
    let planned = cell.iterations_planned?;
    let ended = cell.iterations_passed + cell.iterations_failed + cell.iterations_interrupted;
    let missing = planned.saturating_sub(ended + cell.iterations_dropped);
    (missing > 0 && cell.not_applicable.is_none()).then(|| Warning::NotStarted {
        cell: cell.cell.clone(),
        planned,
        missing,
    })
}

fn whole(cell: &CellSummary, metric: Metric) -> Option<&Statistics> {
    let mut all = cell.metrics.iter();
    let found = all.find(|series| {
        series.metric == metric.name() && series.step.is_none() && series.labels.is_empty()
    });
    found.and_then(|series| series.statistics.as_ref())
}

fn failed_attempts(cell: &CellSummary, cause: &str) -> u64 {
    let all = cell.metrics.iter();
    all.filter(|series| {
        series.metric == Metric::FailedAttempts.name()
            && series.step.is_none()
            && series.label("cause") == Some(cause)
    })
    .filter_map(|series| series.value)
    .sum()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::super::label::{Cause, Label};
    use super::super::recorder::Recorder;
    use super::super::shared::SharedAggregate;
    use super::super::summary::Verdict;
    use super::super::{Doubt, Reliability};
    use super::*;

    fn cell(record: impl FnOnce(&mut Recorder)) -> CellSummary {
        let aggregate = SharedAggregate::default();
        let mut recorder = Recorder::new(aggregate.clone());
        record(&mut recorder);
        drop(recorder);
        CellSummary {
            scenario: "a".to_owned(),
            cell: "a".to_owned(),
            matrix: BTreeMap::new(),
            verdict: Verdict::Passed,
            not_applicable: None,
            load: "50/s".to_owned(),
            vus: 10,
            iterations_planned: Some(100),
            iterations_passed: 100,
            iterations_failed: 0,
            iterations_interrupted: 0,
            iterations_dropped: 0,
            iterations_warmup: 0,
            started_ms: 0,
            duration_ms: 2_000,
            steps: Vec::new(),
            metrics: aggregate.lock().metrics(&[]),
            window_ms: 1_000,
            breakpoint: None,
            rounds: Vec::new(),
            windows: Vec::new(),
        }
    }

    fn verdict(cell: &CellSummary) -> (usize, Reliability) {
        let warnings = Warning::of_cell(cell);
        (warnings.len(), Doubt::of(&warnings).verdict)
    }

    #[test]
    fn a_cell_that_went_as_planned_gives_no_reason() {
        let calm = cell(|recorder| {
            let short = Duration::from_millis(2);
            recorder.time(Metric::IterationStartDelay, None, short);
            recorder.time(Metric::ApiQueueDuration, None, short);
        });
        assert_eq!(verdict(&calm), (0, Reliability::Ok));
    }

    #[test]
    fn iterations_that_start_late_make_figures_unreliable() {
        let late = Duration::from_millis(60);
        let late = cell(|recorder| recorder.time(Metric::IterationStartDelay, None, late));
        assert_eq!(verdict(&late), (1, Reliability::Unreliable));
    }

    #[test]
    fn requests_that_wait_in_the_client_are_a_reason() {
        let waited = Duration::from_millis(6);
        let queued = cell(|recorder| recorder.time(Metric::ApiQueueDuration, None, waited));
        assert_eq!(verdict(&queued), (1, Reliability::Degraded));
    }

    #[test]
    fn attempts_that_failed_for_want_of_descriptors_or_ports_make_figures_unreliable() {
        for cause in ["no-port", "no-descriptor"] {
            let label = Some(Label::Cause(Cause::Word(cause)));
            let failed = cell(|recorder| {
                recorder.count_of(Metric::FailedAttempts, (None, label), 1);
            });
            assert_eq!(verdict(&failed), (1, Reliability::Unreliable), "{cause}");
        }
        let other = Some(Label::Cause(Cause::Status(503)));
        let failed = cell(|recorder| {
            recorder.count_of(Metric::FailedAttempts, (None, other), 9);
        });
        assert_eq!(verdict(&failed), (0, Reliability::Ok));
    }

    #[test]
    fn planned_iterations_that_are_missing_are_told_and_dropped_ones_too() {
        let mut fewer = cell(|_| {});
        fewer.iterations_passed = 60;
        fewer.iterations_dropped = 40;
        assert_eq!(verdict(&fewer), (1, Reliability::Degraded), "dropped");
        fewer.iterations_dropped = 30;
        fewer.iterations_interrupted = 3;
        let warnings = Warning::of_cell(&fewer);
        let missing = warnings.iter().find_map(|warning| match warning {
            Warning::NotStarted { missing, .. } => Some(*missing),
            _ => None,
        });
        assert_eq!(missing, Some(7));
        fewer.iterations_planned = None;
        assert_eq!(Warning::of_cell(&fewer).len(), 1, "only those dropped");
    }
}
