//! `Execute`: runs a process to its end and answers with all of its output.

use std::io;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustix::process::Pid;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Child;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::super::runtime::reap;
use super::command::{Attempt, Prepared};
use super::daemon::Shared;
use crate::api::sandboxd::{ExecuteRequest, ExecuteResponse};

/// How long output may stay open after the process has ended.
const OUTPUT_DELAY: Duration = Duration::from_secs(10);
/// Bytes read at a time.
const CHUNK: usize = 64 * 1024;

/// When a call ends before its process does.
#[derive(Debug)]
pub(super) struct Limits {
    /// The caller's deadline.
    pub(super) deadline: Option<Instant>,
    /// Cancelled when the caller is gone.
    pub(super) gone: CancellationToken,
}

impl Limits {
    /// Waits until the process has to be killed, and says why.
    pub(super) async fn reached(&self, shared: &Shared) -> Status {
        let deadline = async {
            match self.deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.gone.cancelled() => Status::cancelled("context canceled"),
            () = deadline => Status::deadline_exceeded("context deadline exceeded"),
            () = shared.lifetime.stop.cancelled() => stopping(),
        }
    }
}

/// What a call gets when the daemon ends.
pub(super) fn stopping() -> Status {
    Status::unavailable("sandboxd is shutting down")
}

/// The exit code; -1 for a signal.
pub(super) fn exit_code(status: &io::Result<ExitStatus>) -> i32 {
    let status = status.as_ref().ok();
    status.and_then(ExitStatus::code).unwrap_or(-1)
}

/// The number of a child that was not waited for.
pub(super) fn leader(child: &Child) -> Result<Pid, Status> {
    child
        .id()
        .and_then(|id| Pid::from_raw(id.cast_signed()))
        .ok_or_else(|| Status::internal("the process has no id"))
}

/// Runs the call in a task of the daemon's, which kills the process when the caller goes.
///
/// # Errors
/// The status that upstream answers.
///
/// # Cancel safety
/// If dropped, the process and its group are killed.
pub(super) async fn execute(
    shared: Arc<Shared>,
    request: ExecuteRequest,
    deadline: Option<Instant>,
) -> Result<ExecuteResponse, Status> {
    let mut prepared = Prepared::new(&shared, request.config, Attempt::Execute)?;
    prepared.find(&shared)?;
    let mut command = prepared.command(None);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let child = prepared.spawn(&mut command)?;
    let gone = CancellationToken::new();
    let _caller = gone.clone().drop_guard();
    let limits = Limits { deadline, gone };
    let tasks = shared.lifetime.tasks.clone();
    let running = tasks.spawn(async move { run(&shared, child, &limits).await });
    running.await.unwrap_or_else(|_| Err(stopping()))
}

async fn run(
    shared: &Shared,
    mut child: Child,
    limits: &Limits,
) -> Result<ExecuteResponse, Status> {
    let group = shared.groups.enter(leader(&child)?);
    let ended = if group.is_late() {
        Err(stopping())
    } else {
        tokio::select! {
            ended = finish(&mut child) => ended,
            why = limits.reached(shared) => Err(why),
        }
    };
    if child.id().is_some() {
        group.kill();
        reap(&mut child).await;
    }
    ended
}

/// Waits for the end of the process, then for the end of its output.
async fn finish(child: &mut Child) -> Result<ExecuteResponse, Status> {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (mut out, mut err) = (BytesMut::new(), BytesMut::new());
    let (status, complete) = {
        let mut output =
            pin!(async { tokio::join!(fill(stdout, &mut out), fill(stderr, &mut err)) });
        tokio::select! {
            // Most processes close their output by ending.
            ((), ()) = &mut output => (child.wait().await, true),
            status = child.wait() => {
                let rest = tokio::time::timeout(OUTPUT_DELAY, output).await;
                (status, rest.is_ok())
            }
        }
    };
    let exit_code = exit_code(&status);
    if !complete && exit_code == 0 {
        let text = "failed to execute command: exec: WaitDelay expired before I/O complete";
        return Err(Status::internal(text));
    }
    Ok(ExecuteResponse {
        exit_code,
        stdout: Bytes::from(out),
        stderr: Bytes::from(err),
    })
}

async fn fill(pipe: Option<impl AsyncRead + Unpin>, bytes: &mut BytesMut) {
    let Some(mut pipe) = pipe else {
        return;
    };
    loop {
        bytes.reserve(if bytes.is_empty() { 4096 } else { CHUNK });
        match pipe.read_buf(bytes).await {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(%error, "the output of a process broke off");
                return;
            }
        }
    }
}
