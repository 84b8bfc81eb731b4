//! [`check`]: sends one span and one point, and says what became of each.

use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Gauge, Metric, NumberDataPoint, number_data_point};
use prost::Message;
use tokio::time::Instant;

use super::config::Config;
use super::encode::{self, Clock};
use super::error::TelemetryError;
use super::target::Signal;
use super::{Senders, senders};
use crate::trace::{Finished, Sampled, Trace};

/// What became of one signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Which one.
    pub signal: Signal,
    /// Where it was sent to.
    pub target: String,
    /// How long it took.
    pub took: Duration,
    /// How it was refused, if it was: code and the receiver's words, and what to do.
    pub problem: Option<(String, Option<String>)>,
    /// Where the span can be seen.
    pub url: Option<String>,
    /// Its trace.
    pub trace_id: Option<String>,
}

/// Sends one span and one point, each once, without trying again.
///
/// # Errors
/// [`TelemetryError`]: nothing could be sent at all. What a receiver refuses is a result.
///
/// # Cancel safety
/// A receiver may have taken them.
pub async fn check(mut config: Config) -> Result<Vec<Checked>, TelemetryError> {
    let Senders { traces, metrics } = senders(&mut config).await?;
    let instance = format!("check-{}", crate::trace::SpanId::random());
    config
        .resource
        .push(("service.instance.id".to_owned(), instance));
    let clock = Clock::now();
    let trace = Trace::begin("sandbench telemetry check", Sampled::Yes).finish();
    let id = trace.id.to_string();
    let url = config.trace_url.as_ref();
    let url = url.map(|url| url.replace("{trace_id}", &id));
    let mut all = Vec::new();
    for (sender, message) in [
        (traces, span(&config, &trace, &clock)),
        (metrics, point(&config, &clock)),
    ] {
        let Some(sender) = sender else { continue };
        let begun = Instant::now();
        let sent = sender.send(message).await;
        let problem = match sent {
            Ok(partial) if partial.rejected == 0 => None,
            Ok(partial) => Some((format!("rejected: {}", partial.message), None)),
            Err(refusal) => {
                let help = sender.help(&refusal);
                Some((format!("{}: {}", refusal.code, refusal.message), help))
            }
        };
        let of_traces = sender.signal() == Signal::Traces && problem.is_none();
        all.push(Checked {
            signal: sender.signal(),
            target: sender.target().to_string(),
            took: begun.elapsed(),
            problem,
            url: url.clone().filter(|_| of_traces),
            trace_id: Some(id.clone()).filter(|_| of_traces),
        });
    }
    Ok(all)
}

fn span(config: &Config, trace: &Finished, clock: &Clock) -> Bytes {
    let resource = encode::resource(&config.resource);
    let spans = encode::spans(trace, clock, "");
    let request = ExportTraceServiceRequest {
        resource_spans: vec![encode::resource_spans(resource, spans)],
    };
    request.encode_to_vec().into()
}

fn point(config: &Config, clock: &Clock) -> Bytes {
    let point = NumberDataPoint {
        time_unix_nano: clock.unix_nanos(Instant::now()),
        value: Some(number_data_point::Value::AsInt(1)),
        ..NumberDataPoint::default()
    };
    let metric = Metric {
        name: "sandbench.telemetry_check".to_owned(),
        description: "1 whenever somebody checks the way to here".to_owned(),
        unit: "1".to_owned(),
        data: Some(Data::Gauge(Gauge {
            data_points: vec![point],
        })),
        ..Metric::default()
    };
    encode::metrics_request(&config.resource, vec![metric])
}
