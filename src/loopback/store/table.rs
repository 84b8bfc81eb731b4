//! [`Table`]: the objects of one kind, and what happened to them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::object::Object;
use super::watch::{Event, Expired};

/// How many events of one kind are kept for watches that start in the past.
pub(super) const HISTORY: usize = 100_000;

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

    pub(super) fn remember(&mut self, event: Event) {
        self.history.push_back(event);
        if let Some(event) = self.history.iter().nth_back(TEXTS) {
            event.forget_texts();
        }
        if self.history.len() > HISTORY
            && let Some(oldest) = self.history.pop_front()
        {
            self.forgotten = oldest.object.version;
        }
    }

    /// Whether all events after `version` are still kept.
    pub(super) fn reaches(&self, version: u64) -> Result<(), Expired> {
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
        let from = self
            .history
            .partition_point(|event| event.object.version <= version);
        Ok(self.history.range(from..).take(most).cloned().collect())
    }
}
