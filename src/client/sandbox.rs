//! [`Sandbox`]: the handle to one sandbox over one connection mode.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::claim::ReadyClaim;
use super::commands::Commands;
use super::connect::{ConnectionMode, Endpoint};
use super::core::{Client, WeakClient};
use super::files::Files;
use super::options::CallOptions;
use super::processes::Processes;
use super::retry::Retrier;
use super::runtime::Runtime;
use crate::trace::Attribute;

/// How the calls ended that were under way when a handle was drained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Drained {
    /// All by themselves.
    Fully,
    /// Some were cut off when the time was up.
    CutOff,
}

/// A handle to one sandbox. Cheap to clone; all handles share the client's connections.
///
/// ```no_run
/// # async fn example(sandbox: sandbench::client::Sandbox)
/// # -> Result<(), Box<dyn std::error::Error>> {
/// sandbox.files().write("greeting.txt", "hello").await?;
/// let result = sandbox.commands().run_argv(["cat", "greeting.txt"]).await?;
/// assert_eq!(result.stdout, "hello");
/// sandbox.disconnect().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Sandbox(Arc<Inner>, Arc<CallOptions>);

#[derive(Debug)]
struct Inner {
    claim: ReadyClaim,
    mode: ConnectionMode,
    /// Replaced when the Pod is.
    endpoint: RwLock<Arc<Endpoint>>,
    /// Whether the last call failed as if the Pod had been replaced.
    stale: AtomicBool,
    /// How often the client has moved the sandbox, and up to which time the endpoint knows that.
    moves: Arc<AtomicU64>,
    followed: AtomicU64,
    closed: AtomicBool,
    /// The calls under way.
    calls: TaskTracker,
    timeout: Duration,
    retrier: Arc<Retrier>,
    /// What spans say of it.
    attributes: OnceLock<[(&'static str, Attribute); 4]>,
    /// The handle does not keep the client open.
    client: WeakClient,
}

impl Sandbox {
    pub(super) fn new(
        client: &Client,
        claim: &ReadyClaim,
        mode: ConnectionMode,
        endpoint: Endpoint,
    ) -> Self {
        let moves = client.moves().of(&claim.sandbox_name);
        let followed = AtomicU64::new(moves.load(Ordering::Relaxed));
        let inner = Arc::new(Inner {
            claim: claim.clone(),
            moves,
            followed,
            mode,
            endpoint: RwLock::new(Arc::new(endpoint)),
            stale: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            calls: TaskTracker::new(),
            timeout: client.request_timeout(),
            retrier: Arc::clone(client.retrier()),
            attributes: OnceLock::new(),
            client: client.downgrade(),
        });
        Self(inner, Arc::default())
    }

    /// Name of the sandbox.
    pub fn name(&self) -> &str {
        &self.0.claim.sandbox_name
    }

    /// Name of its claim.
    pub fn claim_name(&self) -> &str {
        &self.0.claim.claim_name
    }

    /// Namespace of both.
    pub fn namespace(&self) -> &str {
        &self.0.claim.namespace
    }

    /// The claim as it was when the handle was made: what [`Client::status`](super::Client::status),
    /// [`Client::suspend`](super::Client::suspend) and others want to know.
    ///
    /// ```no_run
    /// # async fn example(client: sandbench::client::Client, sandbox: sandbench::client::Sandbox)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// use sandbench::client::SandboxState;
    ///
    /// let state = client.status(sandbox.claim()).await?;
    /// assert!(matches!(state, SandboxState::Ready(_)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn claim(&self) -> &ReadyClaim {
        &self.0.claim
    }

    /// What spans say of it: made for the first of them.
    pub(super) fn attributes(&self) -> &[(&'static str, Attribute); 4] {
        let shared = |text: &str| Attribute::Shared(Arc::from(text));
        self.0.attributes.get_or_init(|| {
            [
                ("sandbox.id", shared(self.name())),
                ("sandbox.namespace", shared(self.namespace())),
                ("sandbox.claim.name", shared(self.claim_name())),
                ("sandbox.connection.mode", self.mode().word().into()),
            ]
        })
    }

    /// The way it is reached.
    pub fn mode(&self) -> &ConnectionMode {
        &self.0.mode
    }

    /// What answers in it.
    pub fn runtime(&self) -> Runtime {
        self.0.mode.runtime()
    }

    /// Run commands in it.
    pub fn commands(&self) -> Commands<'_> {
        Commands { sandbox: self }
    }

    /// Start processes in it and follow them; only sandboxd can.
    pub fn processes(&self) -> Processes<'_> {
        Processes { sandbox: self }
    }

    /// Read and write its files.
    pub fn files(&self) -> Files<'_> {
        Files {
            sandbox: self,
            timeout: None,
            max_size: None,
        }
    }

    /// The same sandbox, whose calls have these options. They replace those that this handle
    /// has; the connection is shared.
    ///
    /// ```no_run
    /// # async fn example(sandbox: sandbench::client::Sandbox)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// use sandbench::client::CallOptions;
    /// use sandbench::client::connect::ExtraHeaders;
    ///
    /// let mut options = CallOptions::default();
    /// options.headers = ExtraHeaders::default().with("x-team", "blue")?;
    /// sandbox.with(options).commands().run("true").await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with(&self, options: CallOptions) -> Self {
        Self(Arc::clone(&self.0), Arc::new(options))
    }

    /// Gives up the connection; claim and sandbox stay. Later calls fail with
    /// [`CallError::Closed`](super::CallError::Closed). Calling it again does nothing.
    ///
    /// # Cancel safety
    /// The handle counts as disconnected from the first poll on.
    pub async fn disconnect(&self) {
        self.0.closed.store(true, Ordering::Relaxed);
        self.endpoint().disconnect().await;
    }

    /// Waits until the calls under way are over, at most for this time, and then gives up the
    /// connection as [`disconnect`](Self::disconnect) does. Later calls fail at once. Tells whether
    /// all calls came to their end.
    ///
    /// ```no_run
    /// # async fn example(sandbox: sandbench::client::Sandbox) {
    /// use std::time::Duration;
    /// use sandbench::client::Drained;
    ///
    /// if sandbox.drain(Duration::from_secs(15)).await == Drained::CutOff {
    ///     eprintln!("some calls were cut off");
    /// }
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// The handle counts as disconnected from the first poll on; its connection may stay until the
    /// client is closed.
    pub async fn drain(&self, limit: Duration) -> Drained {
        self.0.closed.store(true, Ordering::Relaxed);
        self.0.calls.close();
        let ended = tokio::time::timeout(limit, self.0.calls.wait()).await;
        self.endpoint().disconnect().await;
        match ended {
            Ok(()) => Drained::Fully,
            Err(_) => Drained::CutOff,
        }
    }

    /// Counts a call as under way for as long as this lives.
    pub(super) fn under_way(&self) -> TaskTrackerToken {
        self.0.calls.token()
    }

    /// How long a call may take if it does not say.
    pub(super) fn timeout(&self) -> Duration {
        self.0.timeout
    }

    /// What calls of this handle do differently.
    pub(super) fn options(&self) -> &CallOptions {
        &self.1
    }

    /// Where requests go.
    pub(super) fn endpoint(&self) -> Arc<Endpoint> {
        let endpoint = self.0.endpoint.read();
        Arc::clone(&endpoint.unwrap_or_else(PoisonError::into_inner))
    }

    /// Sends later requests elsewhere.
    pub(super) fn redirect(&self, endpoint: Endpoint) {
        let mut current = self
            .0
            .endpoint
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(endpoint);
    }

    /// The client, unless it is gone.
    pub(super) fn client(&self) -> Option<Client> {
        self.0.client.upgrade()
    }

    /// Whether it was disconnected.
    pub(super) fn is_closed(&self) -> bool {
        self.0.closed.load(Ordering::Relaxed)
    }

    /// Remembers that the Pod may have been replaced.
    pub(super) fn set_stale(&self) {
        self.0.stale.store(true, Ordering::Relaxed);
    }

    /// Whether the Pod may have been replaced; true only once.
    pub(super) fn take_stale(&self) -> bool {
        self.0.stale.load(Ordering::Relaxed) && self.0.stale.swap(false, Ordering::Relaxed)
    }

    /// The number of the client's last move of the sandbox, if the handle has not followed it.
    pub(super) fn moved(&self) -> Option<u64> {
        let moves = self.0.moves.load(Ordering::Relaxed);
        (moves != self.0.followed.load(Ordering::Relaxed)).then_some(moves)
    }

    /// Remembers that it has followed this move.
    pub(super) fn set_followed(&self, moves: u64) {
        self.0.followed.store(moves, Ordering::Relaxed);
    }

    /// Decides about repetitions.
    pub(super) fn retrier(&self) -> &Retrier {
        &self.0.retrier
    }
}
