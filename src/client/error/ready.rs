//! Why a claim did not become ready.

use std::time::Duration;

use super::KubeError;
use crate::units::HumanDuration;

/// Why a claim did not become ready.
#[derive(Debug, thiserror::Error)]
pub enum ReadyError {
    /// It took too long.
    #[error(
        "wait for the claim `{claim}`: it was not ready within {} (last seen: {last})",
        HumanDuration(*.after)
    )]
    Timeout {
        /// Name of the claim.
        claim: String,
        /// How long was waited.
        after: Duration,
        /// The last known state: bound or not, and the `Ready` condition with its reason.
        last: String,
    },
    /// The controller gave a reason after which a claim never becomes ready by itself.
    #[error("wait for the claim `{claim}`: the controller gave up with {reason}: {message}")]
    Failed {
        /// Name of the claim.
        claim: String,
        /// The reason, for example `WarmPoolNotFound`.
        reason: String,
        /// The controller's message.
        message: String,
    },
    /// The claim was deleted, or is being deleted.
    #[error("wait for the claim `{claim}`: it was deleted")]
    Deleted {
        /// Name of the claim.
        claim: String,
    },
    /// The claim was deleted and another made under its name.
    #[error("wait for the claim `{claim}`: it was replaced by another one of the same name")]
    Replaced {
        /// Name of the claim.
        claim: String,
    },
    /// There is no such claim.
    #[error("find the claim `{claim}`")]
    NotFound {
        /// Name of the claim.
        claim: String,
    },
    /// The API server refused or failed.
    #[error("wait for the claim `{claim}`")]
    Kube {
        /// Name of the claim.
        claim: String,
        /// The cause.
        #[source]
        source: Box<KubeError>,
    },
    /// The client was closed meanwhile.
    #[error("wait for the claim `{claim}`: the client was closed")]
    Closed {
        /// Name of the claim.
        claim: String,
    },
}

impl ReadyError {
    /// What the user can do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Timeout { claim, .. } => Some(format!(
                "look at `kubectl describe sandboxclaim {claim}` and at the Pod's events; a cold \
                 start may also just need a longer timeout"
            )),
            Self::Failed { reason, .. } => match reason.as_str() {
                "WarmPoolNotFound" => Some(
                    "create the pool first, or name another one (`kubectl get sandboxwarmpools`)"
                        .to_owned(),
                ),
                "TemplateNotFound" => Some(
                    "create the template first, or name another one \
                     (`kubectl get sandboxtemplates`)"
                        .to_owned(),
                ),
                "ClaimExpired" | "SandboxExpired" => {
                    Some("give it a longer time to live".to_owned())
                }
                _ => None,
            },
            Self::NotFound { .. } => {
                Some("list the claims with `kubectl get sandboxclaims`".to_owned())
            }
            Self::Kube { source, .. } => source.help(),
            Self::Deleted { .. } | Self::Replaced { .. } | Self::Closed { .. } => None,
        }
    }
}
