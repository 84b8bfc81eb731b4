//! [`AttemptObserver`]: hears of every attempt of every request of a client.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::attempt_cause::AttemptCause;
use super::core::Client;
use super::retry::RetryPolicy;

/// Hears of every attempt of every call on a sandbox and of every request to the API server,
/// watches excepted. Called from the task that makes the call: it should return at once.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use sandbench::client::{Attempt, AttemptObserver, AttemptOutcome};
///
/// #[derive(Default)]
/// struct Failures(AtomicU64);
///
/// impl AttemptObserver for Failures {
///     fn attempt(&self, attempt: &Attempt<'_>) {
///         if let AttemptOutcome::Failed { .. } = attempt.outcome {
///             self.0.fetch_add(1, Ordering::Relaxed);
///         }
///     }
/// }
/// ```
pub trait AttemptObserver: Send + Sync {
    /// An attempt is over.
    fn attempt(&self, attempt: &Attempt<'_>);
}

/// Who was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttemptTarget {
    /// The API server.
    ApiServer,
    /// A sandbox, or a router on the way to it.
    Sandbox,
}

/// One attempt that is over.
#[derive(Clone, Copy)]
pub struct Attempt<'a> {
    /// Who was asked.
    pub target: AttemptTarget,
    /// What was attempted, in words.
    pub operation: &'a dyn fmt::Display,
    /// Which attempt of the call, counted from 1.
    pub number: u32,
    /// How long it took, waiting for a connection included.
    pub duration: Duration,
    /// How long it waited in the client until a connection to the API server had room for it.
    pub queued: Duration,
    /// How it ended.
    pub outcome: AttemptOutcome<'a>,
}

impl fmt::Debug for Attempt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("target", &self.target)
            .field("operation", &format_args!("{}", self.operation))
            .field("number", &self.number)
            .field("duration", &self.duration)
            .field("queued", &self.queued)
            .field("outcome", &self.outcome)
            .finish()
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy)]
pub enum AttemptOutcome<'a> {
    /// With an answer.
    Done,
    /// With a failure.
    Failed {
        /// Which one.
        error: &'a (dyn Error + 'static),
        /// After which pause it is tried again; not at all if `None`.
        retry_in: Option<Duration>,
    },
}

/// How many attempts a client has made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct AttemptCounts {
    /// All of them.
    pub attempts: u64,
    /// Those that were not the first of their call.
    pub repeated: u64,
    /// Those that the API server refused because there are too many (429).
    pub throttled: u64,
}

impl AttemptOutcome<'_> {
    /// Why it failed; `None` if it did not.
    pub fn cause(&self) -> Option<AttemptCause> {
        match self {
            Self::Done => None,
            Self::Failed { error, .. } => Some(AttemptCause::of(*error)),
        }
    }
}

/// How requests and calls are attempted while one future runs, and who hears of that.
///
/// ```no_run
/// # async fn example(client: sandbench::client::Client) {
/// use sandbench::client::{AttemptScope, RetryPolicy};
///
/// let scope = AttemptScope {
///     retry: Some(RetryPolicy::default()),
///     observer: None,
/// };
/// let deleted = scope.run(client.delete("my-claim", None)).await;
/// # }
/// ```
#[derive(Clone, Default)]
pub struct AttemptScope {
    /// How often they are attempted, unless a sandbox's [`CallOptions`](super::CallOptions) say
    /// otherwise. Default: as the client was built.
    pub retry: Option<RetryPolicy>,
    /// Who hears of every attempt, beside the client's own observer. Default: nobody.
    pub observer: Option<Arc<dyn AttemptObserver>>,
}

impl fmt::Debug for AttemptScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AttemptScope")
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}

tokio::task_local! {
    /// The scope of the future that runs.
    static SCOPE: AttemptScope;
}

impl AttemptScope {
    /// Runs a future in this scope. What it spawns is outside of it.
    ///
    /// # Cancel safety
    /// That of the future.
    pub fn run<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        SCOPE.scope(self, future)
    }

    /// The policy of the scope that is run in, if it has one.
    pub(super) fn policy() -> Option<RetryPolicy> {
        SCOPE.try_with(|scope| scope.retry).ok().flatten()
    }

    /// Tells the observer of the scope that is run in, if it has one.
    pub(super) fn tell(attempt: &Attempt<'_>) {
        // Outside of any scope there is nobody to tell.
        let _told = SCOPE.try_with(|scope| {
            if let Some(observer) = &scope.observer {
                observer.attempt(attempt);
            }
        });
    }
}

impl Client {
    /// How many attempts the client has made so far, to the API server (watches excepted) and to
    /// sandboxes.
    pub fn attempts(&self) -> AttemptCounts {
        self.0.retrier.counts()
    }
}
