//! [`AttemptObserver`]: hears of every attempt of every request of a client.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use super::core::Client;

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
    /// How long it took.
    pub duration: Duration,
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
}

impl Client {
    /// How many attempts the client has made so far, to the API server (watches excepted) and to
    /// sandboxes.
    pub fn attempts(&self) -> AttemptCounts {
        self.0.retrier.counts()
    }
}
