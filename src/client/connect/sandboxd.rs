//! The way to sandboxd on a host: REST on one port, gRPC on another, without a router.

use http::Uri;

use super::Scheme;
use super::endpoint::{Endpoint, Routing};
use crate::client::core::Client;
use crate::client::data::{Host, Route, Sharing};
use crate::client::error::ConnectError;
use crate::client::runtime::SandboxdPorts;

/// An endpoint for sandboxd on a host that is called `name`.
pub(super) fn on_host(
    client: &Client,
    host: &Host,
    name: &str,
    ports: SandboxdPorts,
) -> Result<Endpoint, ConnectError> {
    let at = |port| Route::Tcp {
        host: host.clone(),
        port,
        scheme: Scheme::Http,
    };
    // An IPv6 address stands in brackets.
    let named = |port| match host {
        Host::Address(_) => host.with_port(port),
        Host::Name(_) => format!("{name}:{port}"),
    };
    endpoint(
        client,
        (at(ports.rest), &named(ports.rest)),
        (at(ports.grpc), &named(ports.grpc)),
    )
}

/// An endpoint for sandboxd behind two routes, each with the authority of its requests.
pub(super) fn endpoint(
    client: &Client,
    (rest, host): (Route, &str),
    (grpc, authority): (Route, &str),
) -> Result<Endpoint, ConnectError> {
    let origin: Uri =
        format!("http://{authority}")
            .parse()
            .map_err(|error: http::uri::InvalidUri| ConnectError::Setting {
                setting: "host",
                value: authority.to_owned(),
                problem: error.to_string(),
            })?;
    let pool = client.pools().get(rest, Sharing::Private);
    let channel = client.pools().channel(grpc, origin);
    let straight = Routing::Straight;
    let endpoint = Endpoint::new(pool, Sharing::Private, host, String::new(), straight)?;
    Ok(endpoint.with_channel(channel))
}
