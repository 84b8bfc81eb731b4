//! [`Client`]: claims of one namespace, and connections to their sandboxes.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::builder::ClientBuilder;
use super::claim::{Claim, ClaimOrigin, ClaimTimings, CreateRequest, ReadyClaim};
use super::clock::ServerClock;
use super::cluster::Api;
use super::connect::{ConnectionMode, GatewayCache};
use super::data::Pools;
use super::delete::Deleted;
use super::departures::Departures;
use super::error::{
    ConnectError, CreateError, DeleteError, KubeError, PreflightError, ReadyError, WaitError,
};
use super::hub::Hub;
use super::known::KnownClaims;
use super::moved::Moves;
use super::pods::Pods;
use super::preflight::Needs;
use super::retry::Retrier;
use super::sandbox::Sandbox;
use super::scope::Cleanups;
use super::spans;
use super::tasks::{Gauge, Tasks};
use super::{create, delete, gone, preflight};
use crate::api::claim::SandboxClaim;
use crate::api::{ApiVersion, label};
use crate::trace::{self, Kind, Role};

/// A client for the Agent Sandboxes of one namespace. Cheap to clone; all clones share their
/// connections.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use sandbench::client::{ClaimSource, Client, CreateRequest};
///
/// let client = Client::builder().infer().namespace("team-a").build().await?;
/// println!("the cluster speaks {}", client.api_version());
/// let request = CreateRequest::new(ClaimSource::WarmPool("python".to_owned()));
/// let claim = client.create(request).await?;
/// let ready = claim.wait_ready(client.ready_timeout()).await?;
/// println!("{} is {}", ready.sandbox_name, ready.launch_type);
/// client.delete(claim.name(), Some(claim.uid())).await?;
/// client.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Client(pub(super) Arc<Inner>, pub(super) Api);

/// A client that ends without regard to this.
#[derive(Debug, Clone)]
pub(super) struct WeakClient(pub(super) Weak<Inner>);

impl WeakClient {
    /// The client, unless it is gone.
    pub(super) fn upgrade(&self) -> Option<Client> {
        self.0.upgrade().map(Client::of)
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
    pub(super) pods: OnceLock<Pods>,
    pub(super) departures: Departures,
    pub(super) moves: Moves,
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
        Self::of(Arc::new(inner))
    }

    fn of(inner: Arc<Inner>) -> Self {
        let api = inner.api.clone();
        Self(inner, api)
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
    /// Takes at most the client's request timeout, with all lookups and attempts; after a lost
    /// answer, looking for the claim takes at most that time again.
    ///
    /// ```no_run
    /// # async fn example(client: sandbench::client::Client)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// use sandbench::client::{ClaimSource, CreateError, CreateRequest, Delivered, Existing};
    ///
    /// let mut request = CreateRequest::new(ClaimSource::WarmPool("python".to_owned()));
    /// request.name = Some("session-42".to_owned());
    /// request.existing = Existing::Adopt;
    /// match client.create(request).await {
    ///     Ok(claim) => println!("{} {:?}", claim.name(), claim.origin()),
    ///     Err(CreateError::NotAdoptable { problem, .. }) => println!("in use: {problem}"),
    ///     Err(error) if error.delivered() == Delivered::No => println!("surely not made: {error}"),
    ///     Err(error) => return Err(error.into()),
    /// }
    /// # Ok(())
    /// # }
    /// ```
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
    /// ```no_run
    /// # async fn example(client: sandbench::client::Client)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// let claim = client.claim("session-42").await?;
    /// let ready = claim.wait_ready(client.ready_timeout()).await?;
    /// # Ok(())
    /// # }
    /// ```
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
    /// Takes at most the client's request timeout, and the mode's `ready_timeout` if it has one.
    ///
    /// ```no_run
    /// # async fn example(client: sandbench::client::Client, ready: sandbench::client::ReadyClaim)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// use sandbench::client::ConnectionMode;
    /// use sandbench::client::connect::Tunnel;
    ///
    /// let mode = ConnectionMode::Tunnel(Tunnel::default());
    /// let sandbox = client.connect(&ready, &mode).await?;
    /// println!("{}", sandbox.commands().run("uname -a").await?.stdout);
    /// # Ok(())
    /// # }
    /// ```
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
        let limit = self.0.request_timeout.saturating_add(mode.ready_timeout());
        let span = trace::start("connect", Role::Phase, Kind::Internal);
        span.set("sandbox.connection.mode", mode.word());
        let connecting = span.scope(self.connect_to(claim, mode));
        let connected = timeout(limit, connecting).await.unwrap_or_else(|_| {
            Err(ConnectError::Timeout {
                target: format!("sandbox `{}`", claim.sandbox_name),
                after: limit,
            })
        });
        span.end_as(&connected, spans::connect_error);
        connected
    }

    /// Deletes a claim and with it its sandbox, in the background. With a UID, only that very
    /// claim is deleted, never another one of the same name.
    ///
    /// ```no_run
    /// # async fn example(client: sandbench::client::Client, claim: sandbench::client::Claim)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// use sandbench::client::Deleted;
    ///
    /// let deleted = client.delete(claim.name(), Some(claim.uid())).await?;
    /// assert_eq!(deleted, Deleted::Accepted);
    /// // A deletion may be repeated.
    /// client.delete(claim.name(), Some(claim.uid())).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`DeleteError`].
    ///
    /// # Cancel safety
    /// If dropped, the deletion may or may not take place.
    pub async fn delete(&self, claim: &str, uid: Option<&str>) -> Result<Deleted, DeleteError> {
        let span = trace::operation("delete_claim");
        if span.is_recording() {
            span.set("sandbox.claim.name", claim.to_owned());
        }
        let deleted = span.scope(delete::one(self, claim, uid)).await;
        span.end_as(&deleted, |_| "delete".into());
        deleted
    }

    /// Waits until a claim, its sandbox, its Pod and its volumes are gone. Who may not read some of
    /// them waits for what it may read.
    ///
    /// ```no_run
    /// # async fn example(client: sandbench::client::Client, claim: sandbench::client::Claim)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use sandbench::client::WaitError;
    ///
    /// client.delete(claim.name(), Some(claim.uid())).await?;
    /// let limit = Duration::from_secs(60);
    /// match client.wait_gone(claim.name(), Some(claim.uid()), limit).await {
    ///     Err(WaitError::Timeout { left, .. }) => println!("{left} is still there"),
    ///     done => done?,
    /// }
    /// # Ok(())
    /// # }
    /// ```
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

    /// How many sockets the client has open, to the API server and to sandboxes. A port-forward
    /// counts as a tunnel and also as a socket.
    pub fn open_connections(&self) -> usize {
        self.0.sockets.count()
    }

    /// How many port-forwards the client has open.
    pub fn open_tunnels(&self) -> usize {
        self.0.tunnels.count()
    }

    /// Deletes what [scopes](super::SandboxScope) hold, then ends all background tasks and
    /// connections and waits for it; dropping the last handle does not wait. No connection follows.
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
