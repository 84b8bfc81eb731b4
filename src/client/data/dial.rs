//! New connections: TCP, TLS over TCP, or a port-forward, each with HTTP/1.1 on it.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::client::conn::http2;
use hyper::rt::{Read, Write};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;

use super::body::RequestBody;
use super::grpc;
use super::tls::{Tls, TlsProblem};
use crate::client::cluster::Api;
use crate::client::connect::port_forward::{self, PodPort};
use crate::client::connect::{Scheme, TlsSettings};
use crate::client::dns::{LookupError, Resolver};
use crate::client::error::{BoxError, ConnectError};
use crate::client::tasks::{Counted, Gauge, Tasks};

/// How often sandboxd must show on a connection with calls that it is there; it has 20 s to do so
/// (hyper's default).
const PING: Duration = Duration::from_secs(20);

/// A host of a URL.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::client) enum Host {
    /// An address.
    Address(IpAddr),
    /// A name.
    Name(String),
}

impl Host {
    /// With a port, as in a URL: IPv6 in brackets.
    pub(in crate::client) fn with_port(&self, port: u16) -> String {
        match self {
            Self::Address(address) => SocketAddr::new(*address, port).to_string(),
            Self::Name(name) => format!("{name}:{port}"),
        }
    }
}

/// The pods of the router, one of which is used until it fails.
#[derive(Debug)]
pub(in crate::client) struct Router {
    /// Where to look for it, in this order.
    pub(in crate::client) namespaces: Vec<String>,
    current: Mutex<Option<PodPort>>,
}

impl Router {
    /// The router in one of these namespaces.
    pub(in crate::client) fn new(namespaces: Vec<String>) -> Self {
        Self {
            namespaces,
            current: Mutex::new(None),
        }
    }

    fn current(&self) -> Option<PodPort> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.clone()
    }

    fn set(&self, pod: Option<PodPort>) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = pod;
    }
}

/// Where the connections of a pool lead.
#[derive(Debug, Clone)]
pub(in crate::client) enum Route {
    /// To a port.
    Tcp {
        /// Of this host.
        host: Host,
        /// The port.
        port: u16,
        /// Encrypted or not.
        scheme: Scheme,
    },
    /// To a port, with TLS of its own.
    Tls {
        /// Of this host.
        host: Host,
        /// The port.
        port: u16,
        /// Whom to trust, and who the client is.
        tls: Arc<TlsSettings>,
    },
    /// Through the API server to the router.
    Tunnel(Arc<Router>),
    /// Through the API server to a port of a pod.
    Pod(PodPort),
}

impl Route {
    /// For errors.
    pub(in crate::client) fn describe(&self) -> String {
        match self {
            Self::Tcp { host, port, .. } | Self::Tls { host, port, .. } => host.with_port(*port),
            Self::Pod(pod) => format!("port {} of pod {}/{}", pod.port, pod.namespace, pod.name),
            Self::Tunnel(router) => format!("the router in {}", router.namespaces.join(" or ")),
        }
    }
}

/// Whatever is needed to make a connection.
#[derive(Debug)]
pub(in crate::client) struct Network {
    pub(in crate::client) dns: Resolver,
    pub(in crate::client) api: Api,
    pub(in crate::client) sockets: Gauge,
    pub(in crate::client) tunnels: Gauge,
    tls: Tls,
}

pub(super) type Sender = SendRequest<RequestBody>;

impl Network {
    pub(in crate::client) fn new(dns: Resolver, api: Api, sockets: Gauge, tunnels: Gauge) -> Self {
        Self {
            dns,
            api,
            sockets,
            tunnels,
            tls: Tls::default(),
        }
    }

    /// Tells what is wrong with settings of TLS.
    pub(in crate::client) async fn check_tls(
        &self,
        settings: &TlsSettings,
    ) -> Result<(), TlsProblem> {
        self.tls.connector(settings).await.map(drop)
    }

    /// A new connection; its task belongs to `tasks`.
    pub(super) async fn dial(&self, route: &Route, tasks: &Tasks) -> Result<Sender, ConnectError> {
        match route {
            Route::Tcp { host, port, scheme } => {
                let stream = self.tcp(host, *port).await?;
                match scheme {
                    Scheme::Http => {
                        let io = Counted::new(TokioIo::new(stream), &self.sockets);
                        handshake(io, route, tasks).await
                    }
                    Scheme::Https => {
                        let settings = TlsSettings::default();
                        let stream = self.encrypt(stream, host, route, &settings).await?;
                        let io = Counted::new(TokioIo::new(stream), &self.sockets);
                        handshake(io, route, tasks).await
                    }
                }
            }
            Route::Tls { host, port, tls } => {
                let stream = self.tcp(host, *port).await?;
                let stream = self.encrypt(stream, host, route, tls).await?;
                let io = Counted::new(TokioIo::new(stream), &self.sockets);
                handshake(io, route, tasks).await
            }
            Route::Tunnel(router) => {
                let stream = self.tunnel(router).await?;
                handshake(Counted::new(stream, &self.tunnels), route, tasks).await
            }
            Route::Pod(pod) => {
                let stream = port_forward::open(&self.api, pod).await?;
                handshake(Counted::new(stream, &self.tunnels), route, tasks).await
            }
        }
    }

    /// A new HTTP/2 connection for gRPC; its task belongs to `tasks`.
    pub(super) async fn dial_grpc(
        &self,
        route: &Route,
        tasks: &Tasks,
    ) -> Result<grpc::Sender, ConnectError> {
        match route {
            Route::Tcp { host, port, .. } | Route::Tls { host, port, .. } => {
                let stream = TokioIo::new(self.tcp(host, *port).await?);
                handshake_grpc(Counted::new(stream, &self.sockets), route, tasks).await
            }
            Route::Tunnel(router) => {
                let stream = self.tunnel(router).await?;
                handshake_grpc(Counted::new(stream, &self.tunnels), route, tasks).await
            }
            Route::Pod(pod) => {
                let stream = port_forward::open(&self.api, pod).await?;
                handshake_grpc(Counted::new(stream, &self.tunnels), route, tasks).await
            }
        }
    }

    /// A TCP connection to the first address that takes one.
    async fn tcp(&self, host: &Host, port: u16) -> Result<TcpStream, ConnectError> {
        let addresses = match host {
            Host::Address(address) => vec![*address],
            Host::Name(name) => self.dns.resolve(name).await.map_err(|error| {
                let (LookupError::NotFound(source) | LookupError::Failed(source)) = error;
                ConnectError::Lookup {
                    name: name.clone(),
                    source,
                }
            })?,
        };
        let mut last: Option<std::io::Error> = None;
        for address in addresses {
            match TcpStream::connect((address, port)).await {
                Ok(stream) => match stream.set_nodelay(true) {
                    Ok(()) => return Ok(stream),
                    Err(error) => last = Some(error),
                },
                Err(error) => last = Some(error),
            }
        }
        let source = last.map_or_else(|| BoxError::from("the name has no addresses"), Into::into);
        Err(ConnectError::Dial {
            target: host.with_port(port),
            source,
        })
    }

    async fn encrypt(
        &self,
        stream: TcpStream,
        host: &Host,
        route: &Route,
        settings: &TlsSettings,
    ) -> Result<tokio_rustls::client::TlsStream<TcpStream>, ConnectError> {
        let failed = |source: BoxError| ConnectError::Tls {
            target: route.describe(),
            source,
        };
        let connector = self.tls.connector(settings).await;
        let connector = connector.map_err(|problem| problem.at(route.describe()))?;
        let name = match host {
            Host::Address(address) => ServerName::IpAddress((*address).into()),
            Host::Name(name) => ServerName::try_from(name.trim_end_matches('.').to_owned())
                .map_err(|error| failed(error.into()))?,
        };
        connector
            .connect(name, stream)
            .await
            .map_err(|error| failed(error.into()))
    }

    /// A port-forward to the router's current pod, or to another one if that fails.
    async fn tunnel(&self, router: &Router) -> Result<port_forward::PortStream, ConnectError> {
        if let Some(pod) = router.current() {
            match port_forward::open(&self.api, &pod).await {
                Ok(stream) => return Ok(stream),
                Err(error) => {
                    tracing::debug!(%error, "the router's pod is looked up again");
                    router.set(None);
                }
            }
        }
        let pod = port_forward::find_router(&self.api, &router.namespaces).await?;
        let stream = port_forward::open(&self.api, &pod).await?;
        router.set(Some(pod));
        Ok(stream)
    }
}

/// HTTP/1.1 on a stream.
async fn handshake<T>(io: T, route: &Route, tasks: &Tasks) -> Result<Sender, ConnectError>
where
    T: Read + Write + Send + Unpin + 'static,
{
    let (sender, connection) = http1::handshake(io)
        .await
        .map_err(|error| ConnectError::Dial {
            target: route.describe(),
            source: error.into(),
        })?;
    tasks.spawn(connection.map(|ended| {
        if let Err(error) = ended {
            tracing::trace!(%error, "a connection ended");
        }
    }));
    Ok(sender)
}

/// HTTP/2 on a stream, without TLS, as sandboxd speaks it.
async fn handshake_grpc<T>(
    io: T,
    route: &Route,
    tasks: &Tasks,
) -> Result<grpc::Sender, ConnectError>
where
    T: Read + Write + Send + Unpin + 'static,
{
    let (sender, connection) = http2::Builder::new(tasks.clone())
        .adaptive_window(true)
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .handshake(io)
        .await
        .map_err(|error| ConnectError::Dial {
            target: route.describe(),
            source: error.into(),
        })?;
    tasks.spawn(connection.map(|ended| {
        if let Err(error) = ended {
            tracing::trace!(%error, "a gRPC connection ended");
        }
    }));
    Ok(sender)
}
