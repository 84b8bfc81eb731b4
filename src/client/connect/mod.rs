//! The ways to a sandbox. One struct of settings per way, one file each.
//!
//! `connect` of each returns an `Endpoint`, a value that reaches into nobody: where requests
//! go, which headers they carry, and a share in the target's connections, which end with it.
//! To add a way: a file with its settings and `connect`, and here a variant with the arms that
//! the compiler asks for.

mod direct;
mod endpoint;
mod gateway;
mod headers;
mod in_cluster;
mod in_cluster_pod_ip;
mod pod_tunnel;
pub(super) mod port_forward;
mod router;
mod sandboxd;
mod secret;
mod trust;
mod tunnel;

pub use direct::Direct;
pub use gateway::{Gateway, Scheme};
pub use headers::{ExtraHeaders, HeaderError};
pub use in_cluster::InCluster;
pub use in_cluster_pod_ip::InClusterPodIp;
pub use pod_tunnel::PodTunnel;
pub use router::PodIpHeader;
pub use secret::Secret;
pub use trust::{ClientCertificate, TlsSettings};
pub use tunnel::Tunnel;

pub(super) use endpoint::{Endpoint, Routing};
pub(super) use gateway::GatewayCache;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::claim::ReadyClaim;
use super::core::Client;
use super::error::ConnectError;
use super::runtime::Runtime;

/// A way to a sandbox.
///
/// ```
/// use sandbench::client::ConnectionMode;
/// use sandbench::client::connect::Tunnel;
///
/// // By its word, with default settings, or with settings of one's own.
/// let mode: ConnectionMode = "in-cluster-pod-ip".parse()?;
/// assert_eq!(mode.to_string(), "in-cluster-pod-ip");
/// let mode = ConnectionMode::Tunnel(Tunnel {
///     router_namespace: "routers".to_owned(),
///     ..Tunnel::default()
/// });
/// assert_eq!(mode.word(), "tunnel");
/// # Ok::<(), sandbench::client::connect::UnknownMode>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ConnectionMode {
    /// Through a Gateway to the router.
    Gateway(Gateway),
    /// Through a port-forward to the router.
    Tunnel(Tunnel),
    /// By the sandbox's name in the cluster.
    InCluster(InCluster),
    /// By the address of the sandbox's Pod.
    InClusterPodIp(InClusterPodIp),
    /// To a URL, taken to be a router.
    Direct(Direct),
    /// To sandboxd, through port-forwards to the sandbox's own Pod.
    PodTunnel(PodTunnel),
}

impl ConnectionMode {
    /// The words for the modes, in the order of the variants.
    pub const WORDS: [&'static str; 6] = [
        "gateway",
        "tunnel",
        "in-cluster",
        "in-cluster-pod-ip",
        "direct",
        "pod-tunnel",
    ];

    /// Looks up the way to a sandbox.
    pub(super) async fn connect(
        &self,
        client: &Client,
        claim: &ReadyClaim,
    ) -> Result<Endpoint, ConnectError> {
        match self {
            Self::Gateway(mode) => mode.connect(client, claim).await,
            Self::Tunnel(mode) => mode.connect(client, claim).await,
            Self::InCluster(mode) => mode.connect(client, claim).await,
            Self::InClusterPodIp(mode) => mode.connect(client, claim).await,
            Self::Direct(mode) => mode.connect(client, claim).await,
            Self::PodTunnel(mode) => mode.connect(client, claim).await,
        }
    }

    /// What answers in the sandbox.
    pub fn runtime(&self) -> Runtime {
        match self {
            Self::InCluster(mode) => mode.runtime,
            Self::InClusterPodIp(mode) => mode.runtime,
            Self::PodTunnel(mode) => Runtime::Sandboxd(mode.ports),
            Self::Gateway(_) | Self::Tunnel(_) | Self::Direct(_) => Runtime::Legacy,
        }
    }

    /// How long the way itself may take to get ready; nothing where there is nothing to wait for.
    pub(super) fn ready_timeout(&self) -> Duration {
        match self {
            Self::Gateway(mode) => mode.ready_timeout,
            Self::Tunnel(mode) => mode.ready_timeout,
            Self::PodTunnel(mode) => mode.ready_timeout,
            Self::InCluster(_) | Self::InClusterPodIp(_) | Self::Direct(_) => Duration::ZERO,
        }
    }

    /// The word for this mode.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Gateway(_) => "gateway",
            Self::Tunnel(_) => "tunnel",
            Self::InCluster(_) => "in-cluster",
            Self::InClusterPodIp(_) => "in-cluster-pod-ip",
            Self::Direct(_) => "direct",
            Self::PodTunnel(_) => "pod-tunnel",
        }
    }
}

impl fmt::Display for ConnectionMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The word is not one of [`ConnectionMode::WORDS`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is not a connection mode; use one of {}", ConnectionMode::WORDS.join(", "))]
pub struct UnknownMode {
    /// What was written.
    pub word: String,
}

impl FromStr for ConnectionMode {
    type Err = UnknownMode;

    /// The mode with its default settings. `gateway` and `direct` then still lack the name of
    /// the Gateway and the URL; connecting without them is an error that says so.
    fn from_str(word: &str) -> Result<Self, UnknownMode> {
        match word {
            "gateway" => Ok(Self::Gateway(Gateway::default())),
            "tunnel" => Ok(Self::Tunnel(Tunnel::default())),
            "in-cluster" => Ok(Self::InCluster(InCluster::default())),
            "in-cluster-pod-ip" => Ok(Self::InClusterPodIp(InClusterPodIp::default())),
            "direct" => Ok(Self::Direct(Direct::default())),
            "pod-tunnel" => Ok(Self::PodTunnel(PodTunnel::default())),
            _ => Err(UnknownMode {
                word: word.to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_back_as_its_mode() {
        for word in ConnectionMode::WORDS {
            let mode: ConnectionMode = word.parse().expect("known");
            assert_eq!(mode.to_string(), word);
        }
        let error = "pigeon".parse::<ConnectionMode>().expect_err("unknown");
        assert!(error.to_string().contains("in-cluster-pod-ip"), "{error}");
    }
}
