//! `in-cluster-pod-ip`: by the address of the sandbox's Pod, without a router.

use crate::api;

/// Settings of the mode `in-cluster-pod-ip`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InClusterPodIp {
    /// Port of the runtime in the sandbox. Default: 8888.
    pub server_port: u16,
}

impl Default for InClusterPodIp {
    fn default() -> Self {
        Self {
            server_port: api::RUNTIME_PORT,
        }
    }
}
