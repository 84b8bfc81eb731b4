//! Finding a sandbox again whose Pod was replaced, or whose Gateway has moved: it has another address
//! then.
//!
//! After a call that failed in a way that a new Pod would explain, and after the client itself has
//! suspended or resumed the sandbox, the next attempt first asks the API server where it is now. Source of the rule: Python SDK 1.0.8 drops the pod's
//! address when there was no answer or a 5xx.

use std::time::Duration;

use tokio::time::timeout;

use super::claim::ReadyClaim;
use super::connect::{ConnectionMode, Routing};
use super::core::Client;
use super::data::Operation;
use super::error::{CallError, ConnectError, Delivered, ReadyError, ReconnectError};
use super::sandbox::Sandbox;
use super::status::SandboxState;
use crate::api::header::SANDBOX_POD_IP;

/// How long a call looks for the new Pod before it goes on with the old one.
const LOOK: Duration = Duration::from_secs(1);

/// Whether time was spent on finding the sandbox again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Looked {
    /// It was looked up, found or not.
    Up,
    /// There was no reason to.
    Nowhere,
}

impl Sandbox {
    /// Asks the API server where the sandbox is now, and sends later calls there. Calls under way
    /// go on where they are. Needed only after somebody else replaced the Pod: after the client's own
    /// [`suspend`](Client::suspend) and [`resume`](Client::resume) the next call does it by itself,
    /// and so it does after a call that failed as if the Pod had been replaced.
    ///
    /// ```no_run
    /// # async fn example(
    /// #     client: sandbench::client::Client,
    /// #     ready: sandbench::client::ReadyClaim,
    /// #     sandbox: sandbench::client::Sandbox,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// client.resume(&ready, client.ready_timeout()).await?;
    /// sandbox.refresh().await?;
    /// sandbox.commands().run("hostname").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ConnectError`]: the sandbox has no Pod, the API server refuses, or handle or client are
    /// closed. The old way then stays.
    ///
    /// # Cancel safety
    /// If dropped, the old way stays.
    pub async fn refresh(&self) -> Result<(), ConnectError> {
        let closed = || ConnectError::Closed {
            target: format!("sandbox `{}`", self.name()),
        };
        let client = self.client().ok_or_else(closed)?;
        if self.is_closed() {
            return Err(closed());
        }
        // Without addresses they are asked for.
        let claim = ReadyClaim {
            pod_ips: Vec::new(),
            ..self.claim().clone()
        };
        let endpoint = self.mode().connect(&client, &claim).await?;
        self.redirect(endpoint);
        Ok(())
    }

    /// Before an attempt: finds the sandbox again if the last attempt suggests that, or if the client
    /// has suspended or resumed it. In the second case nothing must be sent to where it was, which
    /// may be another sandbox's place by now: not to find it is an error.
    pub(super) async fn refresh_if_stale(
        &self,
        operation: Operation<'_>,
        left: Duration,
    ) -> Result<Looked, CallError> {
        if let Some(moves) = self.moved() {
            let found = timeout(left, Box::pin(self.refresh())).await;
            let found = found.unwrap_or_else(|_| {
                Err(ConnectError::Timeout {
                    target: format!("sandbox `{}`", self.name()),
                    after: left,
                })
            });
            found.map_err(|source| CallError::Connect {
                operation: operation.to_string(),
                source: Box::new(source),
            })?;
            self.set_followed(moves);
            return Ok(Looked::Up);
        }
        if !self.take_stale() {
            return Ok(Looked::Nowhere);
        }
        match timeout(LOOK.min(left), Box::pin(self.refresh())).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::debug!(%error, sandbox = self.name(), "the pod is not looked up again");
            }
            Err(_) => {
                tracing::debug!(sandbox = self.name(), "the pod was not found again in time");
            }
        }
        Ok(Looked::Up)
    }

    /// After a failed attempt: whether a new Pod would explain it.
    pub(super) fn suspect(&self, error: &CallError) {
        let explains = match error {
            CallError::Transport { .. } => true,
            CallError::Connect { source, .. } => matches!(**source, ConnectError::Dial { .. }),
            CallError::Status { status, .. } => *status == 502,
            _ => false,
        };
        let moved = self.has_lost_its_gateway(error);
        if moved || explains && self.names_a_pod() {
            self.set_stale();
        }
    }

    /// Whether the Gateway does not answer where it was found. If so, it is looked up again.
    fn has_lost_its_gateway(&self, error: &CallError) -> bool {
        let unreachable = match error {
            CallError::Connect { source, .. } => matches!(**source, ConnectError::Dial { .. }),
            CallError::Timeout { delivered, .. } => *delivered == Delivered::No,
            _ => false,
        };
        let gateway = matches!(self.mode(), ConnectionMode::Gateway(_));
        let client = self.client().filter(|_| unreachable && gateway);
        client.is_some_and(|client| {
            client.has_moved(self.mode(), &self.endpoint());
            // Another handle may have looked already.
            true
        })
    }

    /// Whether requests go to, or name, the address of a Pod.
    fn names_a_pod(&self) -> bool {
        match self.endpoint().routing() {
            Routing::Router(headers) => headers.iter().any(|(name, _)| *name == SANDBOX_POD_IP),
            Routing::Straight => matches!(self.mode(), ConnectionMode::InClusterPodIp(_)),
        }
    }
}

impl Client {
    /// Connects anew to the sandbox of a handle that was disconnected, or that is to have
    /// another way; the claim was kept meanwhile. Looks the sandbox up, so that a Pod that was
    /// replaced is found.
    ///
    /// ```no_run
    /// # async fn example(client: sandbench::client::Client, sandbox: sandbench::client::Sandbox)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// sandbox.disconnect().await;
    /// let sandbox = client.reconnect(&sandbox).await?;
    /// sandbox.commands().run("true").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ReconnectError`]: the claim or its sandbox is gone or not ready, or no connection comes
    /// about. If the sandbox is only not ready, it can be tried again later.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn reconnect(&self, sandbox: &Sandbox) -> Result<Sandbox, ReconnectError> {
        let claim = self.claim(sandbox.claim_name()).await?;
        if claim.uid() != sandbox.claim().claim_uid {
            return Err(ReadyError::Replaced {
                claim: claim.name().to_owned(),
            }
            .into());
        }
        let ready = match self.status(sandbox.claim()).await? {
            SandboxState::Ready(details) => ReadyClaim {
                pod_ips: details.pod_ips,
                ..sandbox.claim().clone()
            },
            SandboxState::NotReady(details) => {
                return Err(ReconnectError::NotReady {
                    sandbox: sandbox.name().to_owned(),
                    reason: details.reason,
                    message: details.message,
                });
            }
            SandboxState::NotFound => {
                return Err(ReconnectError::Gone {
                    sandbox: sandbox.name().to_owned(),
                    claim: sandbox.claim_name().to_owned(),
                });
            }
        };
        let connected = self.connect(&ready, sandbox.mode()).await?;
        Ok(connected.with(sandbox.options().clone()))
    }
}
