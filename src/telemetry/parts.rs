//! Metrics in parts that a receiver takes: Google takes 200 points in a request.

use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;

/// How many points a metric has.
pub(super) fn count(metric: &Metric) -> usize {
    match &metric.data {
        Some(Data::Sum(sum)) => sum.data_points.len(),
        Some(Data::Gauge(gauge)) => gauge.data_points.len(),
        Some(Data::Histogram(histogram)) => histogram.data_points.len(),
        Some(Data::ExponentialHistogram(histogram)) => histogram.data_points.len(),
        Some(Data::Summary(summary)) => summary.data_points.len(),
        None => 0,
    }
}

/// Parts with at most so many points each; a metric with more is in several.
pub(super) fn parts(metrics: Vec<Metric>, most: usize) -> Vec<Vec<Metric>> {
    let mut parts: Vec<Vec<Metric>> = Vec::new();
    let mut room = 0;
    for metric in metrics {
        let mut rest = Some(metric);
        while let Some(metric) = rest.take() {
            if room == 0 {
                parts.push(Vec::new());
                room = most.max(1);
            }
            let (part, later) = split(metric, room);
            room -= count(&part).min(room);
            rest = later;
            if let Some(last) = parts.last_mut() {
                last.push(part);
            }
        }
    }
    parts
}

/// The first points of a metric, and the rest.
fn split(mut metric: Metric, room: usize) -> (Metric, Option<Metric>) {
    if count(&metric) <= room {
        return (metric, None);
    }
    let mut later = metric.clone();
    match (&mut metric.data, &mut later.data) {
        (Some(Data::Sum(a)), Some(Data::Sum(b))) => b.data_points = a.data_points.split_off(room),
        (Some(Data::Gauge(a)), Some(Data::Gauge(b))) => {
            b.data_points = a.data_points.split_off(room);
        }
        (Some(Data::Histogram(a)), Some(Data::Histogram(b))) => {
            b.data_points = a.data_points.split_off(room);
        }
        (Some(Data::ExponentialHistogram(a)), Some(Data::ExponentialHistogram(b))) => {
            b.data_points = a.data_points.split_off(room);
        }
        // No other kind is made here.
        _ => return (metric, None),
    }
    (metric, Some(later))
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::metrics::v1::{NumberDataPoint, Sum};

    use super::*;

    #[test]
    fn no_part_has_more_points_than_allowed_and_none_is_lost() {
        let point = || NumberDataPoint::default();
        let sum = |points: usize| Metric {
            data: Some(Data::Sum(Sum {
                data_points: (0..points).map(|_| point()).collect(),
                ..Sum::default()
            })),
            ..Metric::default()
        };
        let parts = parts(vec![sum(5), sum(450), sum(3)], 200);
        let sizes: Vec<usize> = parts
            .iter()
            .map(|part| part.iter().map(count).sum())
            .collect();
        assert_eq!(sizes, [200, 200, 58]);
    }
}
