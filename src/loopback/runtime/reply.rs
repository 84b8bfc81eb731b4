//! Answers of the legacy runtime: compact JSON with the keys in a fixed order.
//!
//! Source of shapes and texts: the upstream legacy Python runtime (`FastAPI`), observed.

use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Response, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

use super::super::http::{Body, full};

/// A JSON answer.
pub(super) fn json_reply(status: StatusCode, body: &impl Serialize) -> Response<Body> {
    // the types passed in have string keys only, which always serialise
    let bytes = serde_json::to_vec(body).unwrap_or_default();
    let mut response = Response::new(full(bytes));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[derive(Serialize)]
struct Message<'a> {
    message: &'a str,
}

/// `{"message":…}`: the runtime's own errors and the answer to an upload.
pub(super) fn message(status: StatusCode, text: &str) -> Response<Body> {
    json_reply(status, &Message { message: text })
}

#[derive(Serialize)]
struct Detail<'a> {
    detail: &'a str,
}

/// `{"detail":…}`: errors of the framework.
pub(super) fn detail(status: StatusCode, text: &str) -> Response<Body> {
    json_reply(status, &Detail { detail: text })
}

pub(super) fn not_found() -> Response<Body> {
    detail(StatusCode::NOT_FOUND, "Not Found")
}

pub(super) fn method_not_allowed(allowed: &Method) -> Response<Body> {
    let mut response = detail(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
    if let Ok(value) = HeaderValue::from_str(allowed.as_str()) {
        response.headers_mut().insert(ALLOW, value);
    }
    response
}

/// One fault of a request body, in the framework's shape.
#[derive(Debug, Serialize)]
pub(super) struct Fault {
    #[serde(rename = "type")]
    kind: &'static str,
    loc: Vec<Value>,
    msg: &'static str,
    input: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    ctx: Option<Value>,
}

impl Fault {
    pub(super) fn new(kind: &'static str, field: Option<&str>, msg: &'static str) -> Box<Self> {
        let loc = std::iter::once("body").chain(field).map(Value::from);
        Box::new(Self {
            kind,
            loc: loc.collect(),
            msg,
            input: Value::Null,
            ctx: None,
        })
    }

    pub(super) fn input(mut self: Box<Self>, input: Value) -> Box<Self> {
        self.input = input;
        self
    }

    pub(super) fn context(mut self: Box<Self>, context: Value) -> Box<Self> {
        self.ctx = Some(context);
        self
    }

    /// A body that is not JSON; `position` is the byte of the fault.
    pub(super) fn invalid_json(position: usize, error: &str) -> Box<Self> {
        let mut fault = Self::new("json_invalid", None, "JSON decode error")
            .input(json!({}))
            .context(json!({ "error": error }));
        fault.loc.push(position.into());
        fault
    }
}

/// The 422 answer for one fault.
pub(super) fn unprocessable(fault: Box<Fault>) -> Response<Body> {
    #[derive(Serialize)]
    struct Faults {
        detail: [Box<Fault>; 1],
    }
    json_reply(
        StatusCode::UNPROCESSABLE_ENTITY,
        &Faults { detail: [fault] },
    )
}
