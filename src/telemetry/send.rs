//! [`Sender`]: one request to a receiver, over gRPC or HTTP. It is never repeated here.
//!
//! A message is encoded once, whatever the protocol and however often it is tried.

use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::write::GzEncoder;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use tonic::client::Grpc;
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Status};

use super::error::{Refusal, Retry, TelemetryError};
use super::google::Google;
use super::raw::Raw;
use super::target::{Compression, Protocol, Signal, TargetConfig};

/// How the exporter names itself. Source: OTLP's specification asks for this form.
const USER_AGENT: &str = concat!("OTel-OTLP-Exporter-sandbench/", env!("CARGO_PKG_VERSION"));
/// How much of a refusal's body is read.
const EXCERPT: usize = 4 << 10;

/// What a receiver did not take of a request that succeeded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Partial {
    pub(super) rejected: u64,
    pub(super) message: String,
}

/// Sends one signal to one receiver.
#[derive(Debug, Clone)]
pub(super) struct Sender {
    signal: Signal,
    target: TargetConfig,
    headers: HeaderMap,
    google: Option<Arc<Google>>,
    wire: Wire,
}

#[derive(Debug, Clone)]
enum Wire {
    Grpc(Channel),
    Http(reqwest::Client),
}

impl Sender {
    /// Prepares a sender; nothing is connected yet.
    pub(super) fn new(
        signal: Signal,
        target: TargetConfig,
        google: Option<Arc<Google>>,
    ) -> Result<Self, TelemetryError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &target.headers {
            let pair = (
                HeaderName::from_bytes(name.as_bytes()),
                HeaderValue::from_str(value),
            );
            let (Ok(name), Ok(value)) = pair else {
                return Err(TelemetryError::Header { name: name.clone() });
            };
            headers.insert(name, value);
        }
        let wire = match target.protocol {
            Protocol::Grpc => Wire::Grpc(channel(&target)?),
            Protocol::Http => Wire::Http(http_client(&target)?),
        };
        Ok(Self {
            signal,
            target,
            headers,
            google,
            wire,
        })
    }

    pub(super) fn signal(&self) -> Signal {
        self.signal
    }

    pub(super) fn target(&self) -> &TargetConfig {
        &self.target
    }

    /// What to do about a refusal.
    pub(super) fn help(&self, refusal: &Refusal) -> Option<String> {
        let of_google = self.google.as_ref().and_then(|_| refusal.google_help());
        of_google.or_else(|| refusal.help(&self.target))
    }

    /// Sends an encoded request.
    ///
    /// # Cancel safety
    /// If dropped, the receiver may have taken it.
    pub(super) async fn send(&self, message: Bytes) -> Result<Partial, Refusal> {
        let mut headers = self.headers.clone();
        if let Some(google) = &self.google {
            headers.extend(google.headers().await?);
        }
        let sending = async {
            match &self.wire {
                Wire::Grpc(channel) => self.over_grpc(channel.clone(), message, headers).await,
                Wire::Http(client) => self.over_http(client, message, headers).await,
            }
        };
        match tokio::time::timeout(self.target.timeout, sending).await {
            Ok(sent) => sent,
            Err(_) => Err(Refusal {
                code: "timeout".to_owned(),
                message: format!("no answer within {:?}", self.target.timeout),
                retry: Retry::After(None),
            }),
        }
    }

    async fn over_grpc(
        &self,
        channel: Channel,
        message: Bytes,
        headers: HeaderMap,
    ) -> Result<Partial, Refusal> {
        let mut grpc = Grpc::new(channel);
        if self.target.compression == Compression::Gzip {
            grpc = grpc.send_compressed(CompressionEncoding::Gzip);
        }
        grpc = grpc.accept_compressed(CompressionEncoding::Gzip);
        let ready = grpc.ready().await;
        ready.map_err(|error| Refusal::broken("unavailable", &error))?;
        let mut request = tonic::Request::new(message);
        *request.metadata_mut() = MetadataMap::from_headers(headers);
        let path = PathAndQuery::from_static(self.signal.method());
        let answer = grpc.unary(request, path, Raw).await;
        let answer = answer.map_err(|status| refused(&status))?;
        self.partial(answer.into_inner())
    }

    async fn over_http(
        &self,
        client: &reqwest::Client,
        message: Bytes,
        headers: HeaderMap,
    ) -> Result<Partial, Refusal> {
        let mut request = client
            .post(&self.target.url)
            .headers(headers)
            .header(http::header::CONTENT_TYPE, "application/x-protobuf");
        request = match self.target.compression {
            Compression::None => request.body(message),
            Compression::Gzip => request
                .header(http::header::CONTENT_ENCODING, "gzip")
                .body(gzip(&message)),
        };
        let answer = request.send().await;
        let answer =
            answer.map_err(|error| Refusal::broken("unavailable", &error.without_url()))?;
        let status = answer.status();
        let after = answer
            .headers()
            .get(http::header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(Duration::from_secs);
        let body = answer.bytes().await;
        let body = body.map_err(|error| Refusal::broken("unavailable", &error.without_url()))?;
        if status.is_success() {
            return self.partial(body);
        }
        let retry = match status.as_u16() {
            429 | 502 | 503 | 504 => Retry::After(after),
            // The credentials may be newer by then.
            401 if self.google.is_some() => Retry::After(None),
            _ => Retry::Never,
        };
        Err(Refusal {
            code: status.as_u16().to_string(),
            message: words(&body),
            retry,
        })
    }

    /// What the answer says of parts that were refused.
    fn partial(&self, answer: Bytes) -> Result<Partial, Refusal> {
        let read = match self.signal {
            Signal::Traces => ExportTraceServiceResponse::decode(answer).map(|answer| {
                let partial = answer.partial_success;
                partial.map(|partial| (partial.rejected_spans, partial.error_message))
            }),
            Signal::Metrics => ExportMetricsServiceResponse::decode(answer).map(|answer| {
                let partial = answer.partial_success;
                partial.map(|partial| (partial.rejected_data_points, partial.error_message))
            }),
        };
        let partial = read.map_err(|error| Refusal {
            code: "not OTLP".to_owned(),
            message: format!("the answer is not understood: {error}"),
            retry: Retry::Never,
        })?;
        let (rejected, message) = partial.unwrap_or_default();
        Ok(Partial {
            rejected: u64::try_from(rejected).unwrap_or(0),
            message,
        })
    }
}

fn channel(target: &TargetConfig) -> Result<Channel, TelemetryError> {
    let broken = |error: tonic::transport::Error| TelemetryError::Address {
        url: target.to_string(),
        problem: chain(&error),
    };
    let mut endpoint = Endpoint::from_shared(target.url.clone())
        .and_then(|endpoint| endpoint.user_agent(USER_AGENT))
        .map_err(broken)?
        .connect_timeout(target.timeout)
        .tcp_nodelay(true);
    if target.url.starts_with("https://") {
        let mut tls = ClientTlsConfig::new();
        tls = match &target.tls.authority {
            Some(path) => tls.ca_certificate(Certificate::from_pem(read(path)?)),
            None => tls.with_native_roots(),
        };
        if let (Some(certificate), Some(key)) = (&target.tls.certificate, &target.tls.key) {
            tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
        }
        endpoint = endpoint.tls_config(tls).map_err(broken)?;
    }
    Ok(endpoint.connect_lazy())
}

fn http_client(target: &TargetConfig) -> Result<reqwest::Client, TelemetryError> {
    let broken = |error: reqwest::Error| TelemetryError::Address {
        url: target.to_string(),
        problem: chain(&error),
    };
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true);
    if let Some(path) = &target.tls.authority {
        let authorities = reqwest::Certificate::from_pem_bundle(&read(path)?).map_err(broken)?;
        builder = builder.tls_certs_only(authorities);
    }
    if let (Some(certificate), Some(key)) = (&target.tls.certificate, &target.tls.key) {
        let both = [read(certificate)?, b"\n".to_vec(), read(key)?].concat();
        builder = builder.identity(reqwest::Identity::from_pem(&both).map_err(broken)?);
    }
    builder.build().map_err(broken)
}

fn read(path: &std::path::Path) -> Result<Vec<u8>, TelemetryError> {
    std::fs::read(path).map_err(|source| TelemetryError::File {
        path: path.to_owned(),
        source,
    })
}

fn gzip(message: &Bytes) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    // Writing to memory cannot fail; what could would be seen by the receiver.
    let written = encoder.write_all(message);
    written
        .and_then(|()| encoder.finish())
        .unwrap_or_else(|_| message.to_vec())
}

/// The text of a refusal: OTLP's `Status` message, or what else was sent.
fn words(body: &Bytes) -> String {
    let body = body.slice(..body.len().min(EXCERPT));
    if let Ok(status) = RpcStatus::decode(body.clone())
        && !status.message.is_empty()
    {
        return status.message;
    }
    let text = String::from_utf8_lossy(&body);
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `google.rpc.Status`, as far as it is needed.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Detail>,
}

/// `google.protobuf.Any`
#[derive(Clone, PartialEq, Message)]
struct Detail {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

/// `google.rpc.RetryInfo`
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`
#[derive(Clone, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// The pause that a gRPC receiver asks for.
fn retry_info(status: &Status) -> Option<Duration> {
    let details = RpcStatus::decode(status.details()).ok()?.details;
    let mut infos = details
        .into_iter()
        .filter(|detail| detail.type_url.ends_with("google.rpc.RetryInfo"));
    let delay = RetryInfo::decode(infos.next()?.value).ok()?.retry_delay?;
    let seconds = u64::try_from(delay.seconds).ok()?;
    Some(Duration::new(seconds, u32::try_from(delay.nanos).ok()?))
}

/// What a gRPC status means. Source: OTLP's specification, "Failures".
fn refused(status: &Status) -> Refusal {
    let asked = retry_info(status);
    let retry = match status.code() {
        Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unavailable
        | Code::DataLoss
        // The credentials may be newer by then.
        | Code::Unauthenticated => Retry::After(asked),
        Code::ResourceExhausted if asked.is_some() => Retry::After(asked),
        _ => Retry::Never,
    };
    let message = match status.source() {
        // tonic's own words for a connection that failed say nothing; its causes do.
        Some(source) => chain(source),
        None => status.message().to_owned(),
    };
    Refusal {
        code: format!("{:?}", status.code()),
        message,
        retry,
    }
}

/// An error and its causes in one line.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
}
