//! Why a sandbox was not suspended or resumed.

use std::time::Duration;

use super::KubeError;
use crate::units::HumanDuration;

/// Why a sandbox was not suspended or resumed.
#[derive(Debug, thiserror::Error)]
pub enum SuspendError {
    /// It took too long. What was asked for still holds, and may come about later.
    #[error(
        "{action} sandbox `{sandbox}`: not done within {} (last seen: {last})",
        HumanDuration(*.after)
    )]
    Timeout {
        /// `suspend` or `resume`.
        action: &'static str,
        /// Name of the sandbox.
        sandbox: String,
        /// How long was waited.
        after: Duration,
        /// The last known condition.
        last: String,
    },
    /// The controller gave a reason after which it does not come about by itself.
    #[error("{action} sandbox `{sandbox}`: the controller gave up with {reason}: {message}")]
    Failed {
        /// `suspend` or `resume`.
        action: &'static str,
        /// Name of the sandbox.
        sandbox: String,
        /// The reason, for example `PodNotOwned`.
        reason: String,
        /// The controller's message.
        message: String,
    },
    /// There is no such sandbox, or it was deleted meanwhile.
    #[error("{action} sandbox `{sandbox}`: it does not exist")]
    NotFound {
        /// `suspend` or `resume`.
        action: &'static str,
        /// Name of the sandbox.
        sandbox: String,
    },
    /// The API server refused or failed.
    #[error("{action} sandbox `{sandbox}`")]
    Kube {
        /// `suspend` or `resume`.
        action: &'static str,
        /// Name of the sandbox.
        sandbox: String,
        /// The cause.
        #[source]
        source: Box<KubeError>,
    },
    /// The client was closed meanwhile.
    #[error("{action} sandbox `{sandbox}`: the client was closed")]
    Closed {
        /// `suspend` or `resume`.
        action: &'static str,
        /// Name of the sandbox.
        sandbox: String,
    },
}

impl SuspendError {
    /// What the user can do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Timeout { sandbox, .. } => Some(format!(
                "look at `kubectl describe sandbox {sandbox}` and at the Pod's events"
            )),
            Self::Kube { source, .. } => source.help(),
            Self::Failed { .. } | Self::NotFound { .. } | Self::Closed { .. } => None,
        }
    }
}
