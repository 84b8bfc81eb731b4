//! `Start`: runs a process and streams its events.
//!
//! The first event is its number, the last its exit code; output comes in chunks of at most 4096
//! bytes, each stream in its order. A task of the daemon's waits for the process; it kills the
//! process and its group when the caller drops the stream.

use std::io;
use std::pin::pin;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Child;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::super::runtime::reap;
use super::command::{Attempt, Prepared};
use super::daemon::Shared;
use super::execute::{Limits, exit_code, leader, stopping};
use super::processes::Process;
use super::pty::{self, Terminal};
use crate::api::sandboxd::{ExitEvent, InitEvent, ProcessEvent, StartRequest, StartResponse};

/// The most bytes of one event.
const CHUNK: usize = 4096;
/// Events that wait to be sent; then reading from the process waits.
const BACKLOG: usize = 16;
/// How long output may stay open after the process has ended.
const OUTPUT_DELAY: Duration = Duration::from_secs(5);

type Events = mpsc::Sender<Result<StartResponse, Status>>;

/// Where output comes from.
#[derive(Debug)]
enum Output {
    Pipes,
    Terminal(Arc<Terminal>),
}

/// A process that runs, and what is needed to follow it.
struct Started {
    shared: Arc<Shared>,
    number: i32,
    process: Arc<Process>,
    child: Child,
    output: Output,
    events: Events,
}

/// Starts a process; what is returned streams its events.
///
/// # Errors
/// The status that upstream answers if it cannot be started.
pub(super) fn start(
    shared: Arc<Shared>,
    request: StartRequest,
    deadline: Option<Instant>,
) -> Result<impl Stream<Item = Result<StartResponse, Status>> + use<>, Status> {
    let attempt = match request.pty {
        None => Attempt::Start,
        Some(_) => Attempt::StartOnTerminal,
    };
    let mut prepared = Prepared::new(&shared, request.config, attempt)?;
    let number = shared.processes.number();
    prepared.find(&shared)?;
    let (child, process, output) = match request.pty {
        None => {
            let mut command = prepared.command(None);
            command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .process_group(0);
            let mut child = prepared.spawn(&mut command)?;
            let process = Process::on_pipes(leader(&child)?, child.stdin.take());
            (child, process, Output::Pipes)
        }
        Some(size) => {
            shared.had_terminal.store(true, Ordering::Relaxed);
            let (child, terminal) = pty::start(&prepared, size)?;
            let process = Process::on_terminal(leader(&child)?, Arc::clone(&terminal));
            (child, process, Output::Terminal(terminal))
        }
    };
    let process = Arc::new(process);
    shared.processes.insert(number, Arc::clone(&process));
    let (events, queue) = mpsc::channel(BACKLOG);
    let gone = CancellationToken::new();
    let caller = gone.clone().drop_guard();
    let limits = Limits { deadline, gone };
    let tasks = shared.lifetime.tasks.clone();
    let started = Started {
        shared,
        number,
        process,
        child,
        output,
        events,
    };
    tasks.spawn(started.follow(limits));
    let queue = (queue, caller);
    Ok(futures::stream::unfold(queue, |mut queue| async move {
        let event = queue.0.recv().await?;
        Some((event, queue))
    }))
}

impl Started {
    /// Follows the process to its end, or ends it.
    async fn follow(mut self, limits: Limits) {
        let shared = Arc::clone(&self.shared);
        if let Ok(leader) = leader(&self.child) {
            let group = shared.groups.enter(leader);
            let ended = if group.is_late() {
                Err(stopping())
            } else {
                tokio::select! {
                    () = self.events() => Ok(()),
                    why = limits.reached(&shared) => Err(why),
                }
            };
            if self.child.id().is_some() {
                group.kill();
                if let Err(error) = self.child.start_kill() {
                    tracing::trace!(%error, "a process was gone already");
                }
                reap(&mut self.child).await;
            }
            if let Err(why) = ended {
                // The pod ends, or the caller's time is up; a caller that is gone hears nothing.
                let _gone = self.events.try_send(Err(why)).is_err();
            }
        }
        self.process.set_ended();
        shared.processes.remove(self.number);
        // Ends writes that wait for room.
        self.process.closed.cancel();
    }

    async fn events(&mut self) {
        let init = InitEvent {
            process_id: self.number,
        };
        send(&self.events, ProcessEvent::Init(init)).await;
        let (stdout, stderr) = (self.child.stdout.take(), self.child.stderr.take());
        let ended = CancellationToken::new();
        let terminal = match std::mem::replace(&mut self.output, Output::Pipes) {
            Output::Pipes => None,
            Output::Terminal(terminal) => Some(terminal),
        };
        let closed = self.process.closed.clone();
        let output = async {
            match terminal {
                None => {
                    let out = pump(stdout, ProcessEvent::Stdout, &self.events);
                    let err = pump(stderr, ProcessEvent::Stderr, &self.events);
                    tokio::join!(out, err);
                }
                Some(terminal) => {
                    let pump = pump_terminal(terminal, &ended, &self.events);
                    closed.run_until_cancelled(pump).await;
                }
            }
        };
        let status = {
            let mut output = pin!(output);
            let mut is_open = true;
            let status = loop {
                tokio::select! {
                    () = &mut output, if is_open => is_open = false,
                    status = self.child.wait() => break status,
                }
            };
            self.process.set_ended();
            ended.cancel();
            if is_open && tokio::time::timeout(OUTPUT_DELAY, output).await.is_err() {
                tracing::trace!("output stayed open after its process had ended");
            }
            status
        };
        let exit_code = exit_code(&status);
        send(&self.events, ProcessEvent::Exit(ExitEvent { exit_code })).await;
    }
}

async fn send(events: &Events, event: ProcessEvent) {
    let event = Some(event);
    // A caller that is gone ends the process by other means.
    let _gone = events.send(Ok(StartResponse { event })).await.is_err();
}

async fn pump(
    pipe: Option<impl AsyncRead + Unpin>,
    event: fn(Bytes) -> ProcessEvent,
    events: &Events,
) {
    let Some(mut pipe) = pipe else {
        return;
    };
    let mut buffer = vec![0; CHUNK];
    while let Ok(length @ 1..) = pipe.read(&mut buffer).await {
        send(events, event(Bytes::copy_from_slice(&buffer[..length]))).await;
    }
}

/// Until nobody has the terminal open, or the process has ended and what it wrote is read.
async fn pump_terminal(terminal: Arc<Terminal>, ended: &CancellationToken, events: &Events) {
    let mut buffer = vec![0; CHUNK];
    loop {
        let read: io::Result<usize> = tokio::select! {
            biased;
            read = terminal.read(&mut buffer) => read,
            () = ended.cancelled() => Ok(0),
        };
        let read = match read {
            Ok(0) => terminal.read_now(&mut buffer),
            read => read,
        };
        let Ok(length @ 1..) = read else {
            return;
        };
        let bytes = Bytes::copy_from_slice(&buffer[..length]);
        send(events, ProcessEvent::Stdout(bytes)).await;
    }
}
