//! Why something could not be deleted, or was not gone in time.

use std::time::Duration;

use super::KubeError;
use crate::units::HumanDuration;

/// Why claims could not be deleted or listed.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// Another claim has the name by now; it was left alone.
    #[error("delete the claim `{claim}`: another one of the same name has taken its place")]
    Replaced {
        /// Name of the claim.
        claim: String,
    },
    /// The API server refused or failed.
    #[error("delete the claim `{claim}`")]
    Kube {
        /// Name of the claim.
        claim: String,
        /// The cause.
        #[source]
        source: Box<KubeError>,
    },
    /// The client has no run id, so nothing is known to be of its run.
    #[error("find the claims of the run: the client has no run id")]
    NoRunId,
    /// An empty selector would match every claim of the namespace.
    #[error("delete claims by label: the selector is empty")]
    NoSelector,
    /// Not all claims of the run could be found or deleted.
    #[error("delete the claims of run `{run_id}`: {failed} of {total} are left")]
    Run {
        /// The run.
        run_id: String,
        /// How many could not be deleted.
        failed: usize,
        /// How many there were.
        total: usize,
        /// The first cause.
        #[source]
        source: Box<KubeError>,
    },
    /// Claims, or what is left of them, could not be listed.
    #[error("list claims or what is left of them")]
    List {
        /// The cause.
        #[source]
        source: Box<KubeError>,
    },
}

impl DeleteError {
    /// What the user can do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Kube { source, .. } | Self::Run { source, .. } | Self::List { source } => {
                source.help()
            }
            Self::NoRunId => Some("give the builder a run id".to_owned()),
            Self::NoSelector => Some("name a label, for example `team=a`".to_owned()),
            Self::Replaced { .. } => None,
        }
    }
}

/// Why a claim and its sandbox were not gone.
#[derive(Debug, thiserror::Error)]
pub enum WaitError {
    /// It took too long.
    #[error(
        "wait until the claim `{claim}` is gone: {left} still exists after {}",
        HumanDuration(*.after)
    )]
    Timeout {
        /// Name of the claim.
        claim: String,
        /// What is left, for example ``Sandbox `a` ``.
        left: String,
        /// How long was waited.
        after: Duration,
    },
    /// The API server refused or failed.
    #[error("wait until the claim `{claim}` is gone")]
    Kube {
        /// Name of the claim.
        claim: String,
        /// The cause.
        #[source]
        source: Box<KubeError>,
    },
}

impl WaitError {
    /// What the user can do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Timeout { .. } => Some(
                "look at its finalizers and at the controller's log \
                 (`kubectl -n agent-sandbox-system logs deploy/agent-sandbox-controller`)"
                    .to_owned(),
            ),
            Self::Kube { source, .. } => source.help(),
        }
    }
}

/// Why a claim was not deleted, or was not gone in time.
#[derive(Debug, thiserror::Error)]
pub enum DeleteAndWaitError {
    /// The deletion failed.
    #[error(transparent)]
    Delete(#[from] DeleteError),
    /// It was accepted, but what it should remove is still there.
    #[error(transparent)]
    Wait(#[from] WaitError),
}

impl DeleteAndWaitError {
    /// What the user can do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Delete(error) => error.help(),
            Self::Wait(error) => error.help(),
        }
    }
}
