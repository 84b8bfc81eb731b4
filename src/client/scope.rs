//! [`SandboxScope`]: what is created in it is deleted with it, even if its user is cancelled.
//!
//! Each creation runs in a task of the client's, which stays until the scope ends and then deletes
//! the claim. So a cancelled creation is still brought to its end, and its claim deleted: a
//! deletion never overtakes a creation. [`Client::close`] waits for all of these tasks.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::claim::{Claim, ClaimOrigin, CreateRequest, random_claim_name};
use super::connect::ConnectionMode;
use super::core::Client;
use super::delete;
use super::error::{CreateError, DeleteError, Delivered, KubeError, OpenError};
use super::sandbox::Sandbox;

/// Pauses before a failed deletion is tried again.
const PAUSES: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];

/// The deletions that a client owes.
#[derive(Debug, Default)]
pub(super) struct Cleanups {
    tracker: TaskTracker,
    closing: CancellationToken,
}

impl Cleanups {
    /// Ends all scopes and waits until everything of theirs is deleted.
    pub(super) async fn finish(&self) {
        self.closing.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

/// Holds claims, and deletes them when it ends: when it is closed, when it is dropped (also by the
/// cancellation of the future that owns it), or when the client is closed. A claim that was found
/// rather than made, and one that was [kept](Self::keep), is not deleted.
///
/// Dropping only starts the deletions; [`Client::close`] waits for them, so call it before the
/// program ends; [`Client::close_after`] does so also at Ctrl-C. Against the end of the program itself helps only
/// [`time_to_live`](CreateRequest::time_to_live).
///
/// ```no_run
/// # async fn example(client: sandbench::client::Client)
/// # -> Result<(), Box<dyn std::error::Error>> {
/// use sandbench::client::{ClaimSource, ConnectionMode, CreateRequest, connect::Tunnel};
///
/// let scope = client.scope();
/// let request = CreateRequest::new(ClaimSource::WarmPool("python".to_owned()));
/// let mode = ConnectionMode::Tunnel(Tunnel::default());
/// let sandbox = scope.open(request, &mode).await?;
/// sandbox.commands().run("echo hello").await?;
/// scope.close().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct SandboxScope {
    client: Client,
    shared: Arc<Shared>,
}

/// What a scope and its tasks know.
#[derive(Debug)]
struct Shared {
    end: CancellationToken,
    /// Names of the claims that were made and are not deleted.
    held: Mutex<BTreeSet<String>>,
    kept: Mutex<Vec<String>>,
    failures: Mutex<Vec<DeleteError>>,
    tasks: TaskTracker,
}

impl Client {
    /// Does some work until it is done, or until `end` comes, which stops the work where it is; then
    /// [closes](Self::close) the client: what scopes hold is deleted, even if the program was
    /// interrupted. Gives what the work gave, or nothing if `end` came first.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use sandbench::client::{ClaimSource, Client, CreateRequest};
    ///
    /// let client = Client::builder().infer().build().await?;
    /// let work = async {
    ///     let scope = client.scope();
    ///     let request = CreateRequest::new(ClaimSource::WarmPool("python".to_owned()));
    ///     let claim = scope.create(request).await?;
    ///     claim.wait_ready(client.ready_timeout()).await?;
    ///     scope.close().await?;
    ///     Ok::<_, Box<dyn std::error::Error>>(())
    /// };
    /// match client.close_after(work, tokio::signal::ctrl_c()).await {
    ///     Some(done) => done,
    ///     None => Err("interrupted; the sandbox is deleted all the same".into()),
    /// }
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// If dropped, the work stops, and scopes delete what they hold in the background, as long as
    /// the runtime lives.
    pub async fn close_after<T>(
        &self,
        work: impl Future<Output = T>,
        end: impl Future,
    ) -> Option<T> {
        let done = tokio::select! {
            biased;
            done = work => Some(done),
            _ = end => None,
        };
        self.close().await;
        done
    }

    /// A scope, empty at first.
    pub fn scope(&self) -> SandboxScope {
        let shared = Shared {
            end: self.0.cleanups.closing.child_token(),
            held: Mutex::default(),
            kept: Mutex::default(),
            failures: Mutex::default(),
            tasks: TaskTracker::new(),
        };
        SandboxScope {
            client: self.clone(),
            shared: Arc::new(shared),
        }
    }
}

impl SandboxScope {
    /// Creates a claim that ends with the scope.
    ///
    /// # Errors
    /// [`CreateError`]. If the answer was lost and the name was chosen by the client, the claim is
    /// deleted should it exist.
    ///
    /// # Cancel safety
    /// If dropped, the creation still comes to its end, and its claim is deleted at once.
    pub async fn create(&self, mut request: CreateRequest) -> Result<Claim, CreateError> {
        let named = if request.name.is_some() {
            Named::ByCaller
        } else {
            Named::Here
        };
        let name = request.name.get_or_insert_with(random_claim_name).clone();
        let (sender, receiver) = oneshot::channel();
        let task = hold(
            self.client.clone(),
            Arc::clone(&self.shared),
            (request, named),
            sender,
        );
        let task = self.shared.tasks.track_future(task);
        self.client.0.cleanups.tracker.spawn(task);
        receiver.await.unwrap_or_else(|_| {
            // The runtime ends.
            let operation = self
                .client
                .claims()
                .operation(super::error::Verb::Create, &name);
            Err(CreateError::Kube {
                claim: name,
                source: Box::new(KubeError::Closed {
                    operation: Box::new(operation),
                    delivered: Delivered::Unknown,
                }),
            })
        })
    }

    /// Creates a claim that ends with the scope, waits until it is ready, and connects to its
    /// sandbox. Takes at most the client's ready timeout and some request timeouts.
    ///
    /// # Errors
    /// [`OpenError`]: which step failed, and why. The claim then stays until the scope ends.
    ///
    /// # Cancel safety
    /// If dropped, the claim is deleted at once or when the scope ends.
    pub async fn open(
        &self,
        request: CreateRequest,
        mode: &ConnectionMode,
    ) -> Result<Sandbox, OpenError> {
        let claim = self.create(request).await?;
        let ready = claim.wait_ready(self.client.ready_timeout()).await?;
        Ok(self.client.connect(&ready, mode).await?)
    }

    /// Names of the claims that end with the scope, in order: those that were created in it, and
    /// neither kept nor deleted by it. One that was deleted otherwise is among them.
    pub fn claims(&self) -> Vec<String> {
        lock(&self.shared.held).iter().cloned().collect()
    }

    /// Lets a claim live on after the scope.
    ///
    /// ```no_run
    /// # async fn example(client: sandbench::client::Client)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// use sandbench::client::{ClaimSource, CreateRequest};
    ///
    /// let scope = client.scope();
    /// let request = CreateRequest::new(ClaimSource::WarmPool("python".to_owned()));
    /// let claim = scope.create(request).await?;
    /// assert_eq!(scope.claims(), [claim.name()]);
    /// scope.keep(&claim);
    /// scope.close().await?;
    /// println!("another program can attach to {}", claim.name());
    /// # Ok(())
    /// # }
    /// ```
    pub fn keep(&self, claim: &Claim) {
        lock(&self.shared.held).remove(claim.name());
        let mut kept = lock(&self.shared.kept);
        kept.push(claim.name().to_owned());
    }

    /// Deletes what the scope holds, and waits until the API server has accepted that.
    ///
    /// # Errors
    /// [`DeleteError`]: the first deletion that failed three times. The others took place.
    ///
    /// # Cancel safety
    /// If dropped, the deletions go on.
    pub async fn close(self) -> Result<(), DeleteError> {
        self.shared.end.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
        let mut failures = lock(&self.shared.failures);
        if failures.is_empty() {
            Ok(())
        } else {
            Err(failures.remove(0))
        }
    }
}

impl Drop for SandboxScope {
    fn drop(&mut self) {
        self.shared.end.cancel();
    }
}

/// Who chose the name of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    ByCaller,
    Here,
}

/// Creates a claim, and deletes it when the scope ends or nobody wants it any more.
async fn hold(
    client: Client,
    shared: Arc<Shared>,
    (request, named): (CreateRequest, Named),
    sender: oneshot::Sender<Result<Claim, CreateError>>,
) {
    let name = request.name.clone().unwrap_or_default();
    let (uid, wanted) = match client.create(request).await {
        Ok(claim) if claim.origin() == ClaimOrigin::Found => {
            // The caller's; if nobody listens there is nothing to undo.
            drop(sender.send(Ok(claim)));
            return;
        }
        Ok(claim) => {
            lock(&shared.held).insert(name.clone());
            (Some(claim.uid().to_owned()), sender.send(Ok(claim)).is_ok())
        }
        Err(error) => {
            // Under a name that somebody else chose it may be somebody else's claim.
            let doubtful = error.delivered() != Delivered::No && named == Named::Here;
            drop(sender.send(Err(error)));
            if !doubtful {
                return;
            }
            (None, false)
        }
    };
    if wanted {
        shared.end.cancelled().await;
    }
    if lock(&shared.kept).contains(&name) {
        return;
    }
    match delete(&client, &name, uid.as_deref()).await {
        Ok(()) => {
            lock(&shared.held).remove(&name);
        }
        Err(error) => {
            tracing::warn!(%error, "a claim is left behind");
            lock(&shared.failures).push(error);
        }
    }
}

/// Deletes a claim, with a few attempts.
async fn delete(client: &Client, name: &str, uid: Option<&str>) -> Result<(), DeleteError> {
    for pause in PAUSES {
        match delete::one(client, name, uid).await {
            // `Replaced`: the claim is gone; another one has its name.
            Ok(_) | Err(DeleteError::Replaced { .. }) => return Ok(()),
            Err(error) => tracing::debug!(%error, "a deletion is tried again"),
        }
        sleep(pause).await;
    }
    match delete::one(client, name, uid).await {
        Ok(_) | Err(DeleteError::Replaced { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
