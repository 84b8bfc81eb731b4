//! The processes that `Start` has started, by the daemon's own numbers: input, signals, size.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, kill_process, kill_process_group};
use tokio::io::AsyncWriteExt;
use tokio::process::ChildStdin;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::super::runtime::is_ours;
use super::pty::Terminal;
use super::reply::io_text;
use crate::api::sandboxd::{
    Pty, ResizeTtyRequest, SendSignalRequest, Signal, StdinPayload, WriteStdinRequest,
};

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Processes {
    last: AtomicI32,
    known: Mutex<HashMap<i32, Arc<Process>>>,
}

impl Processes {
    /// A number that no process had before; from 1.
    pub(super) fn number(&self) -> i32 {
        self.last.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }

    pub(super) fn insert(&self, number: i32, process: Arc<Process>) {
        self.known().insert(number, process);
    }

    pub(super) fn remove(&self, number: i32) {
        self.known().remove(&number);
    }

    fn find(&self, number: i32) -> Result<Arc<Process>, Status> {
        let found = self.known().get(&number).cloned();
        found.ok_or_else(|| Status::not_found(format!("process {number} not found")))
    }

    fn known(&self) -> MutexGuard<'_, HashMap<i32, Arc<Process>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `WriteStdin`: waits until the process has room for the input.
    pub(super) async fn write_stdin(&self, request: WriteStdinRequest) -> Result<(), Status> {
        let process = self.find(request.process_id)?;
        match request.payload {
            Some(StdinPayload::Eof(())) => process.close_input().await.map_err(|error| {
                Status::internal(format!("failed to close stdin: {}", io_text(&error)))
            }),
            Some(StdinPayload::Input(input)) if !input.is_empty() => {
                process.write(&input).await.map_err(|error| {
                    Status::internal(format!("failed to write stdin: {}", io_text(&error)))
                })
            }
            _ => Ok(()),
        }
    }

    /// `SendSignal`.
    pub(super) fn send_signal(&self, request: SendSignalRequest) -> Result<(), Status> {
        let process = self.find(request.process_id)?;
        let signal = match request.signal() {
            Signal::Interrupt => rustix::process::Signal::INT,
            Signal::Terminate => rustix::process::Signal::TERM,
            Signal::Kill => rustix::process::Signal::KILL,
            Signal::Unspecified => {
                let name = match request.signal {
                    0 => "SIGNAL_UNSPECIFIED".to_owned(),
                    number => number.to_string(),
                };
                let text = format!("unsupported or unspecified signal: {name}");
                return Err(Status::invalid_argument(text));
            }
        };
        process.signal(signal).map_err(|error| {
            Status::internal(format!("failed to send signal: {}", io_text(&error)))
        })
    }

    /// `ResizeTTY`.
    pub(super) fn resize_tty(&self, request: ResizeTtyRequest) -> Result<(), Status> {
        let process = self.find(request.process_id)?;
        let size = Pty {
            cols: request.cols,
            rows: request.rows,
        };
        let text = match process.terminal() {
            None => "process is completed or has no active PTY".to_owned(),
            Some(terminal) => match terminal.resize(size) {
                Ok(()) => return Ok(()),
                Err(error) => io_text(&error),
            },
        };
        let text = format!("failed to resize TTY: {text}");
        Err(Status::failed_precondition(text))
    }
}

/// Where a process reads from.
#[derive(Debug)]
enum Input {
    Pipe(tokio::sync::Mutex<Option<ChildStdin>>),
    Terminal(Mutex<Option<Arc<Terminal>>>),
}

/// A process of `Start`.
#[derive(Debug)]
pub(super) struct Process {
    leader: Pid,
    input: Input,
    /// Cancelled when its input is closed; its terminal is hung up then.
    pub(super) closed: CancellationToken,
    ended: AtomicBool,
}

impl Process {
    pub(super) fn on_pipes(leader: Pid, stdin: Option<ChildStdin>) -> Self {
        Self::new(leader, Input::Pipe(tokio::sync::Mutex::new(stdin)))
    }

    pub(super) fn on_terminal(leader: Pid, terminal: Arc<Terminal>) -> Self {
        Self::new(leader, Input::Terminal(Mutex::new(Some(terminal))))
    }

    fn new(leader: Pid, input: Input) -> Self {
        Self {
            leader,
            input,
            closed: CancellationToken::new(),
            ended: AtomicBool::new(false),
        }
    }

    /// Its leader was waited for: its number may soon be another's.
    pub(super) fn set_ended(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    fn terminal(&self) -> Option<Arc<Terminal>> {
        match &self.input {
            Input::Pipe(_) => None,
            Input::Terminal(terminal) => terminal
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        }
    }

    async fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let writing = async {
            match &self.input {
                Input::Pipe(pipe) => match pipe.lock().await.as_mut() {
                    Some(pipe) => pipe.write_all(bytes).await,
                    None => Err(already_closed()),
                },
                Input::Terminal(_) => match self.terminal() {
                    Some(terminal) => terminal.write_all(bytes).await,
                    None => Err(already_closed()),
                },
            }
        };
        let written = self.closed.run_until_cancelled(writing).await;
        written.unwrap_or_else(|| Err(already_closed()))
    }

    /// Hangs up on a terminal at once; upstream's may stay open until the process next writes.
    async fn close_input(&self) -> io::Result<()> {
        // Ends the writes that hold the pipe.
        self.closed.cancel();
        let was_open = match &self.input {
            Input::Pipe(pipe) => pipe.lock().await.take().is_some(),
            Input::Terminal(terminal) => {
                let mut terminal = terminal.lock().unwrap_or_else(PoisonError::into_inner);
                terminal.take().is_some()
            }
        };
        if was_open {
            Ok(())
        } else {
            Err(already_closed())
        }
    }

    /// To its group; to itself if it does not lead one yet.
    fn signal(&self, signal: rustix::process::Signal) -> io::Result<()> {
        if self.ended.load(Ordering::Relaxed) {
            if is_ours(self.leader) {
                kill_process_group(self.leader, signal)?;
            }
            return Ok(());
        }
        match kill_process_group(self.leader, signal) {
            Ok(()) => Ok(()),
            Err(_) => Ok(kill_process(self.leader, signal)?),
        }
    }
}

fn already_closed() -> io::Error {
    io::Error::other("file already closed")
}
