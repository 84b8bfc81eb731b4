//! Signals: the first Ctrl-C drains, the second aborts, the third leaves at once.
//!
//! SIGTERM skips the first step, since whoever sends it rarely waits long (a CI job that is
//! cancelled gets about ten seconds). Each step says what it does and what the next one would do.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::console::Console;
use crate::engine::{CancelHandle, CancelReason, Phase};
use crate::units::HumanDuration;

/// The signals that stop a run; installed before anything is created.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    /// Takes the signals over from their default, which would end the process without clean-up.
    pub(super) fn install() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) -> CancelReason {
        tokio::select! {
            _ = self.interrupt.recv() => CancelReason::Interrupt,
            _ = self.terminate.recv() => CancelReason::Terminate,
            _ = self.hangup.recv() => CancelReason::Terminate,
        }
    }

    /// Turns signals into phases until the run has to be left at once; then it returns.
    pub(super) async fn drive(
        &mut self,
        handle: &CancelHandle,
        graceful_stop: Duration,
        console: &Console,
    ) {
        loop {
            let reason = self.next().await;
            let next = match (handle.phase(), reason) {
                (Phase::Running, CancelReason::Interrupt) => Phase::Draining,
                (Phase::Running | Phase::Draining, _) => Phase::Aborting,
                (Phase::Aborting, _) => return,
            };
            match next {
                Phase::Draining => console.say(&format!(
                    "{reason}: no new iterations; those in flight may finish for up to {}. \
                     Ctrl-C again cancels them and cleans up now.",
                    HumanDuration(graceful_stop)
                )),
                Phase::Running | Phase::Aborting => console.say(&format!(
                    "{reason}: cancelling what is in flight and cleaning up. \
                     Ctrl-C again leaves at once, without clean-up."
                )),
            }
            handle.advance(next, reason);
        }
    }
}
