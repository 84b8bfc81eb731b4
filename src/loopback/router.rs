//! The sandbox router: one door to all sandboxes, chosen by `X-Sandbox-*` headers.
//!
//! Validation, error bodies and header rewriting as in upstream's routers: targets are found by the
//! Pod-IP header, else by the pod of the sandbox's name, else by DNS. Loopback pod addresses are
//! allowed, as with the Go router's `--allow-loopback-pod-ip`.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use http::header::{AUTHORIZATION, CONNECTION, HOST, HeaderName, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tower::Service;

use super::http::{Body, BoxError, Lifetime, json as answer, serve};
use super::store::{Store, kind};
use crate::api::{RUNTIME_PORT, header};

/// The longest that a request may take.
const LIMIT: Duration = Duration::from_secs(180);
/// The waits before a further attempt to connect, as in the Go router.
const DIAL_WAITS: [Duration; 3] = [
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
];
/// What a hop keeps to itself.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailers",
    "transfer-encoding",
    "upgrade",
];

type Upstream = Client<Dial, Incoming>;

/// Where a request goes.
struct Target {
    id: String,
    address: SocketAddr,
}

/// Serves the router on `listener`.
pub(super) fn start(listener: TcpListener, store: Store, lifetime: &Lifetime) {
    let upstream = upstream(Patience::Retry);
    let handler = move |request| {
        let (store, upstream) = (store.clone(), upstream.clone());
        async move { route(&store, &upstream, request).await }
    };
    serve(listener, None, handler, lifetime);
}

/// Whether a refused connection is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// Three times more: a pod may be about to listen.
    Retry,
    /// No.
    Once,
}

/// Opens the connections of a pool.
#[derive(Debug, Clone)]
pub(super) struct Dial {
    connector: HttpConnector,
    patience: Patience,
}

impl Service<Uri> for Dial {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let mut connector = self.connector.clone();
        let waits: &'static [Duration] = if self.patience == Patience::Retry {
            &DIAL_WAITS
        } else {
            &[]
        };
        Box::pin(async move {
            let mut waits = waits.iter();
            loop {
                match connector.call(uri.clone()).await {
                    Ok(stream) => return Ok(stream),
                    Err(error) => match waits.next() {
                        Some(wait) if is_refused(&error) => tokio::time::sleep(*wait).await,
                        _ => return Err(error.into()),
                    },
                }
            }
        })
    }
}

fn is_refused(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return error.kind() == std::io::ErrorKind::ConnectionRefused;
        }
        cause = error.source();
    }
    false
}

/// A pool of connections to pods or, for a gateway, to the router.
pub(super) fn upstream(patience: Patience) -> Upstream {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(Duration::from_secs(5)));
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(90))
        .retry_canceled_requests(false)
        .build(Dial {
            connector,
            patience,
        })
}

fn detail(status: StatusCode, text: impl Into<String>) -> Response<Body> {
    answer(status, &json!({ "detail": text.into() }))
}

async fn route(store: &Store, upstream: &Upstream, request: Request<Incoming>) -> Response<Body> {
    if request.uri().path() == "/healthz" {
        return answer(StatusCode::OK, &json!({ "status": "ok" }));
    }
    let target = match target(store, request.headers()) {
        Ok(target) => target,
        Err(refusal) => return *refusal,
    };
    let limit = text(request.headers(), header::SANDBOX_TIMEOUT)
        .and_then(|seconds| seconds.parse::<f64>().ok())
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .filter(|limit| !limit.is_zero())
        .map_or(LIMIT, |limit| limit.min(LIMIT));
    let deadline = Instant::now() + limit;
    let could_not_connect = || {
        let text = format!("Could not connect to the backend sandbox: {}", target.id);
        detail(StatusCode::BAD_GATEWAY, text)
    };
    let Some(request) = rewritten(request, target.address) else {
        return detail(
            StatusCode::INTERNAL_SERVER_ERROR,
            "An internal error occurred in the proxy.",
        );
    };
    match tokio::time::timeout_at(deadline, upstream.request(request)).await {
        Err(_) => {
            let text = format!("Timed out waiting for the backend sandbox: {}", target.id);
            detail(StatusCode::GATEWAY_TIMEOUT, text)
        }
        Ok(Err(error)) => {
            tracing::debug!(%error, sandbox = target.id, "upstream failed");
            could_not_connect()
        }
        Ok(Ok(response)) => relayed(response),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn is_label(text: &str) -> bool {
    let edge = |c: Option<u8>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    (1..=63).contains(&text.len())
        && edge(text.bytes().next())
        && edge(text.bytes().last())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn target(store: &Store, headers: &HeaderMap) -> Result<Target, Box<Response<Body>>> {
    let refuse = |text: &str| Box::new(detail(StatusCode::BAD_REQUEST, text));
    let id = text(headers, header::SANDBOX_ID).unwrap_or_default();
    if id.is_empty() {
        return Err(refuse("X-Sandbox-ID header is required."));
    }
    if !is_label(id) {
        return Err(refuse("Invalid sandbox ID format."));
    }
    let namespace = match text(headers, header::SANDBOX_NAMESPACE) {
        None | Some("") => "default",
        Some(namespace) => namespace,
    };
    if !is_label(namespace) {
        return Err(refuse("Invalid namespace format."));
    }
    let port = match text(headers, header::SANDBOX_PORT) {
        None => RUNTIME_PORT,
        Some(port) => match port.parse::<u16>() {
            Ok(port) if port > 0 => port,
            _ => return Err(refuse("Invalid port format.")),
        },
    };
    let ip = match headers.get(header::SANDBOX_POD_IP) {
        Some(value) => Some(
            value
                .to_str()
                .ok()
                .and_then(|ip| ip.parse::<IpAddr>().ok())
                .filter(|ip| !ip.is_multicast() && !ip.is_unspecified())
                .ok_or_else(|| refuse("Invalid target IP address."))?,
        ),
        None => pod_address(store, namespace, id),
    };
    let Some(ip) = ip else {
        let text = format!("Could not connect to the backend sandbox: {id}");
        return Err(Box::new(detail(StatusCode::BAD_GATEWAY, text)));
    };
    // Only addresses of this machine's loopback range have sandboxes behind them.
    if !ip.is_loopback() {
        return Err(refuse("Invalid target IP address."));
    }
    Ok(Target {
        id: id.to_owned(),
        address: SocketAddr::new(ip, port),
    })
}

fn pod_address(store: &Store, namespace: &str, id: &str) -> Option<IpAddr> {
    if let Some(pod) = store.get(kind("Pod"), namespace, id)
        && super::controller::is_true(&pod.value, "Ready")
    {
        return pod.value["status"]["podIP"].as_str()?.parse().ok();
    }
    let name = format!("{id}.{namespace}.svc.cluster.local");
    super::dns::addresses(store, &name)?
        .first()
        .copied()
        .map(IpAddr::V4)
}

/// The request as it goes to `address`: same path and query, without this hop's headers.
pub(super) fn rewritten(
    request: Request<Incoming>,
    address: SocketAddr,
) -> Option<Request<Incoming>> {
    let (mut parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let host = address.to_string();
    parts.uri = Uri::builder()
        .scheme("http")
        .authority(host.as_str())
        .path_and_query(path)
        .build()
        .ok()?;
    parts.version = http::Version::HTTP_11;
    strip_hop_by_hop(&mut parts.headers);
    parts.headers.remove(HOST);
    parts.headers.remove(AUTHORIZATION);
    Some(Request::from_parts(parts, body))
}

/// The answer as it goes back, streamed.
pub(super) fn relayed(response: Response<Incoming>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    strip_hop_by_hop(&mut parts.headers);
    Response::from_parts(
        parts,
        body.map_err(|error| -> BoxError { Box::new(error) })
            .boxed_unsync(),
    )
}

fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    debug_assert!(!headers.contains_key(UPGRADE) && !headers.contains_key(TRANSFER_ENCODING));
}
