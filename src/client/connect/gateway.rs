//! `gateway`: through a Gateway to the router.

use std::time::Duration;

use crate::api;

/// Whether a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

/// Settings of the mode `gateway`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Gateway {
    /// Name of the Gateway. Required.
    pub name: String,
    /// Its namespace. Default: `default`.
    pub namespace: String,
    /// How long it may take to get an address. Default: 180 s.
    pub ready_timeout: Duration,
    /// Encrypted or not. Default: as its first HTTP or HTTPS listener says.
    pub scheme: Option<Scheme>,
    /// Port of the Gateway. Default: the listener's.
    pub port: Option<u16>,
    /// Port of the runtime in the sandbox. Default: 8888.
    pub server_port: u16,
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            name: String::new(),
            namespace: "default".to_owned(),
            ready_timeout: Duration::from_secs(180),
            scheme: None,
            port: None,
            server_port: api::RUNTIME_PORT,
        }
    }
}
