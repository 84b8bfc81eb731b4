//! [`MetricSummary`]: one series as it is kept and written, and the figures of a distribution.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::encoded_histogram::EncodedHistogram;
use super::histogram::{Histogram, nanos};
use super::label::Label;
use super::metric::{Kind, Metric, ServerClock, Unit};
use super::recorder::StepIndex;
use crate::units::Rate;

/// One series of a cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricSummary {
    /// Name of the metric.
    pub metric: String,
    /// Distribution or sum.
    pub kind: Kind,
    /// Unit of its values.
    pub unit: Unit,
    /// The step that it is about; absent: all steps together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Its place among the cell's steps, from 0: steps may share a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_index: Option<u16>,
    /// What tells it apart from other series of the metric: `launchType`, `cause`, `attempts`. A
    /// metric with labels has no series over all of them: warm and cold are never pooled.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Whose clock measured it, where it is not the generator's own monotonic one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<ServerClock>,
    /// The sum of a counter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<u64>,
    /// The value of a gauge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// The figures of a trend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistics: Option<Statistics>,
}

impl MetricSummary {
    /// Whether this is the series of a metric over all steps.
    pub fn is(&self, metric: Metric) -> bool {
        self.metric == metric.name() && self.step.is_none()
    }

    pub(super) fn counter(metric: Metric, value: u64) -> Self {
        Self {
            metric: metric.name().to_owned(),
            kind: metric.kind(),
            unit: metric.unit(),
            step: None,
            step_index: None,
            labels: BTreeMap::new(),
            clock: metric.clock(),
            value: Some(value),
            rate: None,
            statistics: None,
        }
    }

    pub(super) fn gauge(metric: Metric, rate: Rate) -> Self {
        Self {
            value: None,
            rate: Some(rate),
            ..Self::counter(metric, 0)
        }
    }

    /// Of all steps together.
    pub(super) fn trend(metric: Metric, statistics: Statistics) -> Self {
        Self {
            value: None,
            rate: None,
            statistics: Some(statistics),
            ..Self::counter(metric, 0)
        }
    }

    /// The same series, of what has this label.
    pub(super) fn of_label(mut self, label: Option<Label>) -> Self {
        let label = label.map(|label| (label.tag().to_owned(), label.to_string()));
        self.labels = label.into_iter().collect();
        self
    }

    /// Its value for a tag: `warm` for `launchType`.
    pub fn label(&self, tag: &str) -> Option<&str> {
        self.labels.get(tag).map(String::as_str)
    }

    /// Metric and labels, as thresholds write them: `sandbox_ready_duration{launchType:warm}`.
    pub fn labelled(&self) -> String {
        let labels: Vec<String> = self
            .labels
            .iter()
            .map(|(tag, value)| format!("{tag}:{value}"))
            .collect();
        match labels.as_slice() {
            [] => self.metric.clone(),
            _ => format!("{}{{{}}}", self.metric, labels.join(",")),
        }
    }

    /// The same series of one step.
    pub(super) fn of_step(mut self, StepIndex(place): StepIndex, names: &[String]) -> Self {
        self.step = names.get(usize::from(place)).cloned();
        self.step_index = Some(place);
        self
    }
}

/// The figures of a distribution. Durations in whole nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistics {
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
    /// How many were longer than the histogram tells apart (1 h); they are counted as that.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub clamped: u64,
    /// All of it: HdrHistogram V2, deflate, base64.
    pub histogram: EncodedHistogram,
}

impl Statistics {
    /// The figures of a histogram.
    pub fn of(histogram: &Histogram) -> Self {
        let quantile = |share: f64| nanos(histogram.quantile(share));
        Self {
            n: histogram.count(),
            min_ns: nanos(histogram.min()),
            mean_ns: nanos(histogram.mean()),
            p50_ns: quantile(0.5),
            p90_ns: quantile(0.9),
            p95_ns: quantile(0.95),
            p99_ns: quantile(0.99),
            max_ns: nanos(histogram.max()),
            clamped: histogram.clamped(),
            histogram: histogram.encode(),
        }
    }
}

/// Whether a field need not be written.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl MetricSummary {
    /// Adds this series to the same one among others, exact to the bucket.
    pub(super) fn add_to(&self, others: &mut Vec<Self>) {
        let same = |other: &&mut Self| {
            other.metric == self.metric
                && other.step_index == self.step_index
                && other.step == self.step
                && other.labels == self.labels
        };
        let Some(other) = others.iter_mut().find(same) else {
            others.push(self.clone());
            return;
        };
        if let Some(value) = self.value {
            other.value = Some(other.value.unwrap_or(0) + value);
        }
        if let Some(statistics) = &self.statistics {
            let mut all = other.distribution();
            all.merge(&statistics.distribution());
            other.statistics = Some(Statistics::of(&all));
        }
    }

    /// Its samples; none of a counter.
    pub fn distribution(&self) -> Histogram {
        let statistics = self.statistics.as_ref();
        statistics.map_or_else(Histogram::default, Statistics::distribution)
    }
}

impl Statistics {
    /// The samples; none when the bytes are no histogram, which reading a result refuses.
    pub fn distribution(&self) -> Histogram {
        Histogram::decode(&self.histogram)
            .unwrap_or_default()
            .with_clamped(self.clamped)
    }
}
