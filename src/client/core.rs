//! [`Client`]: claims of one namespace, and connections to their sandboxes.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::builder::ClientBuilder;
use super::claim::{Claim, ClaimOrigin, ClaimTimings, CreateRequest, ReadyClaim};
use super::clock::ServerClock;
use super::cluster::{Api, Collection, Resource};
use super::connect::{ConnectionMode, Endpoint, GatewayCache};
use super::data::Pools;
use super::delete::Deleted;
use super::error::{
    ConnectError, CreateError, DeleteError, KubeError, PreflightError, ReadyError, WaitError,
};
use super::hub::{Hub, Subscription};
use super::known::KnownClaims;
use super::leftovers::Leftovers;
use super::preflight::Needs;
use super::retry::Retrier;
use super::sandbox::Sandbox;
use super::scope::Cleanups;
use super::tasks::{Gauge, Tasks};
use super::{create, delete, gone, leftovers, preflight};
use crate::api::claim::SandboxClaim;
use crate::api::{ApiVersion, EXTENSIONS_GROUP, GROUP, label, plural};

/// A client for the Agent Sandboxes of one namespace. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client(pub(super) Arc<Inner>);

/// A client that ends without regard to this.
#[derive(Debug, Clone)]
pub(super) struct WeakClient(Weak<Inner>);

impl WeakClient {
    /// The client, unless it is gone.
    pub(super) fn upgrade(&self) -> Option<Client> {
        self.0.upgrade().map(Client)
    }
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) namespace: String,
    pub(super) run_id: Option<String>,
    pub(super) version: ApiVersion,
    pub(super) api: Api,
    pub(super) tasks: Tasks,
    pub(super) sockets: Gauge,
    pub(super) tunnels: Gauge,
    pub(super) pools: Pools,
    pub(super) gateways: GatewayCache,
    pub(super) ready_timeout: Duration,
    pub(super) request_timeout: Duration,
    pub(super) hub: OnceLock<Hub>,
    pub(super) known: KnownClaims,
    pub(super) clock: ServerClock,
    pub(super) retrier: Arc<Retrier>,
    pub(super) cleanups: Cleanups,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.tasks.end();
    }
}

impl Client {
    pub(super) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// Settings for a new client.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// The API version that the cluster serves and the client speaks.
    pub fn api_version(&self) -> ApiVersion {
        self.0.version
    }

    /// Namespace of all claims.
    pub fn namespace(&self) -> &str {
        &self.0.namespace
    }

    /// The run id that marks everything created, if there is one.
    pub fn run_id(&self) -> Option<&str> {
        self.0.run_id.as_deref()
    }

    /// How long a claim may take to become ready, as set when the client was built.
    pub fn ready_timeout(&self) -> Duration {
        self.0.ready_timeout
    }

    /// How long one request or call may take, as set when the client was built.
    pub fn request_timeout(&self) -> Duration {
        self.0.request_timeout
    }

    /// Asks before anything is created for what would make everything fail: missing permissions,
    /// a warm pool or template that does not exist, a Gateway or router that cannot be used. All
    /// problems at once. What the user may not ask is taken to be right.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn preflight(&self, needs: &Needs) -> Vec<PreflightError> {
        preflight::problems(self, needs).await
    }

    /// Creates a claim. A lost answer is recovered: the claim is looked up by its name, and
    /// recognised by an annotation that only this request wrote.
    ///
    /// # Errors
    /// [`CreateError`]; its `delivered()` tells whether the claim can exist.
    ///
    /// # Cancel safety
    /// If dropped, the claim may exist: delete it by the name in the request.
    pub async fn create(&self, request: CreateRequest) -> Result<Claim, CreateError> {
        create::create(self, request).await
    }

    /// Attaches to a claim that exists already.
    ///
    /// # Errors
    /// [`ReadyError::NotFound`] if there is none, or the API server's refusal.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn claim(&self, name: &str) -> Result<Claim, ReadyError> {
        let requested = Instant::now();
        let found: Result<SandboxClaim, KubeError> = self.api().get(&self.claims(), name).await;
        let object = found.map_err(|error| {
            let claim = name.to_owned();
            if error.is_not_found() {
                ReadyError::NotFound { claim }
            } else {
                let source = Box::new(error);
                ReadyError::Kube { claim, source }
            }
        })?;
        let timings = ClaimTimings {
            requested,
            acknowledged: Instant::now(),
        };
        let of_run = object
            .metadata
            .labels
            .get(label::RUN_ID)
            .map(String::as_str);
        let subscription = if of_run == self.run_id() {
            self.subscribe(name)
        } else {
            None
        };
        if let Some(subscription) = &subscription {
            subscription.confirm();
        }
        let origin = ClaimOrigin::Found;
        Ok(Claim::new(
            self.clone(),
            object,
            timings,
            subscription,
            origin,
        ))
    }

    /// Prepares a connection to a sandbox: looks up the way, and proves with one connection that
    /// it can be used. That connection is kept for the first call.
    ///
    /// # Errors
    /// [`ConnectError`].
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn connect(
        &self,
        claim: &ReadyClaim,
        mode: &ConnectionMode,
    ) -> Result<Sandbox, ConnectError> {
        let mut endpoint = mode.connect(self, claim).await?;
        if let Err(error) = self.prove(&endpoint).await {
            if !self.has_moved(mode, &endpoint) {
                return Err(error);
            }
            let again = mode.connect(self, claim).await?;
            if again.host() == endpoint.host() {
                return Err(error);
            }
            self.prove(&again).await?;
            endpoint = again;
        }
        Ok(Sandbox::new(self, claim, mode.clone(), endpoint))
    }

    /// Deletes a claim and with it its sandbox, in the background. With a UID, only that very
    /// claim is deleted, never another one of the same name.
    ///
    /// # Errors
    /// [`DeleteError`].
    ///
    /// # Cancel safety
    /// If dropped, the deletion may or may not take place.
    pub async fn delete(&self, claim: &str, uid: Option<&str>) -> Result<Deleted, DeleteError> {
        delete::one(self, claim, uid).await
    }

    /// Waits until a claim, its sandbox and its Pod are gone. Who may not read Sandboxes or Pods
    /// waits for what it may read.
    ///
    /// # Errors
    /// [`WaitError`].
    ///
    /// # Cancel safety
    /// Can be dropped and called again.
    pub async fn wait_gone(
        &self,
        claim: &str,
        uid: Option<&str>,
        timeout: Duration,
    ) -> Result<(), WaitError> {
        gone::wait(self, claim, uid, timeout).await
    }

    /// Names of all claims of the run.
    ///
    /// # Errors
    /// [`DeleteError`]: no run id, or the API server's refusal.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn list_claims_of_run(&self) -> Result<Vec<String>, DeleteError> {
        let claims = delete::claims_of_run(self).await?;
        Ok(claims
            .into_iter()
            .map(|claim| claim.metadata.name)
            .collect())
    }

    /// Deletes all claims of the run; tells how many there were.
    ///
    /// # Errors
    /// [`DeleteError`].
    ///
    /// # Cancel safety
    /// If dropped, some may be deleted; call it again.
    pub async fn delete_claims_of_run(&self) -> Result<usize, DeleteError> {
        delete::all_of_run(self).await
    }

    /// Counts what is left of the run; a kind that may not be listed has no number.
    ///
    /// # Errors
    /// [`DeleteError`]: no run id, or the API server's refusal.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn leftovers(&self) -> Result<Leftovers, DeleteError> {
        leftovers::leftovers(self).await
    }

    /// How many sockets the client has open, to the API server and to sandboxes. A port-forward
    /// counts as a tunnel and also as a socket.
    pub fn open_connections(&self) -> usize {
        self.0.sockets.count()
    }

    /// How many port-forwards the client has open.
    pub fn open_tunnels(&self) -> usize {
        self.0.tunnels.count()
    }

    /// Deletes what [scopes](super::SandboxScope) still hold, then ends all background tasks and
    /// connections and waits for their end. Dropping the last
    /// handle ends them too, without waiting. Afterwards nothing can be connected any more.
    ///
    /// # Cancel safety
    /// Can be dropped and called again.
    pub async fn close(&self) {
        self.0.cleanups.finish().await;
        self.0.tasks.end();
        self.0.pools.clear();
        self.0.tasks.close().await;
    }
}

impl Client {
    /// Makes sure that an endpoint has its connections.
    async fn prove(&self, endpoint: &Endpoint) -> Result<(), ConnectError> {
        let limit = self.0.request_timeout;
        let proven = timeout(limit, endpoint.prove()).await;
        proven.unwrap_or_else(|_| {
            Err(ConnectError::Timeout {
                target: endpoint.pool().route().describe(),
                after: limit,
            })
        })
    }

    /// After no connection could be made: whether it is worth while to look where the endpoint is
    /// now.
    pub(super) fn has_moved(&self, mode: &ConnectionMode, endpoint: &Endpoint) -> bool {
        match mode {
            ConnectionMode::Gateway(mode) => self.gateways().forget(mode, endpoint.host()),
            _ => false,
        }
    }

    pub(super) fn api(&self) -> &Api {
        &self.0.api
    }

    pub(super) fn downgrade(&self) -> WeakClient {
        WeakClient(Arc::downgrade(&self.0))
    }

    pub(super) fn retrier(&self) -> &Arc<Retrier> {
        &self.0.retrier
    }

    pub(super) fn tasks(&self) -> &Tasks {
        &self.0.tasks
    }

    pub(super) fn pools(&self) -> &Pools {
        &self.0.pools
    }

    pub(super) fn gateways(&self) -> &GatewayCache {
        &self.0.gateways
    }

    /// The claims of the namespace.
    pub(super) fn claims(&self) -> Collection {
        self.extension(plural::CLAIMS)
    }

    /// The warm pools of the namespace.
    pub(super) fn warm_pools(&self) -> Collection {
        self.extension(plural::WARM_POOLS)
    }

    /// The templates of the namespace.
    pub(super) fn templates(&self) -> Collection {
        self.extension(plural::TEMPLATES)
    }

    /// The sandboxes of the namespace.
    pub(super) fn sandboxes(&self) -> Collection {
        Resource {
            group: GROUP,
            version: self.0.version.as_str(),
            plural: plural::SANDBOXES,
        }
        .of(&self.0.namespace)
    }

    /// The Pods of the namespace.
    pub(super) fn pods(&self) -> Collection {
        Resource {
            group: "",
            version: "v1",
            plural: "pods",
        }
        .of(&self.0.namespace)
    }

    fn extension(&self, plural: &'static str) -> Collection {
        Resource {
            group: EXTENSIONS_GROUP,
            version: self.0.version.as_str(),
            plural,
        }
        .of(&self.0.namespace)
    }

    /// Listens for a claim on the shared watch; without a run id there is none.
    pub(super) fn subscribe(&self, name: &str) -> Option<Subscription> {
        let run_id = self.0.run_id.as_deref()?;
        let hub = self
            .0
            .hub
            .get_or_init(|| Hub::start(self.0.api.clone(), self.claims(), run_id, &self.0.tasks));
        Some(hub.subscribe(name))
    }
}
