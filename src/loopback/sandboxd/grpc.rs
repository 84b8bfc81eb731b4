//! gRPC: which method a request means, and the caller's deadline.

use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::Instant;
use tonic::server::Grpc;
use tonic::{Code, Status};
use tonic_prost::ProstCodec;
use tower::service_fn;

use super::super::http::{Body, BoxError};
use super::daemon::Shared;
use super::execute::execute;
use super::reply::bare;
use super::stream::start;
use crate::api::sandboxd::{SERVICE, method};

/// Answers one request.
pub(super) async fn handle(shared: Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    let content_type = request.headers().get(CONTENT_TYPE);
    let is_grpc = content_type.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    if !is_grpc {
        return bare(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let path = request.uri().path().to_owned();
    let response = match path.as_str() {
        method::START => start_method(shared, request).await,
        method::EXECUTE => execute_method(shared, request).await,
        method::WRITE_STDIN => {
            let write = service_fn(move |call: tonic::Request<_>| {
                let shared = Arc::clone(&shared);
                async move {
                    let written = shared.processes.write_stdin(call.into_inner()).await;
                    written.map(tonic::Response::new)
                }
            });
            Grpc::new(ProstCodec::default()).unary(write, request).await
        }
        method::SEND_SIGNAL => {
            let signal = service_fn(move |call: tonic::Request<_>| {
                let sent = shared.processes.send_signal(call.into_inner());
                std::future::ready(sent.map(tonic::Response::new))
            });
            Grpc::new(ProstCodec::default())
                .unary(signal, request)
                .await
        }
        method::RESIZE_TTY => {
            let resize = service_fn(move |call: tonic::Request<_>| {
                let resized = shared.processes.resize_tty(call.into_inner());
                std::future::ready(resized.map(tonic::Response::new))
            });
            Grpc::new(ProstCodec::default())
                .unary(resize, request)
                .await
        }
        other => unknown(other).into_http(),
    };
    let mut response: Answer = response;
    exhaust(response.headers_mut());
    response.map(|body| body.map_err(BoxError::from).boxed_unsync())
}

type Answer = Response<tonic::body::Body>;

async fn start_method(shared: Arc<Shared>, request: Request<Incoming>) -> Answer {
    let deadline = deadline(request.headers());
    let service = service_fn(move |call: tonic::Request<_>| {
        let started = start(Arc::clone(&shared), call.into_inner(), deadline);
        std::future::ready(started.map(tonic::Response::new))
    });
    let mut grpc = Grpc::new(ProstCodec::default());
    grpc.server_streaming(service, request).await
}

async fn execute_method(shared: Arc<Shared>, request: Request<Incoming>) -> Answer {
    let deadline = deadline(request.headers());
    let service = service_fn(move |call: tonic::Request<_>| {
        let executing = execute(Arc::clone(&shared), call.into_inner(), deadline);
        async move { executing.await.map(tonic::Response::new) }
    });
    Grpc::new(ProstCodec::default())
        .unary(service, request)
        .await
}

/// Of a request over 4 MiB upstream says `RESOURCE_EXHAUSTED`; here it comes as `OUT_OF_RANGE`, which
/// no method answers.
fn exhaust(headers: &mut HeaderMap) {
    let code = |code: Code| HeaderValue::from(i32::from(code));
    if headers.get("grpc-status") == Some(&code(Code::OutOfRange)) {
        headers.insert("grpc-status", code(Code::ResourceExhausted));
    }
}

fn unknown(path: &str) -> Status {
    let (service, method) = path
        .strip_prefix('/')
        .and_then(|path| path.rsplit_once('/'))
        .unwrap_or(("", path));
    if service == SERVICE {
        Status::unimplemented(format!("unknown method {method} for service {service}"))
    } else {
        Status::unimplemented(format!("unknown service {service}"))
    }
}

/// `grpc-timeout`: at most eight digits and a unit.
fn deadline(headers: &HeaderMap) -> Option<Instant> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    let timeout = match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    };
    Instant::now().checked_add(timeout)
}
