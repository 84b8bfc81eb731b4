//! Why a sandbox was not suspended with a snapshot, or not resumed from one.

use super::{ManageError, ReadyError, SuspendError};

/// Why a sandbox was not suspended with a snapshot, or not resumed from one.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// It is running; only a suspended one can be restored.
    #[error("restore sandbox `{sandbox}`: it is running")]
    Running {
        /// Name of the sandbox.
        sandbox: String,
    },
    /// Its state could not be asked for.
    #[error(transparent)]
    Status(#[from] ReadyError),
    /// The snapshot does not exist, the sandbox was not told of it, or its Pod does not confirm it.
    #[error(transparent)]
    Snapshot(#[from] ManageError),
    /// It was not suspended or not resumed.
    #[error(transparent)]
    Resume(#[from] SuspendError),
}

impl RestoreError {
    /// What the user can do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Running { .. } => Some("suspend it first".to_owned()),
            Self::Status(error) => error.help(),
            Self::Snapshot(error) => error.help(),
            Self::Resume(error) => error.help(),
        }
    }
}
