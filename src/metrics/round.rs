//! [`RoundSummary`]: the figures of one round of a cell, without their histograms, so that a result
//! grows with rounds and series and not with samples.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::aggregate::{Aggregate, CellCounts};
use super::comparison::{Better, ValueUnit};
use super::histogram::{Histogram, nanos};
use super::metric::{Kind, Metric};
use super::recorder::StepIndex;
use super::threshold::{Selector, Statistic, ThresholdError, error};

/// One round of a cell: the unit of the statistics of a comparison.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoundSummary {
    /// Its number, from 1; the same for all cells that ran in it.
    pub round: u32,
    /// The place of the cell in the shuffled order of the round, from 1.
    pub position: u32,
    /// Milliseconds from the start of the first round to its own.
    pub started_ms: u64,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// How its iterations ended.
    pub passed: u64,
    /// Iterations that failed.
    pub failed: u64,
    /// Whether it ran to its end.
    pub whole: bool,
    /// Warm sandboxes, of those that were created.
    #[serde(default)]
    pub warm: u64,
    /// Sandboxes that were started for their claim.
    #[serde(default)]
    pub cold: u64,
    /// Why the cell's runtime cannot do it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_applicable: Option<String>,
    /// Every distribution, over all steps.
    pub trends: Vec<RoundTrend>,
    /// What `compare.metrics` asks for, in its order; `null` without samples. Nanoseconds, or per
    /// second.
    #[serde(default)]
    pub asked: Vec<Option<f64>>,
}

/// A distribution of one round. Durations in whole nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundTrend {
    /// Name of the metric.
    pub metric: String,
    /// Number of samples.
    pub n: u64,
    /// The shortest.
    pub min_ns: u64,
    /// The mean.
    pub mean_ns: u64,
    /// Median.
    pub p50_ns: u64,
    /// 90th percentile.
    pub p90_ns: u64,
    /// 95th percentile.
    pub p95_ns: u64,
    /// 99th percentile.
    pub p99_ns: u64,
    /// The longest.
    pub max_ns: u64,
}

/// A metric and what is taken of it: `exec_duration{step:hash} p95`.
#[derive(Debug, Clone, PartialEq)]
pub struct ComparedMetric {
    /// The metric and which of its series.
    pub selector: Selector,
    /// What is taken of the series.
    pub statistic: Statistic,
}

/// When a round of a cell ran, and how its iterations ended.
#[derive(Debug, Clone)]
pub struct RoundFacts {
    /// From 1.
    pub round: u32,
    /// From 1.
    pub position: u32,
    /// From the start of the first round.
    pub started: Duration,
    /// How long it took.
    pub took: Duration,
    /// How its iterations ended.
    pub counts: CellCounts,
    /// Whether it ran to its end.
    pub whole: bool,
    /// Why the cell's runtime cannot do it.
    pub not_applicable: Option<String>,
}

impl RoundSummary {
    /// The figures of a round; `asked` are metrics with the steps that they are about, none for all.
    pub fn of(
        facts: RoundFacts,
        aggregate: &Aggregate,
        asked: &[(ComparedMetric, Option<Vec<StepIndex>>)],
    ) -> Self {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let trends = Metric::ALL.iter().copied();
        let trends = trends.filter(|metric| metric.kind() == Kind::Trend);
        let trends = trends.filter_map(|metric| RoundTrend::of(metric, &aggregate.trend(metric)));
        let asked = asked.iter().map(|(metric, steps)| {
            let (histogram, sum) = aggregate.chosen(&metric.selector, steps.as_deref());
            metric.value(&histogram, sum, facts.took)
        });
        Self {
            round: facts.round,
            position: facts.position,
            started_ms: millis(facts.started),
            duration_ms: millis(facts.took),
            passed: facts.counts.passed,
            failed: facts.counts.failed,
            whole: facts.whole,
            warm: aggregate.counter(Metric::WarmHits),
            cold: aggregate.counter(Metric::ColdStarts),
            trends: trends.collect(),
            asked: asked.collect(),
            not_applicable: facts.not_applicable,
        }
    }
}

impl RoundTrend {
    /// Nothing without samples.
    fn of(metric: Metric, histogram: &Histogram) -> Option<Self> {
        let quantile = |share: f64| nanos(histogram.quantile(share));
        (histogram.count() > 0).then(|| Self {
            metric: metric.name().to_owned(),
            n: histogram.count(),
            min_ns: nanos(histogram.min()),
            mean_ns: nanos(histogram.mean()),
            p50_ns: quantile(0.5),
            p90_ns: quantile(0.9),
            p95_ns: quantile(0.95),
            p99_ns: quantile(0.99),
            max_ns: nanos(histogram.max()),
        })
    }

    /// One of the figures that are kept; nothing for another percentile.
    pub fn value(&self, statistic: Statistic) -> Option<f64> {
        let nanos = match statistic {
            Statistic::Avg => self.mean_ns,
            Statistic::Min => self.min_ns,
            Statistic::Med => self.p50_ns,
            Statistic::Max => self.max_ns,
            Statistic::Percentile(percent) => {
                let kept = [
                    (50.0, self.p50_ns),
                    (90.0, self.p90_ns),
                    (95.0, self.p95_ns),
                    (99.0, self.p99_ns),
                ];
                let found = kept
                    .iter()
                    .find(|(known, _)| (known - percent).abs() < 1e-9)?;
                found.1
            }
            Statistic::Count | Statistic::Rate | Statistic::Value => return None,
        };
        Some(nanos as f64)
    }
}

impl ComparedMetric {
    /// Its value in nanoseconds or per second; nothing where there are no samples, since a value of 0
    /// has no ratio.
    pub fn value(&self, histogram: &Histogram, sum: u64, elapsed: Duration) -> Option<f64> {
        let time = |duration: Duration| duration.as_nanos() as f64;
        let value = match self.statistic {
            _ if self.selector.metric.kind() == Kind::Counter => {
                sum as f64 / elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
            }
            Statistic::Avg => time(histogram.mean()),
            Statistic::Min => time(histogram.min()),
            Statistic::Med => time(histogram.quantile(0.5)),
            Statistic::Max => time(histogram.max()),
            Statistic::Percentile(percent) => time(histogram.quantile(percent / 100.0)),
            Statistic::Count | Statistic::Rate | Statistic::Value => return None,
        };
        (value > 0.0 && value.is_finite()).then_some(value)
    }

    /// Which way is the good one.
    pub fn better(&self) -> Better {
        match self.selector.metric.kind() {
            Kind::Trend => Better::Lower,
            Kind::Counter | Kind::Gauge => Better::Higher,
        }
    }

    /// The unit of its values.
    pub fn unit(&self) -> ValueUnit {
        match self.selector.metric.kind() {
            Kind::Trend => ValueUnit::Nanoseconds,
            Kind::Counter | Kind::Gauge => ValueUnit::PerSecond,
        }
    }
}

impl FromStr for ComparedMetric {
    type Err = ThresholdError;

    /// `metric`, `metric p95`, `metric{tag:value} p95`; the median where no statistic is named.
    fn from_str(text: &str) -> Result<Self, ThresholdError> {
        let (selector, statistic) = match text.trim().rsplit_once(char::is_whitespace) {
            Some((selector, statistic)) if !statistic.ends_with('}') => (selector, Some(statistic)),
            _ => (text, None),
        };
        let selector: Selector = selector.trim().parse()?;
        let name = selector.metric.name();
        let statistic: Option<Statistic> = statistic.map(str::parse).transpose()?;
        let statistic = match (selector.metric.kind(), statistic) {
            (Kind::Trend, Some(Statistic::Count | Statistic::Rate | Statistic::Value)) => {
                return error(format!(
                    "`{name}` is a distribution: compare `p50`, `p95`, `avg`, `min` or `max` of it"
                ));
            }
            (Kind::Trend, statistic) => statistic.unwrap_or(Statistic::Percentile(50.0)),
            (Kind::Counter, Some(Statistic::Rate) | None)
                if selector.metric == Metric::Iterations =>
            {
                Statistic::Rate
            }
            (Kind::Counter | Kind::Gauge, _) => {
                return error(format!(
                    "`{name}` cannot be compared: beside distributions only `iterations rate` can"
                ));
            }
        };
        Ok(Self {
            selector,
            statistic,
        })
    }
}

impl fmt::Display for ComparedMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.selector, self.statistic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        let metric = text.parse::<ComparedMetric>();
        metric
            .map(|metric| metric.to_string())
            .map_err(|error| error.message)
    }

    #[test]
    fn a_metric_without_a_statistic_means_its_median() {
        assert_eq!(read("exec_duration").unwrap(), "exec_duration p50");
        assert_eq!(
            read("exec_duration{step: hash, role:x}  p99.9").unwrap(),
            "exec_duration{step:hash,role:x} p99.9"
        );
        assert_eq!(
            read("exec_duration{step:hash}").unwrap(),
            "exec_duration{step:hash} p50"
        );
        assert_eq!(read("iterations").unwrap(), "iterations rate");
    }

    #[test]
    fn what_has_no_ratio_is_refused() {
        assert!(
            read("exec_duration count")
                .unwrap_err()
                .contains("is a distribution")
        );
        assert!(
            read("failures")
                .unwrap_err()
                .contains("only `iterations rate`")
        );
        assert!(
            read("exec_durations p50")
                .unwrap_err()
                .contains("unknown metric")
        );
        assert!(
            read("exec_duration p0")
                .unwrap_err()
                .contains("unknown statistic")
        );
    }

    #[test]
    fn a_round_without_samples_has_no_value_and_not_zero() {
        let metric: ComparedMetric = "exec_duration".parse().unwrap();
        assert_eq!(metric.value(&Histogram::default(), 0, Duration::ZERO), None);
        let rate: ComparedMetric = "iterations".parse().unwrap();
        assert_eq!(
            rate.value(&Histogram::default(), 0, Duration::from_secs(1)),
            None
        );
        let ten = rate.value(&Histogram::default(), 20, Duration::from_secs(2));
        assert_eq!(ten, Some(10.0));
    }
}
