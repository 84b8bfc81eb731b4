//! Why a sandbox could not be made and connected to in one go.

use super::{ConnectError, CreateError, ReadyError};

/// Why a sandbox could not be made and connected to in one go.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The claim was not created.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// The claim did not become ready.
    #[error(transparent)]
    Ready(#[from] ReadyError),
    /// No connection came about.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

impl OpenError {
    /// What the user can do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Create(error) => error.help(),
            Self::Ready(error) => error.help(),
            Self::Connect(error) => error.help(),
        }
    }
}
