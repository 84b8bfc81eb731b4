//! [`Runtime`]: what answers in a sandbox, and on which ports.

use std::fmt;

use crate::api::{SANDBOXD_GRPC_PORT, SANDBOXD_REST_PORT};

/// What answers in a sandbox.
///
/// ```
/// use sandbench::client::connect::InClusterPodIp;
/// use sandbench::client::{ConnectionMode, Runtime, SandboxdPorts};
///
/// let mode = ConnectionMode::InClusterPodIp(InClusterPodIp {
///     runtime: Runtime::Sandboxd(SandboxdPorts::default()),
///     ..InClusterPodIp::default()
/// });
/// assert_eq!(mode.runtime().to_string(), "sandboxd");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Runtime {
    /// The python-runtime: commands and files over HTTP on the port that the way names.
    #[default]
    Legacy,
    /// sandboxd (KEP-539.2): files over REST, processes over gRPC.
    Sandboxd(SandboxdPorts),
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Legacy => "legacy",
            Self::Sandboxd(_) => "sandboxd",
        })
    }
}

/// The ports of sandboxd.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SandboxdPorts {
    /// Files, health and metadata. Default: 8080.
    pub rest: u16,
    /// Processes. Default: 9090.
    pub grpc: u16,
}

impl Default for SandboxdPorts {
    fn default() -> Self {
        Self {
            rest: SANDBOXD_REST_PORT,
            grpc: SANDBOXD_GRPC_PORT,
        }
    }
}
