//! `in-cluster`: by the sandbox's name in the cluster, without a router.

use crate::api;

/// Settings of the mode `in-cluster`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InCluster {
    /// Port of the runtime in the sandbox. Default: 8888.
    pub server_port: u16,
    /// Domain of the cluster. Default: `cluster.local`.
    pub cluster_domain: String,
}

impl Default for InCluster {
    fn default() -> Self {
        Self {
            server_port: api::RUNTIME_PORT,
            cluster_domain: "cluster.local".to_owned(),
        }
    }
}
