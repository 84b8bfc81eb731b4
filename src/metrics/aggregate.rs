//! [`Aggregate`]: the histograms and counters of one cell.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use super::histogram::Histogram;
use super::label::Label;
use super::metric::{Kind, Metric};
use super::recorder::{Sample, StepIndex, Value};
use super::summary::{MetricSummary, Statistics};
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

/// What a series is of: its metric, its step and its label.
type Key = (Metric, Option<StepIndex>, Option<Label>);

/// The series of one cell.
#[derive(Debug, Default)]
pub struct Aggregate {
    trends: BTreeMap<Key, Histogram>,
    counters: BTreeMap<Key, u64>,
}

/// An [`Aggregate`] that the VUs of a cell share. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct SharedAggregate(Arc<Mutex<Aggregate>>);

impl SharedAggregate {
    /// Waits for the aggregate; for the end of a cell.
    pub fn lock(&self) -> MutexGuard<'_, Aggregate> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn try_lock(&self) -> Option<MutexGuard<'_, Aggregate>> {
        match self.0.try_lock() {
            Ok(aggregate) => Some(aggregate),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl Aggregate {
    pub(super) fn take(&mut self, samples: &mut Vec<Sample>) {
        for sample in samples.drain(..) {
            let series = (sample.metric, sample.step, sample.label);
            match sample.value {
                Value::Time(duration) => self.trends.entry(series).or_default().record(duration),
                Value::Count(count) => *self.counters.entry(series).or_default() += count,
            }
        }
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

    /// Every series: for each metric and label first over all steps, then per step. `names` are the
    /// steps' names.
    pub fn metrics(&self, names: &[String]) -> Vec<MetricSummary> {
        let mut all = Vec::new();
        for metric in Metric::ALL.iter().copied() {
            match metric.kind() {
                Kind::Counter => self.counters_of(metric, names, &mut all),
                Kind::Trend => self.trends_of(metric, names, &mut all),
            }
        }
        all
    }

    fn counters_of(&self, metric: Metric, names: &[String], into: &mut Vec<MetricSummary>) {
        for label in labels(&self.counters, metric) {
            let series = || of(&self.counters, metric).filter(move |((.., own), _)| *own == label);
            let whole = series().map(|(_, count)| count).sum();
            into.push(MetricSummary::counter(metric, whole).of(None, label));
            for ((_, step, _), count) in series() {
                if let Some(StepIndex(step)) = step {
                    let name = names.get(usize::from(*step)).cloned();
                    into.push(MetricSummary::counter(metric, *count).of(name, label));
                }
            }
        }
    }

    fn trends_of(&self, metric: Metric, names: &[String], into: &mut Vec<MetricSummary>) {
        for label in labels(&self.trends, metric) {
            let series = || of(&self.trends, metric).filter(move |((.., own), _)| *own == label);
            let mut whole = Histogram::default();
            series().for_each(|(_, histogram)| whole.merge(histogram));
            let summary =
                |histogram: &Histogram| MetricSummary::trend(metric, &Statistics::of(histogram));
            into.push(summary(&whole).of(None, label));
            for ((_, step, _), histogram) in series() {
                if let Some(StepIndex(step)) = step {
                    let name = names.get(usize::from(*step)).cloned();
                    into.push(summary(histogram).of(name, label));
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
