//! [`Watcher`]: the events of one kind after a version, in order, none lost.
//!
//! A watcher keeps a position and reads from the store's history, so that a slow one costs no
//! memory; one that falls behind the history is told so ([`Expired`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch as channel;

use super::Store;
use super::kinds::Kind;
use super::object::Object;

/// How many events are taken from the history at once.
const BATCH: usize = 256;

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventKind {
    Added,
    Modified,
    Deleted,
}

impl EventKind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
        }
    }
}

/// A change of an object.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) kind: EventKind,
    /// After the change; for a deletion the last content with the version of the deletion.
    pub(crate) object: Arc<Object>,
    /// Before the change.
    pub(crate) previous: Option<Arc<Object>>,
}

impl Event {
    /// Gives back the texts of the versions that this change made old.
    pub(super) fn forget_texts(&self) {
        let gone = (self.kind == EventKind::Deleted).then_some(&self.object);
        for old in self.previous.iter().chain(gone) {
            old.forget_text();
        }
    }
}

/// The history does not reach back that far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too old resource version: {wanted} ({oldest})")]
pub(crate) struct Expired {
    pub(crate) wanted: u64,
    pub(crate) oldest: u64,
}

/// A position in the history of a kind.
#[derive(Debug)]
pub(crate) struct Watcher {
    store: Store,
    kind: &'static Kind,
    /// Known to the history, which keeps what is not read.
    position: Arc<AtomicU64>,
    changed: channel::Receiver<u64>,
}

impl Watcher {
    pub(super) fn new(
        store: Store,
        kind: &'static Kind,
        position: Arc<AtomicU64>,
        changed: channel::Receiver<u64>,
    ) -> Self {
        Self {
            store,
            kind,
            position,
            changed,
        }
    }

    /// The version up to which events were given.
    pub(crate) fn position(&self) -> u64 {
        self.position.load(Ordering::Relaxed)
    }

    /// The next events that are there already, perhaps none.
    pub(super) fn ready(&mut self) -> Result<Vec<Event>, Expired> {
        let events = self.store.events_after(self.kind, self.position(), BATCH)?;
        if let Some(last) = events.last() {
            self.position.store(last.object.version, Ordering::Relaxed);
        }
        Ok(events)
    }

    /// The next events, at least one; waits for them.
    ///
    /// # Cancel safety
    /// Safe: the position moves only with what is returned.
    pub(crate) async fn next(&mut self) -> Result<Vec<Event>, Expired> {
        loop {
            self.changed.mark_unchanged();
            let events = self.ready()?;
            if !events.is_empty() {
                return Ok(events);
            }
            if self.changed.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}
