//! [`Cluster`]: starts all parts of the loopback cluster in order, and ends them without a rest.

use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::RngExt;
use tempfile::TempDir;
use tokio::sync::Mutex;

use super::address::{AddressPlan, PodAddresses};
use super::api_server::Watches;
use super::certificate::Identity;
use super::config::{ClusterConfig, DelaySource};
use super::controller::ClaimSettings;
use super::dns::NameServer;
use super::error::LoopbackError;
use super::fault::{Fault, Faults};
use super::http::Lifetime;
use super::kubelet::{Kubelet, KubeletSettings};
use super::leftovers::Leftovers;
use super::pod_runtime::Ports;
use super::router::Router;
use super::snapshots::{self, Archive};
use super::spans::SpanSink;
use super::store::{Store, kind};
use super::token::{RouterAuth, Token};
use super::{api_server, controller, gateway, runtime, services};

/// Streams of randomness of the delays.
const POD_START_STREAM: u64 = 1;
const ADOPTION_STREAM: u64 = 2;
/// A running loopback cluster.
///
/// End it with [`shutdown`](Self::shutdown). Dropping it kills the commands of its pods and closes
/// its sockets too, but waits for nothing.
#[derive(Debug)]
pub struct Cluster {
    store: Store,
    kubelet: Kubelet,
    faults: Faults,
    lifetime: Lifetime,
    router: Mutex<Option<Router>>,
    router_auth: RouterAuth,
    spans: SpanSink,
    watches: Watches,
    name_server: Option<NameServer>,
    directory: Option<TempDir>,
    archive: Archive,
    addresses: Addresses,
    token: Token,
    authority: String,
}

#[derive(Debug, Clone, Copy)]
struct Addresses {
    api_server: SocketAddr,
    router: SocketAddr,
    dns: SocketAddr,
}

impl Cluster {
    /// Starts a cluster in the first free 127.X.0.0/16.
    ///
    /// # Errors
    /// See [`LoopbackError`]; nothing is left running then.
    ///
    /// # Cancel safety
    /// If dropped, what was started already ends by itself.
    pub async fn start(config: ClusterConfig) -> Result<Self, LoopbackError> {
        let ports = Ports::of(&config);
        let (plan, api_listener) = AddressPlan::claim(config.api_port).await?;
        let addresses = Addresses {
            api_server: (plan.api_server(), config.api_port).into(),
            router: (plan.router(), config.router_port).into(),
            dns: (plan.dns(), config.dns_port).into(),
        };
        let (directory, archive) = pod_directory()?;
        let identity = Identity::new(addresses.api_server)?;
        let (store, orphans) = Store::new();
        controller::publish(&store, addresses.router, &config.namespaces, config.served)?;
        let lifetime = Lifetime::default();
        let unless_started = lifetime.stop.clone().drop_guard();
        let faults = Faults::new(config.faults, config.seed);
        let router = start_router(
            addresses.router,
            &store,
            config.router_auth.clone(),
            (&faults, &config.spans, &lifetime),
        )
        .await?;
        let name_server = start_name_server(addresses.dns, &store, &lifetime).await?;
        let delay = |delay, stream| DelaySource::new(delay, config.seed, stream);
        let claims = ClaimSettings {
            adoption_delay: delay(config.delays.adoption, ADOPTION_STREAM),
            capacity: config.claim_capacity,
            served: config.served,
            faults: faults.clone(),
            spans: config.spans.clone(),
        };
        controller::start(&store, claims, orphans, addresses.router, &lifetime);
        let settings = KubeletSettings {
            store: store.clone(),
            addresses: PodAddresses::new(plan),
            ports,
            sandboxd_program: config.sandboxd_program.clone(),
            archive: archive.clone(),
            start_delay: delay(config.delays.pod_start, POD_START_STREAM),
            faults: faults.clone(),
        };
        let kubelet = Kubelet::start(settings, &lifetime);
        snapshots::start(&store, &archive, &lifetime);
        gateway::start(store.clone(), plan, addresses.router, &lifetime);
        let token = token();
        let watches = api_server::start(
            api_listener,
            identity.acceptor,
            (store.clone(), config.served),
            token.clone(),
            (&faults, &lifetime),
        );
        unless_started.disarm();
        Ok(Self {
            store,
            kubelet,
            faults,
            lifetime,
            router: Mutex::new(Some(router)),
            router_auth: config.router_auth,
            spans: config.spans,
            watches,
            name_server: Some(name_server),
            directory: Some(directory),
            archive,
            addresses,
            token,
            authority: identity.authority,
        })
    }

    /// A kubeconfig for `kubectl` and any Kubernetes client, as YAML. It holds the cluster's token:
    /// keep it private. Its context is `loopback`, the namespace `default`.
    pub fn kubeconfig(&self) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: loopback\nclusters:\n- name: loopback\n  \
             cluster:\n    server: https://{}\n    certificate-authority-data: {}\nusers:\n\
             - name: loopback\n  user:\n    token: {}\ncontexts:\n- name: loopback\n  context:\n    \
             cluster: loopback\n    user: loopback\n    namespace: default\n",
            self.addresses.api_server,
            STANDARD.encode(&self.authority),
            self.token.reveal()
        )
    }

    /// The name server (UDP): names of Services.
    pub fn dns_server(&self) -> SocketAddr {
        self.addresses.dns
    }

    /// The API server (TLS).
    pub fn api_server(&self) -> SocketAddr {
        self.addresses.api_server
    }

    /// The router (HTTP).
    pub fn router(&self) -> SocketAddr {
        self.addresses.router
    }

    /// Kills the router: its listener closes and its connections break, in the middle of calls too.
    /// Without effect if it is stopped already.
    pub async fn stop_router(&self) {
        if let Some(router) = self.router.lock().await.take() {
            router.stop().await;
        }
    }

    /// Starts the router again after [`stop_router`](Self::stop_router). Without effect if it runs.
    ///
    /// # Errors
    /// [`LoopbackError::Bind`] if something else has taken its address.
    pub async fn start_router(&self) -> Result<(), LoopbackError> {
        let mut router = self.router.lock().await;
        if router.is_none() {
            let address = self.addresses.router;
            let auth = self.router_auth.clone();
            let around = (&self.faults, &self.spans, &self.lifetime);
            *router = Some(start_router(address, &self.store, auth, around).await?);
        }
        Ok(())
    }

    /// Plays these faults from now on and no others. Requests in flight keep theirs.
    pub fn set_faults(&self, faults: Vec<Fault>) {
        self.faults.set(faults);
    }

    /// How often each fault was played since it was set.
    pub fn faults_played(&self) -> Vec<(Fault, u64)> {
        self.faults.played()
    }

    /// The objects, for tests of the controllers.
    #[cfg(test)]
    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Where the pods' files are, for tests of snapshots.
    #[cfg(test)]
    pub(super) fn archive(&self) -> &Archive {
        &self.archive
    }

    /// How many watches clients have open at the API server.
    pub fn open_watches(&self) -> usize {
        self.watches.count()
    }

    /// What lives in the cluster now.
    pub fn leftovers(&self) -> Leftovers {
        let (pods, processes) = self.kubelet.counts();
        Leftovers {
            claims: self.store.count(kind("SandboxClaim")),
            sandboxes: self.store.count(kind("Sandbox")),
            pods,
            processes,
            snapshots: self.store.count(kind("PodSnapshot")),
            directories: self.archive.directories(),
        }
    }

    /// Ends the cluster: kills every command, removes every directory, closes every socket, joins
    /// every task. Returns what could not be removed; objects go with the cluster and do not count.
    ///
    /// # Cancel safety
    /// If dropped, the rest ends as when the cluster is dropped.
    pub async fn shutdown(mut self) -> Leftovers {
        self.lifetime.stop.cancel();
        self.stop_router().await;
        if let Some(name_server) = self.name_server.take() {
            name_server.stop().await;
        }
        // First whoever may still ask for a pod, then the pods.
        self.lifetime.end().await;
        self.kubelet.end().await;
        let (pods, _) = self.kubelet.counts();
        let mut left = Leftovers {
            pods,
            ..Leftovers::default()
        };
        if let Some(directory) = self.directory.take() {
            if let Ok(root) = directory.path().canonicalize() {
                left.processes = runtime::end_strays(&root).await;
            }
            if let Err(error) = directory.close() {
                tracing::warn!(%error, "could not remove the directory of the pods");
                left.directories = 1;
            }
        }
        left
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.lifetime.stop.cancel();
        self.kubelet.kill();
    }
}

fn pod_directory() -> Result<(TempDir, Archive), LoopbackError> {
    let made = tempfile::Builder::new().prefix("sandbench-pods-").tempdir();
    let both = made.and_then(|directory| {
        let archive = Archive::new(directory.path())?;
        Ok((directory, archive))
    });
    both.map_err(|source| LoopbackError::Directory { source })
}

async fn start_router(
    address: SocketAddr,
    store: &Store,
    auth: RouterAuth,
    around: (&Faults, &SpanSink, &Lifetime),
) -> Result<Router, LoopbackError> {
    let store = store.clone();
    let lookup = Arc::new(move |host: &str| services::routed(&store, host));
    Router::start(address, lookup, auth, around)
        .await
        .map_err(|source| LoopbackError::Bind {
            what: "router",
            address,
            source,
        })
}

async fn start_name_server(
    address: SocketAddr,
    store: &Store,
    lifetime: &Lifetime,
) -> Result<NameServer, LoopbackError> {
    let store = store.clone();
    let addresses =
        Arc::new(move |namespace: &str, name: &str| services::addresses(&store, namespace, name));
    NameServer::start(address, addresses, lifetime)
        .await
        .map_err(|source| LoopbackError::Bind {
            what: "name server",
            address,
            source,
        })
}

/// 192 random bits as text.
fn token() -> Token {
    let mut secret = [0_u8; 24];
    rand::rng().fill(&mut secret);
    Token::new(STANDARD.encode(secret).replace(['+', '/'], "x"))
}

#[cfg(test)]
#[path = "cluster_tests.rs"]
mod tests;
