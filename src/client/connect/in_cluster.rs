//! `in-cluster`: by the sandbox's name in the cluster, without a router.
//!
//! The name exists only if the sandbox has a Service, which its template must ask for.

use super::endpoint::{Endpoint, Routing};
use super::sandboxd;
use crate::api;
use crate::client::claim::ReadyClaim;
use crate::client::core::Client;
use crate::client::data::{Host, Route, Sharing};
use crate::client::dns::LookupError;
use crate::client::error::ConnectError;
use crate::client::runtime::Runtime;

use super::Scheme;

/// Settings of the mode `in-cluster`.
///
/// ```
/// use sandbench::client::ConnectionMode;
/// use sandbench::client::connect::InCluster;
///
/// let mode = ConnectionMode::InCluster(InCluster {
///     cluster_domain: "cluster.local".to_owned(),
///     ..InCluster::default()
/// });
/// assert_eq!(mode.word(), "in-cluster");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InCluster {
    /// What answers in the sandbox. Default: the legacy runtime.
    pub runtime: Runtime,
    /// Port of the legacy runtime in the sandbox. Default: 8888.
    pub server_port: u16,
    /// Domain of the cluster. Default: `cluster.local`.
    pub cluster_domain: String,
}

impl Default for InCluster {
    fn default() -> Self {
        Self {
            runtime: Runtime::Legacy,
            server_port: api::RUNTIME_PORT,
            cluster_domain: "cluster.local".to_owned(),
        }
    }
}

impl InCluster {
    pub(super) async fn connect(
        &self,
        client: &Client,
        claim: &ReadyClaim,
    ) -> Result<Endpoint, ConnectError> {
        let name = format!(
            "{}.{}.svc.{}",
            claim.sandbox_name,
            claim.namespace,
            self.cluster_domain.trim_matches('.')
        );
        // With the final dot no search list is tried.
        let absolute = format!("{name}.");
        let looked_up = client.pools().network().dns.resolve(&absolute).await;
        looked_up.map_err(|error| match error {
            LookupError::NotFound(_) => ConnectError::NoService {
                sandbox: claim.sandbox_name.clone(),
                name: name.clone(),
            },
            LookupError::Failed(source) => ConnectError::Lookup {
                name: name.clone(),
                source,
            },
        })?;
        if let Runtime::Sandboxd(ports) = self.runtime {
            return sandboxd::on_host(client, &Host::Name(absolute), &name, ports);
        }
        let authority = format!("{name}:{}", self.server_port);
        let route = Route::Tcp {
            host: Host::Name(absolute),
            port: self.server_port,
            scheme: Scheme::Http,
        };
        let pool = client.pools().get(route, Sharing::Private);
        let routing = Routing::Straight;
        Endpoint::new(pool, Sharing::Private, &authority, String::new(), routing)
    }
}
