//! `Gateway` of the Gateway API, as much as is needed to find its address and port.
//!
//! Source: gateway.networking.k8s.io/v1.

use serde::{Deserialize, Serialize};

use super::condition::Condition;
use super::metadata::{Metadata, null_is_default};

/// A gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Gateway {
    /// Name, UID, labels and so on.
    pub metadata: Metadata,
    /// What is wanted.
    pub spec: GatewaySpec,
    /// What is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<GatewayStatus>,
}

/// What a gateway listens on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GatewaySpec {
    /// Ports with their protocols.
    #[serde(deserialize_with = "null_is_default")]
    pub listeners: Vec<Listener>,
}

/// One port of a gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Listener {
    /// Name, unique within the gateway.
    pub name: String,
    /// Port.
    pub port: u16,
    /// `HTTP`, `HTTPS`, `TLS`, `TCP` or `UDP`.
    pub protocol: String,
    /// The virtual host it serves; none or empty means all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
}

/// What a gateway has been given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GatewayStatus {
    /// Where it can be reached.
    #[serde(deserialize_with = "null_is_default")]
    pub addresses: Vec<GatewayAddress>,
    /// Conditions: `Accepted`, `Programmed`.
    #[serde(deserialize_with = "null_is_default")]
    pub conditions: Vec<Condition>,
}

/// One address of a gateway.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GatewayAddress {
    /// `IPAddress` or `Hostname`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The address.
    pub value: String,
}
