//! [`Commands`]: run a command in a sandbox and wait for its end.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::pin::pin;
use std::time::Duration;

use http::{HeaderValue, Method};

use super::data::{Call, Operation, Repeat, RequestBody, decode};
use super::encode;
use super::error::{CallError, Delivered};
use super::grpc::GrpcCall;
use super::runtime::Runtime;
use super::sandbox::Sandbox;
use super::spans;
use crate::api::runtime::{ExecuteRequest, ExecuteResponse};
use crate::api::sandboxd::{self, ProcessConfig};
use crate::trace;
use crate::units::{ByteSize, HumanDuration};

/// Largest answer of the legacy runtime to a command. Source: the Go SDK.
const OUTPUT_LIMIT: ByteSize = ByteSize(16 << 20);
/// Largest answer of sandboxd to a command. The SDKs keep gRPC's default of 4 MiB.
pub(super) const MESSAGE_LIMIT: ByteSize = ByteSize(64 << 20);

/// How long the answer of a command that hit its limit may take. Source: Python SDK 1.0.8.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// Exit code of a command that sandboxd ended because of its limit. Source: Python SDK 1.0.8, as of
/// `timeout` of coreutils.
const TIMED_OUT: i32 = 124;

/// What is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandLine {
    /// A text under the runtime's own rule: the legacy runtime splits it like a shell but runs it
    /// without one, sandboxd is given `/bin/sh -c TEXT`, as the SDKs do.
    Text(String),
    /// A program and its arguments, the same on both runtimes: no shell, nothing is split.
    Argv(Vec<String>),
    /// A script for `/bin/sh`, the same on both runtimes.
    Shell(String),
}

impl CommandLine {
    /// For the legacy runtime.
    fn as_text(&self) -> Cow<'_, str> {
        match self {
            Self::Text(text) => text.into(),
            Self::Argv(words) => encode::command_line(words.iter().map(String::as_str)).into(),
            Self::Shell(script) => encode::command_line(["/bin/sh", "-c", script]).into(),
        }
    }

    /// For sandboxd.
    pub(super) fn as_argv(&self) -> Vec<String> {
        match self {
            Self::Argv(words) => words.clone(),
            Self::Text(script) | Self::Shell(script) => {
                vec!["/bin/sh".to_owned(), "-c".to_owned(), script.clone()]
            }
        }
    }

    /// For errors.
    pub(super) fn subject(&self) -> &str {
        match self {
            Self::Text(text) | Self::Shell(text) => text,
            Self::Argv(words) => words.first().map_or("", String::as_str),
        }
    }
}

/// A command with its limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// What is to run.
    pub line: CommandLine,
    /// How long the call may take, connecting included. Default: the client's request timeout.
    /// The legacy runtime goes on running the command after it, sandboxd ends it.
    pub timeout: Option<Duration>,
    /// How long the command may run before the runtime ends it, which is then a result with
    /// [`timed_out`](ExecutionResult::timed_out). Legacy runtimes from before that setting have a
    /// limit of their own, 300 s. Default: none, so that only the call's time counts.
    pub time_limit: Option<Duration>,
    /// Variables over those of the runtime. Only sandboxd. Default: none.
    pub env: BTreeMap<String, String>,
    /// Working directory inside the runtime's root. Only sandboxd. Default: the root.
    pub cwd: Option<String>,
}

impl Command {
    /// A command under the runtime's own rule, with the default timeout.
    pub fn new(text: impl Into<String>) -> Self {
        Self::of(CommandLine::Text(text.into()))
    }

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
            timeout: None,
            time_limit: None,
            env: BTreeMap::new(),
            cwd: None,
        }
    }

    /// The same command with this timeout.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The same command, ended by the runtime after this time.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = Some(limit);
        self
    }

    /// How long the call may take: long enough for the answer of a command that hit its limit.
    fn call_time(&self, usual: Duration) -> Duration {
        let timeout = self.timeout.unwrap_or(usual);
        match self.time_limit {
            Some(limit) => timeout.max(limit.saturating_add(ANSWER_TIME)),
            None => timeout,
        }
    }

    /// The same command with this variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// The same command in this directory.
    #[must_use]
    pub fn cwd(mut self, directory: impl Into<String>) -> Self {
        self.cwd = Some(directory.into());
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
    /// Its exit code. On the legacy runtime negative for the signal that ended it, and -1 if the
    /// runtime did not tell; on sandboxd -1 for any signal, and 124 if its limit ended it.
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
    /// Runs a command and waits for its end. It is never sent twice, unless it surely was not
    /// received and the retry policy asks for that.
    ///
    /// ```no_run
    /// # async fn example(sandbox: sandbench::client::Sandbox)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use sandbench::client::Command;
    ///
    /// let result = sandbox.commands().run("uname -a").await?;
    /// assert_eq!(result.exit_code, 0);
    /// let slow = Command::shell("sleep 2 && date").timeout(Duration::from_secs(10));
    /// println!("{}", sandbox.commands().run(slow).await?.stdout);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`CallError`]. An exit code other than 0 is a result.
    ///
    /// # Cancel safety
    /// If dropped, the command may have been started; the legacy runtime then keeps it running,
    /// sandboxd ends it.
    pub async fn run(&self, command: impl Into<Command>) -> Result<ExecutionResult, CallError> {
        let command = command.into();
        let span = trace::operation("run");
        if span.is_recording() {
            let program = spans::executable(command.line.subject());
            span.set("sandbox.command.executable", program.to_owned());
        }
        let work = pin!(async {
            match self.sandbox.runtime() {
                Runtime::Legacy => self.run_on_legacy(&command).await,
                Runtime::Sandboxd(_) => self.run_on_sandboxd(&command).await,
            }
        });
        let done = span.scope(work).await;
        if let Ok(result) = &done {
            span.set("sandbox.exit_code", i64::from(result.exit_code));
        }
        span.end_as(&done, spans::call_error);
        done
    }

    /// Runs a program with these arguments: no shell, nothing is split, on either runtime.
    ///
    /// ```no_run
    /// # async fn example(sandbox: sandbench::client::Sandbox)
    /// # -> Result<(), sandbench::client::CallError> {
    /// let commands = sandbox.commands();
    /// assert_eq!(commands.run_argv(["echo", "$HOME", "a b"]).await?.stdout, "$HOME a b\n");
    /// assert_eq!(commands.run_shell("echo $((1 + 2)) | cat").await?.stdout, "3\n");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// See [`run`](Self::run).
    ///
    /// # Cancel safety
    /// See [`run`](Self::run).
    pub async fn run_argv<W: Into<String>>(
        &self,
        words: impl IntoIterator<Item = W>,
    ) -> Result<ExecutionResult, CallError> {
        self.run(Command::argv(words)).await
    }

    /// Runs a script of `/bin/sh`, on either runtime.
    ///
    /// # Errors
    /// See [`run`](Self::run).
    ///
    /// # Cancel safety
    /// See [`run`](Self::run).
    pub async fn run_shell(&self, script: &str) -> Result<ExecutionResult, CallError> {
        self.run(Command::shell(script)).await
    }

    async fn run_on_legacy(&self, command: &Command) -> Result<ExecutionResult, CallError> {
        let operation = self.operation(&command.line);
        if !command.env.is_empty() || command.cwd.is_some() {
            return Err(operation.unsupported(
                Runtime::Legacy,
                "takes no variables and no working directory with a command",
            ));
        }
        if command.line == CommandLine::Argv(Vec::new()) {
            return Err(invalid(operation, "", "there is no program"));
        }
        let request = ExecuteRequest {
            command: command.line.as_text(),
            timeout_seconds: command.time_limit.map(|limit| limit.as_secs_f64()),
        };
        let answer = self
            .sandbox
            .call(Call {
                operation,
                method: Method::POST,
                path: "/execute".into(),
                content_type: Some(HeaderValue::from_static("application/json")),
                body: RequestBody::json(&request),
                limit: OUTPUT_LIMIT,
                timeout: command.call_time(self.sandbox.timeout()),
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

    async fn run_on_sandboxd(&self, command: &Command) -> Result<ExecutionResult, CallError> {
        let operation = self.operation(&command.line);
        let timeout = command.call_time(self.sandbox.timeout());
        let (env, cwd) = (command.env.clone(), command.cwd.clone());
        let config = process_config(&command.line, env, cwd, operation)?;
        let request = sandboxd::ExecuteRequest {
            config: Some(config),
        };
        let call = GrpcCall {
            operation,
            path: sandboxd::method::EXECUTE,
            message: &request,
            timeout,
            server_time: command.time_limit,
            answer: PhantomData::<fn() -> sandboxd::ExecuteResponse>,
        };
        let answer = match (
            self.sandbox.attempt(call.plan(), &call).await,
            command.time_limit,
        ) {
            (Ok(answer), _) => answer,
            (
                Err(CallError::Timeout {
                    delivered: Delivered::Yes,
                    ..
                }),
                Some(limit),
            ) => return Ok(ended_after(limit)),
            (Err(error), _) => return Err(error),
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(ExecutionResult {
            stdout: text(&answer.stdout),
            stderr: text(&answer.stderr),
            exit_code: answer.exit_code,
            timed_out: false,
        })
    }

    fn operation<'a>(&'a self, line: &'a CommandLine) -> Operation<'a> {
        Operation {
            verb: "run",
            subject: line.subject(),
            sandbox: self.sandbox.name(),
        }
    }
}

/// The result of a command that sandboxd ended because of its limit. What it wrote is lost.
fn ended_after(limit: Duration) -> ExecutionResult {
    ExecutionResult {
        stderr: format!("the command was ended after {}", HumanDuration(limit)),
        exit_code: TIMED_OUT,
        timed_out: true,
        ..ExecutionResult::default()
    }
}

/// The process that sandboxd is to start, checked.
pub(super) fn process_config(
    line: &CommandLine,
    env: BTreeMap<String, String>,
    cwd: Option<String>,
    operation: Operation<'_>,
) -> Result<ProcessConfig, CallError> {
    let command = line.as_argv();
    if command.first().is_none_or(String::is_empty) {
        return Err(invalid(operation, "", "there is no program"));
    }
    let nul = "it has a NUL character, which no argument can have";
    let texts = command.iter().chain(env.values()).chain(&cwd);
    if let Some(text) = texts.into_iter().find(|text| text.contains('\0')) {
        return Err(invalid(operation, text, nul));
    }
    let unusable = |name: &&String| name.is_empty() || name.contains(['=', '\0']);
    if let Some(name) = env.keys().find(unusable) {
        let problem = "the name of a variable is not empty and has no `=` and no NUL";
        return Err(invalid(operation, name, problem));
    }
    Ok(ProcessConfig {
        command,
        env_vars: env,
        cwd,
    })
}

fn invalid(operation: Operation<'_>, value: &str, problem: &'static str) -> CallError {
    CallError::Invalid {
        operation: operation.to_string(),
        value: value.to_owned(),
        problem,
    }
}
