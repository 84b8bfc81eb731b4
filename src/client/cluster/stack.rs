//! Connections to the API server, assembled from kube's parts.
//!
//! Differences from kube's own stack: `TCP_NODELAY` is on (without it every write through a
//! port-forward waits about 40 ms), nothing is retried silently, sockets are counted, and
//! connection tasks belong to the client.

use std::task::{Context, Poll};

use futures::future::{FutureExt, TryFutureExt};
use http::HeaderValue;
use http::uri::Uri;
use hyper::rt::{Read, Write};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connection, HttpConnector};
use hyper_util::rt::TokioTimer;
use kube::client::{Body, ConfigExt};
use tower::{BoxError, Service, ServiceBuilder};

use crate::client::error::BuildError;
use crate::client::tasks::{Counted, Gauge, Tasks};

/// A kube client with connections of its own.
pub(in crate::client) fn connect(
    config: &kube::Config,
    tasks: &Tasks,
    sockets: &Gauge,
) -> Result<kube::Client, BuildError> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(config.connect_timeout);
    let tcp = Counting {
        inner: tcp,
        sockets: sockets.clone(),
    };
    let failed = |source: BoxError| BuildError::Configuration {
        server: config.cluster_url.to_string(),
        source,
    };
    let Some(proxy) = config.proxy_url.clone() else {
        return assemble(config, tasks, tcp).map_err(|error| failed(error.into()));
    };
    let built = match proxy.scheme_str() {
        Some("socks5") => assemble(config, tasks, SocksV5::new(proxy, tcp)),
        Some("http") => assemble(
            config,
            tasks,
            with_credentials(Tunnel::new(proxy.clone(), tcp), &proxy),
        ),
        Some("https") => config
            .rustls_https_connector_with_connector(tcp)
            .and_then(|tls| {
                assemble(
                    config,
                    tasks,
                    with_credentials(Tunnel::new(proxy.clone(), tls), &proxy),
                )
            }),
        _ => Err(kube::Error::ProxyProtocolUnsupported {
            proxy_url: Box::new(proxy),
        }),
    };
    built.map_err(|error| failed(error.into()))
}

/// TLS, credentials and headers around a connector.
fn assemble<C>(
    config: &kube::Config,
    tasks: &Tasks,
    connector: C,
) -> Result<kube::Client, kube::Error>
where
    C: Service<Uri> + Clone + Send + Sync + 'static,
    C::Response: Connection + Read + Write + Send + Unpin + 'static,
    C::Future: Send + 'static,
    C::Error: std::error::Error + Send + Sync + 'static,
{
    let tls = config.rustls_https_connector_with_connector(connector)?;
    let client: HyperClient<_, Body> = HyperClient::builder(tasks.clone())
        .pool_timer(TokioTimer::new())
        .build(tls);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(client);
    Ok(kube::Client::new(service, config.default_namespace.clone()))
}

/// Credentials in the proxy's URL become its `Proxy-Authorization`.
fn with_credentials<C>(tunnel: Tunnel<C>, proxy: &Uri) -> Tunnel<C> {
    let credentials = proxy
        .authority()
        .and_then(|authority| authority.as_str().split_once('@'))
        .map(|(credentials, _)| credentials);
    match credentials.and_then(basic) {
        Some(header) => tunnel.with_auth(header),
        None => tunnel,
    }
}

fn basic(credentials: &str) -> Option<HeaderValue> {
    let decoded = percent_encoding::percent_decode_str(credentials).collect::<Vec<u8>>();
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, decoded);
    let mut value = HeaderValue::from_str(&format!("Basic {encoded}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// A connector whose sockets are counted.
#[derive(Debug, Clone)]
struct Counting<C> {
    inner: C,
    sockets: Gauge,
}

impl<C> Service<Uri> for Counting<C>
where
    C: Service<Uri>,
    C::Response: Send + 'static,
    C::Future: Send + 'static,
{
    type Response = Counted<C::Response>;
    type Error = C::Error;
    type Future = futures::future::BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let sockets = self.sockets.clone();
        self.inner
            .call(target)
            .map_ok(move |io| Counted::new(io, &sockets))
            .boxed()
    }
}
