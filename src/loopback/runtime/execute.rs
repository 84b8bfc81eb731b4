//! `POST /execute`: runs a command and answers when it has ended.
//!
//! Source: upstream's python-runtime. The command is split as a POSIX shell does, without running
//! one; a failure to start it is an ordinary answer with `exit_code` 1.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use rustix::fs::Access;
use rustix::io::Errno;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use super::super::http::{Body, json as answer, read_body};
use super::{Pod, Processes};

/// The server's own limit on a command.
const LIMIT: Duration = Duration::from_secs(300);
/// The largest request.
const BODY_LIMIT: usize = 8 << 20;
/// Variables that a command inherits; nothing else of the cluster's environment reaches it.
const INHERITED: [&str; 3] = ["PATH", "LANG", "TZ"];

pub(super) async fn execute(pod: &Pod, request: Request<Incoming>) -> Response<Body> {
    let body = read_body(request.into_body(), BODY_LIMIT)
        .await
        .unwrap_or_default();
    let parsed: Value = match serde_json::from_slice(&body) {
        Ok(value) => value,
        Err(error) => {
            return unprocessable(&json!([{
                "type": "json_invalid", "loc": ["body", error.column()],
                "msg": "JSON decode error", "input": {}, "ctx": { "error": error.to_string() },
            }]));
        }
    };
    let Some(command) = parsed["command"].as_str() else {
        let (kind, message) = if parsed.get("command").is_none() {
            ("missing", "Field required")
        } else {
            ("string_type", "Input should be a valid string")
        };
        return unprocessable(&json!([{
            "type": kind, "loc": ["body", "command"], "msg": message, "input": parsed,
        }]));
    };
    let limit = parsed["timeout_seconds"]
        .as_f64()
        .filter(|seconds| *seconds > 0.0)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .unwrap_or(LIMIT);
    answer(StatusCode::OK, &run(pod, command, limit).await)
}

fn unprocessable(detail: &Value) -> Response<Body> {
    answer(
        StatusCode::UNPROCESSABLE_ENTITY,
        &json!({ "detail": detail }),
    )
}

fn failed(reason: &str) -> Value {
    json!({
        "stdout": "", "stderr": format!("Failed to execute command: {reason}"), "exit_code": 1,
    })
}

async fn run(pod: &Pod, command: &str, limit: Duration) -> Value {
    let Some(arguments) = shlex::split(command) else {
        return failed("No closing quotation");
    };
    let Some((program, rest)) = arguments.split_first() else {
        return failed("list index out of range");
    };
    let mut child = match spawn(pod, program, rest) {
        Ok(child) => child,
        Err(error) => return failed(&python_error(&error, program)),
    };
    let group = child.id().unwrap_or_default();
    pod.processes.started(group);
    let guard = Group {
        processes: &pod.processes,
        group,
    };
    let outcome = tokio::time::timeout(limit, finish(&mut child)).await;
    let Ok(outcome) = outcome else {
        pod.processes.kill(group);
        // Reaped here, so that no zombie keeps the group's number.
        let _killed = child.wait().await.is_ok();
        drop(guard);
        let seconds = limit.as_secs_f64();
        let argv: Vec<String> = arguments
            .iter()
            .map(|argument| python_quoted(argument))
            .collect();
        let mut result = failed(&format!(
            "Command '[{}]' timed out after {seconds:?} seconds",
            argv.join(", ")
        ));
        result["timed_out"] = json!(true);
        return result;
    };
    drop(guard);
    match outcome {
        Err(error) => failed(&error.to_string()),
        Ok((status, stdout, stderr)) => match (decode(stdout), decode(stderr)) {
            (Ok(stdout), Ok(stderr)) => {
                json!({ "stdout": stdout, "stderr": stderr, "exit_code": exit_code(status) })
            }
            (Err(reason), _) | (_, Err(reason)) => failed(&reason),
        },
    }
}

/// Forgets the group when the command ends; kills it when the caller goes away before.
struct Group<'a> {
    processes: &'a Processes,
    group: u32,
}

impl Drop for Group<'_> {
    fn drop(&mut self) {
        self.processes.ended(self.group);
    }
}

fn spawn(pod: &Pod, program: &str, arguments: &[String]) -> io::Result<Child> {
    // Found here and not by the system: a name that is looked up in a changed PATH costs a fork of
    // this whole process, a path does not.
    let mut command = Command::new(found(program)?);
    command
        .arg0(program)
        .args(arguments)
        .current_dir(&pod.directory)
        .env_clear();
    for name in INHERITED {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
        .env("HOME", &pod.directory)
        .env("HOSTNAME", &pod.name)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// The path of a program: itself if it has a slash, else the first of its name in PATH.
fn found(program: &str) -> io::Result<PathBuf> {
    if program.contains('/') {
        return Ok(PathBuf::from(program));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|directory| directory.join(program))
        .find(|candidate| {
            candidate.is_file() && rustix::fs::access(candidate, Access::EXEC_OK).is_ok()
        })
        .ok_or_else(|| io::Error::from_raw_os_error(Errno::NOENT.raw_os_error()))
}

async fn finish(child: &mut Child) -> io::Result<(ExitStatus, Vec<u8>, Vec<u8>)> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (stdout, stderr, status) =
        tokio::try_join!(read_all(stdout), read_all(stderr), child.wait())?;
    Ok((status, stdout, stderr))
}

async fn read_all(stream: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(mut stream) = stream {
        stream.read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

fn exit_code(status: ExitStatus) -> i32 {
    status
        .code()
        .or_else(|| status.signal().map(|signal| -signal))
        .unwrap_or(1)
}

fn decode(bytes: Vec<u8>) -> Result<String, String> {
    match String::from_utf8(bytes) {
        Ok(text) if text.contains('\r') => Ok(text.replace("\r\n", "\n").replace('\r', "\n")),
        Ok(text) => Ok(text),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let byte = error.as_bytes().get(at).copied().unwrap_or_default();
            let reason = if byte & 0b1100_0000 == 0b1000_0000 || byte >= 0xf5 {
                "invalid start byte"
            } else {
                "invalid continuation byte"
            };
            Err(format!(
                "'utf-8' codec can't decode byte {byte:#04x} in position {at}: {reason}"
            ))
        }
    }
}

fn python_error(error: &io::Error, program: &str) -> String {
    let number = error.raw_os_error().unwrap_or_default();
    let text = error.to_string();
    let text = text
        .split(" (os error")
        .next()
        .unwrap_or_default()
        .to_owned();
    format!("[Errno {number}] {text}: {}", python_quoted(program))
}

fn python_quoted(text: &str) -> String {
    if text.contains('\'') && !text.contains('"') {
        format!("\"{text}\"")
    } else {
        format!(
            "'{}'",
            text.replace('\\', "\\\\")
                .replace('\'', "\\'")
                .replace('\n', "\\n")
        )
    }
}
