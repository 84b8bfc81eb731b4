//! An OTLP receiver for tests: gRPC and HTTP on one port, with or without TLS; it remembers everything and answers as
//! it is told.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::{HeaderMap, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
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
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tonic::codec::CompressionEncoding;
use tonic::{Code, Status};
use tower::Service as _;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Body = UnsyncBoxBody<Bytes, BoxError>;

type Judge = dyn Fn(&Asked) -> Result<(), Status> + Send + Sync;

/// What a receiver does with requests.
#[derive(Clone)]
pub enum Manner {
    /// Takes everything.
    Takes,
    /// Takes everything after a pause.
    Slow(Duration),
    /// Refuses everything.
    Refuses(Code, &'static str),
    /// Takes requests but for so many spans of each.
    Rejects(i64),
    /// Asks this first: headers, whether it is about metrics, the resource's attributes, the points.
    Asks(Arc<Judge>),
}

/// What a receiver can judge a request by.
pub struct Asked {
    pub headers: HeaderMap,
    pub resource: Vec<KeyValue>,
    pub points: usize,
}

/// A span with its service.
#[derive(Clone, Debug)]
pub struct Seen {
    pub service: String,
    pub span: Span,
}

impl Seen {
    pub fn attribute(&self, key: &str) -> Option<String> {
        text_of(&self.span.attributes, key)
    }
}

/// The value of an attribute as text.
pub fn text_of(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|pair| pair.key == key)?;
    Some(match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        Value::BoolValue(value) => value.to_string(),
        Value::DoubleValue(number) => number.to_string(),
        other => format!("{other:?}"),
    })
}

#[derive(Default)]
struct Got {
    spans: Vec<Seen>,
    metrics: Vec<Metric>,
    headers: Vec<HeaderMap>,
    requests: usize,
}

/// Ends with its value.
pub struct Receiver {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

struct Shared {
    manner: Manner,
    got: Mutex<Got>,
}

#[derive(Clone)]
struct Taker {
    shared: Arc<Shared>,
    headers: HeaderMap,
}

/// Answers requests on a free port for as long as the tasks are kept.
pub async fn listen<F, B>(
    tls: Option<TlsAcceptor>,
    answer: impl Fn(Request<Incoming>) -> F + Clone + Send + 'static,
) -> (SocketAddr, JoinSet<()>)
where
    F: Future<Output = Response<B>> + Send + 'static,
    B: hyper::body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            connections.spawn(serve(stream, tls.clone(), answer.clone()));
        }
    });
    (address, tasks)
}

/// Answers the requests of one connection. One that breaks is its sender's business.
async fn serve<F, B>(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    answer: impl Fn(Request<Incoming>) -> F + Send + 'static,
) where
    F: Future<Output = Response<B>> + Send + 'static,
    B: hyper::body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    let service = service_fn(move |request| {
        let answered = answer(request);
        async move { Ok::<_, Infallible>(answered.await) }
    });
    let builder = Builder::new(TokioExecutor::new());
    let Some(tls) = tls else {
        let served = builder.serve_connection(TokioIo::new(stream), service);
        return drop(served.await);
    };
    if let Ok(stream) = tls.accept(stream).await {
        drop(
            builder
                .serve_connection(TokioIo::new(stream), service)
                .await,
        );
    }
}

impl Receiver {
    pub async fn start(manner: Manner) -> Self {
        Self::start_with(manner, None).await
    }

    pub async fn start_with(manner: Manner, tls: Option<TlsAcceptor>) -> Self {
        let shared = Arc::new(Shared {
            manner,
            got: Mutex::default(),
        });
        let ours = Arc::clone(&shared);
        let answer = move |request| answer(request, Arc::clone(&ours));
        let (address, tasks) = listen(tls, answer).await;
        Self {
            address,
            shared,
            _tasks: tasks,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn spans(&self) -> Vec<Seen> {
        self.shared.got.lock().unwrap().spans.clone()
    }

    pub fn metrics(&self) -> Vec<Metric> {
        self.shared.got.lock().unwrap().metrics.clone()
    }

    pub fn headers(&self) -> Vec<HeaderMap> {
        self.shared.got.lock().unwrap().headers.clone()
    }

    pub fn requests(&self) -> usize {
        self.shared.got.lock().unwrap().requests
    }
}

impl Taker {
    async fn judge(&self, resource: Vec<KeyValue>, points: usize) -> Result<(), Status> {
        {
            let mut got = self.shared.got.lock().unwrap();
            got.requests += 1;
            got.headers.push(self.headers.clone());
        }
        match &self.shared.manner {
            Manner::Takes | Manner::Rejects(_) => Ok(()),
            Manner::Slow(pause) => {
                tokio::time::sleep(*pause).await;
                Ok(())
            }
            Manner::Refuses(code, words) => Err(Status::new(*code, *words)),
            Manner::Asks(ask) => ask(&Asked {
                headers: self.headers.clone(),
                resource,
                points,
            }),
        }
    }

    async fn spans(
        &self,
        request: ExportTraceServiceRequest,
    ) -> Result<ExportTraceServiceResponse, Status> {
        let resource = request.resource_spans.first();
        let resource = resource.and_then(|spans| spans.resource.clone());
        self.judge(resource.unwrap_or_default().attributes, 0)
            .await?;
        let mut got = self.shared.got.lock().unwrap();
        for spans in request.resource_spans {
            let resource = spans.resource.unwrap_or_default();
            let service = text_of(&resource.attributes, "service.name").unwrap_or_default();
            for span in spans.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                let service = service.clone();
                got.spans.push(Seen { service, span });
            }
        }
        let rejected = match self.shared.manner {
            Manner::Rejects(rejected) => Some(rejected),
            _ => None,
        };
        Ok(ExportTraceServiceResponse {
            partial_success: rejected.map(|rejected_spans| ExportTracePartialSuccess {
                rejected_spans,
                error_message: "some are not wanted".to_owned(),
            }),
        })
    }

    async fn metrics(&self, request: ExportMetricsServiceRequest) -> Result<(), Status> {
        let resource = request.resource_metrics.first();
        let resource = resource.and_then(|metrics| metrics.resource.clone());
        let all: Vec<Metric> = request
            .resource_metrics
            .into_iter()
            .flat_map(|metrics| metrics.scope_metrics)
            .flat_map(|scope| scope.metrics)
            .collect();
        let points = all.iter().map(points_of).sum();
        self.judge(resource.unwrap_or_default().attributes, points)
            .await?;
        self.shared.got.lock().unwrap().metrics.extend(all);
        Ok(())
    }
}

/// How many points a metric has.
pub fn points_of(metric: &Metric) -> usize {
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    match &metric.data {
        Some(Data::Sum(data)) => data.data_points.len(),
        Some(Data::Gauge(data)) => data.data_points.len(),
        Some(Data::Histogram(data)) => data.data_points.len(),
        Some(Data::ExponentialHistogram(data)) => data.data_points.len(),
        _ => 0,
    }
}

#[tonic::async_trait]
impl TraceService for Taker {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, Status> {
        let answer = self.spans(request.into_inner()).await?;
        Ok(tonic::Response::new(answer))
    }
}

#[tonic::async_trait]
impl MetricsService for Taker {
    async fn export(
        &self,
        request: tonic::Request<ExportMetricsServiceRequest>,
    ) -> Result<tonic::Response<ExportMetricsServiceResponse>, Status> {
        self.metrics(request.into_inner()).await?;
        Ok(tonic::Response::new(ExportMetricsServiceResponse::default()))
    }
}

async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> Response<Body> {
    let headers = request.headers().clone();
    let taker = Taker {
        shared,
        headers: headers.clone(),
    };
    let of_metrics = request.uri().path().contains("etrics");
    let kind = headers.get("content-type").cloned();
    if kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc")) {
        let response = if of_metrics {
            let mut server =
                MetricsServiceServer::new(taker).accept_compressed(CompressionEncoding::Gzip);
            server.call(request).await
        } else {
            let mut server =
                TraceServiceServer::new(taker).accept_compressed(CompressionEncoding::Gzip);
            server.call(request).await
        };
        let response = response.unwrap_or_else(|never| match never {});
        return response.map(|body| body.map_err(BoxError::from).boxed_unsync());
    }
    let path = request.uri().path().to_owned();
    let mut body = request.into_body().collect().await.unwrap().to_bytes();
    if headers
        .get("content-encoding")
        .is_some_and(|kind| kind == "gzip")
    {
        let mut plain = Vec::new();
        std::io::Read::read_to_end(&mut GzDecoder::new(body.as_ref()), &mut plain).unwrap();
        body = plain.into();
    }
    let done = match path.as_str() {
        "/v1/traces" => {
            let request = ExportTraceServiceRequest::decode(body).unwrap();
            let answered = taker.spans(request).await;
            answered.map(|answer| Bytes::from(answer.encode_to_vec()))
        }
        "/v1/metrics" => {
            let request = ExportMetricsServiceRequest::decode(body).unwrap();
            taker.metrics(request).await.map(|()| Bytes::new())
        }
        _ => Err(Status::not_found("no such path")),
    };
    let (status, body) = match done {
        Ok(body) => (200, body),
        Err(status) => {
            let code = match status.code() {
                Code::Unauthenticated => 401,
                Code::PermissionDenied => 403,
                Code::NotFound => 404,
                Code::ResourceExhausted => 429,
                Code::Unavailable => 503,
                _ => 400,
            };
            (code, Bytes::from(status.message().to_owned()))
        }
    };
    let body = Full::new(body).map_err(|never: Infallible| match never {});
    Response::builder()
        .status(status)
        .body(body.boxed_unsync())
        .unwrap()
}
