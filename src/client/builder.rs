//! [`ClientBuilder`]: which cluster, which namespace, which run, which name server.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::attempts::AttemptObserver;
use super::clock::ServerClock;
use super::cluster::{self, Api, Protocol, SHARDS, Shards};
use super::connect::GatewayCache;
use super::core::{Client, Inner};
use super::data::{Network, Pools};
use super::departures::Departures;
use super::dns::Resolver;
use super::error::BuildError;
use super::known::KnownClaims;
use super::moved::Moves;
use super::retry::{Observer, Retrier, RetryPolicy};
use super::scope::Cleanups;
use super::tasks::{Gauge, Tasks};
use super::validate::{is_dns_label, is_label_value};

/// Who resolves names: of sandboxes in the cluster, of gateways and of direct URLs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dns {
    /// The system's configuration (`/etc/resolv.conf` and `/etc/hosts`).
    #[default]
    System,
    /// This name server, over UDP and, for long answers, TCP.
    Server(SocketAddr),
}

/// Where the configuration of the cluster comes from.
#[derive(Debug, Default)]
pub(super) enum ClusterSource {
    /// Nowhere yet.
    #[default]
    None,
    /// Given as a value.
    Given(Box<kube::Config>),
    /// The current context of the kubeconfig, or the service account of the pod.
    Inferred,
    /// A context of the kubeconfig, by name.
    Context(String),
}

/// Settings of a [`Client`].
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use sandbench::client::{BuildError, Client, Dns, RetryPolicy};
///
/// let built = Client::builder()
///     .context("staging")
///     .namespace("team-a")
///     .run_id("nightly-7")
///     .dns(Dns::Server("10.96.0.10:53".parse()?))
///     .request_timeout(Duration::from_secs(20))
///     .retry(RetryPolicy::default())
///     .build()
///     .await;
/// match built {
///     Ok(client) => println!("the cluster speaks {}", client.api_version()),
///     Err(BuildError::UnknownContext { known, .. }) => println!("there is: {known:?}"),
///     Err(error) => println!("{error}; {}", error.help().unwrap_or_default()),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use]
pub struct ClientBuilder {
    pub(super) cluster: ClusterSource,
    pub(super) namespace: String,
    pub(super) run_id: Option<String>,
    pub(super) dns: Dns,
    pub(super) ready_timeout: Duration,
    pub(super) request_timeout: Duration,
    pub(super) retry: RetryPolicy,
    pub(super) seed: Option<u64>,
    pub(super) observer: Option<Observer>,
}

impl Default for ClientBuilder {
    fn default() -> Self {
        Self {
            cluster: ClusterSource::None,
            namespace: "default".to_owned(),
            run_id: None,
            dns: Dns::System,
            ready_timeout: Duration::from_mins(3),
            request_timeout: Duration::from_mins(1),
            retry: RetryPolicy::never(),
            seed: None,
            observer: None,
        }
    }
}

impl ClientBuilder {
    /// Uses this configuration of a cluster.
    pub fn kubernetes(mut self, config: kube::Config) -> Self {
        self.cluster = ClusterSource::Given(Box::new(config));
        self
    }

    /// Uses the current context of the kubeconfig (`KUBECONFIG`, `~/.kube/config`) or, inside a
    /// pod, its service account.
    pub fn infer(mut self) -> Self {
        self.cluster = ClusterSource::Inferred;
        self
    }

    /// Uses a context of the kubeconfig.
    pub fn context(mut self, name: impl Into<String>) -> Self {
        self.cluster = ClusterSource::Context(name.into());
        self
    }

    /// Namespace of claims and sandboxes. Default: `default`.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Marks everything created with the label `sandbench.dev/run-id`, so that it can be waited
    /// for on one shared watch, and found and deleted. A label value: at most 63 letters, digits,
    /// `-`, `_` and `.`. Default: none.
    pub fn run_id(mut self, run_id: impl Into<String>) -> Self {
        self.run_id = Some(run_id.into());
        self
    }

    /// Who resolves names. Default: the system.
    pub fn dns(mut self, dns: Dns) -> Self {
        self.dns = dns;
        self
    }

    /// How long a claim may take to become ready, and a Gateway to get an address. Default: 180 s.
    pub fn ready_timeout(mut self, timeout: Duration) -> Self {
        self.ready_timeout = timeout;
        self
    }

    /// How long one request to the API server or one call on a sandbox may take. Default: 60 s.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// How often requests to the API server and calls on sandboxes are attempted; calls can be
    /// given [a policy of their own](super::CallOptions::retry). Default: once.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Makes the pauses between attempts the same in every run. Default: they differ.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Who hears of every attempt. Default: nobody.
    pub fn attempt_observer(mut self, observer: impl AttemptObserver + 'static) -> Self {
        self.observer = Some(Observer(Arc::new(observer)));
        self
    }

    /// Connects to the API server and finds out its version of Agent Sandbox.
    ///
    /// # Errors
    /// [`BuildError`]: no configuration, API server unreachable or not trusted, Agent Sandbox not
    /// installed, credentials not sufficient.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn build(self) -> Result<Client, BuildError> {
        let Self {
            cluster,
            namespace,
            run_id,
            dns,
            ready_timeout,
            request_timeout,
            retry,
            seed,
            observer,
        } = self;
        if !is_dns_label(&namespace) {
            return Err(invalid("namespace", &namespace, NAMESPACE));
        }
        if let Some(run_id) = &run_id
            && (run_id.is_empty() || !is_label_value(run_id))
        {
            return Err(invalid("run id", run_id, RUN_ID));
        }
        prefer_ring();
        let config = cluster::load(cluster).await?;
        let resolver = Resolver::new(dns, &namespace)?;
        let (tasks, sockets, tunnels) = (Tasks::default(), Gauge::default(), Gauge::default());
        // Ends the connections again if something fails below.
        let guard = EndOnDrop(Some(tasks.clone()));
        let server = config.cluster_url.to_string();
        let retrier = Arc::new(Retrier::new(retry, observer, seed));
        let connect = |protocol| cluster::connect(&config, &tasks, &sockets, protocol);
        let plain = connect(Protocol::Http1)?;
        let connections = cluster::Connections {
            requests: Shards::http1(plain.clone()),
            watches: plain,
            upgrades: connect(Protocol::Http1)?,
            tasks: tasks.clone(),
        };
        let api = Api::new(connections, request_timeout, &server, &retrier);
        let version = cluster::discover(&api, &namespace).await?;
        // Without TLS nothing tells whether a server speaks HTTP/2.
        let api = if config.cluster_url.scheme_str() == Some("https") {
            let many: Result<Vec<_>, _> = (0..=SHARDS).map(|_| connect(Protocol::Http2)).collect();
            api.over_http2(many?).await
        } else {
            api
        };
        let network = Network::new(resolver, api.clone(), sockets.clone(), tunnels.clone());
        let pools = Pools::new(Arc::new(network), tasks.clone());
        guard.release();
        Ok(Client::new(Inner {
            namespace,
            run_id,
            version,
            api,
            tasks,
            sockets,
            tunnels,
            pools,
            gateways: GatewayCache::default(),
            ready_timeout,
            request_timeout,
            hub: OnceLock::new(),
            pods: OnceLock::new(),
            departures: Departures::default(),
            moves: Moves::default(),
            known: KnownClaims::default(),
            clock: ServerClock::default(),
            retrier,
            cleanups: Cleanups::default(),
        }))
    }
}

const NAMESPACE: &str = "it must be 1 to 63 lower-case letters, digits and `-`";
const RUN_ID: &str =
    "it must be 1 to 63 letters, digits, `-`, `_` and `.`, with a letter or digit at both ends";

fn invalid(setting: &'static str, value: &str, problem: &'static str) -> BuildError {
    BuildError::Setting {
        setting,
        value: value.to_owned(),
        problem,
    }
}

/// Where a program has several providers of cryptography in it, rustls takes none by itself, and kube
/// would panic. A provider that the program has chosen stays.
fn prefer_ring() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Another thread may just have been faster.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
}

/// Ends tasks unless released.
struct EndOnDrop(Option<Tasks>);

impl EndOnDrop {
    fn release(mut self) {
        self.0 = None;
    }
}

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        if let Some(tasks) = &self.0 {
            tasks.end();
        }
    }
}
