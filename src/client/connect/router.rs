//! What a router needs to know about a sandbox.
//!
//! Source: the headers that Python SDK 1.0.8 sends in its router modes.

use std::net::IpAddr;

use http::header::{HeaderName, HeaderValue};

use super::endpoint::Routing;
use crate::api::header::{SANDBOX_ID, SANDBOX_NAMESPACE, SANDBOX_POD_IP, SANDBOX_PORT};
use crate::api::sandbox::Sandbox;
use crate::client::claim::ReadyClaim;
use crate::client::core::Client;
use crate::client::error::{ConnectError, KubeError};

/// Whether a router is told the address of the sandbox's Pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PodIpHeader {
    /// It is, in the header `X-Sandbox-Pod-IP`: the router need not look the sandbox up. As all
    /// released SDKs do.
    #[default]
    Send,
    /// It is not. Needed for routers that check tokens of a scope: they answer 403 to a request
    /// that names an address (Go router, `scoped-token`).
    Omit,
}

/// The headers that name the sandbox, its port and, if wanted and known, the address of its Pod.
pub(super) async fn headers(
    client: &Client,
    claim: &ReadyClaim,
    port: u16,
    address: PodIpHeader,
) -> Result<Routing, ConnectError> {
    let value = |text: &str| {
        HeaderValue::from_str(text).map_err(|_| ConnectError::Setting {
            setting: "name of the sandbox",
            value: text.to_owned(),
            problem: "it cannot be a header".to_owned(),
        })
    };
    let mut headers = vec![
        (
            HeaderName::from_static(SANDBOX_ID),
            value(&claim.sandbox_name)?,
        ),
        (
            HeaderName::from_static(SANDBOX_NAMESPACE),
            value(&claim.namespace)?,
        ),
        (
            HeaderName::from_static(SANDBOX_PORT),
            HeaderValue::from(port),
        ),
    ];
    if address == PodIpHeader::Omit {
        return Ok(Routing::Router(headers));
    }
    match pod_ip(client, claim).await {
        Ok(Some(address)) => headers.push((
            HeaderName::from_static(SANDBOX_POD_IP),
            value(&address.to_string())?,
        )),
        Ok(None) => {}
        // The router then finds the sandbox by its name.
        Err(error) => tracing::debug!(%error, "the pod address is not sent"),
    }
    Ok(Routing::Router(headers))
}

/// Address of the sandbox's Pod: IPv4 if there is one. Asks the API server only if the claim did
/// not tell.
pub(super) async fn pod_ip(
    client: &Client,
    claim: &ReadyClaim,
) -> Result<Option<IpAddr>, KubeError> {
    if let Some(address) = claim.pod_ips.first() {
        return Ok(Some(*address));
    }
    let sandbox: Sandbox = client
        .api()
        .get(&client.sandboxes(), &claim.sandbox_name)
        .await?;
    Ok(sandbox.pod_ips().first().copied())
}
