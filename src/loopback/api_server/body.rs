//! Request bodies: within limits, JSON, and what a delete asks for.

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;

use super::super::http::{Body, BodyError, json as answer, read_body};
use super::super::json::{Value, json};
use super::super::store::{DeleteOptions, Propagation};
use super::request::Query;
use super::status::Refusal;

/// The largest object that is accepted, as in a real API server.
const BODY_LIMIT: usize = 3 << 20;

pub(super) async fn raw_body_of(request: Request<Incoming>) -> Result<bytes::Bytes, Refusal> {
    read_body(request.into_body(), BODY_LIMIT)
        .await
        .map_err(|error| match error {
            BodyError::TooLarge => Refusal::too_large(),
            BodyError::Broken => Refusal::bad_request("the request body ended early"),
        })
}

pub(super) async fn body_of(request: Request<Incoming>) -> Result<Value, Refusal> {
    let body = raw_body_of(request).await?;
    serde_json::from_slice(&body)
        .map_err(|error| Refusal::bad_request(&format!("the request body is not JSON: {error}")))
}

/// What a delete asks for: in its body, or as query parameters.
pub(super) fn delete_options(query: &Query, body: &[u8]) -> Result<DeleteOptions, Refusal> {
    let body: Value = if body.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(body)
            .map_err(|error| Refusal::bad_request(&format!("DeleteOptions is not JSON: {error}")))?
    };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let policy = text(&body["propagationPolicy"]).or_else(|| query.value("propagationPolicy"));
    let grace = body["gracePeriodSeconds"].as_u64().or_else(|| {
        query
            .value("gracePeriodSeconds")
            .and_then(|seconds| seconds.parse().ok())
    });
    Ok(DeleteOptions {
        uid: text(&body["preconditions"]["uid"]),
        resource_version: text(&body["preconditions"]["resourceVersion"]),
        propagation: match policy.as_deref() {
            Some("Foreground") => Propagation::Foreground,
            Some("Orphan") => Propagation::Orphan,
            _ => Propagation::Background,
        },
        grace_seconds: grace,
    })
}

/// Access reviews: whoever has the token may do everything.
pub(super) async fn review(request: Request<Incoming>) -> Result<Response<Body>, Refusal> {
    let mut review = body_of(request).await?;
    review["status"] = json!({ "allowed": true });
    Ok(answer(StatusCode::CREATED, &review))
}
