//! [`Listener`]: receives spans of router and controller, over gRPC and over HTTP on the same port, and hands them to
//! the worker. Metrics and logs are taken and thrown away, so that their senders do not complain.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use prost::Message;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::codec::CompressionEncoding;
use tower::Service;

use super::counts::Counts;
use super::encode::count;
use super::error::TelemetryError;
use super::target::Signal;

/// The largest request, compressed or not. Upstream's exporters send less than 1 MiB.
const LARGEST: usize = 16 << 20;
/// Connections at the same time; further ones wait.
const CONNECTIONS: usize = 256;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Body = UnsyncBoxBody<Bytes, BoxError>;

/// Receives spans.
#[derive(Debug)]
pub(super) struct Listener {
    address: SocketAddr,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

/// Where received spans go.
#[derive(Debug, Clone)]
struct Intake {
    forward: mpsc::Sender<ResourceSpans>,
    counts: Arc<Counts>,
}

impl Intake {
    /// Takes spans; tells how many found no room.
    fn take(&self, request: ExportTraceServiceRequest) -> u64 {
        let mut dropped = 0;
        for spans in request.resource_spans {
            let size = count(&spans);
            self.counts.received(size);
            if self.forward.try_send(spans).is_err() {
                self.counts.dropped_busy(size);
                self.counts.lost_of_others(size);
                dropped += size;
            }
        }
        dropped
    }
}

impl Listener {
    pub(super) async fn start(
        address: SocketAddr,
        forward: mpsc::Sender<ResourceSpans>,
        counts: &Arc<Counts>,
    ) -> Result<Self, TelemetryError> {
        let failed = |source| TelemetryError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let stop = CancellationToken::new();
        let intake = Intake {
            forward,
            counts: Arc::clone(counts),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, intake, stop.clone()));
        Ok(Self {
            address,
            stop,
            tasks,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes the port and every connection.
    pub(super) async fn stop(mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

async fn accept(listener: TcpListener, intake: Intake, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        let full = connections.len() >= CONNECTIONS;
        tokio::select! {
            () = stop.cancelled() => break,
            _ = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept(), if !full => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, intake.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "could not accept a sender of spans");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
            },
        }
    }
    connections.shutdown().await;
}

async fn serve(stream: TcpStream, intake: Intake) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a sender of spans has gone");
        return;
    }
    let service = service_fn(move |request: Request<Incoming>| {
        let intake = intake.clone();
        async move { Ok::<_, Infallible>(answer(request, intake).await) }
    });
    let served = Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection of a sender of spans ended");
    }
}

async fn answer(request: Request<Incoming>, intake: Intake) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let of_metrics = path.starts_with("/opentelemetry.proto.collector.metrics.");
    let is_grpc = request
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    if is_grpc {
        let answered = if of_metrics {
            MetricsServiceServer::new(intake)
                .accept_compressed(CompressionEncoding::Gzip)
                .max_decoding_message_size(LARGEST)
                .call(request)
                .await
        } else {
            TraceServiceServer::new(intake)
                .accept_compressed(CompressionEncoding::Gzip)
                .max_decoding_message_size(LARGEST)
                .call(request)
                .await
        };
        return match answered {
            Ok(response) => response.map(|body| body.map_err(BoxError::from).boxed_unsync()),
            Err(never) => match never {},
        };
    }
    if request.method() != Method::POST {
        return plain(StatusCode::METHOD_NOT_ALLOWED, Bytes::new());
    }
    match path.trim_start_matches('/') {
        known if known == Signal::Traces.path() => over_http(request, &intake).await,
        "v1/metrics" | "v1/logs" => plain(StatusCode::OK, Bytes::new()),
        _ => plain(StatusCode::NOT_FOUND, Bytes::new()),
    }
}

async fn over_http(request: Request<Incoming>, intake: &Intake) -> Response<Body> {
    let (head, body) = request.into_parts();
    let zipped = head
        .headers
        .get(CONTENT_ENCODING)
        .is_some_and(|encoding| encoding == "gzip");
    let Ok(body) = Limited::new(body, LARGEST).collect().await else {
        return plain(StatusCode::PAYLOAD_TOO_LARGE, Bytes::new());
    };
    let body = body.to_bytes();
    let body = if zipped { unzip(&body) } else { Some(body) };
    let message = body.and_then(|body| ExportTraceServiceRequest::decode(body).ok());
    let Some(message) = message else {
        return plain(StatusCode::BAD_REQUEST, Bytes::new());
    };
    let answer = answer_of(intake.take(message));
    plain(StatusCode::OK, Bytes::from(answer.encode_to_vec()))
}

/// At most as much as a request may be.
fn unzip(body: &Bytes) -> Option<Bytes> {
    use std::io::Read as _;
    let mut plain = Vec::new();
    let limit = u64::try_from(LARGEST).unwrap_or(u64::MAX);
    let mut decoder = GzDecoder::new(body.as_ref()).take(limit);
    decoder.read_to_end(&mut plain).ok()?;
    Some(plain.into())
}

fn answer_of(dropped: u64) -> ExportTraceServiceResponse {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTracePartialSuccess;
    ExportTraceServiceResponse {
        partial_success: (dropped > 0).then(|| ExportTracePartialSuccess {
            rejected_spans: i64::try_from(dropped).unwrap_or(i64::MAX),
            error_message: "sandbench had no time for them".to_owned(),
        }),
    }
}

fn plain(status: StatusCode, body: Bytes) -> Response<Body> {
    let body = Full::new(body).map_err(|never: Infallible| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("application/x-protobuf");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

#[tonic::async_trait]
impl TraceService for Intake {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, Status> {
        Ok(tonic::Response::new(answer_of(
            self.take(request.into_inner()),
        )))
    }
}

#[tonic::async_trait]
impl MetricsService for Intake {
    async fn export(
        &self,
        _request: tonic::Request<ExportMetricsServiceRequest>,
    ) -> Result<tonic::Response<ExportMetricsServiceResponse>, Status> {
        Ok(tonic::Response::new(ExportMetricsServiceResponse::default()))
    }
}
