//! How far a run may still go: running, draining, aborting.
//!
//! A phase only moves forward. Draining: nothing new starts, what runs may finish. Aborting: what
//! runs is cancelled and cleaned up at once. The first reason is kept.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

/// How far a run may still go; ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Iterations start and run.
    Running,
    /// No iteration starts; those in flight may finish until the graceful stop.
    Draining,
    /// Iterations in flight are cancelled, then cleaned up.
    Aborting,
}

/// Why a run was told to stop early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelReason {
    /// Ctrl-C, or another request by a person.
    Interrupt,
    /// SIGTERM: the machine or the CI job is going away.
    Terminate,
    /// A threshold with `abortOnFail` does not hold.
    Threshold,
}

impl fmt::Display for CancelReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupt => "interrupted",
            Self::Terminate => "terminated",
            Self::Threshold => "stopped by a threshold",
        })
    }
}

#[derive(Debug, Clone, Copy)]
struct State {
    phase: Phase,
    reason: Option<CancelReason>,
}

/// The hand that stops a run; cheap to clone. Held by the command line.
#[derive(Debug, Clone)]
pub struct CancelHandle {
    state: Arc<watch::Sender<State>>,
}

/// The engine's view of the [`CancelHandle`].
#[derive(Debug, Clone)]
pub struct Cancel {
    state: watch::Receiver<State>,
    hand: CancelHandle,
}

impl CancelHandle {
    /// A run that nobody has stopped yet.
    pub fn new() -> Self {
        let (state, _) = watch::channel(State {
            phase: Phase::Running,
            reason: None,
        });
        Self {
            state: Arc::new(state),
        }
    }

    /// Moves the run to `phase` unless it is further already.
    pub fn advance(&self, phase: Phase, reason: CancelReason) {
        self.state.send_if_modified(|state| {
            let forward = phase > state.phase;
            if forward {
                state.phase = phase;
                state.reason.get_or_insert(reason);
            }
            forward
        });
    }

    /// What the engine listens to.
    pub fn listen(&self) -> Cancel {
        Cancel {
            state: self.state.subscribe(),
            hand: self.clone(),
        }
    }

    /// The phase now.
    pub fn phase(&self) -> Phase {
        self.state.borrow().phase
    }
}

impl Default for CancelHandle {
    fn default() -> Self {
        Self::new()
    }
}

impl Cancel {
    /// The phase now.
    pub fn phase(&self) -> Phase {
        self.state.borrow().phase
    }

    /// Moves the run to `phase` from inside the engine.
    pub(super) fn stop(&self, phase: Phase, reason: CancelReason) {
        self.hand.advance(phase, reason);
    }

    /// Why the run was stopped, if it was.
    pub fn reason(&self) -> Option<CancelReason> {
        self.state.borrow().reason
    }

    /// Waits until the run is in `phase` or further.
    ///
    /// # Cancel safety
    /// Safe: dropping the future loses nothing.
    pub async fn reached(&mut self, phase: Phase) {
        if self
            .state
            .wait_for(|state| state.phase >= phase)
            .await
            .is_err()
        {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_phase_never_goes_back_and_the_first_reason_is_kept() {
        let handle = CancelHandle::new();
        let mut cancel = handle.listen();
        handle.advance(Phase::Aborting, CancelReason::Terminate);
        handle.advance(Phase::Draining, CancelReason::Interrupt);
        cancel.reached(Phase::Draining).await;
        assert_eq!(cancel.phase(), Phase::Aborting);
        assert_eq!(cancel.reason(), Some(CancelReason::Terminate));
    }
}
