//! REST answers: JSON as upstream's encoder writes it, and failures with their codes.
//!
//! Upstream's encoder ends each document with a newline and escapes `<`, `>` and `&`.

use std::io;

use http::header::{ALLOW, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;

use super::super::http::{Body, full, with_type};
use super::path::PathError;
use crate::api::sandboxd::Failure;

const NO_SNIFF: HeaderName = HeaderName::from_static("x-content-type-options");

/// A document.
pub(super) fn document(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    match serde_json::to_string(value) {
        Ok(text) => with_type(status, "application/json", escape(&text) + "\n"),
        Err(error) => {
            tracing::warn!(%error, "an answer of sandboxd was not encoded");
            with_type(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", "")
        }
    }
}

/// In JSON these characters stand in strings only.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 1);
    for character in text.chars() {
        match character {
            '<' => escaped.push_str("\\u003c"),
            '>' => escaped.push_str("\\u003e"),
            '&' => escaped.push_str("\\u0026"),
            '\u{2028}' => escaped.push_str("\\u2028"),
            '\u{2029}' => escaped.push_str("\\u2029"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// `204 No Content`.
pub(super) fn done() -> Response<Body> {
    let mut response = Response::new(full(""));
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// What a REST call fails with.
#[derive(Debug)]
pub(super) enum Refusal {
    Invalid(String),
    Outside,
    Denied,
    Absent,
    Conflict(&'static str),
    ShuttingDown,
    Internal(String),
}

impl Refusal {
    /// For a failed file operation; `what` failed, unless it is refused or what it needs is absent.
    pub(super) fn io(what: &str, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::PermissionDenied => Self::Denied,
            _ => Self::Internal(format!("{what}: {}", io_text(error))),
        }
    }

    pub(super) fn into_response(self) -> Response<Body> {
        let (status, code, message) = match self {
            Self::Invalid(message) => (StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", message),
            Self::Outside => (
                StatusCode::FORBIDDEN,
                "PERMISSION_DENIED",
                "path traversal outside sandbox root is forbidden".to_owned(),
            ),
            Self::Denied => (
                StatusCode::FORBIDDEN,
                "PERMISSION_DENIED",
                "permission denied".to_owned(),
            ),
            Self::Absent => (
                StatusCode::NOT_FOUND,
                "NOT_FOUND",
                "path does not exist within the sandbox".to_owned(),
            ),
            Self::Conflict(message) => (StatusCode::CONFLICT, "CONFLICT", message.to_owned()),
            Self::ShuttingDown => (
                StatusCode::SERVICE_UNAVAILABLE,
                "UNAVAILABLE",
                "sandboxd is shutting down".to_owned(),
            ),
            Self::Internal(message) => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", message),
        };
        let code = code.to_owned();
        document(status, &Failure { code, message })
    }
}

impl From<PathError> for Refusal {
    fn from(error: PathError) -> Self {
        match error {
            PathError::Escapes => Self::Outside,
            PathError::Unresolved(error) => {
                Self::Internal(format!("failed to evaluate symlinks: {}", io_text(&error)))
            }
        }
    }
}

/// The system's text in lower case and without its number, as upstream prints it.
pub(super) fn io_text(error: &io::Error) -> String {
    let text = error.to_string();
    match (error.raw_os_error(), text.split_once(" (os error")) {
        (Some(_), Some((text, _))) => text.to_lowercase(),
        _ if error.kind() == io::ErrorKind::InvalidInput => "invalid argument".to_owned(),
        _ => text,
    }
}

/// Plain text, as the web framework answers what no handler takes.
pub(super) fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = with_type(status, "text/plain; charset=utf-8", text);
    let headers = response.headers_mut();
    headers.insert(NO_SNIFF, HeaderValue::from_static("nosniff"));
    response
}

/// No such route.
pub(super) fn unknown() -> Response<Body> {
    plain(StatusCode::NOT_FOUND, "404 page not found\n")
}

/// The route has other methods.
pub(super) fn other_method(allowed: &'static str) -> Response<Body> {
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n");
    let headers = response.headers_mut();
    headers.insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// An answer without a body, for a conditional request.
pub(super) fn bare(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(full(""));
    *response.status_mut() = status;
    response.headers_mut().remove(CONTENT_TYPE);
    response
}
