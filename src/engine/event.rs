//! What the engine tells while it runs: for progress lines and logs, never for figures.
//!
//! The channel is bounded and never waited for: an event that nobody reads in time is dropped and
//! counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::metrics::LevelVerdict;

/// How many events wait for a reader before further ones are dropped.
const CAPACITY: usize = 1024;

/// Something that happened in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEvent {
    /// A round started: every cell of a scenario runs once in it.
    RoundStarted {
        /// The scenario.
        scenario: String,
        /// From 1.
        round: u32,
        /// How many there are.
        of: u32,
    },
    /// A cell started.
    CellStarted {
        /// `scenario[axis=value]`.
        cell: String,
        /// Its load model in words.
        load: String,
    },
    /// A cell ended.
    CellEnded {
        /// `scenario[axis=value]`.
        cell: String,
    },
    /// A threshold with `abortOnFail` does not hold: the run ends.
    StoppedByThreshold {
        /// `scenario[axis=value]`.
        cell: String,
        /// As it is written.
        threshold: String,
    },
    /// A level of a `breakpoint` ended.
    LevelEnded {
        /// `scenario[axis=value]`.
        cell: String,
        /// Its rate, as it is shown.
        level: String,
        /// Whether it held.
        verdict: LevelVerdict,
    },
    /// All cells ended; what is left is looked for.
    CellsEnded,
    /// What is left cannot be looked for or deleted; it is tried again until the limit.
    CleanUpFails {
        /// Where.
        namespace: String,
        /// Why.
        reason: String,
        /// How long it is tried, from the end of the cells.
        limit: Duration,
    },
}

/// How an iteration ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IterationEnd {
    /// Every step did what was expected.
    Passed,
    /// A step or an expectation failed.
    Failed,
    /// The run was stopped before it ended.
    Interrupted,
    /// The runtime cannot do what a step wants: so for all iterations of the cell.
    NotApplicable,
}

/// The engine's end.
#[derive(Debug, Clone)]
pub struct Events {
    sender: mpsc::Sender<RunEvent>,
    dropped: Arc<AtomicU64>,
}

impl Events {
    /// A channel for one run.
    pub fn channel() -> (Self, mpsc::Receiver<RunEvent>) {
        let (sender, receiver) = mpsc::channel(CAPACITY);
        (
            Self {
                sender,
                dropped: Arc::default(),
            },
            receiver,
        )
    }

    /// Tells; never waits.
    pub(super) fn tell(&self, event: RunEvent) {
        if self.sender.try_send(event).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many events nobody read in time.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_that_nobody_reads_is_dropped_and_counted() {
        let (events, receiver) = Events::channel();
        for _ in 0..CAPACITY + 3 {
            events.tell(RunEvent::CellsEnded);
        }
        assert_eq!(events.dropped(), 3);
        drop(receiver);
    }
}
