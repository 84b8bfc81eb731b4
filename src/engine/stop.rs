//! [`Stop`]: how one cell comes to its end: drained at its own end or the run's, then cancelled when the
//! graceful stop is over or the run aborts.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::cancel::{Cancel, Phase};

/// The end of one cell.
#[derive(Debug)]
pub(super) struct Stop {
    cancel: Cancel,
    graceful: Duration,
    /// When iterations in flight are cancelled; set once nothing starts any more.
    deadline: Option<Instant>,
    /// Cancelled when iterations in flight must end at once.
    pub(super) abort: CancellationToken,
}

impl Stop {
    pub(super) fn new(cancel: Cancel, graceful: Duration) -> Self {
        Self {
            cancel,
            graceful,
            deadline: None,
            abort: CancellationToken::new(),
        }
    }

    /// Nothing starts any more; what is in flight has the graceful stop's time.
    pub(super) fn drain(&mut self) {
        let graceful = self.graceful;
        self.deadline
            .get_or_insert_with(|| Instant::now() + graceful);
    }

    /// Whether nothing starts any more.
    pub(super) fn is_draining(&self) -> bool {
        self.deadline.is_some() || self.abort.is_cancelled()
    }

    /// Waits until something changes, and changes it; for ever after an abort.
    ///
    /// # Cancel safety
    /// Safe: dropping the future loses nothing.
    pub(super) async fn changed(&mut self) {
        if self.abort.is_cancelled() {
            std::future::pending::<()>().await;
        }
        let (mut drain, mut abort) = (self.cancel.clone(), self.cancel.clone());
        let deadline = self.deadline;
        let over = async {
            match deadline {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = abort.reached(Phase::Aborting) => self.stop_now(),
            () = drain.reached(Phase::Draining), if deadline.is_none() => self.drain(),
            () = over => self.stop_now(),
        }
    }

    fn stop_now(&mut self) {
        self.drain();
        self.abort.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{CancelHandle, CancelReason};

    #[tokio::test(start_paused = true)]
    async fn what_is_in_flight_is_cancelled_when_the_graceful_stop_is_over() {
        let handle = CancelHandle::new();
        let mut stop = Stop::new(handle.listen(), Duration::from_secs(5));
        handle.advance(Phase::Draining, CancelReason::Interrupt);
        stop.changed().await;
        assert!(stop.is_draining() && !stop.abort.is_cancelled());
        let before = Instant::now();
        stop.changed().await;
        assert!(stop.abort.is_cancelled());
        assert_eq!(before.elapsed().as_secs(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn an_abort_does_not_wait() {
        let handle = CancelHandle::new();
        let mut stop = Stop::new(handle.listen(), Duration::from_secs(5));
        stop.drain();
        handle.advance(Phase::Aborting, CancelReason::Terminate);
        stop.changed().await;
        assert!(stop.abort.is_cancelled());
    }
}
