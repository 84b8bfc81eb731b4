//! [`Watchers`]: the events of several kinds, together.
//!
//! Whoever looks at an object after each event of any of its kinds looks once for all that has happened
//! since, as a controller with a work queue does.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Notify;

use super::kinds::Kind;
use super::watch::{Event, Expired, Watcher};

/// Positions in the histories of some kinds.
#[derive(Debug)]
pub(crate) struct Watchers {
    watchers: Vec<Watcher>,
    bell: Arc<Notify>,
}

impl Watchers {
    pub(super) fn new(watchers: Vec<Watcher>, bell: Arc<Notify>) -> Self {
        Self { watchers, bell }
    }

    /// The next events, at least one, those of one kind in their order; waits for them.
    ///
    /// # Cancel safety
    /// Safe: a position moves only with what is returned.
    pub(crate) async fn next(&mut self) -> Result<Vec<Event>, Expired> {
        loop {
            let mut events = Vec::new();
            for watcher in &mut self.watchers {
                events.extend(watcher.ready()?);
            }
            if !events.is_empty() {
                return Ok(events);
            }
            // What happens meanwhile is not missed: the bell has then rung already.
            self.bell.notified().await;
        }
    }
}

/// Who is to be woken by an event, by kind.
#[derive(Debug)]
pub(super) struct Bells(Vec<Mutex<Vec<Weak<Notify>>>>);

impl Bells {
    pub(super) fn new(kinds: usize) -> Self {
        Self((0..kinds).map(|_| Mutex::default()).collect())
    }

    /// From now on the bell rings at each event of the kind.
    pub(super) fn hang(&self, kind: &'static Kind, bell: &Arc<Notify>) {
        self.of(kind).push(Arc::downgrade(bell));
    }

    pub(super) fn ring(&self, kind: &'static Kind) {
        self.of(kind).retain(|bell| {
            let bell = bell.upgrade();
            bell.inspect(|bell| bell.notify_one()).is_some()
        });
    }

    fn of(&self, kind: &'static Kind) -> std::sync::MutexGuard<'_, Vec<Weak<Notify>>> {
        let bells = self.0[kind.place()].lock();
        bells.unwrap_or_else(PoisonError::into_inner)
    }
}
