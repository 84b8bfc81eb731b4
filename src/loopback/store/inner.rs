//! What stands behind the store's lock: the kinds' tables, ownership.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::Notify;

use super::super::json::Value;
use super::kinds::{KINDS, Kind};
use super::object::Object;
use super::table::{Place, Table};
use super::types::{Key, Orphaned};
use super::watch::{Event, EventKind, Expired, Reader};

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) version: u64,
    /// In the order of [`KINDS`].
    tables: Vec<Table>,
    pub(super) dependents: HashMap<String, HashSet<Key>>,
    /// UIDs of the objects that exist.
    uids: HashSet<String>,
}

impl Inner {
    /// Nothing, at version 1.
    pub(super) fn new() -> Self {
        Self {
            version: 1,
            tables: KINDS.iter().map(|_| Table::default()).collect(),
            dependents: HashMap::new(),
            uids: HashSet::new(),
        }
    }

    /// The objects of a kind.
    pub(super) fn of(&self, kind: &'static Kind) -> &Table {
        &self.tables[kind.place()]
    }

    /// A watch of a kind begins after this version.
    pub(super) fn open_watch(
        &mut self,
        kind: &'static Kind,
        version: u64,
        bell: Arc<Notify>,
    ) -> Result<Arc<Reader>, Expired> {
        self.tables[kind.place()].open_watch(version, bell)
    }

    pub(super) fn put(
        &mut self,
        kind: &'static Kind,
        place: Place<'_>,
        value: Value,
        event: EventKind,
    ) -> Arc<Object> {
        let object = self.next(kind, value);
        let previous = self.tables[kind.place()].insert(place, Arc::clone(&object));
        if previous.is_none() {
            self.uids.insert(object.uid().to_owned());
        }
        let owners = previous.as_ref().map(|previous| previous.owners());
        if owners != Some(object.owners()) {
            if let Some(previous) = &previous {
                self.disown(previous, place);
            }
            self.own(&object, place);
        }
        self.remember(event, &object, previous);
        object
    }

    pub(super) fn remove(
        &mut self,
        kind: &'static Kind,
        place: Place<'_>,
        value: Value,
    ) -> Arc<Object> {
        let object = self.next(kind, value);
        let previous = self.tables[kind.place()].remove(place);
        self.uids.remove(object.uid());
        if let Some(previous) = &previous {
            self.disown(previous, place);
        }
        self.remember(EventKind::Deleted, &object, previous);
        object
    }

    /// A version of an object, the next of the store.
    fn next(&mut self, kind: &'static Kind, value: Value) -> Arc<Object> {
        self.version += 1;
        Arc::new(Object::new(kind, value, self.version))
    }

    /// The owners that an object names and that do not exist: they went before the object was
    /// written, by somebody who had read them while they lived. Nobody else would collect it.
    pub(super) fn absent_owners(&self, object: &Object) -> Vec<Orphaned> {
        let owners = object.owners().as_array();
        let absent = owners.into_iter().flatten().filter_map(|owner| {
            let uid = owner["uid"].as_str()?;
            if self.uids.contains(uid) {
                return None;
            }
            let kind = KINDS.iter().find(|kind| owner["kind"] == kind.kind)?;
            let key = Key {
                kind: kind.kind,
                namespace: object.namespace().to_owned(),
                name: owner["name"].as_str().unwrap_or_default().to_owned(),
            };
            Some(Orphaned {
                uid: uid.to_owned(),
                key,
            })
        });
        absent.collect()
    }

    fn own(&mut self, object: &Object, place: Place<'_>) {
        for owner in object.owner_uids() {
            let all = self.dependents.entry(owner.to_owned()).or_default();
            all.insert(key(object, place));
        }
    }

    fn disown(&mut self, object: &Object, place: Place<'_>) {
        for owner in object.owner_uids() {
            if let Some(all) = self.dependents.get_mut(owner) {
                all.remove(&key(object, place));
                if all.is_empty() {
                    self.dependents.remove(owner);
                }
            }
        }
    }

    fn remember(&mut self, kind: EventKind, object: &Arc<Object>, previous: Option<Arc<Object>>) {
        self.tables[object.kind.place()].remember(Event {
            kind,
            object: Arc::clone(object),
            previous,
        });
    }
}

fn key(object: &Object, (namespace, name): Place<'_>) -> Key {
    Key {
        kind: object.kind.kind,
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}
