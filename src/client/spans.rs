//! What the client's spans are called, and how failures are named in them (`error.type`).
//!
//! Names and attributes follow OpenTelemetry's semantic conventions for HTTP and RPC clients and upstream's
//! `sandbox.*`. Paths of files stand in them, as in upstream's; arguments of commands, contents and headers never do.

use std::borrow::Cow;

use http::{HeaderValue, Method};

use super::error::{CallError, ConnectError, CreateError, KubeError, Operation, ReadyError};
use crate::api::annotation;
use crate::trace::{self, Kind, Open, Role};

/// The value of the header `traceparent` of a request that is sent now, if it belongs to a trace.
pub(crate) fn traceparent() -> Option<HeaderValue> {
    let context = trace::carried()?;
    HeaderValue::from_bytes(&context.header()).ok()
}

/// Adds the context of the current span to a claim's annotations, unless the caller has set one.
pub(super) fn annotate(annotations: &mut std::collections::BTreeMap<String, String>) {
    if let Some(context) = trace::carried() {
        annotations
            .entry(annotation::TRACE_CONTEXT.to_owned())
            .or_insert_with(|| context.annotation());
    }
}

/// One attempt of a call on a sandbox.
pub(super) fn call_attempt(
    name: impl FnOnce() -> Cow<'static, str>,
    number: u32,
    request_id: &HeaderValue,
) -> Open {
    if trace::context().is_none() {
        return Open::nothing();
    }
    let span = trace::start(name(), Role::Attempt, Kind::Client);
    if number > 1 {
        span.set("http.request.resend_count", i64::from(number) - 1);
    }
    if let Ok(id) = request_id.to_str() {
        span.set("sandbox.request_id", id.to_owned());
    }
    span
}

/// One attempt of a request to the API server.
pub(super) fn kube_attempt(method: &Method, operation: &Operation, number: u32) -> Open {
    if trace::context().is_none() {
        return Open::nothing();
    }
    let plural = operation.resource.split('.').next().unwrap_or_default();
    let span = trace::start(format!("{method} {plural}"), Role::Attempt, Kind::Client);
    span.set("http.request.method", method_name(method));
    span.set("k8s.resource", operation.resource.clone());
    if !operation.namespace.is_empty() {
        span.set("k8s.namespace.name", operation.namespace.clone());
    }
    if number > 1 {
        span.set("http.request.resend_count", i64::from(number) - 1);
    }
    span
}

/// The method as an attribute; those of the standard cost nothing.
pub(super) fn method_name(method: &Method) -> Cow<'static, str> {
    match *method {
        Method::GET => "GET".into(),
        Method::POST => "POST".into(),
        Method::PUT => "PUT".into(),
        Method::PATCH => "PATCH".into(),
        Method::DELETE => "DELETE".into(),
        Method::HEAD => "HEAD".into(),
        _ => method.as_str().to_owned().into(),
    }
}

/// `POST /execute`, `GET /download/{path}`: the target without what differs from call to call.
pub(super) fn http_name(method: &Method, path: &str) -> Cow<'static, str> {
    let path = path.split('?').next().unwrap_or_default();
    let known = ["/download/", "/list/", "/exists/", "/v1/files/"];
    match known.iter().find(|prefix| path.starts_with(**prefix)) {
        Some(prefix) => format!("{method} {prefix}{{path}}").into(),
        None => format!("{method} {path}").into(),
    }
}

/// `process.v1.ProcessService/Execute`
pub(super) fn grpc_name(path: &'static str) -> Cow<'static, str> {
    path.trim_start_matches('/').into()
}

/// The name of the program that a command starts, without its directory and arguments, as upstream's SDKs have it:
/// the first word that is no assignment. Nothing where quotes or the like come before or in it: a part of a secret
/// could be taken for the program.
pub(super) fn executable(command: &str) -> &str {
    let is_plain = |word: &str, more: &str| {
        let mut letters = word.chars();
        letters.all(|c| c.is_alphanumeric() || "._/+-".contains(c) || more.contains(c))
    };
    let mut words = command.split_whitespace();
    let program = words.find(|word| !(word.contains('=') && is_plain(word, "=:,@%")));
    let program = program.filter(|word| is_plain(word, ""));
    program
        .and_then(|path| path.rsplit('/').next())
        .unwrap_or_default()
}

/// How a call failed.
pub(super) fn call_error(error: &CallError) -> Cow<'static, str> {
    match error {
        CallError::Status { status, .. } | CallError::Redirect { status, .. } => {
            status.to_string().into()
        }
        CallError::Grpc { code, .. } => Cow::Borrowed(*code),
        CallError::Timeout { .. } => "timeout".into(),
        CallError::Connect { source, .. } => connect_error(source),
        CallError::Exhausted { source, .. } => call_error(source),
        CallError::Transport { .. } => "connection".into(),
        CallError::Decode { .. } => "answer_not_understood".into(),
        CallError::TooLarge { .. } => "too_large".into(),
        CallError::Closed { .. } => "closed".into(),
        CallError::Invalid { .. } | CallError::Unsupported { .. } | CallError::WrongKind { .. } => {
            "invalid".into()
        }
    }
}

/// How connecting failed.
pub(super) fn connect_error(error: &ConnectError) -> Cow<'static, str> {
    match error {
        ConnectError::Kube { source, .. } => kube_error(source),
        ConnectError::Timeout { .. } | ConnectError::GatewayTimeout { .. } => "timeout".into(),
        ConnectError::Lookup { .. } => "name_not_found".into(),
        ConnectError::Tls { .. } | ConnectError::TlsWithoutHttps { .. } => "tls".into(),
        _ => "connect".into(),
    }
}

/// How a request to the API server failed.
pub(super) fn kube_error(error: &KubeError) -> Cow<'static, str> {
    match error {
        KubeError::Status { code, .. } => code.to_string().into(),
        KubeError::Timeout { .. } => "timeout".into(),
        KubeError::Exhausted { source, .. } => kube_error(source),
        KubeError::Decode { .. } => "answer_not_understood".into(),
        KubeError::Closed { .. } => "closed".into(),
        KubeError::Transport { .. } => "connection".into(),
    }
}

/// How creating a claim failed.
pub(super) fn create_error(error: &CreateError) -> Cow<'static, str> {
    match error {
        CreateError::Kube { source, .. } | CreateError::Lost { source, .. } => kube_error(source),
        CreateError::AlreadyExists { .. } => "already_exists".into(),
        CreateError::PoolNotFound { .. } | CreateError::NoPoolForTemplate { .. } => {
            "pool_not_found".into()
        }
        CreateError::Invalid { .. } | CreateError::NotAdoptable { .. } => "invalid".into(),
    }
}

/// How waiting for a claim failed.
pub(super) fn ready_error(error: &ReadyError) -> Cow<'static, str> {
    match error {
        ReadyError::Timeout { .. } => "timeout".into(),
        ReadyError::Failed { reason, .. } => reason.clone().into(),
        ReadyError::Kube { source, .. } => kube_error(source),
        ReadyError::Deleted { .. } | ReadyError::NotFound { .. } => "not_found".into(),
        ReadyError::Replaced { .. } => "replaced".into(),
        ReadyError::Closed { .. } => "closed".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_nothing_that_differs_from_call_to_call() {
        for (path, name) in [
            ("/execute", "POST /execute"),
            ("/download/a/b.txt", "POST /download/{path}"),
            ("/v1/files/a%20b?recursive=true", "POST /v1/files/{path}"),
            ("/v1/health?x=1", "POST /v1/health"),
        ] {
            assert_eq!(http_name(&Method::POST, path), name);
        }
    }

    #[test]
    fn only_the_name_of_the_program_is_told() {
        for (command, program) in [
            ("echo secret", "echo"),
            ("TOKEN=abc /usr/bin/curl -H x", "curl"),
            ("A=1 B=2", ""),
            ("TOKEN=\"a s3cret\" curl", ""),
            ("A=$(printf s3cret | tr x y) cmd", ""),
            ("A=b\\ s3cret curl", ""),
            ("<<<s3cret cat", ""),
            ("LANG=en_US.UTF-8 ./a-b_c.sh x", "a-b_c.sh"),
            ("", ""),
        ] {
            assert_eq!(executable(command), program);
        }
    }
}
