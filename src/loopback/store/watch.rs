//! [`Watcher`]: the events of one kind after a version, in order, none lost; [`Watchers`]: those of several kinds.
//!
//! A watcher keeps a position and reads from the store's history, so that a slow one costs no
//! memory; one that falls behind the history is told so ([`Expired`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

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

/// An open watch, as the history knows it.
#[derive(Debug)]
pub(super) struct Reader {
    /// The version up to which events were given.
    position: AtomicU64,
    /// Rung at each event of its kind.
    bell: Arc<Notify>,
}

impl Reader {
    /// Begins after this version.
    pub(super) fn new(position: u64, bell: Arc<Notify>) -> Self {
        Self {
            position: AtomicU64::new(position),
            bell,
        }
    }

    pub(super) fn position(&self) -> u64 {
        self.position.load(Ordering::Relaxed)
    }

    pub(super) fn ring(&self) {
        self.bell.notify_one();
    }
}

/// A position in the history of a kind.
#[derive(Debug)]
pub(crate) struct Watcher {
    store: Store,
    kind: &'static Kind,
    reader: Arc<Reader>,
}

impl Watcher {
    pub(super) fn new(store: Store, kind: &'static Kind, reader: Arc<Reader>) -> Self {
        Self {
            store,
            kind,
            reader,
        }
    }

    /// The version up to which events were given.
    pub(crate) fn position(&self) -> u64 {
        self.reader.position()
    }

    /// The next events, at least one; waits for them.
    ///
    /// # Cancel safety
    /// Safe: the position moves only with what is returned.
    pub(crate) async fn next(&mut self) -> Result<Vec<Event>, Expired> {
        loop {
            let events = self.ready()?;
            if !events.is_empty() {
                return Ok(events);
            }
            // What happens meanwhile is not missed: the bell has then rung already.
            self.reader.bell.notified().await;
        }
    }

    /// The next events that are there already, perhaps none.
    fn ready(&self) -> Result<Vec<Event>, Expired> {
        let events = self.store.events_after(self.kind, self.position(), BATCH)?;
        if let Some(last) = events.last() {
            let position = &self.reader.position;
            position.store(last.object.version, Ordering::Relaxed);
        }
        Ok(events)
    }
}

/// Positions in the histories of several kinds. Whoever looks at an object after each event of any of them looks
/// once for all that has happened since, as a controller with a work queue does.
#[derive(Debug)]
pub(crate) struct Watchers {
    watchers: Vec<Watcher>,
    /// That of all of them.
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
            for watcher in &self.watchers {
                events.extend(watcher.ready()?);
            }
            if !events.is_empty() {
                return Ok(events);
            }
            self.bell.notified().await;
        }
    }
}
