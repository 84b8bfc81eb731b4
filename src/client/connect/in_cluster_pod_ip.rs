//! `in-cluster-pod-ip`: by the address of the sandbox's Pod, without a router.
//!
//! The address comes from the claim or, if the claim does not tell, from the sandbox.

use super::Scheme;
use super::endpoint::{Endpoint, Routing};
use super::{router, sandboxd};
use crate::api;
use crate::client::claim::ReadyClaim;
use crate::client::core::Client;
use crate::client::data::{Host, Route, Sharing};
use crate::client::error::ConnectError;
use crate::client::runtime::Runtime;

/// Settings of the mode `in-cluster-pod-ip`.
///
/// ```
/// use sandbench::client::ConnectionMode;
/// use sandbench::client::connect::InClusterPodIp;
///
/// let mode = ConnectionMode::InClusterPodIp(InClusterPodIp {
///     server_port: 8888,
///     ..InClusterPodIp::default()
/// });
/// assert_eq!(mode.word(), "in-cluster-pod-ip");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InClusterPodIp {
    /// What answers in the sandbox. Default: the legacy runtime.
    pub runtime: Runtime,
    /// Port of the legacy runtime in the sandbox. Default: 8888.
    pub server_port: u16,
}

impl Default for InClusterPodIp {
    fn default() -> Self {
        Self {
            runtime: Runtime::Legacy,
            server_port: api::RUNTIME_PORT,
        }
    }
}

impl InClusterPodIp {
    pub(super) async fn connect(
        &self,
        client: &Client,
        claim: &ReadyClaim,
    ) -> Result<Endpoint, ConnectError> {
        let address = router::pod_ip(client, claim)
            .await
            .map_err(|source| ConnectError::Kube {
                place: format!("sandbox `{}`", claim.sandbox_name),
                source: Box::new(source),
            })?
            .ok_or_else(|| ConnectError::NoPodIp {
                sandbox: claim.sandbox_name.clone(),
            })?;
        let host = Host::Address(address);
        if let Runtime::Sandboxd(ports) = self.runtime {
            return sandboxd::on_host(client, &host, &address.to_string(), ports);
        }
        let authority = host.with_port(self.server_port);
        let route = Route::Tcp {
            host,
            port: self.server_port,
            scheme: Scheme::Http,
        };
        let pool = client.pools().get(route, Sharing::Private);
        let routing = Routing::Straight;
        Endpoint::new(pool, Sharing::Private, &authority, String::new(), routing)
    }
}
