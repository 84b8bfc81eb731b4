//! [`AttemptLog`]: the attempts of the requests and calls of one step.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::client::{Attempt, AttemptCause, AttemptObserver, AttemptOutcome, AttemptTarget};

/// The attempts of the requests and calls of one step, in the order of their ends.
#[derive(Debug, Default)]
pub struct AttemptLog(Mutex<Vec<Attempted>>);

/// One attempt that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempted {
    /// Which one of its request or call, counted from 1.
    pub number: u32,
    /// How long it took.
    pub duration: Duration,
    /// How long it waited in the client for a connection to the API server; `None` if it went to a
    /// sandbox.
    pub queued: Option<Duration>,
    /// Why it failed, if it did.
    pub cause: Option<AttemptCause>,
    /// Whether no other one follows.
    pub is_last: bool,
}

impl AttemptLog {
    /// Takes out what has been written so far, into a buffer that is empty.
    pub fn take(&self, into: &mut Vec<Attempted>) {
        std::mem::swap(&mut *self.lock(), into);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Attempted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AttemptObserver for AttemptLog {
    fn attempt(&self, attempt: &Attempt<'_>) {
        let is_last = match attempt.outcome {
            AttemptOutcome::Done => true,
            AttemptOutcome::Failed { retry_in, .. } => retry_in.is_none(),
        };
        self.lock().push(Attempted {
            number: attempt.number,
            duration: attempt.duration,
            queued: (attempt.target == AttemptTarget::ApiServer).then_some(attempt.queued),
            cause: attempt.outcome.cause(),
            is_last,
        });
    }
}
