//! What an iteration has made and not yet removed, newest first.
//!
//! A claim is put here *before* the request that creates it is sent, so that nothing is lost when
//! the request is cancelled half-way. Clean-up has a deadline of its own; "not found" is success.
//! What it cannot do is left to the end of the run, which finds claims by their label.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::client::{Client, Deleted};
use crate::metrics::Warning;
use crate::step::{Registered, Registrar, StepContext};

/// How the clean-ups of a run went.
#[derive(Debug)]
pub(super) struct CleanUps {
    /// How long the clean-up of one iteration may take, and that of the end of the run.
    limit: Duration,
    not_removed: AtomicU64,
    doubtful: AtomicU64,
}

/// How a clean-up ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CleanUp {
    /// It did all that it could.
    Ended,
    /// The run is aborted: all claims of the run are removed at once, by its label.
    CutOff,
}

impl CleanUps {
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit,
            not_removed: AtomicU64::new(0),
            doubtful: AtomicU64::new(0),
        }
    }

    /// Disconnects, then removes everything that is still registered, newest first, until the run
    /// is aborted.
    ///
    /// # Cancel safety
    /// Dropping the future keeps what is left in the registrar, so that it can be called again.
    pub(super) async fn clean_up(
        &self,
        (client, registrar): (&Client, &Registrar),
        context: &mut StepContext,
        aborted: impl Future<Output = ()>,
    ) -> CleanUp {
        let deadline = Instant::now() + self.limit;
        // Connections that do not end in time are counted when the client is closed.
        let _in_time = timeout_at(deadline, context.disconnect()).await;
        let end = tokio::select! {
            biased;
            () = aborted => CleanUp::CutOff,
            () = self.remove_all(client, registrar, deadline) => CleanUp::Ended,
        };
        if end == CleanUp::CutOff {
            let unconfirmed = registrar.unconfirmed() as u64;
            self.doubtful.fetch_add(unconfirmed, Ordering::Relaxed);
        }
        end
    }

    async fn remove_all(&self, client: &Client, registrar: &Registrar, deadline: Instant) {
        while let Some(claim) = registrar.newest() {
            // Large, and seldom needed: scenarios delete what they create.
            let deleting = Box::pin(client.delete(&claim.name, claim.uid.as_deref()));
            match timeout_at(deadline, deleting).await {
                Ok(Ok(deleted)) => self.note(&claim, deleted),
                Ok(Err(error)) => {
                    tracing::debug!(%error, claim = claim.name, "left to the end of the run");
                    self.not_removed.fetch_add(1, Ordering::Relaxed);
                }
                Err(_) => {
                    self.not_removed.fetch_add(1, Ordering::Relaxed);
                }
            }
            registrar.remove(&claim.name);
        }
    }

    /// A claim that is not there and that nobody has seen may still be on its way.
    fn note(&self, claim: &Registered, deleted: Deleted) {
        if deleted == Deleted::NotFound && claim.uid.is_none() {
            self.doubtful.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What to say of claims that could not be removed when their iteration ended.
    pub(super) fn warning(&self) -> Option<Warning> {
        let claims = self.not_removed.load(Ordering::Relaxed);
        (claims > 0).then_some(Warning::CleanedUpLate { claims })
    }

    /// How long the end of the run may take.
    pub(super) fn limit(&self) -> Duration {
        self.limit
    }

    /// Claims whose creation was sent and never answered: they may come to exist yet.
    pub(super) fn doubtful(&self) -> u64 {
        self.doubtful.load(Ordering::Relaxed)
    }
}
