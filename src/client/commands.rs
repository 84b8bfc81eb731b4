//! [`Commands`]: run a command in a sandbox.

use std::time::Duration;

use http::{HeaderValue, Method};

use super::data::{Call, Operation, Repeat, RequestBody, decode};
use super::error::CallError;
use super::sandbox::Sandbox;
use crate::api::runtime::{ExecuteRequest, ExecuteResponse};
use crate::units::ByteSize;

/// Largest answer to a command. Source: the Go SDK.
const OUTPUT_LIMIT: ByteSize = ByteSize(16 << 20);

/// A command with its limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The command line. The legacy runtime splits it like a shell, but runs it without one: for
    /// pipes and variables write `sh -c '…'`.
    pub command: String,
    /// How long the call may take, connecting included. Default: the client's request timeout.
    /// The command itself is not ended by it.
    pub timeout: Option<Duration>,
}

impl Command {
    /// A command with the default timeout.
    pub fn new(command: impl Into<String>) -> Self {
        Self {
            command: command.into(),
            timeout: None,
        }
    }

    /// The same command with this timeout.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}

impl From<&str> for Command {
    fn from(command: &str) -> Self {
        Self::new(command)
    }
}

impl From<String> for Command {
    fn from(command: String) -> Self {
        Self::new(command)
    }
}

/// What a command left.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExecutionResult {
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    /// Its exit code; negative for the signal that ended it; -1 if the runtime did not tell.
    pub exit_code: i32,
    /// Whether the runtime ended it because of its limit.
    pub timed_out: bool,
}

/// Commands of one sandbox.
#[derive(Debug, Clone, Copy)]
pub struct Commands<'a> {
    pub(super) sandbox: &'a Sandbox,
}

impl Commands<'_> {
    /// Runs a command and waits for its end. One attempt: it is never sent twice.
    ///
    /// # Errors
    /// [`CallError`]. An exit code other than 0 is a result.
    ///
    /// # Cancel safety
    /// If dropped, the command may have been started and then keeps running.
    pub async fn run(&self, command: impl Into<Command>) -> Result<ExecutionResult, CallError> {
        let Command { command, timeout } = command.into();
        let request = ExecuteRequest {
            command,
            timeout_seconds: None,
        };
        let operation = Operation {
            verb: "run",
            subject: &request.command,
            sandbox: self.sandbox.name(),
        };
        let answer = self
            .sandbox
            .call(Call {
                operation,
                method: Method::POST,
                path: "/execute".to_owned(),
                content_type: Some(HeaderValue::from_static("application/json")),
                body: RequestBody::json(&request),
                limit: OUTPUT_LIMIT,
                timeout: timeout.unwrap_or_else(|| self.sandbox.timeout()),
                repeat: Repeat::Harmful,
            })
            .await?;
        let response: ExecuteResponse = decode(&answer, operation)?;
        Ok(ExecutionResult {
            stdout: response.stdout,
            stderr: response.stderr,
            exit_code: response.exit_code,
            timed_out: response.timed_out,
        })
    }
}
