//! The report's own figures as OTLP points: the same counts, the same histograms, and for each bucket a trace that
//! stands for it.
//!
//! Cumulative, from the start of the run. Durations are in seconds and their names are the report's with `sandbench.`
//! before them. Histograms are exponential (base 2, at most 160 buckets), or have fixed bounds where a receiver
//! wants that.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge,
    Histogram, HistogramDataPoint, Metric, NumberDataPoint, Sum, exemplar, number_data_point,
};

use super::encode::text;
use super::exemplar::{self as kept, Exemplars};
use crate::metrics::{self, CellSummary, MetricSummary, Unit};

/// Iterations under way, by cell.
const IN_FLIGHT: &str = "sandbench.in_flight";
/// The finest scale of exponential histograms: a bucket is 9 % wide.
const SCALE: i32 = 3;
/// The most buckets of one. Source: the default of OpenTelemetry's SDKs.
const BUCKETS: i64 = 160;
/// Upper bounds per decade of histograms with fixed bounds: a bucket is 15 % wide.
const PER_DECADE: i32 = 16;
/// From 10 µs to 1000 s: 129 buckets. Google takes 200.
const DECADES: std::ops::Range<i32> = -5..3;

/// How histograms are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BucketKind {
    /// With buckets that grow by a factor.
    #[default]
    Exponential,
    /// With fixed upper bounds.
    Explicit,
}

/// When points were made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// The run began, nanoseconds since 1970.
    pub(super) start: u64,
    /// The figures are of this time.
    pub(super) now: u64,
}

/// The figures of a cell so far.
#[derive(Debug, Clone)]
pub(super) struct CellSeries {
    pub(super) scenario: String,
    pub(super) cell: String,
    pub(super) matrix: BTreeMap<String, String>,
    pub(super) metrics: Vec<MetricSummary>,
    /// Iterations under way; unknown once the cell is over.
    pub(super) in_flight: Option<u64>,
}

impl CellSeries {
    /// Of a cell that is over.
    pub(super) fn of(cell: &CellSummary) -> Self {
        Self {
            scenario: cell.scenario.clone(),
            cell: cell.cell.clone(),
            matrix: cell.matrix.clone(),
            metrics: cell.metrics.clone(),
            in_flight: None,
        }
    }
}

/// Every figure of the cells.
pub(super) fn metrics(
    cells: &[CellSeries],
    exemplars: &Exemplars,
    buckets: BucketKind,
    times: Times,
) -> Vec<Metric> {
    let mut all: BTreeMap<String, Metric> = BTreeMap::new();
    for cell in cells {
        if let Some(in_flight) = cell.in_flight {
            let gauge = all
                .entry(IN_FLIGHT.to_owned())
                .or_insert_with(in_flight_gauge);
            let in_flight = i64::try_from(in_flight).unwrap_or(i64::MAX);
            let value = number_data_point::Value::AsInt(in_flight);
            add_gauge(gauge, of_cell(cell), value, times);
        }
        for series in &cell.metrics {
            // The sum over all steps would count everything twice.
            let has_steps = series.step.is_none()
                && cell
                    .metrics
                    .iter()
                    .any(|other| other.metric == series.metric && other.step.is_some());
            if has_steps {
                continue;
            }
            let name = format!("sandbench.{}", series.metric);
            let known = metrics::Metric::ALL.iter();
            let mut known = known.filter(|metric| metric.name() == series.metric);
            let description = known.next().map_or("", |metric| metric.description());
            let metric = all.entry(name.clone()).or_insert_with(|| Metric {
                name,
                description: description.trim().to_owned(),
                unit: unit(series.unit).to_owned(),
                ..Metric::default()
            });
            add(metric, (cell, series), exemplars, (buckets, times));
        }
    }
    all.into_values().collect()
}

fn in_flight_gauge() -> Metric {
    Metric {
        name: IN_FLIGHT.to_owned(),
        description: "Iterations under way.".to_owned(),
        unit: "1".to_owned(),
        ..Metric::default()
    }
}

fn add_gauge(
    metric: &mut Metric,
    attributes: Vec<KeyValue>,
    value: number_data_point::Value,
    times: Times,
) {
    let data = metric
        .data
        .get_or_insert_with(|| Data::Gauge(Gauge::default()));
    if let Data::Gauge(gauge) = data {
        gauge.data_points.push(NumberDataPoint {
            attributes,
            time_unix_nano: times.now,
            value: Some(value),
            ..NumberDataPoint::default()
        });
    }
}

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Nanoseconds => "s",
        Unit::Count => "1",
        Unit::Bytes => "By",
        Unit::PerSecond => "1/s",
    }
}

fn add(
    metric: &mut Metric,
    (cell, series): (&CellSeries, &MetricSummary),
    exemplars: &Exemplars,
    (buckets, times): (BucketKind, Times),
) {
    let attributes = attributes(cell, series);
    if let Some(rate) = series.rate {
        let value = number_data_point::Value::AsDouble(rate.as_per_second());
        return add_gauge(metric, attributes, value, times);
    }
    if let Some(value) = series.value {
        let point = NumberDataPoint {
            attributes,
            start_time_unix_nano: times.start,
            time_unix_nano: times.now,
            value: Some(number_data_point::Value::AsInt(
                i64::try_from(value).unwrap_or(i64::MAX),
            )),
            ..NumberDataPoint::default()
        };
        let data = metric.data.get_or_insert_with(|| {
            Data::Sum(Sum {
                aggregation_temporality: AggregationTemporality::Cumulative.into(),
                is_monotonic: true,
                ..Sum::default()
            })
        });
        if let Data::Sum(sum) = data {
            sum.data_points.push(point);
        }
        return;
    }
    let decoded = series.statistics.as_ref();
    let decoded = decoded.and_then(|figures| metrics::Histogram::decode(&figures.histogram).ok());
    let Some(histogram) = decoded else { return };
    let exemplars = exemplars_of(exemplars, cell, series);
    match buckets {
        BucketKind::Exponential => {
            let point = exponential(&histogram, attributes, exemplars, times);
            let data = metric.data.get_or_insert_with(|| {
                Data::ExponentialHistogram(ExponentialHistogram {
                    aggregation_temporality: AggregationTemporality::Cumulative.into(),
                    ..ExponentialHistogram::default()
                })
            });
            if let Data::ExponentialHistogram(histogram) = data {
                histogram.data_points.push(point);
            }
        }
        BucketKind::Explicit => {
            let point = explicit(&histogram, attributes, exemplars, times);
            let data = metric.data.get_or_insert_with(|| {
                Data::Histogram(Histogram {
                    aggregation_temporality: AggregationTemporality::Cumulative.into(),
                    ..Histogram::default()
                })
            });
            if let Data::Histogram(histogram) = data {
                histogram.data_points.push(point);
            }
        }
    }
}

/// Cell, step, labels and matrix. Never a sandbox or an iteration: series would have no end.
fn attributes(cell: &CellSeries, series: &MetricSummary) -> Vec<KeyValue> {
    let mut all = of_cell(cell);
    if let Some(step) = &series.step {
        all.push(text("sandbench.step", step.as_str()));
    }
    // Steps may share a name.
    if let Some(index) = series.step_index {
        all.push(text("sandbench.step_index", index.to_string()));
    }
    let labels = series.labels.iter();
    all.extend(
        labels.map(|(tag, value)| text(format!("sandbench.{}", snake(tag)), value.as_str())),
    );
    all
}

/// What all series of a cell have.
fn of_cell(cell: &CellSeries) -> Vec<KeyValue> {
    let mut all = vec![
        text("sandbench.scenario", cell.scenario.as_str()),
        text("sandbench.cell", cell.cell.as_str()),
    ];
    all.extend(cell.matrix.iter().map(|(axis, value)| {
        let axis: String = axis
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .collect();
        text(format!("sandbench.matrix.{axis}"), value.as_str())
    }));
    all
}

/// `launchType` as `launch_type`, as names are written in OpenTelemetry.
fn snake(tag: &str) -> String {
    let mut name = String::with_capacity(tag.len() + 2);
    for c in tag.chars() {
        if c.is_ascii_uppercase() {
            name.push('_');
        }
        name.push(c.to_ascii_lowercase());
    }
    name
}

fn exemplars_of(exemplars: &Exemplars, cell: &CellSeries, series: &MetricSummary) -> Vec<Exemplar> {
    exemplars
        .of(&cell.cell, series)
        .map(|kept: &kept::Exemplar| Exemplar {
            time_unix_nano: kept.unix_nanos,
            span_id: kept.span.as_bytes().to_vec(),
            trace_id: kept.trace.as_bytes().to_vec(),
            value: Some(exemplar::Value::AsDouble(seconds(kept.nanos))),
            ..Exemplar::default()
        })
        .collect()
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

fn exponential(
    histogram: &metrics::Histogram,
    attributes: Vec<KeyValue>,
    exemplars: Vec<Exemplar>,
    times: Times,
) -> ExponentialHistogramDataPoint {
    let values: Vec<(u64, u64)> = histogram.buckets().collect();
    let mut scale = SCALE;
    let range = |scale: i32| {
        let first = values.first().map_or(0, |(nanos, _)| index(*nanos, scale));
        let last = values.last().map_or(0, |(nanos, _)| index(*nanos, scale));
        (first, last)
    };
    while range(scale).1 - range(scale).0 >= BUCKETS {
        scale -= 1;
    }
    let (first, last) = range(scale);
    let mut counts = vec![0; usize::try_from(last - first + 1).unwrap_or(1)];
    for (nanos, count) in &values {
        let place = usize::try_from(index(*nanos, scale) - first).unwrap_or(0);
        if let Some(bucket) = counts.get_mut(place) {
            *bucket += count;
        }
    }
    ExponentialHistogramDataPoint {
        attributes,
        start_time_unix_nano: times.start,
        time_unix_nano: times.now,
        count: histogram.count(),
        sum: Some(sum(&values)),
        scale,
        positive: Some(Buckets {
            offset: i32::try_from(first).unwrap_or(0),
            bucket_counts: counts,
        }),
        exemplars,
        min: Some(histogram.min().as_secs_f64()),
        max: Some(histogram.max().as_secs_f64()),
        ..ExponentialHistogramDataPoint::default()
    }
}

/// The bucket of a value in seconds: above base^index, at most base^(index + 1). Source: OpenTelemetry's data model.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the logarithm of a duration is small"
)]
fn index(nanos: u64, scale: i32) -> i64 {
    let exponent = seconds(nanos.max(1)).log2() * f64::from(scale).exp2();
    exponent.ceil() as i64 - 1
}

fn sum(values: &[(u64, u64)]) -> f64 {
    let parts = values.iter();
    parts
        .map(|(nanos, count)| seconds(*nanos) * *count as f64)
        .sum()
}

fn bounds() -> Vec<f64> {
    let steps = DECADES.start * PER_DECADE..=DECADES.end * PER_DECADE;
    steps
        .map(|step| 10_f64.powf(f64::from(step) / f64::from(PER_DECADE)))
        .collect()
}

fn explicit(
    histogram: &metrics::Histogram,
    attributes: Vec<KeyValue>,
    exemplars: Vec<Exemplar>,
    times: Times,
) -> HistogramDataPoint {
    let values: Vec<(u64, u64)> = histogram.buckets().collect();
    let bounds = bounds();
    let mut counts = vec![0; bounds.len() + 1];
    for (nanos, count) in &values {
        let place = bounds.partition_point(|bound| *bound < seconds(*nanos));
        if let Some(bucket) = counts.get_mut(place) {
            *bucket += count;
        }
    }
    HistogramDataPoint {
        attributes,
        start_time_unix_nano: times.start,
        time_unix_nano: times.now,
        count: histogram.count(),
        sum: Some(sum(&values)),
        bucket_counts: counts,
        explicit_bounds: bounds,
        exemplars,
        min: Some(histogram.min().as_secs_f64()),
        max: Some(histogram.max().as_secs_f64()),
        ..HistogramDataPoint::default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::units::Rate;

    const TIMES: Times = Times { start: 1, now: 2 };

    fn histogram(nanos: &[u64]) -> metrics::Histogram {
        let mut histogram = metrics::Histogram::default();
        for nanos in nanos {
            histogram.record(Duration::from_nanos(*nanos));
        }
        histogram
    }

    /// Upper bounds and counts of the buckets that are not empty.
    fn filled(point: &ExponentialHistogramDataPoint) -> Vec<(f64, u64)> {
        let base = 2_f64.powf(2_f64.powi(-point.scale));
        let buckets = point.positive.as_ref().unwrap();
        let all = buckets.bucket_counts.iter().zip(buckets.offset..);
        all.filter(|(count, _)| **count > 0)
            .map(|(count, index)| (base.powi(index + 1), *count))
            .collect()
    }

    #[test]
    fn every_value_is_in_the_bucket_that_holds_it() {
        let values = [1_000_000, 1_000_000, 250_000_000, 3_000_000_000];
        let point = exponential(&histogram(&values), Vec::new(), Vec::new(), TIMES);
        assert_eq!((point.count, point.scale), (4, SCALE));
        let filled = filled(&point);
        assert_eq!(filled.iter().map(|(_, count)| count).sum::<u64>(), 4);
        for (bound, seconds) in filled
            .iter()
            .map(|(bound, _)| bound)
            .zip([0.001, 0.25, 3.0])
        {
            assert!(
                *bound >= seconds * 0.99 && *bound <= seconds * 1.10,
                "{bound} {seconds}"
            );
        }
        let sum = point.sum.unwrap();
        assert!((sum - 3.252).abs() < 0.01, "{sum}");
    }

    #[test]
    fn a_wide_distribution_gets_coarser_buckets_and_never_too_many() {
        let values = [1, 3_600_000_000_000];
        let point = exponential(&histogram(&values), Vec::new(), Vec::new(), TIMES);
        let buckets = point.positive.as_ref().unwrap().bucket_counts.len();
        assert!(buckets <= 160 && point.scale < SCALE, "{buckets}");
        assert_eq!(filled(&point).len(), 2);
    }

    #[test]
    fn fixed_bounds_hold_every_value_and_are_fewer_than_google_takes() {
        let values = [1, 1_000_000, 3_600_000_000_000];
        let point = explicit(&histogram(&values), Vec::new(), Vec::new(), TIMES);
        assert!(point.bucket_counts.len() <= 200);
        assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
        assert_eq!(point.bucket_counts.iter().sum::<u64>(), 3);
        assert_eq!(point.bucket_counts.first(), Some(&1));
        assert_eq!(point.bucket_counts.last(), Some(&1));
    }

    #[test]
    fn labels_and_places_of_steps_tell_series_apart_and_gauges_keep_their_fraction() {
        let series = |metric: metrics::Metric, step_index: u16, launched: &str| MetricSummary {
            metric: metric.name().to_owned(),
            kind: metric.kind(),
            unit: metric.unit(),
            step: Some("create".to_owned()),
            step_index: Some(step_index),
            labels: BTreeMap::from([("launchType".to_owned(), launched.to_owned())]),
            clock: None,
            value: None,
            rate: None,
            statistics: None,
        };
        let calls = |place, launched| MetricSummary {
            value: Some(3),
            ..series(metrics::Metric::Calls, place, launched)
        };
        let rate = MetricSummary {
            rate: Rate::per_second(12.5),
            ..series(metrics::Metric::BreakpointRate, 0, "warm")
        };
        let cell = CellSeries {
            scenario: "s".to_owned(),
            cell: "c".to_owned(),
            matrix: BTreeMap::new(),
            metrics: vec![calls(0, "warm"), calls(0, "cold"), calls(1, "warm"), rate],
            in_flight: None,
        };
        let made = metrics(&[cell], &Exemplars::default(), BucketKind::default(), TIMES);
        let mut told = Vec::new();
        for metric in &made {
            match &metric.data {
                Some(Data::Sum(sum)) => {
                    let points = sum.data_points.iter();
                    told.extend(points.map(|point| format!("{:?}", point.attributes)));
                }
                Some(Data::Gauge(gauge)) => {
                    let value = gauge.data_points[0].value;
                    assert_eq!(value, Some(number_data_point::Value::AsDouble(12.5)));
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(told[0].contains("sandbench.launch_type"), "{told:?}");
        told.sort();
        told.dedup();
        assert_eq!((made.len(), told.len()), (2, 3));
    }
}
