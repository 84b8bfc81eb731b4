//! [`LoopbackError`]: why a loopback cluster could not be started.
//!
//! What happens inside a running cluster is reported the way a real one does it: in conditions,
//! events and HTTP answers.

use std::io;
use std::net::SocketAddr;

/// Why a loopback cluster could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LoopbackError {
    /// No 127.X.0.0/16 had the API server's port free.
    #[error("find a free loopback network for the API server's port {port}")]
    NoFreeNetwork {
        /// The port.
        port: u16,
        /// What the last network said.
        #[source]
        source: io::Error,
    },
    /// A socket of the cluster could not be bound.
    #[error("bind the {what} to {address}")]
    Bind {
        /// Which part of the cluster.
        what: &'static str,
        /// Where.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The temporary directory for the pods could not be made.
    #[error("create the directory for the pods")]
    Directory {
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The certificate authority of the API server could not be made.
    #[error("create the certificate of the API server")]
    Certificate {
        /// What the certificate library said.
        #[source]
        source: rcgen::Error,
    },
    /// The API server could not use its certificate.
    #[error("set up TLS for the API server")]
    Tls {
        /// What the TLS library said.
        #[source]
        source: rustls::Error,
    },
    /// A first object was refused by the store.
    #[error("create the {kind} `{name}`")]
    Object {
        /// Kind of the object.
        kind: &'static str,
        /// Its name.
        name: String,
        /// Why the store refused it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl LoopbackError {
    /// What the user can do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::NoFreeNetwork { port, .. } => Some(format!(
                "something listens on port {port} of all addresses; choose another port for the API server"
            )),
            Self::Bind { address, .. } => Some(format!(
                "end the program that uses port {} of all addresses, or choose another port",
                address.port()
            )),
            Self::Directory { .. } => Some(
                "make room in the temporary directory, or set TMPDIR to another one".to_owned(),
            ),
            Self::Certificate { .. } | Self::Tls { .. } | Self::Object { .. } => None,
        }
    }
}
