//! [`Track`]: what one VU is doing just now, for who asks what is in flight.
//!
//! A few atomic words that its VU alone writes, without order among them: a reader may see a step of
//! an iteration and the number of the next. It is shown to people and goes into no figure.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::recorder::StepIndex;

/// Nothing is under way.
const IDLE: u64 = u64::MAX;
/// Between steps: before the first, or while cleaning up.
const NO_STEP: u32 = u32::MAX;

/// What one VU is doing.
#[derive(Debug)]
pub(super) struct Track {
    /// When the iteration was due, in nanoseconds from the begin of the cell's figures.
    since: AtomicU64,
    iteration: AtomicU64,
    step: AtomicU32,
}

/// An iteration that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnderWay {
    /// Its number in the cell, from 0.
    pub iteration: u64,
    /// How long it has been due.
    pub age: Duration,
    /// The step that it is at; none before the first one and while it is cleaned up after.
    pub step: Option<StepIndex>,
}

impl Default for Track {
    fn default() -> Self {
        Self {
            since: AtomicU64::new(IDLE),
            iteration: AtomicU64::new(0),
            step: AtomicU32::new(NO_STEP),
        }
    }
}

impl Track {
    pub(super) fn enter(&self, iteration: u64, since: Duration) {
        let nanos = u64::try_from(since.as_nanos()).unwrap_or(IDLE - 1);
        self.iteration.store(iteration, Ordering::Relaxed);
        self.step.store(NO_STEP, Ordering::Relaxed);
        self.since.store(nanos, Ordering::Relaxed);
    }

    /// Whether something was under way.
    pub(super) fn leave(&self) -> bool {
        self.since.swap(IDLE, Ordering::Relaxed) != IDLE
    }

    pub(super) fn at(&self, step: Option<StepIndex>) {
        let word = step.map_or(NO_STEP, |StepIndex(place)| u32::from(place));
        self.step.store(word, Ordering::Relaxed);
    }

    /// What is under way at a time since the begin of the cell's figures.
    pub(super) fn look(&self, now: Duration) -> Option<UnderWay> {
        let since = self.since.load(Ordering::Relaxed);
        (since != IDLE).then(|| UnderWay {
            iteration: self.iteration.load(Ordering::Relaxed),
            age: now.saturating_sub(Duration::from_nanos(since)),
            step: u16::try_from(self.step.load(Ordering::Relaxed))
                .ok()
                .map(StepIndex),
        })
    }
}
