//! `gateway`: through a Gateway to the router.
//!
//! The Gateway is read and watched until it has a usable address and is not `Programmed=False`;
//! port and protocol are those of its first HTTP or HTTPS listener. What was found is kept until no
//! connection can be made to it: then the Gateway may have another address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout_at};

use super::endpoint::Endpoint;
use super::router::{self, PodIpHeader};
use crate::api::condition::find;
use crate::api::{self, GATEWAY_GROUP, plural};
use crate::client::claim::ReadyClaim;
use crate::client::cluster::{Change, Follower, Resource, Selector, Start};
use crate::client::core::Client;
use crate::client::data::{Host, Route, Sharing};
use crate::client::error::ConnectError;

/// Whether a connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Plain HTTP.
    Http,
    /// HTTP over TLS.
    Https,
}

/// Settings of the mode `gateway`.
///
/// ```
/// use sandbench::client::ConnectionMode;
/// use sandbench::client::connect::Gateway;
///
/// let mode = ConnectionMode::Gateway(Gateway {
///     name: "external-http-gateway".to_owned(),
///     namespace: "ingress".to_owned(),
///     ..Gateway::default()
/// });
/// assert_eq!(mode.word(), "gateway");
/// ```
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
    /// Whether the router is told the address of the sandbox's Pod. Default: it is.
    pub pod_ip_header: PodIpHeader,
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            name: String::new(),
            namespace: "default".to_owned(),
            ready_timeout: Duration::from_mins(3),
            scheme: None,
            port: None,
            server_port: api::RUNTIME_PORT,
            pod_ip_header: PodIpHeader::Send,
        }
    }
}

/// Where a Gateway is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    host: Host,
    port: u16,
    scheme: Scheme,
}

impl Found {
    fn authority(&self) -> String {
        self.host.with_port(self.port)
    }
}

/// What was found so far, one search per Gateway.
#[derive(Debug, Default)]
pub(in crate::client) struct GatewayCache(Mutex<HashMap<Gateway, Arc<OnceCell<Found>>>>);

impl GatewayCache {
    fn cell(&self, gateway: &Gateway) -> Arc<OnceCell<Found>> {
        let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(cells.entry(gateway.clone()).or_default())
    }

    /// Lets a Gateway be looked up again that was found at `place`, where it does not answer any
    /// more. Whether it was kept as being there.
    pub(in crate::client) fn forget(&self, gateway: &Gateway, place: &HeaderValue) -> bool {
        let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = cells.get(gateway).and_then(|cell| cell.get());
        let there = kept.is_some_and(|found| found.authority().as_bytes() == place.as_bytes());
        if there {
            cells.remove(gateway);
        }
        there
    }
}

/// What a Gateway lacks.
#[derive(Debug, PartialEq, Eq)]
enum Lack {
    /// Something that may still come.
    Time(String),
    /// A listener for HTTP or HTTPS.
    Listener,
}

impl Gateway {
    pub(super) async fn connect(
        &self,
        client: &Client,
        claim: &ReadyClaim,
    ) -> Result<Endpoint, ConnectError> {
        if self.name.is_empty() {
            return Err(ConnectError::Setting {
                setting: "name of the Gateway",
                value: String::new(),
                problem: "the mode `gateway` needs one".to_owned(),
            });
        }
        let found = self.found(client).await?;
        let authority = found.authority();
        let Found { host, port, scheme } = found;
        let route = Route::Tcp { host, port, scheme };
        let pool = client.pools().get(route, Sharing::Shared);
        let routing = router::headers(client, claim, self.server_port, self.pod_ip_header).await?;
        Endpoint::new(pool, Sharing::Shared, &authority, String::new(), routing)
    }

    /// Waits until the Gateway can be used, so that connecting need not.
    pub(in crate::client) async fn locate(&self, client: &Client) -> Result<(), ConnectError> {
        self.found(client).await.map(drop)
    }

    /// Where the Gateway is; looked up once for all.
    async fn found(&self, client: &Client) -> Result<Found, ConnectError> {
        let cell = client.gateways().cell(self);
        cell.get_or_try_init(|| self.find(client)).await.cloned()
    }

    /// Waits until the Gateway can be used.
    async fn find(&self, client: &Client) -> Result<Found, ConnectError> {
        let gateways = Resource {
            group: GATEWAY_GROUP,
            version: "v1",
            plural: plural::GATEWAYS,
        };
        let mut follower: Follower<api::gateway::Gateway> = Follower::new(
            client.api().clone(),
            gateways.of(&self.namespace),
            Some(Selector::Name(self.name.clone())),
            Start::List,
        );
        let deadline = Instant::now() + self.ready_timeout;
        let mut last = "it does not exist".to_owned();
        loop {
            let change = match timeout_at(deadline, follower.next()).await {
                Err(_) => return Err(self.too_late(last)),
                Ok(Err(source)) => {
                    return Err(ConnectError::Kube {
                        place: format!("Gateway `{}/{}`", self.namespace, self.name),
                        source: Box::new(source),
                    });
                }
                Ok(Ok(change)) => change,
            };
            let seen = match change {
                Change::Reading => continue,
                Change::All(gateways) => {
                    gateways.into_iter().find(|g| g.metadata.name == self.name)
                }
                Change::Present(gateway) => {
                    Some(gateway).filter(|gateway| gateway.metadata.name == self.name)
                }
                Change::Gone(gateway) if gateway.metadata.name == self.name => {
                    return Err(ConnectError::GatewayDeleted {
                        gateway: self.name.clone(),
                        namespace: self.namespace.clone(),
                    });
                }
                Change::Gone(_) => None,
            };
            let Some(seen) = seen else { continue };
            match self.judge(&seen) {
                Ok(found) => return Ok(found),
                Err(Lack::Time(missing)) => last = missing,
                Err(Lack::Listener) => {
                    return Err(ConnectError::GatewayListener {
                        gateway: self.name.clone(),
                        namespace: self.namespace.clone(),
                    });
                }
            }
        }
    }

    fn judge(&self, gateway: &api::gateway::Gateway) -> Result<Found, Lack> {
        let (port, scheme) = self.listener(gateway)?;
        let Some(status) = &gateway.status else {
            return Err(Lack::Time("it has no status".to_owned()));
        };
        if let Some(programmed) = find(&status.conditions, "Programmed")
            && programmed.is_false()
        {
            return Err(Lack::Time(programmed.to_string()));
        }
        let host = status
            .addresses
            .iter()
            .find_map(|address| host(&address.value))
            .ok_or_else(|| match status.addresses.first() {
                None => Lack::Time("it has no address".to_owned()),
                Some(address) => {
                    Lack::Time(format!("its address `{}` is not usable", address.value))
                }
            })?;
        Ok(Found { host, port, scheme })
    }

    /// Port and protocol: as set, or else as the first HTTP listener says, or else the first
    /// HTTPS listener.
    fn listener(&self, gateway: &api::gateway::Gateway) -> Result<(u16, Scheme), Lack> {
        let scheme = |protocol: &str| match protocol {
            "HTTP" => Some(Scheme::Http),
            "HTTPS" => Some(Scheme::Https),
            _ => None,
        };
        let mut listeners: Vec<(u16, Scheme)> = gateway
            .spec
            .listeners
            .iter()
            .filter_map(|listener| Some((listener.port, scheme(&listener.protocol)?)))
            .filter(|(port, scheme)| {
                self.port.is_none_or(|wanted| wanted == *port)
                    && self.scheme.is_none_or(|wanted| wanted == *scheme)
            })
            .collect();
        listeners.sort_by_key(|(_, scheme)| *scheme == Scheme::Https);
        match (listeners.first(), self.port, self.scheme) {
            (Some(found), ..) => Ok(*found),
            (None, Some(port), scheme) => Ok((port, scheme.unwrap_or(Scheme::Http))),
            (None, None, _) => Err(Lack::Listener),
        }
    }
}

impl Gateway {
    fn too_late(&self, last: String) -> ConnectError {
        ConnectError::GatewayTimeout {
            gateway: self.name.clone(),
            namespace: self.namespace.clone(),
            after: self.ready_timeout,
            last,
        }
    }
}

/// An address that can be used: an IP address, or a host name that cannot be taken for a number.
/// Source: Python SDK 1.0.8.
fn host(value: &str) -> Option<Host> {
    if let Ok(address) = value.parse::<IpAddr>() {
        return Some(Host::Address(address));
    }
    let labels: Vec<&str> = value
        .strip_suffix('.')
        .unwrap_or(value)
        .split('.')
        .collect();
    let is_label = |label: &&str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let is_number = |label: &&str| {
        let digits = label
            .strip_prefix("0x")
            .or_else(|| label.strip_prefix("0X"));
        match digits {
            Some(hex) => hex.bytes().all(|b| b.is_ascii_hexdigit()),
            None => label.bytes().all(|b| b.is_ascii_digit()),
        }
    };
    let usable = value.len() <= 253 && labels.iter().all(is_label) && !labels.iter().all(is_number);
    usable.then(|| Host::Name(value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn gateway(object: serde_json::Value) -> api::gateway::Gateway {
        serde_json::from_value(object).expect("valid")
    }

    #[test]
    fn port_and_protocol_come_from_the_listener_and_can_be_overridden() {
        let seen = gateway(json!({
            "spec": {"listeners": [
                {"name": "t", "port": 9, "protocol": "TCP"},
                {"name": "s", "port": 443, "protocol": "HTTPS"},
                {"name": "h", "port": 8081, "protocol": "HTTP"}]},
            "status": {"addresses": [{"value": "10.0.0.1:80"}, {"value": "fd00::1"}]}}));
        let found = |mode: Gateway| mode.judge(&seen).expect("usable");
        let plain = found(Gateway::default());
        assert_eq!((plain.port, plain.scheme), (8081, Scheme::Http));
        assert_eq!(plain.host.with_port(1), "[fd00::1]:1");
        let secure = found(Gateway {
            scheme: Some(Scheme::Https),
            ..Gateway::default()
        });
        assert_eq!((secure.port, secure.scheme), (443, Scheme::Https));
        let other = found(Gateway {
            port: Some(7000),
            ..Gateway::default()
        });
        assert_eq!((other.port, other.scheme), (7000, Scheme::Http));
    }

    #[test]
    fn a_gateway_that_is_not_programmed_is_waited_for() {
        let seen = gateway(json!({
            "spec": {"listeners": [{"name": "h", "port": 80, "protocol": "HTTP"}]},
            "status": {"addresses": [{"value": "10.0.0.1"}],
                       "conditions": [{"type": "Programmed", "status": "False", "reason": "Pending"}]}}));
        assert_eq!(
            Gateway::default().judge(&seen),
            Err(Lack::Time("Programmed=False, reason Pending".to_owned()))
        );
    }

    #[test]
    fn only_addresses_and_proper_host_names_are_usable() {
        for good in ["10.0.0.1", "::1", "gw.example.com", "a-1", "1.example"] {
            assert!(host(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "2130706433",
            "0x7f.1",
            "a/b",
            "a:80",
            "-a.b",
            "a..b",
            "u@h",
            "a b",
        ] {
            assert!(host(bad).is_none(), "{bad}");
        }
    }
}
