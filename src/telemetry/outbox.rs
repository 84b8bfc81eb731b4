//! [`Outbox`]: batches that wait, batches that are under way, and what became of them.
//!
//! Several are under way at a time, so that throughput does not hang on the round trip. What waits is bounded; a
//! batch for which there is no room is dropped and counted. A refused batch is tried again if that has hope, with
//! pauses that double, or as long as the receiver asks.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand::RngExt;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout_at};

use super::counts::Counts;
use super::error::Retry;
use super::send::Sender;
use super::target::Signal;

/// Batches under way at the same time.
const FLIGHT: usize = 4;
/// Spans that may wait: about 40 MiB.
const WAITING: u64 = 65_536;
/// How often a batch is tried.
const TRIES: u32 = 6;
/// The longest first pause; each later one is twice as long.
const PAUSE: Duration = Duration::from_millis(100);
/// The longest pause that a receiver may ask for.
const LONGEST: Duration = Duration::from_secs(30);

/// An encoded request.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) signal: Signal,
    pub(super) message: Bytes,
    /// Spans or points in it.
    pub(super) size: u64,
}

/// A batch whose end has come.
#[derive(Debug)]
struct Done {
    signal: Signal,
    size: u64,
}

/// Sends batches.
#[derive(Debug)]
pub(super) struct Outbox {
    traces: Option<Arc<Sender>>,
    metrics: Option<Arc<Sender>>,
    counts: Arc<Counts>,
    waiting: VecDeque<Batch>,
    /// Spans that wait.
    waiting_spans: u64,
    flight: JoinSet<Done>,
    /// Spans and points under way.
    flying: (u64, u64),
}

impl Outbox {
    pub(super) fn new(
        traces: Option<Arc<Sender>>,
        metrics: Option<Arc<Sender>>,
        counts: &Arc<Counts>,
    ) -> Self {
        Self {
            traces,
            metrics,
            counts: Arc::clone(counts),
            waiting: VecDeque::new(),
            waiting_spans: 0,
            flight: JoinSet::new(),
            flying: (0, 0),
        }
    }

    fn sender(&self, signal: Signal) -> Option<Arc<Sender>> {
        match signal {
            Signal::Traces => self.traces.clone(),
            Signal::Metrics => self.metrics.clone(),
        }
    }

    /// Whether a signal goes anywhere.
    pub(super) fn takes(&self, signal: Signal) -> bool {
        self.sender(signal).is_some()
    }

    /// Takes a batch, or drops it if there is no room.
    pub(super) fn put(&mut self, batch: Batch) {
        if batch.signal == Signal::Traces {
            if self.waiting_spans + batch.size > WAITING {
                self.counts.dropped_queue(batch.size);
                return;
            }
            self.waiting_spans += batch.size;
        }
        self.waiting.push_back(batch);
        self.depart();
    }

    fn depart(&mut self) {
        while self.flight.len() < FLIGHT
            && let Some(batch) = self.waiting.pop_front()
        {
            match batch.signal {
                Signal::Traces => {
                    self.waiting_spans -= batch.size;
                    self.flying.0 += batch.size;
                }
                Signal::Metrics => self.flying.1 += batch.size,
            }
            if let Some(sender) = self.sender(batch.signal) {
                let counts = Arc::clone(&self.counts);
                self.flight.spawn(export(sender, batch, counts));
            }
        }
    }

    /// Whether nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.flight.is_empty()
    }

    /// Waits for the end of a batch, and sends the next one.
    ///
    /// # Cancel safety
    /// Safe: dropping the future loses nothing.
    pub(super) async fn landed(&mut self) {
        let ended = self.flight.join_next().await;
        self.ended(ended);
        self.depart();
    }

    /// The batch of a task that panicked or was cancelled counts as not sent, at the end.
    fn ended(&mut self, ended: Option<Result<Done, JoinError>>) {
        if let Some(Ok(done)) = ended {
            match done.signal {
                Signal::Traces => self.flying.0 -= done.size,
                Signal::Metrics => self.flying.1 -= done.size,
            }
        }
    }

    /// Forgets points that wait: what follows has them in it.
    pub(super) fn forget_points(&mut self) {
        let counts = &self.counts;
        self.waiting.retain(|batch| {
            let stays = batch.signal == Signal::Traces;
            if !stays {
                counts.points_unsent(batch.size);
            }
            stays
        });
    }

    /// Sends what is left, until the deadline; what is not sent then is counted as that.
    pub(super) async fn finish(&mut self, deadline: Instant) {
        while !self.flight.is_empty() {
            if timeout_at(deadline, self.landed()).await.is_err() {
                break;
            }
        }
        self.flight.abort_all();
        // One that came to its end before it was told to stop is counted already.
        while let Some(ended) = self.flight.join_next().await {
            self.ended(Some(ended));
        }
        let (mut spans, mut points) = self.flying;
        for batch in self.waiting.drain(..) {
            match batch.signal {
                Signal::Traces => spans += batch.size,
                Signal::Metrics => points += batch.size,
            }
        }
        self.counts.unsent(spans);
        self.counts.points_unsent(points);
    }
}

/// Sends one batch, again if that has hope.
async fn export(sender: Arc<Sender>, batch: Batch, counts: Arc<Counts>) -> Done {
    let Batch {
        signal,
        message,
        size,
    } = batch;
    let done = Done { signal, size };
    let mut pause = PAUSE;
    for left in (0..TRIES).rev() {
        let refusal = match sender.send(message.clone()).await {
            Ok(partial) => {
                let rejected = partial.rejected.min(size);
                if rejected > 0 || !partial.message.is_empty() {
                    counts.error(signal.word(), "partial success", &partial.message, None);
                }
                match signal {
                    Signal::Traces => {
                        counts.rejected(rejected);
                        counts.sent(size - rejected);
                    }
                    Signal::Metrics => {
                        counts.points_rejected(rejected);
                        counts.points_sent(size - rejected);
                    }
                }
                return done;
            }
            Err(refusal) => refusal,
        };
        let help = sender.help(&refusal);
        counts.error(signal.word(), &refusal.code, &refusal.message, help);
        match refusal.retry {
            Retry::After(asked) if left > 0 => {
                let own = pause.mul_f64(rand::rng().random_range(0.5..1.0));
                sleep(asked.unwrap_or(own).min(LONGEST)).await;
                pause *= 2;
            }
            Retry::After(_) | Retry::Never => break,
        }
    }
    match signal {
        Signal::Traces => counts.failed(size),
        Signal::Metrics => counts.points_failed(size),
    }
    done
}
