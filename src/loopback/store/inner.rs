//! What stands behind the store's lock: objects, history, ownership.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::super::json::{Value, json};
use super::kinds::{KINDS, Kind};
use super::object::Object;
use super::types::{Key, Orphaned};
use super::watch::{Event, EventKind};

/// How many events of one kind are kept for watches that start in the past.
pub(super) const HISTORY: usize = 100_000;

#[derive(Debug, Default)]
pub(super) struct Inner {
    pub(super) version: u64,
    pub(super) objects: HashMap<&'static str, BTreeMap<(String, String), Arc<Object>>>,
    pub(super) history: HashMap<&'static str, VecDeque<Event>>,
    pub(super) forgotten: HashMap<&'static str, u64>,
    pub(super) dependents: HashMap<String, HashSet<Key>>,
    /// UIDs of the objects that exist.
    pub(super) uids: HashSet<String>,
}

impl Inner {
    pub(super) fn put(
        &mut self,
        kind: &'static Kind,
        place: (String, String),
        mut value: Value,
        event: EventKind,
    ) -> Arc<Object> {
        self.version += 1;
        value["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let object = Arc::new(Object::new(kind, value, self.version));
        let previous = self
            .objects
            .entry(kind.kind)
            .or_default()
            .insert(place.clone(), Arc::clone(&object));
        let key = Key {
            kind: kind.kind,
            namespace: place.0,
            name: place.1,
        };
        self.uids.insert(object.uid().to_owned());
        if let Some(previous) = &previous {
            self.disown(previous, &key);
        }
        for owner in object.owner_uids() {
            self.dependents
                .entry(owner.to_owned())
                .or_default()
                .insert(key.clone());
        }
        self.remember(
            kind,
            Event {
                kind: event,
                object: Arc::clone(&object),
                previous,
            },
        );
        object
    }

    pub(super) fn remove(
        &mut self,
        kind: &'static Kind,
        place: &(String, String),
        mut value: Value,
    ) -> Arc<Object> {
        self.version += 1;
        value["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let object = Arc::new(Object::new(kind, value, self.version));
        let previous = self.objects.entry(kind.kind).or_default().remove(place);
        self.uids.remove(object.uid());
        let key = Key {
            kind: kind.kind,
            namespace: place.0.clone(),
            name: place.1.clone(),
        };
        if let Some(previous) = &previous {
            self.disown(previous, &key);
        }
        self.remember(
            kind,
            Event {
                kind: EventKind::Deleted,
                object: Arc::clone(&object),
                previous,
            },
        );
        object
    }

    /// The owners that an object names and that do not exist: they went before the object was
    /// written, by somebody who had read them while they lived. Nobody else would collect it.
    pub(super) fn absent_owners(&self, object: &Object) -> Vec<Orphaned> {
        let owners = object.value["metadata"]["ownerReferences"].as_array();
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

    fn disown(&mut self, object: &Object, key: &Key) {
        for owner in object.owner_uids() {
            if let Some(all) = self.dependents.get_mut(owner) {
                all.remove(key);
                if all.is_empty() {
                    self.dependents.remove(owner);
                }
            }
        }
    }

    fn remember(&mut self, kind: &'static Kind, event: Event) {
        let history = self.history.entry(kind.kind).or_default();
        history.push_back(event);
        if history.len() > HISTORY
            && let Some(oldest) = history.pop_front()
        {
            self.forgotten.insert(kind.kind, oldest.object.version);
        }
    }
}
