//! The sandbox router: the `X-Sandbox-*` contract, resolution, forwarding, error bodies.
//!
//! It follows the upstream Go router (pod address header, pod cache, then name; three more attempts
//! to dial after 200, 400 and 800 ms; bodies end with a newline) with loopback pod addresses
//! allowed, and the upstream Python router where that one alone has a rule: `X-Sandbox-Timeout`,
//! 504 for a timeout, and the path forwarded as it came.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use http::header::{AUTHORIZATION, HOST, ORIGIN, UPGRADE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use serde::Serialize;
use tokio::net::TcpListener;

use super::fault::{Faults, Server};
use super::http::{Body, Lifetime, serve, with_type};
use super::spans::SpanSink;
use super::token::{RouterAuth, Shown};
use super::upstream::{Dial, Lookup, Upstream};
use crate::api::{RUNTIME_PORT, header};

/// Longest time a call may take, and the default.
const TIMEOUT: Duration = Duration::from_mins(3);
const DIAL_PAUSES: [Duration; 3] = [
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
];
/// Suffix of the names that the router looks up.
const SERVICE_DOMAIN: &str = "svc.cluster.local";

/// A running router.
#[derive(Debug)]
pub(crate) struct Router {
    lifetime: Lifetime,
}

impl Router {
    /// Listens until it is stopped or `lifetime` ends; `lookup` resolves
    /// `<sandbox>.<namespace>.svc.cluster.local`.
    ///
    /// # Errors
    /// The system's error if the address cannot be bound.
    pub(crate) async fn start(
        address: SocketAddr,
        lookup: Lookup,
        auth: RouterAuth,
        (faults, spans, lifetime): (&Faults, &SpanSink, &Lifetime),
    ) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let lifetime = lifetime.own();
        let dial = Dial {
            lookup,
            pauses: &DIAL_PAUSES,
        };
        let routing = Routing {
            upstream: Upstream::new(dial, lifetime.clone()),
            auth,
        };
        let handler = move |request| {
            let routing = routing.clone();
            async move { routing.handle(request).await }
        };
        let handler = spans.around(faults.around(Server::Router, handler));
        serve(listener, None, handler, &lifetime);
        Ok(Self { lifetime })
    }

    /// Closes the listener and all connections, in the middle of calls too.
    pub(crate) async fn stop(self) {
        self.lifetime.end().await;
    }
}

#[derive(Clone)]
struct Routing {
    upstream: Upstream,
    auth: RouterAuth,
}

impl Routing {
    async fn handle(&self, request: Request<Incoming>) -> Response<Body> {
        if request.uri().path() == "/healthz" {
            return json(StatusCode::OK, "{\"status\":\"ok\"}\n".to_owned());
        }
        if let RouterAuth::Token(token) = &self.auth {
            let text = match token.admits(request.headers()) {
                Shown::Right => None,
                Shown::Wrong => Some("Invalid token."),
                Shown::None => Some("Missing or invalid Authorization header."),
            };
            if let Some(text) = text {
                return refuse(StatusCode::UNAUTHORIZED, text);
            }
        }
        let target = match Target::read(request.headers()) {
            Ok(target) => target,
            Err(refusal) => return refuse(StatusCode::BAD_REQUEST, refusal.text()),
        };
        let upgrade = request.headers().contains_key(UPGRADE);
        let Some(request) = target.address(request) else {
            return refuse(StatusCode::BAD_REQUEST, Refusal::Id.text());
        };
        let sending = self.upstream.send(request);
        let answer = if upgrade {
            Ok(sending.await)
        } else {
            tokio::time::timeout(target.timeout, sending).await
        };
        match answer {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                tracing::debug!(sandbox = %target.id, %error, "the sandbox gave no answer");
                let text = format!("Could not connect to the backend sandbox: {}", target.id);
                refuse(StatusCode::BAD_GATEWAY, &text)
            }
            Err(_) => {
                let text = format!("Timed out waiting for the backend sandbox: {}", target.id);
                refuse(StatusCode::GATEWAY_TIMEOUT, &text)
            }
        }
    }
}

/// Why a request is not routed, in the order of the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    NoId,
    Id,
    Namespace,
    Port,
    Address,
}

impl Refusal {
    fn text(self) -> &'static str {
        match self {
            Self::NoId => "X-Sandbox-ID header is required.",
            Self::Id => "Invalid sandbox ID format.",
            Self::Namespace => "Invalid namespace format.",
            Self::Port => "Invalid port format.",
            Self::Address => "Invalid target IP address.",
        }
    }
}

/// Where a request is to go.
#[derive(Debug, PartialEq)]
struct Target {
    id: String,
    namespace: String,
    port: u16,
    ip: Option<IpAddr>,
    timeout: Duration,
}

impl Target {
    fn read(headers: &HeaderMap) -> Result<Self, Refusal> {
        let text = |name: &str| {
            headers
                .get(name)
                .map(|value| value.to_str().unwrap_or("\u{0}"))
        };
        let id = text(header::SANDBOX_ID)
            .filter(|id| !id.is_empty())
            .ok_or(Refusal::NoId)?;
        if !is_label(id) {
            return Err(Refusal::Id);
        }
        let namespace = text(header::SANDBOX_NAMESPACE)
            .filter(|namespace| !namespace.is_empty())
            .unwrap_or("default");
        if !is_label(namespace) {
            return Err(Refusal::Namespace);
        }
        let port = match text(header::SANDBOX_PORT).filter(|port| !port.is_empty()) {
            None => RUNTIME_PORT,
            Some(port) => port
                .parse()
                .ok()
                .filter(|port| *port != 0)
                .ok_or(Refusal::Port)?,
        };
        let ip = text(header::SANDBOX_POD_IP)
            .filter(|ip| !ip.is_empty())
            .map(|ip| ip.parse().ok().filter(is_routable).ok_or(Refusal::Address))
            .transpose()?;
        let timeout = text(header::SANDBOX_TIMEOUT)
            .and_then(|seconds| seconds.trim().parse::<f64>().ok())
            .filter(|seconds| *seconds > 0.0)
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .map_or(TIMEOUT, |timeout| timeout.min(TIMEOUT));
        Ok(Self {
            id: id.to_owned(),
            namespace: namespace.to_owned(),
            port,
            ip,
            timeout,
        })
    }

    /// Points the request at the target and rewrites its headers.
    fn address(&self, mut request: Request<Incoming>) -> Option<Request<Incoming>> {
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        let authority = Authority::try_from(self.to_string()).ok()?;
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(authority);
        parts
            .path_and_query
            .get_or_insert_with(|| PathAndQuery::from_static("/"));
        *request.uri_mut() = Uri::from_parts(parts).ok()?;
        let peer = request.extensions().get::<SocketAddr>().copied();
        let headers = request.headers_mut();
        let host = headers.remove(HOST);
        headers.remove(AUTHORIZATION);
        if headers.contains_key(UPGRADE) {
            headers.remove(ORIGIN);
        }
        let mut set = |name: &'static str, value: Option<HeaderValue>| {
            if let Some(value) = value {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        set("x-forwarded-host", host);
        set("x-forwarded-proto", Some(HeaderValue::from_static("http")));
        set(
            "x-forwarded-for",
            peer.and_then(|peer| HeaderValue::from_str(&peer.ip().to_string()).ok()),
        );
        Some(request)
    }
}

/// Host and port, by address if it is known, else by the name of the Sandbox's Service.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port;
        match self.ip {
            Some(ip) => SocketAddr::new(ip, port).fmt(f),
            None => write!(f, "{}.{}.{SERVICE_DOMAIN}:{port}", self.id, self.namespace),
        }
    }
}

/// A DNS label (RFC 1123): 1 to 63 of `a-z`, `0-9` and inner hyphens.
fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Not unspecified, multicast or link-local. Loopback is where all pods of this cluster are.
fn is_routable(ip: &IpAddr) -> bool {
    let link_local = match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    };
    !(ip.is_unspecified() || ip.is_multicast() || link_local)
}

fn refuse(status: StatusCode, text: &str) -> Response<Body> {
    #[derive(Serialize)]
    struct Detail<'a> {
        detail: &'a str,
    }
    // a struct of one string always serialises
    let mut body = serde_json::to_string(&Detail { detail: text }).unwrap_or_default();
    body.push('\n');
    json(status, body)
}

fn json(status: StatusCode, body: String) -> Response<Body> {
    with_type(status, "application/json", body)
}

#[cfg(test)]
#[path = "router_tests.rs"]
mod tests;
