//! Why a sandbox could not be connected to again.

use super::{ConnectError, ReadyError};

/// Why a sandbox could not be connected to again.
#[derive(Debug, thiserror::Error)]
pub enum ReconnectError {
    /// Its claim cannot be found, or is another one.
    #[error(transparent)]
    Claim(#[from] ReadyError),
    /// The claim exists, but its sandbox does not.
    #[error("find sandbox `{sandbox}` of claim `{claim}`: it does not exist")]
    Gone {
        /// Name of the sandbox.
        sandbox: String,
        /// Name of the claim.
        claim: String,
    },
    /// The sandbox is not ready, for example suspended. It may become so.
    #[error("connect to sandbox `{sandbox}`: it is not ready: {reason}: {message}")]
    NotReady {
        /// Name of the sandbox.
        sandbox: String,
        /// One word for programs.
        reason: String,
        /// One sentence for people.
        message: String,
    },
    /// No connection came about.
    #[error(transparent)]
    Connect(#[from] ConnectError),
}

impl ReconnectError {
    /// What the user can do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Claim(error) => error.help(),
            Self::Connect(error) => error.help(),
            Self::Gone { claim, .. } => Some(format!(
                "the claim `{claim}` is left without a sandbox: delete it and create another one"
            )),
            Self::NotReady { .. } => Some("resume it, or wait and try again".to_owned()),
        }
    }
}
