//! [`StepError`]: why an action could not be done.

use std::path::PathBuf;
use std::time::Duration;

use super::{HttpStage, LimitSource};
use crate::client::{
    BoxError, CallError, ConnectError, CreateError, DeleteError, KubeError, ReadyError,
    SuspendError, WaitError,
};
use crate::expr::EvalError;
use crate::source::Span;
use crate::units::HumanDuration;

/// Why an action could not be done. It fails the iteration, unless the step expects it.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// An expression in the step's fields has no value.
    #[error(transparent)]
    Expression(#[from] EvalError),
    /// The claim could not be created.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// The claim did not become ready.
    #[error(transparent)]
    Ready(#[from] ReadyError),
    /// No connection to the sandbox.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A command or file call failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The claim could not be deleted.
    #[error(transparent)]
    Delete(#[from] DeleteError),
    /// The sandbox did not go.
    #[error(transparent)]
    Wait(#[from] WaitError),
    /// The sandbox was not suspended or resumed.
    #[error(transparent)]
    Suspend(#[from] SuspendError),
    /// A local program could not be run.
    #[error("script: `{program}` could not be run")]
    Script {
        /// The program.
        program: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A server could not be asked.
    #[error("http: {} `{server}`", match .stage {
        HttpStage::Connect => "connect to",
        HttpStage::Exchange => "ask",
    })]
    Http {
        /// How far it came.
        stage: HttpStage,
        /// Host and path.
        server: String,
        /// The cause.
        #[source]
        source: BoxError,
    },
    /// There is no sandbox to act on.
    #[error("{action}: there is no sandbox{}", which.as_ref().map(|id| format!(" `{id}`")).unwrap_or_default())]
    NoSandbox {
        /// The action.
        action: &'static str,
        /// The id that the step names, if it names one.
        which: Option<String>,
    },
    /// The sandbox is there, but the connection was dropped by `disconnect`.
    #[error("{action}: not connected to the sandbox")]
    NotConnected {
        /// The action.
        action: &'static str,
    },
    /// The sandbox was deleted by an earlier step.
    #[error("{action}: the sandbox was deleted by an earlier step")]
    SandboxDeleted {
        /// The action.
        action: &'static str,
    },
    /// Neither the step nor the target says what to make a sandbox from.
    #[error("create: neither the step nor the target names a warm pool or a template")]
    NoSource,
    /// A field's value is not usable.
    #[error("{action}: `{value}` is not a {what}")]
    Value {
        /// The action.
        action: &'static str,
        /// What was given.
        value: String,
        /// What was expected.
        what: &'static str,
    },
    /// The cluster did not give what was to be collected.
    #[error("collect: `{what}`")]
    Collect {
        /// What.
        what: &'static str,
        /// The cause.
        #[source]
        source: Box<KubeError>,
    },
    /// What was collected could not be written.
    #[error("collect: write {}", file.display())]
    Artifact {
        /// Where to.
        file: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The action's time is over.
    #[error("{action}: not done within {} ({set_by})", HumanDuration(*.limit))]
    Timeout {
        /// The action.
        action: &'static str,
        /// The time.
        limit: Duration,
        /// Who set it, and where.
        set_by: LimitSource,
        /// What the action was waiting for, if it can tell.
        #[source]
        source: Option<BoxError>,
    },
}

impl StepError {
    /// A short name of the failure, which `expect: { error: … }` checks and failures are grouped by:
    /// the controller's reason, `Http404`, `Timeout`, `NotFound`, …
    pub fn code(&self) -> String {
        match self {
            Self::Expression(_) => "Expression".to_owned(),
            Self::Create(error) => create_code(error).to_owned(),
            Self::Ready(ReadyError::Failed { reason, .. })
            | Self::Suspend(SuspendError::Failed { reason, .. }) => reason.clone(),
            Self::Ready(ReadyError::NotFound { .. } | ReadyError::Deleted { .. }) => {
                "NotFound".to_owned()
            }
            Self::Ready(ReadyError::Timeout { .. })
            | Self::Wait(WaitError::Timeout { .. })
            | Self::Suspend(SuspendError::Timeout { .. })
            | Self::Call(CallError::Timeout { .. })
            | Self::Timeout { .. } => "Timeout".to_owned(),
            Self::Suspend(SuspendError::NotFound { .. }) => "NotFound".to_owned(),
            Self::Suspend(_) => "SuspendFailed".to_owned(),
            Self::Ready(_) => "ReadyFailed".to_owned(),
            Self::Connect(_)
            | Self::Call(CallError::Connect { .. })
            | Self::Http {
                stage: HttpStage::Connect,
                ..
            } => "ConnectFailed".to_owned(),
            Self::Call(CallError::Status { status, .. } | CallError::Redirect { status, .. }) => {
                format!("Http{status}")
            }
            Self::Call(CallError::Invalid { .. }) | Self::Value { .. } => "Invalid".to_owned(),
            Self::Call(CallError::Grpc { code, .. }) => format!("Grpc{}", pascal(code)),
            Self::Call(CallError::Unsupported { .. }) => "Unsupported".to_owned(),
            Self::Call(CallError::WrongKind { .. }) => "WrongKind".to_owned(),
            Self::Call(_) => "CallFailed".to_owned(),
            Self::Delete(_) => "DeleteFailed".to_owned(),
            Self::Wait(_) => "WaitFailed".to_owned(),
            Self::Script { .. } => "ScriptFailed".to_owned(),
            Self::Http {
                stage: HttpStage::Exchange,
                ..
            } => "HttpFailed".to_owned(),
            Self::Collect { .. } | Self::Artifact { .. } => "CollectFailed".to_owned(),
            Self::NoSandbox { .. } => "NoSandbox".to_owned(),
            Self::NotConnected { .. } => "NotConnected".to_owned(),
            Self::SandboxDeleted { .. } => "SandboxDeleted".to_owned(),
            Self::NoSource => "NoSource".to_owned(),
        }
    }

    /// Whether the runtime has no such action at all: then the cell is not applicable.
    pub fn is_unsupported(&self) -> bool {
        matches!(self, Self::Call(CallError::Unsupported { .. }))
    }

    /// The place in the scenario file that the failure is about, beyond the step itself: where
    /// the expression that failed or the limit that was exceeded is written.
    pub fn place(&self) -> Option<Span> {
        if let Self::Expression(error) = self {
            return Some(error.span());
        }
        if let Self::Timeout { set_by, .. } = self {
            return set_by.span();
        }
        None
    }

    /// What is wrong, in a few words beside the place.
    pub fn label(&self) -> String {
        if let Self::Expression(error) = self {
            error.label()
        } else {
            self.code()
        }
    }

    /// What the user can do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Expression(error) => error.help(),
            Self::Create(error) => error.help(),
            Self::Ready(error) => error.help(),
            Self::Connect(error) => error.help(),
            Self::Call(error) => error.help(),
            Self::Delete(error) => error.help(),
            Self::Wait(error) => error.help(),
            Self::Suspend(error) => error.help(),
            Self::Script { source, .. } if source.kind() == std::io::ErrorKind::NotFound => Some(
                "a program is looked for in `PATH`; `./NAME` is one beside the scenario file"
                    .to_owned(),
            ),
            Self::NoSandbox { .. } => Some("begin the steps with `- create: {}`".to_owned()),
            Self::NotConnected { .. } => Some(
                "add `- connect: {}` before this step; after `suspend` it is `- resume: {}`"
                    .to_owned(),
            ),
            Self::SandboxDeleted { .. } => {
                Some("move the step before `delete`, or add `- create: {}` before it".to_owned())
            }
            Self::Collect { .. } => Some(
                "it needs `pods`, `pods/log`, `sandboxes` and `sandboxclaims`: get, `events`: list"
                    .to_owned(),
            ),
            Self::Artifact { .. } => Some("choose another directory with `--artifacts`".to_owned()),
            Self::NoSource => Some("set `target: { warmPool: NAME }`".to_owned()),
            Self::Value { .. } | Self::Script { .. } | Self::Http { .. } => None,
            Self::Timeout { set_by, .. } => Some(match set_by {
                LimitSource::Step(_) | LimitSource::Field(_) => "raise this `timeout`".to_owned(),
                LimitSource::Default(_) => "give the step a longer `timeout`".to_owned(),
            }),
        }
    }
}

fn create_code(error: &CreateError) -> &'static str {
    match error {
        // The name under which newer controllers report the same.
        CreateError::PoolNotFound { .. } => "WarmPoolNotFound",
        CreateError::AlreadyExists { .. } => "AlreadyExists",
        CreateError::NotAdoptable { .. } => "NotAdoptable",
        CreateError::NoPoolForTemplate { .. } => "NoPoolForTemplate",
        CreateError::Invalid { .. } => "Invalid",
        CreateError::Kube { .. } | CreateError::Lost { .. } => "CreateFailed",
    }
}

/// `NOT_FOUND` as `NotFound`.
fn pascal(code: &str) -> String {
    let words = code.split('_').filter(|word| !word.is_empty());
    words
        .flat_map(|word| [word[..1].to_owned(), word[1..].to_lowercase()])
        .collect()
}
