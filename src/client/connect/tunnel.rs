//! `tunnel`: through a port-forward of the API server to a router pod.

use std::time::Duration;

use crate::api;

/// Settings of the mode `tunnel`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tunnel {
    /// Namespace of the router; if no router is there, the sandbox's namespace is tried.
    /// Default: `agent-sandbox-system`.
    pub router_namespace: String,
    /// How long a port-forward may take to open. Default: 30 s.
    pub ready_timeout: Duration,
    /// Port of the runtime in the sandbox. Default: 8888.
    pub server_port: u16,
}

impl Default for Tunnel {
    fn default() -> Self {
        Self {
            router_namespace: api::ROUTER_NAMESPACE.to_owned(),
            ready_timeout: Duration::from_secs(30),
            server_port: api::RUNTIME_PORT,
        }
    }
}
