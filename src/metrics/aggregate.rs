//! [`Aggregate`]: the histograms and counters of one cell.

use std::collections::{BTreeMap, BTreeSet};

use super::histogram::Histogram;
use super::label::Label;
use super::metric::{Kind, Metric};
use super::recorder::{Sample, StepIndex, Value};
use super::series::{MetricSummary, Statistics};
use super::threshold::Selector;

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

/// What a series is of: its metric, the place of its step, absent for the iteration as a whole, and
/// its label.
pub type Key = (Metric, Option<StepIndex>, Option<Label>);

/// The series of one cell.
#[derive(Debug, Clone, Default)]
pub struct Aggregate {
    trends: BTreeMap<Key, Histogram>,
    counters: BTreeMap<Key, u64>,
}

impl Aggregate {
    pub(super) fn take(&mut self, samples: &[Sample]) {
        for sample in samples {
            let series = (sample.metric, sample.step, sample.label);
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
    /// iteration as a whole, its label, and the samples.
    pub fn trends(&self) -> impl Iterator<Item = (Key, &Histogram)> {
        let all = self.trends.iter();
        all.filter(|(_, histogram)| histogram.count() > 0)
            .map(|(key, histogram)| (*key, histogram))
    }

    /// Every sum that is more than nothing, in the same way.
    pub fn counters(&self) -> impl Iterator<Item = (Key, u64)> {
        let all = self.counters.iter();
        all.filter(|(_, count)| **count > 0)
            .map(|(key, count)| (*key, *count))
    }

    /// A distribution over all steps and labels.
    pub fn trend(&self, metric: Metric) -> Histogram {
        let mut all = Histogram::default();
        for (_, histogram) in of(&self.trends, metric) {
            all.merge(histogram);
        }
        all
    }

    /// Distribution and sum of what a selector takes: of all steps, or of those.
    pub fn chosen(&self, selector: &Selector, steps: Option<&[StepIndex]>) -> (Histogram, u64) {
        let is_chosen = |(_, step, label): &Key| {
            selector.takes(*label)
                && steps.is_none_or(|steps| step.is_some_and(|step| steps.contains(&step)))
        };
        let mut all = Histogram::default();
        for (key, histogram) in of(&self.trends, selector.metric) {
            if is_chosen(key) {
                all.merge(histogram);
            }
        }
        let counters = of(&self.counters, selector.metric);
        let sum = counters
            .filter(|(key, _)| is_chosen(key))
            .map(|(_, sum)| sum);
        (all, sum.sum())
    }

    /// A sum over all steps and labels.
    pub fn counter(&self, metric: Metric) -> u64 {
        of(&self.counters, metric).map(|(_, count)| count).sum()
    }

    /// How many durations beyond the histograms' range there were.
    pub fn clamped(&self) -> u64 {
        self.trends.values().map(Histogram::clamped).sum()
    }

    /// Every series over all steps together.
    pub fn totals(&self) -> Vec<MetricSummary> {
        self.summaries(None)
    }

    /// Every series: for each metric and label first over all steps, then per step. `names` are the
    /// steps' names.
    pub fn metrics(&self, names: &[String]) -> Vec<MetricSummary> {
        self.summaries(Some(names))
    }

    /// With the series of single steps if these have names.
    fn summaries(&self, names: Option<&[String]>) -> Vec<MetricSummary> {
        let mut all = Vec::new();
        for metric in Metric::ALL.iter().copied() {
            match metric.kind() {
                // Of the cell as a whole, not of samples.
                Kind::Gauge => {}
                Kind::Counter => self.counters_of(metric, names, &mut all),
                Kind::Trend => self.trends_of(metric, names, &mut all),
            }
        }
        all
    }

    fn counters_of(&self, metric: Metric, names: Option<&[String]>, into: &mut Vec<MetricSummary>) {
        for label in labels(&self.counters, metric) {
            let series = || {
                let all = of(&self.counters, metric).filter(move |((.., own), _)| *own == label);
                all.filter(|(_, count)| **count > 0)
            };
            let whole = series().map(|(_, count)| count).sum();
            if whole > 0 {
                into.push(MetricSummary::counter(metric, whole).of_label(label));
            }
            for ((_, step, _), count) in series() {
                if let (Some(step), Some(names)) = (step, names) {
                    let summary = MetricSummary::counter(metric, *count).of_label(label);
                    into.push(summary.of_step(*step, names));
                }
            }
        }
    }

    fn trends_of(&self, metric: Metric, names: Option<&[String]>, into: &mut Vec<MetricSummary>) {
        for label in labels(&self.trends, metric) {
            let series = || {
                let all = of(&self.trends, metric).filter(move |((.., own), _)| *own == label);
                all.filter(|(_, histogram)| histogram.count() > 0)
            };
            let mut whole = Histogram::default();
            series().for_each(|(_, histogram)| whole.merge(histogram));
            let summary = |histogram: &Histogram| {
                MetricSummary::trend(metric, Statistics::of(histogram)).of_label(label)
            };
            if whole.count() > 0 {
                into.push(summary(&whole));
            }
            for ((_, step, _), histogram) in series() {
                if let (Some(step), Some(names)) = (step, names) {
                    into.push(summary(histogram).of_step(*step, names));
                }
            }
        }
    }
}

/// The series of a metric.
fn of<T>(all: &BTreeMap<Key, T>, metric: Metric) -> impl Iterator<Item = (&Key, &T)> {
    all.range((metric, None, None)..)
        .take_while(move |((found, ..), _)| *found == metric)
}

/// The labels of a metric's series; `None` for those without one.
fn labels<T>(all: &BTreeMap<Key, T>, metric: Metric) -> BTreeSet<Option<Label>> {
    of(all, metric).map(|((.., label), _)| *label).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::label::LaunchType;
    use super::super::recorder::Recorder;
    use super::super::shared::SharedAggregate;
    use super::*;

    fn two_launch_types() -> SharedAggregate {
        let shared = SharedAggregate::default();
        let mut recorder = Recorder::new(shared.clone());
        for (launched, millis) in [(LaunchType::Warm, 5), (LaunchType::Cold, 900)] {
            for step in [StepIndex(0), StepIndex(1)] {
                let series = (Some(step), Some(Label::LaunchType(launched)));
                let time = Duration::from_millis(millis);
                recorder.time_of(Metric::SandboxReadyDuration, series, time);
            }
        }
        recorder.count(Metric::Attempts, Some(StepIndex(1)), 3);
        drop(recorder);
        shared
    }

    #[test]
    fn warm_and_cold_are_series_of_their_own_over_all_steps_too() {
        let shared = two_launch_types();
        let metrics = shared.lock().metrics(&["a".to_owned(), "b".to_owned()]);
        let ready: Vec<_> = metrics
            .iter()
            .filter(|found| found.metric == "sandbox_ready_duration")
            .map(|found| {
                let launched = found.labels["launchType"].as_str();
                let n = found.statistics.as_ref().unwrap().n;
                (launched, found.step.as_deref(), n)
            })
            .collect();
        let of = |launched| {
            [(None, 2), (Some("a"), 1), (Some("b"), 1)].map(|(step, n)| (launched, step, n))
        };
        assert_eq!(ready, [of("warm"), of("cold")].concat());
    }

    #[test]
    fn a_selector_takes_one_launch_type_or_both() {
        let shared = two_launch_types();
        let chosen = |text: &str, steps| {
            let (histogram, _) = shared.lock().chosen(&text.parse().unwrap(), steps);
            (
                histogram.count(),
                histogram.max() < Duration::from_millis(10),
            )
        };
        let warm = "sandbox_ready_duration{launchType:warm}";
        assert_eq!(chosen(warm, None), (2, true));
        assert_eq!(chosen(warm, Some(&[StepIndex(1)])), (1, true));
        assert_eq!(chosen("sandbox_ready_duration", None), (4, false));
    }

    #[test]
    fn a_counter_is_told_per_step_too() {
        let shared = two_launch_types();
        let metrics = shared.lock().metrics(&["a".to_owned(), "b".to_owned()]);
        let attempts: Vec<_> = metrics
            .iter()
            .filter(|found| found.metric == "attempts")
            .map(|found| (found.step.as_deref(), found.value))
            .collect();
        assert_eq!(attempts, [(None, Some(3)), (Some("b"), Some(3))]);
    }
}
