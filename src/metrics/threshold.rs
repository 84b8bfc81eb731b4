//! [`Threshold`]: a limit for a metric, `exec_duration{step:hash}: p95 < 250ms`, and its judgement.
//!
//! Pure: [`Threshold::evaluate`] gets [`Observed`], of a whole cell or of a window, and says whether
//! the limit holds and what was measured. Who makes the figures decides what they are of.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::histogram::Histogram;
use super::label::{self, Label};
use super::metric::{Kind, Metric, Unit};
use super::summary::humanise;
use crate::units::Rate;

/// A limit for a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// What it is about.
    pub selector: Selector,
    /// What must hold.
    pub condition: Condition,
    /// It must hold in every stretch of this length, more than nothing; in a shorter run, and
    /// without it, over the whole run.
    pub window: Option<Duration>,
    /// What a limit that does not hold means for the rest of the run.
    pub on_fail: OnFail,
}

/// What a limit that does not hold means for the rest of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFail {
    /// It goes on; the limit is judged at the end.
    GoOn,
    /// It is stopped (`abortOnFail`), at the earliest after this time (`delayAbortEval`).
    Abort {
        /// From the start of the cell.
        not_before: Duration,
    },
}

/// A metric and which of its series: `exec_duration{step:hash,role:background}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// The metric.
    pub metric: Metric,
    /// Tag and value of each filter; a series must have all of them.
    pub tags: Vec<(String, String)>,
}

/// What must hold: `p95 < 250ms`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Condition {
    /// Of the series.
    pub statistic: Statistic,
    /// Measured value to limit.
    pub operator: Operator,
    /// The limit.
    pub limit: Quantity,
}

/// What is taken of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Statistic {
    /// Mean of a distribution.
    Avg,
    /// Smallest.
    Min,
    /// Median, the same as `p50`.
    Med,
    /// Largest.
    Max,
    /// `p95`, `p99.9`: more than 0, less than 100.
    Percentile(f64),
    /// Number of samples of a distribution, sum of a counter.
    Count,
    /// Sum of a counter per iteration (a limit in `%`) or per second (a limit in `/s`).
    Rate,
    /// Of a gauge.
    Value,
}

/// How the measured value must stand to the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
}

/// A value with its unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "unit", content = "value", rename_all = "snake_case")]
pub enum Quantity {
    /// A span of time, in nanoseconds.
    Nanoseconds(f64),
    /// A plain number.
    Count(f64),
    /// Bytes.
    Bytes(f64),
    /// A share: 1 is all.
    Share(f64),
    /// Per second.
    PerSecond(f64),
}

/// What a threshold is judged by.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// The distribution of the chosen series; empty for a counter.
    pub histogram: Histogram,
    /// The sum of the chosen series of a counter.
    pub sum: u64,
    /// Iterations in the same time.
    pub iterations: u64,
    /// The time.
    pub elapsed: Duration,
    /// The value of a gauge that is a rate.
    pub rate: Option<Rate>,
}

/// Whether a limit holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It does.
    Held,
    /// It does not.
    Failed,
    /// There is nothing to judge it by. Counts as failed at the end of a run.
    NoSamples,
}

/// A judged threshold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ThresholdResult {
    /// `scenario[axis=value]`.
    pub cell: String,
    /// As it is written: `exec_duration{step:hash}: p95 < 250ms`.
    pub threshold: String,
    /// The steps whose series it is about; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<Vec<String>>,
    /// Whether it holds.
    pub outcome: Outcome,
    /// What was measured; absent without samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Quantity>,
    /// Of a threshold with a `window`: which one was judged, the first that missed the limit, or
    /// else the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// Milliseconds from the start of the cell at which the run was stopped because of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_at_ms: Option<u64>,
}

/// A stretch of a cell's run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Its begin, in milliseconds from the start of the cell.
    pub from_ms: u64,
    /// Its end, in the same.
    pub to_ms: u64,
}

/// Why a text is no selector or condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ThresholdError {
    /// What is wrong.
    pub message: String,
    /// The words that would be right, where there are few.
    pub words: Vec<String>,
}

pub(super) fn error<T>(message: impl Into<String>) -> Result<T, ThresholdError> {
    Err(ThresholdError {
        message: message.into(),
        words: Vec::new(),
    })
}

impl Selector {
    /// Whether it takes the series with this label.
    pub(super) fn takes(&self, label: Option<Label>) -> bool {
        self.own_tags()
            .all(|(_, value)| label.is_some_and(|label| label.to_string() == *value))
    }

    /// Whether a tag with this value is one of the metric's own labels, and a possible one.
    pub fn is_label(&self, tag: &str, value: &str) -> bool {
        self.metric.tag() == Some(tag) && label::is_possible(tag, value)
    }

    /// The tags that are labels of the metric, not of scenarios or steps.
    pub(super) fn own_tags(&self) -> impl Iterator<Item = &(String, String)> {
        let own = self.metric.tag();
        self.tags
            .iter()
            .filter(move |(tag, _)| own == Some(tag.as_str()))
    }
}

impl Threshold {
    /// Nothing may be counted: `failures: count == 0`.
    pub fn none_of(counter: Metric) -> Self {
        Self {
            selector: Selector {
                metric: counter,
                tags: Vec::new(),
            },
            condition: Condition {
                statistic: Statistic::Count,
                operator: Operator::Equal,
                limit: Quantity::Count(0.0),
            },
            window: None,
            on_fail: OnFail::GoOn,
        }
    }

    /// Judges the limit by these figures.
    pub fn evaluate(&self, figures: &Observed) -> (Outcome, Option<Quantity>) {
        let Some(measured) = self.condition.measure(self.selector.metric, figures) else {
            return (Outcome::NoSamples, None);
        };
        let holds = self
            .condition
            .operator
            .holds(measured.number(), self.condition.limit.number());
        let outcome = if holds {
            Outcome::Held
        } else {
            Outcome::Failed
        };
        (outcome, Some(measured))
    }
}

impl Condition {
    pub(super) fn measure(&self, metric: Metric, figures: &Observed) -> Option<Quantity> {
        let histogram = &figures.histogram;
        let sum = match metric.kind() {
            Kind::Trend => histogram.count(),
            Kind::Counter | Kind::Gauge => figures.sum,
        };
        let time = |duration: Duration| {
            (histogram.count() > 0).then_some(Quantity::Nanoseconds(duration.as_nanos() as f64))
        };
        match (self.statistic, self.limit) {
            (Statistic::Value, _) => {
                let rate = figures.rate?;
                Some(Quantity::PerSecond(rate.as_per_second()))
            }
            (Statistic::Avg, _) => time(histogram.mean()),
            (Statistic::Min, _) => time(histogram.min()),
            (Statistic::Med, _) => time(histogram.quantile(0.5)),
            (Statistic::Max, _) => time(histogram.max()),
            (Statistic::Percentile(percent), _) => time(histogram.quantile(percent / 100.0)),
            (Statistic::Count, Quantity::Bytes(_)) => Some(Quantity::Bytes(sum as f64)),
            (Statistic::Count, _) => Some(Quantity::Count(sum as f64)),
            (Statistic::Rate, Quantity::PerSecond(_)) => {
                let seconds = figures.elapsed.as_secs_f64();
                (seconds > 0.0).then(|| Quantity::PerSecond(sum as f64 / seconds))
            }
            (Statistic::Rate, _) => (figures.iterations > 0)
                .then(|| Quantity::Share(sum as f64 / figures.iterations as f64)),
        }
    }

    /// Whether the statistic and the unit of the limit are those of a metric.
    ///
    /// # Errors
    /// What the metric has instead.
    pub fn fits(&self, metric: Metric) -> Result<(), ThresholdError> {
        let name = metric.name();
        match (metric.kind(), self.statistic, self.limit) {
            (Kind::Gauge, Statistic::Value, Quantity::PerSecond(_))
            | (Kind::Trend, Statistic::Count, Quantity::Count(_))
            | (Kind::Counter, Statistic::Rate, Quantity::PerSecond(_)) => Ok(()),
            (Kind::Gauge, ..) => error(format!(
                "`{name}` is a rate: it has a `value`, to be compared with a rate (`60/s`)"
            )),
            (_, Statistic::Value, _) => error(format!("`{name}` has no single value")),
            (_, Statistic::Count, Quantity::Count(_)) if metric.unit() == Unit::Count => Ok(()),
            (Kind::Counter, Statistic::Count, Quantity::Bytes(_))
                if metric.unit() == Unit::Bytes =>
            {
                Ok(())
            }
            (Kind::Counter, Statistic::Rate, Quantity::Share(_))
                if metric.unit() == Unit::Count =>
            {
                Ok(())
            }
            (Kind::Counter, Statistic::Rate, _) => {
                error("a rate is compared with a share (`1%`) or a rate (`5/s`)")
            }
            (_, Statistic::Count, _) => error(match metric.unit() {
                Unit::Bytes => format!("`{name}` counts bytes: compare with a size, `1MiB`"),
                Unit::Count | Unit::Nanoseconds | Unit::PerSecond => {
                    "a count is compared with a plain number".to_owned()
                }
            }),
            (Kind::Trend, Statistic::Rate, _) => error(format!(
                "`{name}` is a distribution: it has no rate; use `p95`, `avg` or `count`"
            )),
            (Kind::Trend, _, Quantity::Nanoseconds(_)) => Ok(()),
            (Kind::Trend, ..) => error(format!(
                "`{name}` is a time: compare with a time and its unit, `250ms`"
            )),
            (Kind::Counter, ..) => error(format!("`{name}` is a sum: it has `count` and `rate`")),
        }
    }
}

impl Operator {
    pub(super) const WORDS: [(&'static str, Self); 6] = [
        ("<=", Self::AtMost),
        (">=", Self::AtLeast),
        ("==", Self::Equal),
        ("!=", Self::NotEqual),
        ("<", Self::Less),
        (">", Self::More),
    ];

    pub(super) fn holds(self, measured: f64, limit: f64) -> bool {
        match self {
            Self::Less => measured < limit,
            Self::AtMost => measured <= limit,
            Self::More => measured > limit,
            Self::AtLeast => measured >= limit,
            Self::Equal => (measured - limit).abs() < f64::EPSILON,
            Self::NotEqual => (measured - limit).abs() >= f64::EPSILON,
        }
    }
}

impl Quantity {
    /// The number in its base unit: nanoseconds, bytes, per second, a share of 1.
    pub fn number(self) -> f64 {
        match self {
            Self::Nanoseconds(number)
            | Self::Count(number)
            | Self::Bytes(number)
            | Self::Share(number)
            | Self::PerSecond(number) => number,
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a measured time in whole nanoseconds fits"
            )]
            Self::Nanoseconds(nanos) => f.write_str(&humanise(*nanos as u64)),
            Self::Count(number) | Self::Bytes(number) => write!(f, "{number}"),
            Self::Share(share) => {
                let percent = format!("{:.4}", share * 100.0);
                write!(
                    f,
                    "{}%",
                    percent.trim_end_matches('0').trim_end_matches('.')
                )
            }
            Self::PerSecond(rate) => write!(f, "{rate:.3}/s"),
        }
    }
}
