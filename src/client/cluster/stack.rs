//! Connections to the API server, assembled from kube's parts.
//!
//! Differences from kube's own stack: `TCP_NODELAY` is on (without it every write through a
//! port-forward waits about 40 ms), nothing is retried silently, sockets are counted, and
//! connection tasks belong to the client.

use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::{FutureExt, TryFutureExt};
use http::HeaderValue;
use http::uri::Uri;
use hyper::rt::{Read, Write};
use hyper_rustls::{FixedServerNameResolver, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as HyperClient;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connect, Connection, HttpConnector};
use hyper_util::rt::TokioTimer;
use kube::client::{Body, ConfigExt};
use rustls::pki_types::ServerName;
use tower::{BoxError, Service, ServiceBuilder};

use crate::client::error::BuildError;
use crate::client::tasks::{Counted, Gauge, Tasks};

/// How often the API server must show on an HTTP/2 connection that it is there.
const PING: Duration = Duration::from_secs(20);

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::client) enum Protocol {
    /// One request at a time, and upgrades.
    Http1,
    /// Many requests on one connection.
    Http2,
}

/// A kube client with connections of its own.
pub(in crate::client) fn connect(
    config: &kube::Config,
    tasks: &Tasks,
    sockets: &Gauge,
    protocol: Protocol,
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
        return assemble(config, tasks, tcp, protocol).map_err(|error| failed(error.into()));
    };
    let built = match proxy.scheme_str() {
        Some("socks5") => assemble(config, tasks, SocksV5::new(proxy, tcp), protocol),
        Some("http") => assemble(
            config,
            tasks,
            with_credentials(Tunnel::new(proxy.clone(), tcp), &proxy),
            protocol,
        ),
        Some("https") => config
            .rustls_https_connector_with_connector(tcp)
            .and_then(|tls| {
                assemble(
                    config,
                    tasks,
                    with_credentials(Tunnel::new(proxy.clone(), tls), &proxy),
                    protocol,
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
    protocol: Protocol,
) -> Result<kube::Client, kube::Error>
where
    C: Service<Uri> + Clone + Send + Sync + 'static,
    C::Response: Connection + Read + Write + Send + Unpin + 'static,
    C::Future: Send + 'static,
    C::Error: std::error::Error + Send + Sync + 'static,
{
    let mut builder = HyperClient::builder(tasks.clone());
    builder.pool_timer(TokioTimer::new());
    match protocol {
        Protocol::Http1 => {
            let tls = config.rustls_https_connector_with_connector(connector)?;
            around(config, builder.build::<_, Body>(tls))
        }
        Protocol::Http2 => {
            let tls = http2_connector(config, connector)?;
            builder
                .timer(TokioTimer::new())
                .http2_only(true)
                .http2_adaptive_window(true)
                .http2_keep_alive_interval(PING);
            around(config, builder.build::<_, Body>(tls))
        }
    }
}

/// Address, credentials and headers around an HTTP client.
fn around<C>(
    config: &kube::Config,
    client: HyperClient<C, Body>,
) -> Result<kube::Client, kube::Error>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(client);
    Ok(kube::Client::new(service, config.default_namespace.clone()))
}

/// As kube's own connector, which cannot be asked for HTTP/2.
fn http2_connector<C>(config: &kube::Config, connector: C) -> Result<OnlyHttp2<C>, kube::Error> {
    let tls = config.rustls_client_config()?;
    let mut builder = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_only();
    if let Some(name) = &config.tls_server_name {
        let name = ServerName::try_from(name.clone())
            .map_err(|error| kube::Error::Service(error.into()))?;
        builder = builder.with_server_name_resolver(FixedServerNameResolver::new(name));
    }
    Ok(OnlyHttp2(builder.enable_http2().wrap_connector(connector)))
}

/// A connector that refuses servers that do not agree to HTTP/2: they might never answer.
#[derive(Clone)]
struct OnlyHttp2<C>(HttpsConnector<C>);

impl<C> Service<Uri> for OnlyHttp2<C>
where
    HttpsConnector<C>: Service<Uri, Error = BoxError>,
    <HttpsConnector<C> as Service<Uri>>::Response: Connection,
    <HttpsConnector<C> as Service<Uri>>::Future: Send + 'static,
{
    type Response = <HttpsConnector<C> as Service<Uri>>::Response;
    type Error = BoxError;
    type Future = futures::future::BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let connecting = self.0.call(target);
        async move {
            let io = connecting.await?;
            if io.connected().is_negotiated_h2() {
                Ok(io)
            } else {
                Err("the server does not offer HTTP/2".into())
            }
        }
        .boxed()
    }
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
