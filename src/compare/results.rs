//! Saved results against each other: versions, machines, days. Runs share no round, so the samples are
//! independent.

use std::collections::BTreeMap;

use super::caveats::caveats;
use super::draft::{Draft, DraftRow, Samples};
use super::rounds::{samples_by, unusable};
use crate::metrics::{
    CellSummary, ComparedMetric, Comparison, Design, Metric, MetricSummary, RoundSummary,
    RoundTrend, SampleUnit, Selector, Statistic, Summary,
};

/// One column: a result, or several runs of the same that are samples together.
#[derive(Debug, Clone)]
pub struct Side {
    /// Its name in the table.
    pub name: String,
    /// At least one.
    pub results: Vec<Summary>,
}

/// Results that cannot be compared at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResultsError {
    /// Fewer than two sides.
    #[error("compare {count} results; two or more are needed")]
    TooFew {
        /// How many there are.
        count: usize,
    },
    /// Sides of one result and of several.
    #[error(
        "compare one result with several: a round of one and a whole run of the other are not alike; \
         give several results on every side, or one"
    )]
    Uneven,
    /// No cell is in all of them.
    #[error("find a cell that is in `{baseline}` and in another result; `{baseline}` has {cells}")]
    NothingShared {
        /// The baseline.
        baseline: String,
        /// Its cells.
        cells: String,
    },
    /// A statistic that results do not keep.
    #[error(
        "compare `{metric}`: of a round a result keeps `p50`, `p90`, `p95`, `p99`, `avg`, `min` and `max` over all steps"
    )]
    NotKept {
        /// What was asked for.
        metric: String,
    },
}

/// Compares results with the first of them, one comparison per scenario; of several results on every
/// side each run is a sample, otherwise each round.
///
/// `metrics` are those of the scenario's `compare`, unless some are given.
///
/// # Errors
/// [`ResultsError`]: there is nothing to compare.
pub fn results(
    sides: &[Side],
    metrics: &[ComparedMetric],
    (alpha, min_effect): (f64, f64),
) -> Result<Vec<Comparison>, ResultsError> {
    let [baseline, others @ ..] = sides else {
        return Err(ResultsError::TooFew { count: 0 });
    };
    if others.is_empty() {
        return Err(ResultsError::TooFew { count: 1 });
    }
    let several = |side: &Side| side.results.len() > 1;
    let sample = match (sides.iter().any(several), sides.iter().all(several)) {
        (false, _) => SampleUnit::Round,
        (true, true) => SampleUnit::Run,
        (true, false) => return Err(ResultsError::Uneven),
    };
    let unknown = metrics.iter().find(|metric| {
        let mut results = sides.iter().flat_map(|side| &side.results);
        !is_kept(metric) && !results.any(|result| asks(result, metric))
    });
    if let Some(metric) = unknown {
        return Err(ResultsError::NotKept {
            metric: metric.to_string(),
        });
    }
    let mut comparisons = Vec::new();
    for scenario in scenarios(baseline) {
        let shared = others
            .iter()
            .any(|side| scenarios(side).contains(&scenario));
        if shared {
            let asked = (metrics, alpha, min_effect);
            comparisons.push(one(scenario, sides, sample, asked));
        }
    }
    if comparisons.is_empty() {
        let cells = baseline.results.iter().flat_map(|result| &result.cells);
        let cells: Vec<String> = cells.map(|cell| format!("`{}`", cell.cell)).collect();
        return Err(ResultsError::NothingShared {
            baseline: baseline.name.clone(),
            cells: cells.join(", "),
        });
    }
    Ok(comparisons)
}

fn scenarios(side: &Side) -> Vec<&str> {
    let cells = side.results.iter().flat_map(|result| &result.cells);
    let mut names: Vec<&str> = cells.map(|cell| cell.scenario.as_str()).collect();
    names.dedup();
    names
}

/// The comparison of one scenario.
fn one(
    scenario: &str,
    sides: &[Side],
    sample: SampleUnit,
    (metrics, alpha, min_effect): (&[ComparedMetric], f64, f64),
) -> Comparison {
    let mut cells: Vec<(&str, &CellSummary)> = Vec::new();
    for cell in sides.iter().flat_map(|side| cells_of(side, scenario)) {
        if !cells.iter().any(|(name, _)| *name == cell.cell) {
            cells.push((&cell.cell, cell));
        }
    }
    let metrics = if metrics.is_empty() {
        usual(sides, scenario)
    } else {
        metrics.to_vec()
    };
    let mut rows = Vec::new();
    for (name, cell) in &cells {
        for metric in &metrics {
            let samples = sides.iter().map(|side| samples(side, name, metric, sample));
            rows.push(DraftRow {
                matrix: cell.matrix.clone(),
                metric: metric.clone(),
                cells: samples
                    .map(|samples| ((*name).to_owned(), samples))
                    .collect(),
            });
        }
    }
    let counts = rows
        .iter()
        .filter_map(|row| row.cells.first()?.1.as_ref().ok());
    let done = counts.map(BTreeMap::len).min().unwrap_or(0);
    let done = u32::try_from(done).unwrap_or(u32::MAX);
    let names: Vec<&str> = cells.iter().map(|(name, _)| *name).collect();
    let draft = Draft {
        scenario: scenario.to_owned(),
        across: "result".to_owned(),
        columns: sides.iter().map(|side| side.name.clone()).collect(),
        load: cells
            .first()
            .map(|(_, cell)| cell.load.clone())
            .unwrap_or_default(),
        sample,
        design: Design::Independent,
        planned: done,
        done,
        alpha,
        min_effect,
        rows,
        caveats: caveats(sides, scenario, &names, sample),
    };
    draft.judge()
}

pub(super) fn cells_of<'s>(side: &'s Side, scenario: &str) -> Vec<&'s CellSummary> {
    let cells = side.results.iter().flat_map(|result| &result.cells);
    cells.filter(|cell| cell.scenario == scenario).collect()
}

/// The metrics that the results compare themselves, or else the median of what each operation and
/// iteration took.
fn usual(sides: &[Side], scenario: &str) -> Vec<ComparedMetric> {
    let results = sides.iter().flat_map(|side| &side.results);
    let asked = results.flat_map(|result| asked(result, scenario));
    let asked = asked.filter_map(|metric| metric.parse::<ComparedMetric>().ok());
    let mut metrics: Vec<ComparedMetric> = Vec::new();
    for metric in asked {
        if !metrics.contains(&metric) {
            metrics.push(metric);
        }
    }
    if !metrics.is_empty() {
        return metrics;
    }
    let usual = [
        Metric::SandboxReadyDuration,
        Metric::TimeToFirstExec,
        Metric::ExecDuration,
        Metric::WriteDuration,
        Metric::ReadDuration,
        Metric::IterationDuration,
    ];
    let measured = |metric: &Metric| {
        let mut cells = sides.iter().flat_map(|side| cells_of(side, scenario));
        cells.any(|cell| whole(cell, metric.name()).is_some())
    };
    let found = usual.into_iter().filter(measured);
    let found = found.map(|metric| ComparedMetric {
        selector: Selector {
            metric,
            tags: Vec::new(),
        },
        statistic: Statistic::Percentile(50.0),
    });
    found.collect()
}

/// The metrics that a result compares itself, in the order in which its rounds keep their values.
fn asked<'r>(result: &'r Summary, scenario: &str) -> Vec<&'r str> {
    let mut metrics: Vec<&str> = Vec::new();
    let own = result.comparisons.iter().filter(|comparison| {
        comparison.scenario == scenario && comparison.design == Design::Paired
    });
    for row in own.flat_map(|comparison| &comparison.rows) {
        if !metrics.contains(&row.metric.as_str()) {
            metrics.push(&row.metric);
        }
    }
    metrics
}

/// Whether a result compares the metric itself, in any scenario.
fn asks(result: &Summary, metric: &ComparedMetric) -> bool {
    let rows = result
        .comparisons
        .iter()
        .flat_map(|comparison| &comparison.rows);
    let text = metric.to_string();
    rows.into_iter().any(|row| row.metric == text)
}

/// Whether rounds keep a metric's statistic: those over all steps.
fn is_kept(metric: &ComparedMetric) -> bool {
    let kept = match metric.statistic {
        Statistic::Percentile(percent) => [50.0, 90.0, 95.0, 99.0].contains(&percent),
        Statistic::Count | Statistic::Value => false,
        Statistic::Avg | Statistic::Min | Statistic::Med | Statistic::Max | Statistic::Rate => true,
    };
    kept && metric.selector.tags.is_empty()
}

/// The samples of a cell on one side.
fn samples(side: &Side, cell: &str, metric: &ComparedMetric, sample: SampleUnit) -> Samples {
    let mut samples = BTreeMap::new();
    for (number, result) in (1_u32..).zip(&side.results) {
        let mut cells = result.cells.iter();
        let cell = cells.find(|found| found.cell == cell);
        let cell = cell.ok_or_else(|| "not in this result".to_owned())?;
        if sample == SampleUnit::Round && !cell.rounds.is_empty() {
            let text = metric.to_string();
            let mut asked = asked(result, &cell.scenario).into_iter();
            let place = asked.position(|asked| asked == text);
            if place.is_none() && !is_kept(metric) {
                return Err("this result does not keep it".to_owned());
            }
            return samples_by(cell, |round| match place {
                Some(place) => round.asked.get(place).copied().flatten(),
                None => of_round(round, metric),
            });
        }
        if let Some(why) = unusable(cell) {
            return Err(why);
        }
        if !is_kept(metric) {
            return Err("this result does not keep it".to_owned());
        }
        let value = value(cell, metric).ok_or_else(|| "no samples".to_owned())?;
        samples.insert(number, value);
    }
    Ok(samples)
}

/// The value of a round.
fn of_round(round: &RoundSummary, metric: &ComparedMetric) -> Option<f64> {
    if metric.statistic == Statistic::Rate {
        return per_second(round.passed + round.failed, round.duration_ms);
    }
    let mut trends = round.trends.iter();
    let name = metric.selector.metric.name();
    let trend = trends.find(|trend| trend.metric == name)?;
    trend.value(metric.statistic)
}

/// The value of a whole run.
fn value(cell: &CellSummary, metric: &ComparedMetric) -> Option<f64> {
    if metric.statistic == Statistic::Rate {
        return per_second(
            cell.iterations_passed + cell.iterations_failed,
            cell.duration_ms,
        );
    }
    let figures = whole(cell, metric.selector.metric.name())?
        .statistics
        .as_ref()?;
    let trend = RoundTrend {
        metric: String::new(),
        n: figures.n,
        min_ns: figures.min_ns,
        mean_ns: figures.mean_ns,
        p50_ns: figures.p50_ns,
        p90_ns: figures.p90_ns,
        p95_ns: figures.p95_ns,
        p99_ns: figures.p99_ns,
        max_ns: figures.max_ns,
    };
    trend.value(metric.statistic).filter(|value| *value > 0.0)
}

fn per_second(count: u64, millis: u64) -> Option<f64> {
    (count > 0 && millis > 0).then(|| count as f64 * 1000.0 / millis as f64)
}

fn whole<'c>(cell: &'c CellSummary, metric: &str) -> Option<&'c MetricSummary> {
    let mut series = cell.metrics.iter();
    series.find(|series| series.metric == metric && series.step.is_none())
}
