//! `POST /execute`: runs a command without a shell and answers when it has ended.
//!
//! The answer is 200 for every command, also for one that could not be started. The limit is
//! 300 seconds or the request's `timeout_seconds`; a command that hits it is killed with its whole
//! process group and its output is lost.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Response, StatusCode};
use serde::Serialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::super::http::Body;
use super::process::{self, Groups, Place, RunError};
use super::reply::{Fault, detail, json_reply};
use super::words;

/// How long a command may take if the request does not say.
const LIMIT: Duration = Duration::from_mins(5);

/// A decoded request.
#[derive(Debug, PartialEq)]
pub(super) struct Execute {
    command: String,
    timeout: Option<Duration>,
}

#[derive(Debug, Serialize)]
struct Answer {
    stdout: String,
    stderr: String,
    exit_code: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    timed_out: Option<bool>,
}

impl Answer {
    fn failure(text: impl std::fmt::Display) -> Self {
        Self {
            stdout: String::new(),
            stderr: format!("Failed to execute command: {text}"),
            exit_code: 1,
            timed_out: None,
        }
    }
}

impl Execute {
    /// Decodes a request body.
    pub(super) fn decode(headers: &HeaderMap, body: &Bytes) -> Result<Self, Box<Fault>> {
        if body.is_empty() {
            return Err(Fault::new("missing", None, "Field required"));
        }
        let not_a_model = || {
            Fault::new(
                "model_attributes_type",
                None,
                "Input should be a valid dictionary or object to extract fields from",
            )
        };
        if !is_json(headers) {
            return Err(not_a_model().input(String::from_utf8_lossy(body).into()));
        }
        let value: Value = serde_json::from_slice(body)
            .map_err(|error| Fault::invalid_json(position(body, &error), "Expecting value"))?;
        let Value::Object(fields) = &value else {
            return Err(not_a_model().input(value));
        };
        let command = match fields.get("command") {
            Some(Value::String(command)) => command.clone(),
            None => {
                return Err(Fault::new("missing", Some("command"), "Field required").input(value));
            }
            Some(other) => {
                let fault = Fault::new(
                    "string_type",
                    Some("command"),
                    "Input should be a valid string",
                );
                return Err(fault.input(other.clone()));
            }
        };
        let timeout = fields
            .get("timeout_seconds")
            .and_then(Value::as_f64)
            .filter(|seconds| *seconds > 0.0)
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        Ok(Self { command, timeout })
    }

    /// Runs the command to its end.
    pub(super) async fn run(
        self,
        place: Place,
        groups: Groups,
        stop: CancellationToken,
    ) -> Response<Body> {
        let argv = match words::split(&self.command) {
            Ok(argv) if argv.is_empty() => return ok(&Answer::failure("list index out of range")),
            Ok(argv) => argv,
            Err(error) => return ok(&Answer::failure(error)),
        };
        let limit = self.timeout.unwrap_or(LIMIT);
        match process::run(&argv, &place, &groups, &stop, limit).await {
            Ok(finished) => ok(&answer(finished)),
            Err(RunError::Spawn(error)) => ok(&Answer::failure(python_error(&error, &argv[0]))),
            Err(RunError::TimedOut) => ok(&Answer {
                timed_out: self.timeout.map(|_| true),
                ..Answer::failure(format_args!(
                    "Command '{}' timed out after {:?} seconds",
                    words::repr_list(&argv),
                    limit.as_secs_f64()
                ))
            }),
            Err(RunError::Stopped) => {
                detail(StatusCode::SERVICE_UNAVAILABLE, "The pod is terminating.")
            }
        }
    }
}

fn ok(answer: &Answer) -> Response<Body> {
    json_reply(StatusCode::OK, answer)
}

fn answer(finished: process::Finished) -> Answer {
    let decoded = words::decode(finished.stdout)
        .and_then(|stdout| Ok((stdout, words::decode(finished.stderr)?)));
    match decoded {
        Ok((stdout, stderr)) => Answer {
            stdout,
            stderr,
            exit_code: finished.exit_code,
            timed_out: None,
        },
        Err(message) => Answer::failure(message),
    }
}

/// The text of Python's exception for a command that could not be started.
fn python_error(error: &io::Error, program: &str) -> String {
    let text = match error.kind() {
        io::ErrorKind::InvalidInput if error.raw_os_error().is_none() => {
            return "embedded null byte".to_owned();
        }
        io::ErrorKind::NotFound => "No such file or directory",
        io::ErrorKind::PermissionDenied => "Permission denied",
        io::ErrorKind::ArgumentListTooLong => "Argument list too long",
        _ => return strip_code(error),
    };
    let code = error.raw_os_error().unwrap_or_default();
    format!("[Errno {code}] {text}: {}", words::repr(program))
}

/// `Exec format error (os error 8)` as `[Errno 8] Exec format error`.
fn strip_code(error: &io::Error) -> String {
    let text = error.to_string();
    match (error.raw_os_error(), text.split_once(" (os error")) {
        (Some(code), Some((text, _))) => format!("[Errno {code}] {text}"),
        _ => text,
    }
}

/// No content type counts as JSON, as in the framework.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
    else {
        return true;
    };
    let essence = value.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json") || essence.ends_with("+json")
}

/// Byte offset of a JSON error.
fn position(body: &[u8], error: &serde_json::Error) -> usize {
    let before: usize = body
        .split_inclusive(|byte| *byte == b'\n')
        .take(error.line().saturating_sub(1))
        .map(<[u8]>::len)
        .sum();
    before + error.column().saturating_sub(1)
}
