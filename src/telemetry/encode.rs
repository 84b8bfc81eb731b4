//! Records to OTLP messages: spans, attributes, the resource.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::{Metric, ResourceMetrics, ScopeMetrics};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;
use tokio::time::Instant;

use crate::metrics::nanos;
use crate::trace::{self, Attribute, Finished, Kind, Sampled};

/// The name of the instrumentation: this program's.
const SCOPE: &str = "sandbench";

/// Moments of the monotonic clock as times of day. Taken once, so that a span can never end before it began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    instant: Instant,
    unix: Duration,
}

impl Clock {
    pub(super) fn now() -> Self {
        Self {
            instant: Instant::now(),
            unix: Timestamp::now().as_duration().unsigned_abs(),
        }
    }

    /// Nanoseconds since 1970.
    pub(super) fn unix_nanos(&self, at: Instant) -> u64 {
        let unix = match at.checked_duration_since(self.instant) {
            Some(later) => self.unix + later,
            None => self.unix.saturating_sub(self.instant - at),
        };
        nanos(unix)
    }
}

pub(super) fn text(key: impl Into<String>, value: impl Into<String>) -> KeyValue {
    pair(key.into(), Value::StringValue(value.into()))
}

fn pair(key: String, value: Value) -> KeyValue {
    KeyValue {
        key,
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn attribute((key, value): &(&'static str, Attribute)) -> KeyValue {
    let value = match value {
        Attribute::Text(text) => Value::StringValue(text.clone().into_owned()),
        Attribute::Shared(text) => Value::StringValue(text.as_ref().to_owned()),
        Attribute::Int(number) => Value::IntValue(*number),
        Attribute::Float(number) => Value::DoubleValue(*number),
        Attribute::Bool(value) => Value::BoolValue(*value),
    };
    pair((*key).to_owned(), value)
}

/// A resource of these attributes.
pub(super) fn resource(attributes: &[(String, String)]) -> Resource {
    Resource {
        attributes: attributes
            .iter()
            .map(|(key, value)| text(key.as_str(), value.as_str()))
            .collect(),
        ..Resource::default()
    }
}

/// The instrumentation that made a span or a point.
pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: SCOPE.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

/// A request with these metrics of ours.
pub(super) fn metrics_request(resource_of: &[(String, String)], metrics: Vec<Metric>) -> Bytes {
    let request = ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(resource(resource_of)),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(scope()),
                metrics,
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    };
    request.encode_to_vec().into()
}

/// Spans of one resource.
pub(super) fn resource_spans(resource: Resource, spans: Vec<Span>) -> ResourceSpans {
    ResourceSpans {
        resource: Some(resource),
        scope_spans: vec![ScopeSpans {
            scope: Some(scope()),
            spans,
            ..ScopeSpans::default()
        }],
        ..ResourceSpans::default()
    }
}

/// How many spans there are in it.
pub(super) fn count(spans: &ResourceSpans) -> u64 {
    let scopes = spans.scope_spans.iter();
    scopes.map(|scope| scope.spans.len() as u64).sum()
}

/// The spans of a trace. `keep`, the reasons why it was kept, stands at the root.
pub(super) fn spans(trace: &Finished, clock: &Clock, keep: &str) -> Vec<Span> {
    let flags = u32::from(trace.sampled == Sampled::Yes);
    let mut all: Vec<Span> = trace
        .spans
        .iter()
        .map(|span| encode(trace, span, (clock, flags)))
        .collect();
    if let Some(root) = all.first_mut().filter(|_| !keep.is_empty()) {
        root.attributes.push(text("sandbench.keep", keep));
        if trace.left_out > 0 {
            let left_out = Value::IntValue(trace.left_out.into());
            root.attributes
                .push(pair("sandbench.spans.left_out".to_owned(), left_out));
        }
        if trace.sampled != Sampled::Yes {
            // Router and controller were not asked to record it: the tree is not incomplete by accident.
            let partial = Value::BoolValue(true);
            root.attributes
                .push(pair("sandbench.partial".to_owned(), partial));
        }
    }
    all
}

fn encode(trace: &Finished, span: &trace::Span, (clock, flags): (&Clock, u32)) -> Span {
    let mut attributes: Vec<KeyValue> = span.attributes.iter().map(attribute).collect();
    let status = span.error.as_ref().map(|error| {
        attributes.push(text("error.type", error.as_ref()));
        Status {
            message: error.clone().into_owned(),
            code: StatusCode::Error.into(),
        }
    });
    Span {
        trace_id: trace.id.as_bytes().to_vec(),
        span_id: span.id.as_bytes().to_vec(),
        parent_span_id: span
            .parent
            .map(|parent| parent.as_bytes().to_vec())
            .unwrap_or_default(),
        flags,
        name: span.name.clone().into_owned(),
        kind: match span.kind {
            Kind::Internal => SpanKind::Internal,
            Kind::Client => SpanKind::Client,
            Kind::Server => SpanKind::Server,
        }
        .into(),
        start_time_unix_nano: clock.unix_nanos(span.started),
        end_time_unix_nano: clock.unix_nanos(span.ended),
        attributes,
        status,
        ..Span::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::Trace;

    #[tokio::test(start_paused = true)]
    async fn a_trace_becomes_a_tree_with_times_of_day() {
        let clock = Clock::now();
        let trace = Trace::begin("iteration", Sampled::No);
        trace
            .scope(async {
                let span = trace::start("exec", trace::Role::Operation, Kind::Internal);
                span.set("sandbox.exit_code", 3_i64);
                tokio::time::sleep(Duration::from_millis(7)).await;
                span.end(Some("Timeout".into()));
            })
            .await;
        let all = spans(&trace.finish(), &clock, "failed");
        let [root, exec] = all.as_slice() else {
            panic!("{all:?}")
        };
        assert_eq!(exec.parent_span_id, root.span_id);
        assert!(root.parent_span_id.is_empty());
        assert_eq!(
            exec.end_time_unix_nano - exec.start_time_unix_nano,
            7_000_000
        );
        assert_eq!(exec.status.as_ref().unwrap().code, 2);
        let keys: Vec<&str> = root.attributes.iter().map(|pair| &*pair.key).collect();
        assert_eq!(keys, ["sandbench.keep", "sandbench.partial"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_moment_before_the_clock_was_taken_has_its_time_too() {
        let before = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        let clock = Clock::now();
        assert_eq!(
            clock.unix_nanos(Instant::now()) - clock.unix_nanos(before),
            1_000_000_000
        );
    }
}
