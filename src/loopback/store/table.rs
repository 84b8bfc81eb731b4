//! [`Table`]: the objects of one kind, and what happened to them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};

use tokio::sync::Notify;

use super::object::Object;
use super::watch::{Event, Expired, Reader};

/// How many events of one kind are kept for watches that start in the past: those of some seven hundred lives of a
/// claim. Memory that is used again is much cheaper than new memory.
pub(super) const KEPT: usize = 5_000;

/// How many are kept for watches that are open and have not read them.
pub(super) const HISTORY: usize = 100_000;

/// How many events are forgotten at each new one at most: nobody waits for many to be freed.
const FORGOTTEN_AT_ONCE: usize = 2;

/// For how many further events the JSON text of a version that is no longer current is kept: whoever follows
/// the kind has read it by then.
const TEXTS: usize = 1_000;

/// Where an object stands: namespace and name.
pub(super) type Place<'a> = (&'a str, &'a str);

/// The objects of one kind by namespace and name, and their history.
#[derive(Debug, Default)]
pub(super) struct Table {
    objects: BTreeMap<String, BTreeMap<String, Arc<Object>>>,
    history: VecDeque<Event>,
    /// Version of the newest event that is no longer kept.
    forgotten: u64,
    /// The open watches.
    readers: Vec<Weak<Reader>>,
}

impl Table {
    pub(super) fn get(&self, (namespace, name): Place<'_>) -> Option<&Arc<Object>> {
        self.objects.get(namespace)?.get(name)
    }

    /// The objects of a namespace, or all, in the order of their places.
    pub(super) fn list(&self, namespace: Option<&str>) -> impl Iterator<Item = &Arc<Object>> {
        let one = namespace.and_then(|namespace| self.objects.get(namespace));
        let all = namespace.is_none().then(|| self.objects.values());
        let chosen = one.into_iter().chain(all.into_iter().flatten());
        chosen.flat_map(BTreeMap::values)
    }

    pub(super) fn count(&self) -> usize {
        self.objects.values().map(BTreeMap::len).sum()
    }

    /// Puts an object in its place; returns the one that was there.
    pub(super) fn insert(
        &mut self,
        (namespace, name): Place<'_>,
        object: Arc<Object>,
    ) -> Option<Arc<Object>> {
        let known = self
            .objects
            .get_mut(namespace)
            .and_then(|all| all.get_mut(name));
        if let Some(known) = known {
            return Some(std::mem::replace(known, object));
        }
        let all = self.objects.entry(namespace.to_owned()).or_default();
        all.insert(name.to_owned(), object)
    }

    pub(super) fn remove(&mut self, (namespace, name): Place<'_>) -> Option<Arc<Object>> {
        let all = self.objects.get_mut(namespace)?;
        let gone = all.remove(name);
        if all.is_empty() {
            self.objects.remove(namespace);
        }
        gone
    }

    /// Keeps an event, and tells the open watches.
    pub(super) fn remember(&mut self, event: Event) {
        self.history.push_back(event);
        if let Some(event) = self.history.iter().nth_back(TEXTS) {
            event.forget_texts();
        }
        let mut read = u64::MAX;
        self.readers.retain(|reader| {
            let Some(reader) = reader.upgrade() else {
                return false;
            };
            read = read.min(reader.position());
            reader.ring();
            true
        });
        for _ in 0..FORGOTTEN_AT_ONCE {
            self.forget(read);
        }
    }

    /// A watch begins after this version.
    pub(super) fn open_watch(
        &mut self,
        version: u64,
        bell: Arc<Notify>,
    ) -> Result<Arc<Reader>, Expired> {
        self.reaches(version)?;
        if self.readers.len() == self.readers.capacity() {
            self.readers.retain(|reader| reader.strong_count() > 0);
        }
        let reader = Arc::new(Reader::new(version, bell));
        self.readers.push(Arc::downgrade(&reader));
        Ok(reader)
    }

    /// Forgets the oldest event if there are enough without it, or too many: one that an open watch has not `read`
    /// is kept longer.
    fn forget(&mut self, read: u64) {
        let Some(oldest) = self.history.front() else {
            return;
        };
        let version = oldest.object.version;
        let kept = if version <= read { KEPT } else { HISTORY };
        if self.history.len() > kept {
            self.forgotten = version;
            self.history.pop_front();
        }
    }

    /// Whether all events after `version` are still kept.
    fn reaches(&self, version: u64) -> Result<(), Expired> {
        if version >= self.forgotten {
            return Ok(());
        }
        Err(Expired {
            wanted: version,
            oldest: self.forgotten,
        })
    }

    /// Up to `most` events after `version`, oldest first.
    pub(super) fn events_after(&self, version: u64, most: usize) -> Result<Vec<Event>, Expired> {
        self.reaches(version)?;
        let newer = |event: &&Event| event.object.version > version;
        // Most watches are near the end.
        let recent = self.history.iter().rev().take(most).take_while(newer);
        let from = match recent.count() {
            recent if recent < most => self.history.len() - recent,
            _ => self.history.partition_point(|event| !newer(&event)),
        };
        Ok(self.history.range(from..).take(most).cloned().collect())
    }
}
