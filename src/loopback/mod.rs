//! The loopback cluster: a Kubernetes API subset, controllers, gateway, router, DNS and sandbox
//! runtimes on 127.0.0.0/8, in this process.
//!
//! A stand-in for protocol and latency, **not isolation**: commands really run, as the user who
//! started it, in a directory of their own per pod. It shares only `api` and `units` with the client,
//! so that it can catch the client's mistakes.
//!
//! ```text
//! kubectl, clients ──TLS, token──► API server ──► store ◄── controllers, kubelet, collector
//!                                      │ port-forward
//! gateway 127.X.0.20+ ──► router 127.X.0.2:8080 ──► pods 127.X.1.1+ :8888
//! ```

mod address;
mod api_server;
mod config;
mod controller;
mod dns;
mod gateway;
mod http;
mod kubelet;
mod leftovers;
mod router;
mod runtime;
mod store;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::RngExt;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

pub use config::{ClusterConfig, Delay, DelayError, Delays};
pub use leftovers::Leftovers;

use crate::api::ROUTER_PORT;
use address::AddressPlan;
use http::Lifetime;
use kubelet::Kubelet;
use store::{Store, kind};

/// How long the end may take before what still runs is reported as left behind.
const END_LIMIT: Duration = Duration::from_secs(10);

/// Why a loopback cluster could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LoopbackError {
    /// No block of addresses is free, or one of its ports is taken.
    #[error("listen on {address}")]
    Listen {
        /// Where.
        address: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The certificate for the API server could not be made.
    #[error("make a certificate for the API server: {0}")]
    Certificate(String),
    /// The directory for the pods could not be made.
    #[error("make a directory for the pods")]
    Directory(#[source] io::Error),
    /// The objects that every cluster has could not be created.
    #[error("create the cluster's own objects: {0}")]
    Objects(String),
}

/// A running loopback cluster. End it with [`Cluster::shutdown`]; dropping it kills the commands of
/// its pods and closes its sockets, but waits for nothing.
#[derive(Debug)]
pub struct Cluster {
    store: Store,
    kubelet: Kubelet,
    lifetime: Lifetime,
    router_lifetime: Lifetime,
    directory: Option<tempfile::TempDir>,
    api_server: SocketAddr,
    router: SocketAddr,
    dns: SocketAddr,
    token: String,
    authority: String,
}

impl Cluster {
    /// Starts a cluster on a free block of loopback addresses.
    ///
    /// # Errors
    /// When no addresses are free, or the machine gives no directory or descriptors.
    pub async fn start(config: ClusterConfig) -> Result<Self, LoopbackError> {
        let (plan, api_listener) =
            AddressPlan::claim()
                .await
                .map_err(|source| LoopbackError::Listen {
                    address: "a free block of 127.0.0.0/8".to_owned(),
                    source,
                })?;
        let listen = |address: SocketAddr| {
            move |source| LoopbackError::Listen {
                address: address.to_string(),
                source,
            }
        };
        let api_server = api_listener.local_addr().map_err(listen(plan.dns()))?;
        let router = SocketAddr::from((plan.router(), ROUTER_PORT));
        let router_listener = TcpListener::bind(router).await.map_err(listen(router))?;
        let directory = tempfile::Builder::new()
            .prefix("sandbench-pods-")
            .tempdir()
            .map_err(LoopbackError::Directory)?;
        let (tls, authority) = certificate(api_server)?;
        let mut secret = [0_u8; 24];
        rand::rng().fill(&mut secret);
        let token = STANDARD.encode(secret).replace(['+', '/'], "x");
        let (store, orphans) = Store::new();
        let lifetime = Lifetime::default();
        let router_lifetime = lifetime.child();
        let dns = plan.dns();
        dns::start(dns, store.clone(), &lifetime)
            .await
            .map_err(listen(dns))?;
        controller::publish(&store, plan.router())
            .map_err(|error| LoopbackError::Objects(error.to_string()))?;
        controller::start(&store, config.delays.adoption, orphans, &lifetime);
        let delay = config.delays.pod_start;
        let kubelet = Kubelet::start(&store, plan.clone(), directory.path(), delay, &lifetime);
        router::start(router_listener, store.clone(), &router_lifetime);
        gateway::start(store.clone(), plan, router, &lifetime);
        api_server::start(api_listener, tls, store.clone(), token.clone(), &lifetime);
        Ok(Self {
            store,
            kubelet,
            lifetime,
            router_lifetime,
            directory: Some(directory),
            api_server,
            router,
            dns,
            token,
            authority,
        })
    }

    /// A kubeconfig for `kubectl` and any Kubernetes client. Holds the token: keep it private.
    pub fn kubeconfig(&self) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: loopback\nclusters:\n- name: loopback\n  \
             cluster:\n    server: https://{}\n    certificate-authority-data: {}\nusers:\n\
             - name: loopback\n  user:\n    token: {}\ncontexts:\n- name: loopback\n  context:\n    \
             cluster: loopback\n    user: loopback\n    namespace: default\n",
            self.api_server,
            STANDARD.encode(&self.authority),
            self.token
        )
    }

    /// The name server for in-cluster names (UDP).
    pub fn dns_server(&self) -> SocketAddr {
        self.dns
    }

    /// The API server (TLS).
    pub fn api_server(&self) -> SocketAddr {
        self.api_server
    }

    /// The router (HTTP).
    pub fn router(&self) -> SocketAddr {
        self.router
    }

    /// Kills the router: its listener closes, its connections break. For fault tests.
    pub fn stop_router(&self) {
        self.router_lifetime.stop.cancel();
    }

    /// What lives in the cluster now.
    pub fn leftovers(&self) -> Leftovers {
        let (runtimes, processes) = self.kubelet.counts();
        let directories = self.directory.as_ref().map_or(0, |directory| {
            std::fs::read_dir(directory.path()).map_or(0, Iterator::count)
        });
        Leftovers {
            claims: self.store.count(kind("SandboxClaim")),
            sandboxes: self.store.count(kind("Sandbox")),
            pods: runtimes,
            processes,
            directories,
        }
    }

    /// Ends the cluster: kills every command, removes every directory, closes every socket, joins
    /// every task. Tells what it could not remove; claims and sandboxes go with the cluster and do
    /// not count.
    pub async fn shutdown(mut self) -> Leftovers {
        self.kubelet.stop_all();
        self.lifetime.stop.cancel();
        self.lifetime.tasks.close();
        let joined = tokio::time::timeout(END_LIMIT, self.lifetime.tasks.wait()).await;
        if joined.is_err() {
            tracing::warn!("some tasks of the loopback cluster did not end in time");
        }
        self.kubelet.stop_all();
        let gone = async {
            while self.kubelet.counts().1 > 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        // What is still there afterwards is counted below.
        let _in_time = tokio::time::timeout(END_LIMIT, gone).await.is_ok();
        let mut left = Leftovers {
            processes: self.kubelet.counts().1,
            ..Leftovers::default()
        };
        if let Some(directory) = self.directory.take()
            && let Err(error) = directory.close()
        {
            tracing::warn!(%error, "could not remove the directory of the pods");
            left.directories = 1;
        }
        left
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.kubelet.stop_all();
        self.lifetime.stop.cancel();
    }
}

/// A certificate authority made for this run, and an acceptor with a certificate that it signed.
fn certificate(address: SocketAddr) -> Result<(TlsAcceptor, String), LoopbackError> {
    let fail = |error: rcgen::Error| LoopbackError::Certificate(error.to_string());
    let mut authority = CertificateParams::new(Vec::new()).map_err(fail)?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().map_err(fail)?;
    let authority = CertifiedIssuer::self_signed(authority, key).map_err(fail)?;
    let mut server = CertificateParams::new(vec!["localhost".to_owned()]).map_err(fail)?;
    server
        .subject_alt_names
        .push(SanType::IpAddress(address.ip()));
    let key = KeyPair::generate().map_err(fail)?;
    let signed = server.signed_by(&key, &authority).map_err(fail)?;
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = |error: rustls::Error| LoopbackError::Certificate(error.to_string());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(tls)?
        .with_no_client_auth()
        .with_single_cert(vec![signed.der().clone()], private)
        .map_err(tls)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((TlsAcceptor::from(Arc::new(config)), authority.pem()))
}
