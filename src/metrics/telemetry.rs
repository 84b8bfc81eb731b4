//! [`TelemetrySummary`]: what became of traces and metrics that were to be sent, and where to look at them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::hop::Hop;

/// What became of the run's telemetry.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TelemetrySummary {
    /// Where to: signal, protocol and address, without secrets.
    pub targets: Vec<String>,
    /// How traces were chosen, in words.
    pub sampling: String,
    /// Traces that were sent, by reason; one trace can have several.
    pub kept: BTreeMap<String, u64>,
    /// What became of the spans.
    pub spans: ExportedSpans,
    /// What became of the points of metrics.
    pub points: ExportedPoints,
    /// Why exports failed or were refused, most frequent first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ExportError>,
    /// How long the last export took, in milliseconds.
    pub flush_ms: u64,
    /// Where a trace can be seen, with `{trace_id}`, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_url: Option<String>,
    /// Traces that stand for a figure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<TraceLink>,
    /// What each hop took, if spans of router or controller were received.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hops: Vec<Hop>,
}

/// What became of the spans: `made` + `received` is the sum of the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportedSpans {
    /// Recorded in the run.
    pub made: u64,
    /// Received from router and controller, to be passed on.
    pub received: u64,
    /// Taken by the receiver.
    pub sent: u64,
    /// Of traces that were neither sampled nor worth keeping.
    pub not_kept: u64,
    /// Beyond the most that one trace holds.
    pub left_out: u64,
    /// Lost because the exporter had no time.
    pub dropped_busy: u64,
    /// Beyond the highest rate of traces.
    pub dropped_rate: u64,
    /// Lost because the receiver was too slow and the queue full.
    pub dropped_queue: u64,
    /// Refused by the receiver.
    pub rejected: u64,
    /// Lost with exports that failed.
    pub failed: u64,
    /// Not sent when the time for the end was over.
    pub unsent: u64,
}

impl ExportedSpans {
    fn add(&mut self, other: &Self) {
        let Self {
            made,
            received,
            sent,
            not_kept,
            left_out,
            dropped_busy,
            dropped_rate,
            dropped_queue,
            rejected,
            failed,
            unsent,
        } = other;
        for (sum, part) in [
            (&mut self.made, made),
            (&mut self.received, received),
            (&mut self.sent, sent),
            (&mut self.not_kept, not_kept),
            (&mut self.left_out, left_out),
            (&mut self.dropped_busy, dropped_busy),
            (&mut self.dropped_rate, dropped_rate),
            (&mut self.dropped_queue, dropped_queue),
            (&mut self.rejected, rejected),
            (&mut self.failed, failed),
            (&mut self.unsent, unsent),
        ] {
            *sum += part;
        }
    }

    /// Those that should have been sent and were not.
    pub fn lost(&self) -> u64 {
        self.left_out
            + self.dropped_busy
            + self.dropped_rate
            + self.dropped_queue
            + self.rejected
            + self.failed
            + self.unsent
    }

    /// Whether the counts add up.
    pub fn is_complete(&self) -> bool {
        self.made + self.received == self.sent + self.not_kept + self.lost()
    }
}

/// What became of the points of metrics: `made` is the sum of the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportedPoints {
    /// Made of the report's figures.
    pub made: u64,
    /// Taken by the receiver.
    pub sent: u64,
    /// Refused by the receiver.
    pub rejected: u64,
    /// Lost with exports that failed.
    pub failed: u64,
    /// Not sent when the time for the end was over.
    pub unsent: u64,
}

impl ExportedPoints {
    fn add(&mut self, other: &Self) {
        let Self {
            made,
            sent,
            rejected,
            failed,
            unsent,
        } = other;
        self.made += made;
        self.sent += sent;
        self.rejected += rejected;
        self.failed += failed;
        self.unsent += unsent;
    }

    /// Those that should have been sent and were not.
    pub fn lost(&self) -> u64 {
        self.rejected + self.failed + self.unsent
    }
}

/// Why an export failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportError {
    /// `traces` or `metrics`.
    pub signal: String,
    /// gRPC code, HTTP status, or the kind of failure.
    pub code: String,
    /// In the receiver's own words, if it said something.
    pub message: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// How often.
    pub count: u64,
}

/// A trace that stands for a figure of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceLink {
    /// The cell.
    pub cell: String,
    /// The step, or `iteration`.
    pub step: String,
    /// `p50`, `p99` or `max`.
    pub figure: String,
    /// How long the operation in the trace took, in nanoseconds: the one that is nearest among those sent.
    pub duration_ns: u64,
    /// The trace.
    pub trace_id: String,
}

impl TelemetrySummary {
    /// Adds what became of another run's.
    pub(super) fn add(&mut self, other: Self) {
        for target in other.targets {
            if !self.targets.contains(&target) {
                self.targets.push(target);
            }
        }
        for (reason, count) in other.kept {
            *self.kept.entry(reason).or_default() += count;
        }
        self.spans.add(&other.spans);
        self.points.add(&other.points);
        self.errors.extend(other.errors);
        self.flush_ms = self.flush_ms.max(other.flush_ms);
        self.trace_url = self.trace_url.take().or(other.trace_url);
        // Quantiles of several runs are of none of them, and hops have no histograms to add.
        self.links.clear();
        self.hops.clear();
    }

    /// Where a trace can be seen, if that is known.
    pub fn url(&self, trace_id: &str) -> Option<String> {
        let template = self.trace_url.as_ref()?;
        Some(template.replace("{trace_id}", trace_id))
    }
}
