//! [`Upstream`]: the sending side of router and gateway: pooled connections, streaming both ways.
//!
//! Dialling may be repeated, a request never is. An upgraded connection is copied by a task of the
//! proxy's, until one side closes or the proxy is stopped.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{
    CONNECTION, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tower::Service;

use super::http::{Body, BoxError, Lifetime};

/// Finds the address of a host name; asked anew for every attempt to dial.
pub(crate) type Lookup = Arc<dyn Fn(&str) -> Option<IpAddr> + Send + Sync>;

/// Idle connections that are kept for one target.
const IDLE_PER_HOST: usize = 64;
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);

/// Opens connections: resolves, dials, repeats after each of the pauses, sets `TCP_NODELAY`.
#[derive(Clone)]
pub(crate) struct Dial {
    pub(crate) lookup: Lookup,
    pub(crate) pauses: &'static [Duration],
}

impl Dial {
    async fn open(self, target: Uri) -> io::Result<TokioIo<TcpStream>> {
        let mut pauses = self.pauses.iter();
        loop {
            match self.attempt(&target).await {
                Ok(stream) => return Ok(TokioIo::new(stream)),
                Err(error) => match pauses.next() {
                    Some(pause) => tokio::time::sleep(*pause).await,
                    None => return Err(error),
                },
            }
        }
    }

    async fn attempt(&self, target: &Uri) -> io::Result<TcpStream> {
        let host = target.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let ip = match host.parse::<IpAddr>() {
            Ok(ip) => ip,
            Err(_) => (self.lookup)(host)
                .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such host"))?,
        };
        let address = SocketAddr::new(ip, target.port_u16().unwrap_or(80));
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

impl Service<Uri> for Dial {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        Box::pin(self.clone().open(target))
    }
}

/// Pooled HTTP/1.1 connections to whatever the requests name.
#[derive(Clone)]
pub(crate) struct Upstream {
    client: Client<Dial, Incoming>,
    lifetime: Lifetime,
}

impl Upstream {
    /// Upgraded connections live no longer than `lifetime`.
    pub(crate) fn new(dial: Dial, lifetime: Lifetime) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .build(dial);
        Self { client, lifetime }
    }

    /// Sends a request whose URI names the target, and returns the answer as it streams in.
    /// Connection headers are taken off on both sides, except those of an upgrade.
    ///
    /// # Errors
    /// The client library's error if no answer came; `is_connect` tells that dialling failed.
    ///
    /// # Cancel safety
    /// If dropped, the request is given up and its connection closed.
    pub(crate) async fn send(
        &self,
        mut request: Request<Incoming>,
    ) -> Result<Response<Body>, Error> {
        let wanted = upgrade_of(request.headers());
        drop_hop_by_hop(request.headers_mut());
        let near = wanted.map(|protocol| {
            restore_upgrade(request.headers_mut(), protocol);
            hyper::upgrade::on(&mut request)
        });
        let mut response = self.client.request(request).await?;
        let switched = (response.status() == StatusCode::SWITCHING_PROTOCOLS)
            .then(|| upgrade_of(response.headers()))
            .flatten();
        drop_hop_by_hop(response.headers_mut());
        if let (Some(near), Some(protocol)) = (near, switched) {
            restore_upgrade(response.headers_mut(), protocol);
            let far = hyper::upgrade::on(&mut response);
            self.lifetime.spawn(join(near, far));
        }
        Ok(response.map(|body| body.map_err(BoxError::from).boxed_unsync()))
    }
}

async fn join(near: OnUpgrade, far: OnUpgrade) {
    let (near, far) = match tokio::try_join!(near, far) {
        Ok(both) => both,
        Err(error) => {
            tracing::debug!(%error, "an upgrade was not completed");
            return;
        }
    };
    let (mut near, mut far) = (TokioIo::new(near), TokioIo::new(far));
    if let Err(error) = tokio::io::copy_bidirectional(&mut near, &mut far).await {
        tracing::trace!(%error, "an upgraded connection broke off");
    }
}

fn upgrade_of(headers: &HeaderMap) -> Option<HeaderValue> {
    let asks = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|token| token.trim().eq_ignore_ascii_case("upgrade"));
    asks.then(|| headers.get(UPGRADE).cloned()).flatten()
}

fn restore_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, protocol);
}

/// Takes off what concerns one connection only (RFC 9110 §7.6.1).
fn drop_hop_by_hop(headers: &mut HeaderMap) {
    const FIXED: [HeaderName; 6] = [
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
        PROXY_AUTHENTICATE,
        PROXY_AUTHORIZATION,
    ];
    for value in headers
        .get_all(CONNECTION)
        .iter()
        .cloned()
        .collect::<Vec<_>>()
    {
        for name in value.to_str().unwrap_or_default().split(',') {
            headers.remove(name.trim());
        }
    }
    headers.remove(CONNECTION);
    headers.remove("keep-alive");
    headers.remove("proxy-connection");
    for name in FIXED {
        headers.remove(name);
    }
}
