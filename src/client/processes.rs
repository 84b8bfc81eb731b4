//! [`Processes`]: start a process in sandboxd and follow it: output as it comes, standard input,
//! signals, a terminal.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use tokio::time::{Instant, timeout_at};
use tonic::Streaming;

use super::commands::{CommandLine, process_config};
use super::data::{Operation, failure};
use super::error::{CallError, Delivered};
use super::grpc::{GrpcCall, GrpcStream, call_error};
use super::process_control::ProcessControl;
use super::sandbox::Sandbox;
use crate::api::sandboxd::{self, Pty, StartRequest, StartResponse};
use crate::units::ByteSize;

/// Most output that [`Process::output`] collects of either stream.
const OUTPUT_LIMIT: ByteSize = ByteSize(64 << 20);

/// Size of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TerminalSize {
    /// Characters in a line.
    pub columns: u32,
    /// Lines.
    pub rows: u32,
}

impl Default for TerminalSize {
    /// 80 columns, 24 rows.
    fn default() -> Self {
        Self {
            columns: 80,
            rows: 24,
        }
    }
}

/// A process to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessRequest {
    /// What is to run.
    pub line: CommandLine,
    /// Variables over those of sandboxd. Default: none.
    pub env: BTreeMap<String, String>,
    /// Working directory inside the root. Default: the root.
    pub cwd: Option<String>,
    /// Run it on a terminal of this size, which merges its standard error into its standard output.
    /// Default: none.
    pub terminal: Option<TerminalSize>,
    /// How long the start may take, connecting included. The process itself has no limit. Default:
    /// the client's request timeout.
    pub start_timeout: Option<Duration>,
}

impl ProcessRequest {
    /// A program and its arguments.
    pub fn argv<W: Into<String>>(words: impl IntoIterator<Item = W>) -> Self {
        Self::of(CommandLine::Argv(
            words.into_iter().map(Into::into).collect(),
        ))
    }

    /// A script for `/bin/sh`.
    pub fn shell(script: impl Into<String>) -> Self {
        Self::of(CommandLine::Shell(script.into()))
    }

    fn of(line: CommandLine) -> Self {
        Self {
            line,
            env: BTreeMap::new(),
            cwd: None,
            terminal: None,
            start_timeout: None,
        }
    }
}

/// What a process does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessEvent {
    /// It wrote to its standard output, or to its terminal.
    Stdout(Bytes),
    /// It wrote to its standard error.
    Stderr(Bytes),
    /// It ended, with this code; -1 for a signal. Always the last event.
    Exited(i32),
}

/// What a process left.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProcessOutput {
    /// Its standard output.
    pub stdout: Bytes,
    /// Its standard error.
    pub stderr: Bytes,
    /// Its exit code; -1 for a signal.
    pub exit_code: i32,
}

/// Processes of one sandbox. Only sandboxd has them.
#[derive(Debug, Clone, Copy)]
pub struct Processes<'a> {
    pub(super) sandbox: &'a Sandbox,
}

impl Processes<'_> {
    /// Starts a process; returns when it runs.
    ///
    /// ```no_run
    /// # async fn example(sandbox: sandbench::client::Sandbox)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// use futures::StreamExt;
    /// use sandbench::client::{ProcessEvent, ProcessRequest};
    ///
    /// let mut cat = sandbox.processes().start(ProcessRequest::argv(["cat"])).await?;
    /// let control = cat.control();
    /// control.write_stdin("hello\n").await?;
    /// control.close_stdin().await?;
    /// while let Some(event) = cat.next().await {
    ///     match event? {
    ///         ProcessEvent::Stdout(bytes) => print!("{}", String::from_utf8_lossy(&bytes)),
    ///         ProcessEvent::Stderr(_) => {}
    ///         ProcessEvent::Exited(code) => assert_eq!(code, 0),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`CallError`]; `NOT_FOUND` if there is no such program, `PERMISSION_DENIED` if it may not be
    /// executed or the directory is outside of the root, [`CallError::Unsupported`] on the legacy
    /// runtime.
    ///
    /// # Cancel safety
    /// If dropped, sandboxd ends the process if it was started.
    pub async fn start(&self, request: ProcessRequest) -> Result<Process, CallError> {
        let limit = request.start_timeout;
        let limit = limit.unwrap_or_else(|| self.sandbox.timeout());
        let deadline = Instant::now() + limit;
        let operation = Operation {
            verb: "start",
            subject: request.line.subject(),
            sandbox: self.sandbox.name(),
        };
        let pty = request.terminal.map(|size| Pty {
            cols: size.columns,
            rows: size.rows,
        });
        let message = StartRequest {
            config: Some(process_config(
                &request.line,
                request.env,
                request.cwd,
                operation,
            )?),
            pty,
        };
        let call = GrpcCall {
            operation,
            path: sandboxd::method::START,
            message: &message,
            timeout: limit,
            server_time: None,
            answer: PhantomData::<fn() -> StartResponse>,
        };
        let stream = GrpcStream(call);
        let mut events = self.sandbox.attempt(call.plan(), &stream).await?;
        let first = timeout_at(deadline, events.message()).await;
        let first = first.map_err(|_| CallError::Timeout {
            operation: operation.to_string(),
            after: limit,
            delivered: Delivered::Yes,
        })?;
        let first = first.map_err(|status| call_error(operation, failure(status)))?;
        match first.and_then(|response| response.event) {
            Some(sandboxd::ProcessEvent::Init(init)) => Ok(Process {
                control: ProcessControl::new(self.sandbox, init.process_id),
                events,
                state: State::Running,
            }),
            _ => Err(CallError::Transport {
                operation: operation.to_string(),
                delivered: Delivered::Yes,
                source: "the stream does not begin with the process's number".into(),
            }),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Running,
    /// Its exit was told, or the stream failed.
    Over,
}

/// A started process: a [`Stream`] of its events. Dropping it ends the process.
#[derive(Debug)]
pub struct Process {
    control: ProcessControl,
    events: Streaming<StartResponse>,
    state: State,
}

impl Process {
    /// sandboxd's own number of the process, from 1; not an OS process id.
    pub fn id(&self) -> i32 {
        self.control.id()
    }

    /// Standard input, signals and terminal; usable while the events are read elsewhere.
    pub fn control(&self) -> ProcessControl {
        self.control.clone()
    }

    /// Reads all events to the end: at most 64 MiB of each stream.
    ///
    /// ```no_run
    /// # async fn example(sandbox: sandbench::client::Sandbox)
    /// # -> Result<(), sandbench::client::CallError> {
    /// use sandbench::client::ProcessRequest;
    ///
    /// let mut request = ProcessRequest::shell("make test 2>&1");
    /// request.env.insert("CI".to_owned(), "true".to_owned());
    /// request.cwd = Some("project".to_owned());
    /// let output = sandbox.processes().start(request).await?.output().await?;
    /// println!("{}: {} bytes", output.exit_code, output.stdout.len());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`CallError`]: the connection failed before the process ended, or there is more output.
    ///
    /// # Cancel safety
    /// Not cancel safe: what was read is lost, and the process is ended.
    pub async fn output(mut self) -> Result<ProcessOutput, CallError> {
        let (mut stdout, mut stderr) = (BytesMut::new(), BytesMut::new());
        while let Some(event) = self.next().await {
            let (collected, piece) = match event? {
                ProcessEvent::Stdout(piece) => (&mut stdout, piece),
                ProcessEvent::Stderr(piece) => (&mut stderr, piece),
                ProcessEvent::Exited(exit_code) => {
                    return Ok(ProcessOutput {
                        stdout: stdout.freeze(),
                        stderr: stderr.freeze(),
                        exit_code,
                    });
                }
            };
            if (collected.len() + piece.len()) as u64 > OUTPUT_LIMIT.0 {
                return Err(CallError::TooLarge {
                    operation: self.control.operation("follow").to_string(),
                    limit: OUTPUT_LIMIT,
                    delivered: Delivered::Yes,
                });
            }
            collected.extend_from_slice(&piece);
        }
        Err(self.cut())
    }

    /// The stream ended before the process did.
    fn cut(&self) -> CallError {
        CallError::Transport {
            operation: self.control.operation("follow").to_string(),
            delivered: Delivered::Yes,
            source: "the stream ended before the process did".into(),
        }
    }
}

impl Stream for Process {
    type Item = Result<ProcessEvent, CallError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.state == State::Over {
            return Poll::Ready(None);
        }
        loop {
            let message = ready!(Pin::new(&mut self.events).poll_next(cx));
            let response = match message {
                Some(Ok(response)) => response,
                Some(Err(status)) => {
                    self.state = State::Over;
                    let operation = self.control.operation("follow");
                    let error = call_error(operation, failure(status));
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    self.state = State::Over;
                    return Poll::Ready(Some(Err(self.cut())));
                }
            };
            let event = match response.event {
                Some(sandboxd::ProcessEvent::Stdout(bytes)) => ProcessEvent::Stdout(bytes),
                Some(sandboxd::ProcessEvent::Stderr(bytes)) => ProcessEvent::Stderr(bytes),
                Some(sandboxd::ProcessEvent::Exit(exit)) => {
                    self.state = State::Over;
                    ProcessEvent::Exited(exit.exit_code)
                }
                // A newer sandboxd may tell more.
                Some(sandboxd::ProcessEvent::Init(_)) | None => continue,
            };
            return Poll::Ready(Some(Ok(event)));
        }
    }
}
