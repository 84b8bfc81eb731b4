//! [`StepError`]: why an action could not be done.

use std::time::Duration;

use crate::client::{CallError, ConnectError, CreateError, DeleteError, ReadyError, WaitError};
use crate::expr::EvalError;
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
    /// The step's time is over.
    #[error("{action}: not done within {} (the step's `timeout`)", HumanDuration(*.limit))]
    Timeout {
        /// The action.
        action: &'static str,
        /// The time.
        limit: Duration,
    },
}

impl StepError {
    /// A short name of the failure, which `expect: { error: … }` checks and failures are grouped by:
    /// the controller's reason, `Http404`, `Timeout`, `NotFound`, …
    pub fn code(&self) -> String {
        match self {
            Self::Expression(_) => "Expression".to_owned(),
            Self::Create(_) => "CreateFailed".to_owned(),
            Self::Ready(ReadyError::Failed { reason, .. }) => reason.clone(),
            Self::Ready(ReadyError::NotFound { .. } | ReadyError::Deleted { .. }) => {
                "NotFound".to_owned()
            }
            Self::Ready(ReadyError::Timeout { .. })
            | Self::Wait(WaitError::Timeout { .. })
            | Self::Call(CallError::Timeout { .. })
            | Self::Timeout { .. } => "Timeout".to_owned(),
            Self::Ready(_) => "ReadyFailed".to_owned(),
            Self::Connect(_) | Self::Call(CallError::Connect { .. }) => "ConnectFailed".to_owned(),
            Self::Call(CallError::Status { status, .. } | CallError::Redirect { status, .. }) => {
                format!("Http{status}")
            }
            Self::Call(CallError::Invalid { .. }) | Self::Value { .. } => "Invalid".to_owned(),
            Self::Call(_) => "CallFailed".to_owned(),
            Self::Delete(_) => "DeleteFailed".to_owned(),
            Self::Wait(_) => "WaitFailed".to_owned(),
            Self::NoSandbox { .. } => "NoSandbox".to_owned(),
            Self::NotConnected { .. } => "NotConnected".to_owned(),
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
            Self::NoSandbox { .. } => Some("begin the steps with `- create: {}`".to_owned()),
            Self::NotConnected { .. } => Some("add `- connect: {}` before this step".to_owned()),
            Self::Value { .. } => None,
            Self::Timeout { .. } => Some("raise the step's `timeout`".to_owned()),
        }
    }
}
