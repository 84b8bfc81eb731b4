//! `pod-tunnel`: to sandboxd through port-forwards of the API server to the sandbox's own Pod.
//!
//! One upgrade carries one connection. Not for gVisor and Kata Pods, which refuse port-forwards.
//! Source: `SandboxdPodTunnelConnectionConfig` of Python SDK 1.0.8.

use std::time::Duration;

use tokio::time::timeout;

use super::endpoint::Endpoint;
use super::port_forward::PodPort;
use super::sandboxd;
use crate::api::sandbox::Sandbox;
use crate::client::claim::ReadyClaim;
use crate::client::core::Client;
use crate::client::data::Route;
use crate::client::error::ConnectError;
use crate::client::runtime::SandboxdPorts;

/// Settings of the mode `pod-tunnel`.
///
/// ```
/// use sandbench::client::connect::PodTunnel;
/// use sandbench::client::{ConnectionMode, Runtime};
///
/// let mode = ConnectionMode::PodTunnel(PodTunnel::default());
/// assert!(matches!(mode.runtime(), Runtime::Sandboxd(ports) if ports.grpc == 9090));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PodTunnel {
    /// Ports of sandboxd in the Pod. Default: 8080 and 9090.
    pub ports: SandboxdPorts,
    /// How long the port-forwards may take to open. Default: 30 s.
    pub ready_timeout: Duration,
}

impl Default for PodTunnel {
    fn default() -> Self {
        Self {
            ports: SandboxdPorts::default(),
            ready_timeout: Duration::from_secs(30),
        }
    }
}

impl PodTunnel {
    pub(super) async fn connect(
        &self,
        client: &Client,
        claim: &ReadyClaim,
    ) -> Result<Endpoint, ConnectError> {
        let pod = pod_name(client, claim).await?;
        let to = |port| {
            Route::Pod(PodPort {
                namespace: claim.namespace.clone(),
                name: pod.clone(),
                port,
            })
        };
        let endpoint = sandboxd::endpoint(
            client,
            (
                to(self.ports.rest),
                &format!("localhost:{}", self.ports.rest),
            ),
            (
                to(self.ports.grpc),
                &format!("localhost:{}", self.ports.grpc),
            ),
        )?;
        timeout(self.ready_timeout, endpoint.prove())
            .await
            .map_err(|_| ConnectError::Timeout {
                target: to(self.ports.rest).describe(),
                after: self.ready_timeout,
            })??;
        Ok(endpoint)
    }
}

/// The Pod's name as the sandbox tells it; who may not read that takes the sandbox's own, which is
/// the Pod's unless the controller says otherwise.
async fn pod_name(client: &Client, claim: &ReadyClaim) -> Result<String, ConnectError> {
    let found = client
        .api()
        .get::<Sandbox>(&client.sandboxes(), &claim.sandbox_name)
        .await;
    match found {
        Ok(sandbox) => Ok(sandbox.pod_name().to_owned()),
        Err(error) if error.is_forbidden() => Ok(claim.sandbox_name.clone()),
        Err(source) => Err(ConnectError::Kube {
            place: format!("the Pod of sandbox `{}`", claim.sandbox_name),
            source: Box::new(source),
        }),
    }
}
