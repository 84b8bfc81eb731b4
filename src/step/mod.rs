//! The actions: for each its YAML fields, its checks, what it does and what it gives.
//!
//! **Extension point.** To add one: a file with a struct, `TAKES`, `OUTPUTS`, `decode`, `run` and tests,
//! a line in the table of [`About`], and here a variant with the arms that the compiler asks for. The
//! JSON Schema, `explain`, did-you-mean and the checks of `expect` and `capture` come from the table.
#![warn(clippy::wildcard_enum_match_arm)]

mod about;
mod attempts;
mod collect;
mod connect;
mod content;
mod context;
mod create;
mod decode;
mod delete;
mod delete_file;
mod disconnect;
mod error;
mod exchange;
mod exec;
mod exists;
mod expectation;
mod fields;
mod flow;
mod group;
mod http;
mod later;
mod limit;
mod list;
mod outcome;
mod parallel;
mod program;
mod read;
mod registrar;
mod resume;
mod retry;
mod script;
mod sleep;
mod suspend;
mod use_steps;
mod wait;
mod words;
mod write;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;

pub use about::About;
pub use attempts::{AttemptLog, Attempted};
pub use collect::{Collect, Collected};
pub use connect::Connect;
pub use context::{StepContext, StepTarget};
pub use create::Create;
pub(crate) use decode::COMMON;
pub use delete::Delete;
pub use delete_file::DeleteFile;
pub use disconnect::Disconnect;
pub use error::StepError;
pub use exchange::{HttpConnections, HttpStage};
pub use exec::Exec;
pub use exists::Exists;
pub use expectation::{Capture, ErrorVerdict, Expectations, StepMismatch};
pub use flow::{Eventually, Flow, Turns, TurnsError};
pub(crate) use flow::{retries, tags};
pub use group::Group;
pub use http::Http;
pub use later::Later;
pub use limit::LimitSource;
pub use list::List;
pub use outcome::{Measure, Measured, Measurement, StepOutcome};
pub use parallel::Parallel;
pub use read::Read;
pub use registrar::{Registered, Registrar};
pub use resume::Resume;
pub use script::Script;
pub use sleep::Sleep;
pub use suspend::Suspend;
pub use use_steps::Use;
pub use wait::Wait;
pub use write::Write;

use limit::Limit;

use crate::client::{AttemptObserver, AttemptScope, RetryPolicy};
use crate::expr::Template;
use crate::source::yaml::{Key, Node};
use crate::source::{Problems, Span, Spanned};

/// One step of a scenario: an action and what is common to all.
#[derive(Debug, Clone)]
pub struct Step {
    /// By which other steps and reports refer to it.
    pub id: Option<Spanned<Arc<str>>>,
    /// For people.
    pub name: Option<Template>,
    /// The longest that the action may take: more than nothing, at most a year.
    pub timeout: Option<Duration>,
    /// Where the time is written; the step's own place without one.
    pub(super) timeout_span: Span,
    /// How often the client sends its requests and calls; once without it.
    pub retry: Option<RetryPolicy>,
    /// Whether, how often and until when it runs.
    pub flow: Flow,
    /// What its outputs must be.
    pub expect: Expectations,
    /// Values taken out of its outputs.
    pub capture: Vec<Capture>,
    /// What it does.
    pub action: Action,
    /// Where the action stands.
    pub span: Span,
}

/// What a step does.
#[derive(Debug, Clone)]
pub enum Action {
    /// Asks for a sandbox and waits until it can be used.
    Create(Create),
    /// Connects to the sandbox again.
    Connect(Connect),
    /// Drops the connection, not the sandbox.
    Disconnect(Disconnect),
    /// Runs a command.
    Exec(Exec),
    /// Writes a file.
    Write(Write),
    /// Reads a file.
    Read(Read),
    /// Lists a directory.
    List(List),
    /// Asks whether a file exists.
    Exists(Exists),
    /// Deletes a file or a directory.
    DeleteFile(DeleteFile),
    /// Ends the sandbox's Pod and keeps the rest.
    Suspend(Suspend),
    /// Starts a suspended sandbox again and connects.
    Resume(Resume),
    /// Deletes the sandbox.
    Delete(Delete),
    /// Waits for a state of the sandbox.
    Wait(Wait),
    /// Waits for a time.
    Sleep(Sleep),
    /// Sends one HTTP request.
    Http(Http),
    /// Runs a local program.
    Script(Script),
    /// Collects what the cluster knows of sandboxes.
    Collect(Collect),
    /// Steps that belong together.
    Group(Group),
    /// Steps that run at the same time.
    Parallel(Parallel),
    /// Steps of another scenario.
    Use(Use),
}

impl Action {
    /// The action's key.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::Connect(_) => "connect",
            Self::Disconnect(_) => "disconnect",
            Self::Exec(_) => "exec",
            Self::Write(_) => "write",
            Self::Read(_) => "read",
            Self::List(_) => "list",
            Self::Exists(_) => "exists",
            Self::DeleteFile(_) => "deleteFile",
            Self::Suspend(_) => "suspend",
            Self::Resume(_) => "resume",
            Self::Delete(_) => "delete",
            Self::Wait(_) => "wait",
            Self::Sleep(_) => "sleep",
            Self::Http(_) => "http",
            Self::Script(_) => "script",
            Self::Collect(_) => "collect",
            Self::Group(_) => "group",
            Self::Parallel(_) => "parallel",
            Self::Use(_) => "use",
        }
    }

    /// The steps in it: of a group, at the same time, or used; none for the others.
    pub fn steps(&self) -> &[Step] {
        if let Self::Group(Group { steps, .. })
        | Self::Parallel(Parallel { steps, .. })
        | Self::Use(Use { steps, .. }) = self
        {
            steps
        } else {
            &[]
        }
    }

    /// The same, to be changed.
    pub fn steps_mut(&mut self) -> &mut [Step] {
        if let Self::Group(Group { steps, .. })
        | Self::Parallel(Parallel { steps, .. })
        | Self::Use(Use { steps, .. }) = self
        {
            steps
        } else {
            &mut []
        }
    }

    fn decode(key: &Key, node: &Node, step: &Node, problems: &mut Problems) -> Option<Self> {
        match &*key.value {
            "create" => Create::decode(node, problems).map(Self::Create),
            "connect" => Connect::decode(node, problems).map(Self::Connect),
            "disconnect" => Disconnect::decode(node, problems).map(Self::Disconnect),
            "exec" => Exec::decode(node, problems).map(Self::Exec),
            "write" => Write::decode(node, problems).map(Self::Write),
            "read" => Read::decode(node, problems).map(Self::Read),
            "list" => List::decode(node, problems).map(Self::List),
            "exists" => Exists::decode(node, problems).map(Self::Exists),
            "deleteFile" => DeleteFile::decode(node, problems).map(Self::DeleteFile),
            "suspend" => Suspend::decode(node, problems).map(Self::Suspend),
            "resume" => Resume::decode(node, problems).map(Self::Resume),
            "delete" => Delete::decode(node, problems).map(Self::Delete),
            "wait" => Wait::decode(node, problems).map(Self::Wait),
            "sleep" => Sleep::decode(node, problems).map(Self::Sleep),
            "http" => Http::decode(node, problems).map(Self::Http),
            "script" => Script::decode(node, problems).map(Self::Script),
            "parallel" => Parallel::decode(node, step, problems).map(Self::Parallel),
            "collect" => Collect::decode(node, problems).map(Self::Collect),
            "use" => Use::decode(node, step, problems).map(Self::Use),
            "group" => Group::decode(node, step, problems).map(Self::Group),
            _ => None,
        }
    }
}

impl Step {
    /// Reads a step; everything that is wrong with it is reported.
    pub fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        decode::step(node, problems)
    }

    /// Does what the step says, within its time. The steps in it are the caller's to run.
    ///
    /// # Errors
    /// [`StepError`]: the action could not be done. An exit code or a content that is not the
    /// expected one is no error; see [`Step::judge`].
    ///
    /// # Cancel safety
    /// What was created is in the context's [`Registrar`] before it exists, so nothing is lost.
    pub async fn run(&self, context: &mut StepContext) -> Result<StepOutcome, StepError> {
        let scope = AttemptScope {
            retry: self.retry,
            observer: Some(Arc::clone(&context.attempts) as Arc<dyn AttemptObserver>),
        };
        scope.run(pin!(self.in_time(context))).await
    }

    async fn in_time(&self, context: &mut StepContext) -> Result<StepOutcome, StepError> {
        let source = LimitSource::Step(self.timeout_span);
        let Some(limit) = self.timeout.map(|time| Limit::new(time, source)) else {
            return self.act(context, None).await;
        };
        let acting = self.act(context, Some(limit));
        match tokio::time::timeout_at(limit.deadline(), acting).await {
            Ok(result) => result,
            Err(_) => Err(limit.exceeded(self.action.kind())),
        }
    }

    /// What takes room is boxed: every virtual user would keep room for the largest of them all the time, and a
    /// future is moved as a whole through each layer around it, however little of it is used.
    async fn act(
        &self,
        context: &mut StepContext,
        limit: Option<Limit>,
    ) -> Result<StepOutcome, StepError> {
        let id = self.id.as_ref().map(|id| &id.value);
        match &self.action {
            Action::Create(create) => create.run(context, id, limit).boxed().await,
            Action::Connect(connect) => connect.run(context, limit).boxed().await,
            Action::Disconnect(disconnect) => disconnect.run(context).boxed().await,
            Action::Exec(exec) => exec.run(context, limit).boxed().await,
            Action::Write(write) => write.run(context, limit).boxed().await,
            Action::Read(read) => read.run(context, limit).boxed().await,
            Action::List(list) => list.run(context, limit).boxed().await,
            Action::Exists(exists) => exists.run(context, limit).boxed().await,
            Action::DeleteFile(delete) => delete.run(context, limit).boxed().await,
            Action::Suspend(suspend) => suspend.run(context, limit).boxed().await,
            Action::Resume(resume) => resume.run(context, limit).boxed().await,
            Action::Delete(delete) => delete.run(context).boxed().await,
            Action::Wait(wait) => wait.run(context, limit).boxed().await,
            Action::Sleep(sleep) => sleep.run(context).await,
            Action::Http(http) => http.run(context, limit).boxed().await,
            Action::Script(script) => script.run(context).boxed().await,
            Action::Collect(collect) => collect.run(context).boxed().await,
            Action::Group(_) | Action::Parallel(_) | Action::Use(_) => Ok(StepOutcome::default()),
        }
    }

    /// The step's name in reports: its id, else its name, else its action.
    pub fn label(&self) -> String {
        let name = || self.name.as_ref().map(|name| name.source().to_owned());
        let id = self.id.as_ref().map(|id| id.value.to_string());
        id.or_else(name)
            .unwrap_or_else(|| self.action.kind().to_owned())
    }

    /// How many steps it is, those in it included.
    pub fn size(&self) -> u16 {
        let mut size = 0_u16;
        self.walk(&mut |_| size = size.saturating_add(1));
        size
    }

    /// The step and those in it, in order.
    pub fn walk<'a>(&'a self, visit: &mut impl FnMut(&'a Self)) {
        visit(self);
        self.action.steps().iter().for_each(|step| step.walk(visit));
    }
}

#[cfg(test)]
mod tests;
