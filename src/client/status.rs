//! What has become of a sandbox: ready or not, its Pod, its addresses, its Service.

use std::net::IpAddr;

use super::claim::ReadyClaim;
use super::core::Client;
use super::error::{KubeError, ReadyError};
use crate::api::condition::{Condition, READY, find};
use crate::api::sandbox::Sandbox;

/// Type of the condition that says that a sandbox has no Pod on purpose.
pub(super) const SUSPENDED: &str = "Suspended";

/// What has become of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SandboxState {
    /// It can be used.
    Ready(SandboxDetails),
    /// It cannot be used (yet); the details say why.
    NotReady(SandboxDetails),
    /// It does not exist.
    NotFound,
}

/// What the API server tells of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxDetails {
    /// One word for programs, from its `Ready` condition; empty if there is none yet.
    pub reason: String,
    /// One sentence for people, from its `Ready` condition; empty if there is none yet.
    pub message: String,
    /// Name of its Pod.
    pub pod_name: String,
    /// Addresses of its Pod, IPv4 first; empty while there is no Pod.
    pub pod_ips: Vec<IpAddr>,
    /// Cluster name of its Service; `None` if it has no Service, as most warm sandboxes.
    pub service_fqdn: Option<String>,
    /// Whether its controller has suspended it.
    pub is_suspended: bool,
}

impl SandboxState {
    /// The details, unless there is no sandbox.
    pub fn details(&self) -> Option<&SandboxDetails> {
        match self {
            Self::Ready(details) | Self::NotReady(details) => Some(details),
            Self::NotFound => None,
        }
    }

    fn of(sandbox: &Sandbox) -> Self {
        let conditions = sandbox
            .status
            .as_ref()
            .map_or(&[][..], |status| status.conditions.as_slice());
        let details = Self::details_of(sandbox);
        if find(conditions, READY).is_some_and(Condition::is_true) {
            Self::Ready(details)
        } else {
            Self::NotReady(details)
        }
    }

    /// What a sandbox tells of itself.
    pub(super) fn details_of(sandbox: &Sandbox) -> SandboxDetails {
        let conditions = sandbox
            .status
            .as_ref()
            .map_or(&[][..], |status| status.conditions.as_slice());
        let ready = find(conditions, READY);
        SandboxDetails {
            reason: ready.map(|ready| ready.reason.clone()).unwrap_or_default(),
            message: ready.map(|ready| ready.message.clone()).unwrap_or_default(),
            pod_name: sandbox.pod_name().to_owned(),
            pod_ips: sandbox.pod_ips(),
            service_fqdn: sandbox.service_fqdn().map(str::to_owned),
            is_suspended: find(conditions, SUSPENDED).is_some_and(Condition::is_true),
        }
    }
}

impl Client {
    /// What has become of a claim's sandbox, asked anew: Pod and addresses change when it is
    /// suspended and resumed, or when its Pod is replaced.
    ///
    /// ```no_run
    /// # async fn example(client: sandbench::client::Client, ready: sandbench::client::ReadyClaim)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// let state = client.status(&ready).await?;
    /// if let Some(details) = state.details() {
    ///     assert!(!details.pod_name.is_empty());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ReadyError`]: the API server refuses or fails.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn status(&self, claim: &ReadyClaim) -> Result<SandboxState, ReadyError> {
        let found: Result<Sandbox, KubeError> =
            self.api().get(&self.sandboxes(), &claim.sandbox_name).await;
        match found {
            Ok(sandbox) => Ok(SandboxState::of(&sandbox)),
            Err(error) if error.is_not_found() => Ok(SandboxState::NotFound),
            Err(source) => Err(ReadyError::Kube {
                claim: claim.claim_name.clone(),
                source: Box::new(source),
            }),
        }
    }
}
