//! `tunnel`: through a port-forward of the API server to a router pod.
//!
//! One upgrade carries one connection; all handles share the client's pool of them. A dead one is
//! replaced, and if the router's pod is gone, another one is looked up.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::endpoint::Endpoint;
use super::router::{self, PodIpHeader};
use crate::api::{self, ROUTER_PORT, ROUTER_SERVICE};
use crate::client::claim::ReadyClaim;
use crate::client::core::Client;
use crate::client::data::{Route, Router, Sharing};
use crate::client::error::ConnectError;

/// Settings of the mode `tunnel`.
///
/// ```
/// use sandbench::client::ConnectionMode;
/// use sandbench::client::connect::Tunnel;
///
/// let mode = ConnectionMode::Tunnel(Tunnel {
///     server_port: 3000,
///     ..Tunnel::default()
/// });
/// assert_eq!(mode.word(), "tunnel");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tunnel {
    /// Namespace of the router; if no router is there, the sandbox's namespace is tried.
    /// Default: `agent-sandbox-system`.
    pub router_namespace: String,
    /// How long a port-forward may take to open. Default: 30 s.
    pub ready_timeout: Duration,
    /// Port of the runtime in the sandbox. Default: 8888.
    pub server_port: u16,
    /// Whether the router is told the address of the sandbox's Pod. Default: it is.
    pub pod_ip_header: PodIpHeader,
}

impl Default for Tunnel {
    fn default() -> Self {
        Self {
            router_namespace: api::ROUTER_NAMESPACE.to_owned(),
            ready_timeout: Duration::from_secs(30),
            server_port: api::RUNTIME_PORT,
            pod_ip_header: PodIpHeader::Send,
        }
    }
}

impl Tunnel {
    /// Where the router is looked for, in this order.
    pub(in crate::client) fn namespaces(&self, of_sandbox: &str) -> Vec<String> {
        let mut namespaces = vec![self.router_namespace.clone(), of_sandbox.to_owned()];
        namespaces.dedup();
        namespaces
    }

    pub(super) async fn connect(
        &self,
        client: &Client,
        claim: &ReadyClaim,
    ) -> Result<Endpoint, ConnectError> {
        let namespaces = self.namespaces(&claim.namespace);
        let host = format!("{ROUTER_SERVICE}:{ROUTER_PORT}");
        let route = Route::Tunnel(Arc::new(Router::new(namespaces)));
        let pool = client.pools().get(route, Sharing::Shared);
        let routing = router::headers(client, claim, self.server_port, self.pod_ip_header).await?;
        timeout(self.ready_timeout, pool.prove())
            .await
            .map_err(|_| ConnectError::Timeout {
                target: pool.route().describe(),
                after: self.ready_timeout,
            })??;
        Endpoint::new(pool, Sharing::Shared, &host, String::new(), routing)
    }
}
