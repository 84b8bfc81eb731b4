//! [`Aggregate`]: the histograms and counters of one cell.

use std::collections::BTreeMap;

use super::histogram::Histogram;
use super::metric::{Kind, Metric};
use super::recorder::{Sample, StepIndex, Value};
use super::series::{MetricSummary, Statistics};

/// How the iterations of a cell ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CellCounts {
    /// Every step did what was expected.
    pub passed: u64,
    /// A step or an expectation failed.
    pub failed: u64,
    /// Stopped before their end.
    pub interrupted: u64,
    /// Due, but without room; not run.
    pub dropped: u64,
}

/// The series of one cell.
#[derive(Debug, Clone, Default)]
pub struct Aggregate {
    trends: BTreeMap<(Metric, Option<StepIndex>), Histogram>,
    counters: BTreeMap<(Metric, Option<StepIndex>), u64>,
}

impl Aggregate {
    pub(super) fn take(&mut self, samples: &[Sample]) {
        for sample in samples {
            let series = (sample.metric, sample.step);
            match sample.value {
                Value::Time(duration) => self.trends.entry(series).or_default().record(duration),
                Value::Count(count) => *self.counters.entry(series).or_default() += count,
            }
        }
    }

    /// Adds everything that another one has.
    pub fn merge(&mut self, other: &Self) {
        for (series, histogram) in &other.trends {
            if histogram.count() > 0 {
                self.trends.entry(*series).or_default().merge(histogram);
            }
        }
        for (series, count) in &other.counters {
            if *count > 0 {
                *self.counters.entry(*series).or_default() += count;
            }
        }
    }

    /// What was added since an earlier copy was taken.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut later = self.clone();
        for (series, histogram) in &mut later.trends {
            if let Some(before) = earlier.trends.get(series) {
                *histogram = histogram.since(before);
            }
        }
        for (series, count) in &mut later.counters {
            *count -= earlier.counters.get(series).unwrap_or(&0);
        }
        later
    }

    /// Empties every series and keeps its memory.
    pub(super) fn clear(&mut self) {
        self.trends.values_mut().for_each(Histogram::clear);
        self.counters.values_mut().for_each(|count| *count = 0);
    }

    /// Every distribution that has samples: its metric, the place of its step, absent for the
    /// iteration as a whole, and the samples.
    pub fn trends(&self) -> impl Iterator<Item = (Metric, Option<StepIndex>, &Histogram)> {
        let all = self.trends.iter();
        all.filter(|(_, histogram)| histogram.count() > 0)
            .map(|((metric, step), histogram)| (*metric, *step, histogram))
    }

    /// Every sum that is more than nothing, in the same way.
    pub fn counters(&self) -> impl Iterator<Item = (Metric, Option<StepIndex>, u64)> {
        let all = self.counters.iter();
        all.filter(|(_, count)| **count > 0)
            .map(|((metric, step), count)| (*metric, *step, *count))
    }

    /// A distribution over all steps.
    pub fn trend(&self, metric: Metric) -> Histogram {
        let mut all = Histogram::default();
        for (_, histogram) in self
            .trends
            .range((metric, None)..)
            .take_while(|((m, _), _)| *m == metric)
        {
            all.merge(histogram);
        }
        all
    }

    /// Distribution and sum of a metric: over all steps, or over those.
    pub fn chosen(&self, metric: Metric, steps: Option<&[StepIndex]>) -> (Histogram, u64) {
        let Some(steps) = steps else {
            return (self.trend(metric), self.counter(metric));
        };
        let mut all = Histogram::default();
        let mut sum = 0;
        for step in steps {
            if let Some(histogram) = self.trends.get(&(metric, Some(*step))) {
                all.merge(histogram);
            }
            sum += self.counters.get(&(metric, Some(*step))).unwrap_or(&0);
        }
        (all, sum)
    }

    /// A sum over all steps.
    pub fn counter(&self, metric: Metric) -> u64 {
        let range = self.counters.range((metric, None)..);
        range
            .take_while(|((found, _), _)| *found == metric)
            .map(|(_, count)| count)
            .sum()
    }

    /// How many durations beyond the histograms' range there were.
    pub fn clamped(&self) -> u64 {
        self.trends.values().map(Histogram::clamped).sum()
    }

    /// Every series over all steps together.
    pub fn totals(&self) -> Vec<MetricSummary> {
        let mut all = Vec::new();
        for metric in Metric::ALL.iter().copied() {
            match metric.kind() {
                Kind::Gauge => {}
                Kind::Counter => match self.counter(metric) {
                    0 => {}
                    value => all.push(MetricSummary::counter(metric, value)),
                },
                Kind::Trend => {
                    let whole = self.trend(metric);
                    if whole.count() > 0 {
                        all.push(MetricSummary::trend(metric, Statistics::of(&whole)));
                    }
                }
            }
        }
        all
    }

    /// Every series: first over all steps, then per step. `names` are the steps' names.
    pub fn metrics(&self, names: &[String]) -> Vec<MetricSummary> {
        let mut all = Vec::new();
        for metric in Metric::ALL.iter().copied() {
            match metric.kind() {
                // Of the cell as a whole, not of samples.
                Kind::Gauge => {}
                Kind::Counter => {
                    let value = self.counter(metric);
                    if self.counters.keys().any(|(found, _)| *found == metric) {
                        all.push(MetricSummary::counter(metric, value));
                    }
                }
                Kind::Trend => {
                    let whole = self.trend(metric);
                    if whole.count() == 0 {
                        continue;
                    }
                    all.push(MetricSummary::trend(metric, Statistics::of(&whole)));
                    let steps = self.trends.iter().filter_map(|((found, step), histogram)| {
                        step.filter(|_| *found == metric)
                            .map(|step| (step, histogram))
                    });
                    for (step, histogram) in steps.filter(|(_, found)| found.count() > 0) {
                        let series = MetricSummary::trend(metric, Statistics::of(histogram));
                        all.push(series.of_step(step, names));
                    }
                }
            }
        }
        all
    }
}
