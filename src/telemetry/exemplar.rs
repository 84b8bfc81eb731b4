//! [`Exemplars`]: of the operations whose traces were sent, one for each span of time, so that a figure leads to a
//! trace that can be looked at.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::cell::{CellKeeper, ITERATION};
use crate::metrics::{MetricSummary, Summary, TraceLink, nanos};
use crate::trace::{Attribute, Finished, Role, Span, SpanId, TraceId};

/// Parts of each doubling of a duration.
const PARTS: f64 = 8.0;

/// An operation whose trace was sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exemplar {
    pub(super) nanos: u64,
    pub(super) trace: TraceId,
    pub(super) span: SpanId,
    pub(super) unix_nanos: u64,
}

/// Operations whose traces were sent; bounded by steps times spans of time.
#[derive(Debug, Clone, Default)]
pub(super) struct Exemplars {
    /// By cell and step; by part of a doubling.
    series: BTreeMap<(String, String), BTreeMap<i32, Exemplar>>,
}

impl Exemplars {
    /// Notes the operations of a trace that is sent.
    pub(super) fn note(&mut self, cell: &CellKeeper, trace: &Finished, at: impl Fn(&Span) -> u64) {
        for span in &trace.spans {
            let step = match span.role {
                Role::Root => ITERATION.to_owned(),
                Role::Operation => match step_of(span) {
                    Some(step) => step.to_string(),
                    None => continue,
                },
                Role::Phase | Role::Attempt | Role::Other => continue,
            };
            let nanos = nanos(span.duration());
            let exemplar = Exemplar {
                nanos,
                trace: trace.id,
                span: span.id,
                unix_nanos: at(span),
            };
            let series = self.series.entry((cell.name.clone(), step)).or_default();
            let known = series.entry(part(nanos)).or_insert(exemplar);
            if known.nanos < nanos {
                *known = exemplar;
            }
        }
    }

    /// Those of a series of a cell: of a step, or of its iterations.
    pub(super) fn of(&self, cell: &str, series: &MetricSummary) -> impl Iterator<Item = &Exemplar> {
        let key = step_of_series(series).map(|step| (cell.to_owned(), step.to_owned()));
        let found = key.and_then(|key| self.series.get(&key));
        found.into_iter().flat_map(BTreeMap::values)
    }

    /// A trace for p50, p99 and the longest of every step and of the iterations: the nearest one that was sent.
    pub(super) fn links(&self, summary: &Summary) -> Vec<TraceLink> {
        let mut links = Vec::new();
        for cell in &summary.cells {
            for metric in &cell.metrics {
                let Some(step) = step_of_series(metric) else {
                    continue;
                };
                let Some(figures) = &metric.statistics else {
                    continue;
                };
                let known: Vec<&Exemplar> = self.of(&cell.cell, metric).collect();
                for (figure, wanted) in [
                    ("p50", figures.p50_ns),
                    ("p99", figures.p99_ns),
                    ("max", figures.max_ns),
                ] {
                    let nearest = known
                        .iter()
                        .min_by_key(|exemplar| exemplar.nanos.abs_diff(wanted));
                    links.extend(nearest.map(|exemplar| TraceLink {
                        cell: cell.cell.clone(),
                        step: step.to_owned(),
                        figure: figure.to_owned(),
                        duration_ns: exemplar.nanos,
                        trace_id: exemplar.trace.to_string(),
                    }));
                }
            }
        }
        links
    }
}

/// The step that a series has traces of, if it has any.
fn step_of_series(series: &MetricSummary) -> Option<&str> {
    match (series.metric.as_str(), &series.step) {
        ("step_duration", Some(step)) => Some(step),
        ("iteration_service_duration", None) => Some(ITERATION),
        _ => None,
    }
}

/// The step that a span is of.
fn step_of(span: &Span) -> Option<Arc<str>> {
    let attributes = span.attributes.iter();
    let mut named = attributes.filter(|(key, _)| *key == "sandbench.step");
    match named.next() {
        Some((_, Attribute::Shared(step))) => Some(Arc::clone(step)),
        _ => None,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the logarithm of 64 bits is below 64"
)]
fn part(nanos: u64) -> i32 {
    ((nanos.max(1) as f64).log2() * PARTS).floor() as i32
}
