//! [`ProcessControl`]: standard input, signals and terminal of a process in sandboxd.

use std::marker::PhantomData;

use bytes::Bytes;
use prost::Message;

use super::data::Operation;
use super::error::CallError;
use super::grpc::GrpcCall;
use super::processes::TerminalSize;
use super::sandbox::Sandbox;
use crate::api::sandboxd::{
    self, Done, ResizeTtyRequest, SendSignalRequest, StdinPayload, WriteStdinRequest,
};

/// A signal that sandboxd sends to a process's whole group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// `SIGINT`, as Ctrl-C.
    Interrupt,
    /// `SIGTERM`
    Terminate,
    /// `SIGKILL`
    Kill,
}

/// Standard input, signals and terminal of a process. Does not keep the process alive.
///
/// ```no_run
/// # async fn example(sandbox: sandbench::client::Sandbox)
/// # -> Result<(), sandbench::client::CallError> {
/// use sandbench::client::{ProcessRequest, Signal, TerminalSize};
///
/// let mut request = ProcessRequest::argv(["sh"]);
/// request.terminal = Some(TerminalSize::default());
/// let shell = sandbox.processes().start(request).await?;
/// let control = shell.control();
/// control.resize(TerminalSize { columns: 132, rows: 50 }).await?;
/// control.write_stdin("stty size; sleep 60\n").await?;
/// control.signal(Signal::Interrupt).await?;
/// control.write_stdin("exit 3\n").await?;
/// let output = shell.output().await?;
/// assert_eq!(output.exit_code, 3);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct ProcessControl {
    sandbox: Sandbox,
    id: i32,
}

impl ProcessControl {
    pub(super) fn new(sandbox: &Sandbox, id: i32) -> Self {
        Self {
            sandbox: sandbox.clone(),
            id,
        }
    }

    /// sandboxd's own number of the process, from 1; not an OS process id.
    pub fn id(&self) -> i32 {
        self.id
    }

    /// Writes to the process's standard input.
    ///
    /// # Errors
    /// [`CallError`]; `NOT_FOUND` after the process has ended, `FAILED_PRECONDITION` after
    /// [`close_stdin`](Self::close_stdin).
    ///
    /// # Cancel safety
    /// If dropped, it may or may not have been written.
    pub async fn write_stdin(&self, input: impl Into<Bytes>) -> Result<(), CallError> {
        let message = WriteStdinRequest {
            process_id: self.id,
            payload: Some(StdinPayload::Input(input.into())),
        };
        self.tell("write to", sandboxd::method::WRITE_STDIN, &message)
            .await
    }

    /// Closes the process's standard input.
    ///
    /// # Errors
    /// [`CallError`]; `NOT_FOUND` after the process has ended.
    ///
    /// # Cancel safety
    /// If dropped, it may or may not have been closed.
    pub async fn close_stdin(&self) -> Result<(), CallError> {
        let message = WriteStdinRequest {
            process_id: self.id,
            payload: Some(StdinPayload::Eof(())),
        };
        let method = sandboxd::method::WRITE_STDIN;
        self.tell("close the input of", method, &message).await
    }

    /// Sends a signal to the process's group.
    ///
    /// # Errors
    /// [`CallError`]; `NOT_FOUND` after the process has ended.
    ///
    /// # Cancel safety
    /// If dropped, it may or may not have been sent.
    pub async fn signal(&self, signal: Signal) -> Result<(), CallError> {
        let signal = match signal {
            Signal::Interrupt => sandboxd::Signal::Interrupt,
            Signal::Terminate => sandboxd::Signal::Terminate,
            Signal::Kill => sandboxd::Signal::Kill,
        };
        let message = SendSignalRequest {
            process_id: self.id,
            signal: signal.into(),
        };
        self.tell("signal", sandboxd::method::SEND_SIGNAL, &message)
            .await
    }

    /// Changes the size of the process's terminal.
    ///
    /// # Errors
    /// [`CallError`]; `FAILED_PRECONDITION` if it has none, `NOT_FOUND` after it has ended.
    ///
    /// # Cancel safety
    /// If dropped, it may or may not have been changed.
    pub async fn resize(&self, size: TerminalSize) -> Result<(), CallError> {
        let message = ResizeTtyRequest {
            process_id: self.id,
            cols: size.columns,
            rows: size.rows,
        };
        let method = sandboxd::method::RESIZE_TTY;
        self.tell("resize the terminal of", method, &message).await
    }

    async fn tell<Q: Message + Clone + 'static>(
        &self,
        verb: &'static str,
        path: &'static str,
        message: &Q,
    ) -> Result<(), CallError> {
        let call = GrpcCall {
            operation: self.operation(verb),
            path,
            message,
            timeout: self.sandbox.timeout(),
            server_time: None,
            answer: PhantomData::<fn() -> Done>,
        };
        self.sandbox.attempt(call.plan(), &call).await
    }

    pub(super) fn operation(&self, verb: &'static str) -> Operation<'_> {
        Operation {
            verb,
            subject: "the process",
            sandbox: self.sandbox.name(),
        }
    }
}
