//! Playing a fault: what becomes of the request and of its answer.

use std::future::Future;
use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::super::http::{Body, full, json as answer, with_type};
use super::body::{Faulty, Trouble};
use super::place::Server;
use super::spec::{Effect, Fault};

/// An extension of an answer that is not sent: the connection closes instead.
#[derive(Debug, Clone, Copy)]
pub(in crate::loopback) struct Abort;

/// Answers a request under a fault.
pub(super) async fn play<H, F>(
    fault: Fault,
    server: Server,
    request: Request<Incoming>,
    handler: H,
) -> Response<Body>
where
    H: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<Body>>,
{
    tracing::debug!(%fault, target = %request.uri(), "plays a fault");
    match fault.effect {
        Effect::Status(code, wait) => {
            // A refusal comes after the request, as from a server that has read it.
            drop(request.into_body().collect().await);
            refusal(server, code, wait)
        }
        Effect::Delay(wait) => {
            tokio::time::sleep(wait).await;
            handler(request).await
        }
        Effect::Reset => abort(),
        Effect::Lost => {
            drop(handler(request).await);
            abort()
        }
        Effect::Garbage => {
            drop(handler(request).await);
            with_type(StatusCode::OK, "application/json", "{\"truth\": ")
        }
        Effect::Gone => {
            let status = status(410, "Expired", "too old resource version");
            let event = json!({ "type": "ERROR", "object": status });
            with_type(StatusCode::OK, "application/json", format!("{event}\n"))
        }
        Effect::Stall => troubled(handler(request).await, Trouble::Silence { after: 0 }),
        Effect::Truncated => troubled(handler(request).await, Trouble::Half),
        Effect::Drop(events) => troubled(handler(request).await, Trouble::Break { after: events }),
        Effect::HalfOpen(events) => {
            troubled(handler(request).await, Trouble::Silence { after: events })
        }
        Effect::Stale(wait) => troubled(handler(request).await, Trouble::Late { by: wait }),
        Effect::Split => troubled(handler(request).await, Trouble::Pieces),
        // No server is asked for it.
        Effect::Reason(_) => handler(request).await,
    }
}

fn abort() -> Response<Body> {
    let mut response = Response::new(full(""));
    response.extensions_mut().insert(Abort);
    response
}

fn troubled(response: Response<Body>, trouble: Trouble) -> Response<Body> {
    response.map(|body| Faulty::new(body, trouble).boxed_unsync())
}

/// A refusal in the words of each server.
fn refusal(server: Server, code: u16, wait: Option<Duration>) -> Response<Body> {
    let status_code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let text = "the loopback cluster plays a fault";
    let body = match server {
        Server::Api => status(code, reason(code), text),
        Server::Router => json!({ "detail": text }),
        Server::Runtime | Server::Controller => json!({ "message": text }),
    };
    let mut response = answer(status_code, &body);
    if let Some(wait) = wait {
        let seconds = HeaderValue::from(wait.as_secs() + u64::from(wait.subsec_nanos() > 0));
        response.headers_mut().insert(RETRY_AFTER, seconds);
    }
    response
}

fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code })
}

/// Kubernetes' word for a status.
fn reason(code: u16) -> &'static str {
    match code {
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        410 => "Expired",
        422 => "Invalid",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "",
    }
}
