//! The loopback cluster's objects: one store, one resource version that only grows, history for
//! watches, ownership for garbage collection.
//!
//! Objects are JSON values behind [`Arc`]s. A write is visible to readers and watchers in the order
//! of its resource version; a write that changes nothing keeps the version and tells nobody.

mod kinds;
mod object;
mod selector;
mod watch;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::{mpsc, watch as channel};

pub(crate) use kinds::{Column, KINDS, Kind, Scope, Subresource, kind};
pub(crate) use object::{Object, now_micros, now_rfc3339, now_seconds};
pub(crate) use selector::{FieldSelector, LabelSelector, Selector, SelectorError};
pub(crate) use watch::{Event, EventKind, Expired, Watcher};

/// How many events of one kind are kept for watches that start in the past.
const HISTORY: usize = 100_000;

/// What part of an object a write may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Everything but the status, where the kind has a status subresource.
    Main,
    /// The status only.
    Status,
}

/// What happens to the dependents of a deleted object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Propagation {
    /// The object goes at once, its dependents follow.
    #[default]
    Background,
    /// The dependents go first; until then the object lingers.
    Foreground,
    /// The dependents stay, without an owner.
    Orphan,
}

/// What a delete asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeleteOptions {
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
    pub(crate) propagation: Propagation,
    pub(crate) grace_seconds: Option<u64>,
}

/// How a delete ended.
#[derive(Debug, Clone)]
pub(crate) enum Deleted {
    /// The object is gone; this was its last content.
    Gone(Arc<Object>),
    /// It lingers: a finalizer or a pod's grace period.
    Lingering(Arc<Object>),
}

/// Why a write was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("not found")]
    NotFound,
    #[error("already exists")]
    AlreadyExists,
    #[error("namespace `{0}` not found")]
    NoNamespace(String),
    #[error(
        "the object has been modified; please apply your changes to the latest version and try again"
    )]
    Conflict,
    #[error("Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}")]
    Precondition { wanted: String, found: String },
    #[error("{0}")]
    BadRequest(String),
    #[error("{message}")]
    Invalid { field: String, message: String },
}

/// Where an object stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) kind: &'static str,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// The objects. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    inner: Arc<Mutex<Inner>>,
    changed: Arc<HashMap<&'static str, channel::Sender<u64>>>,
    orphaned: mpsc::UnboundedSender<Orphaned>,
}

/// An owner went, or asks for its dependents to go first.
#[derive(Debug, Clone)]
pub(crate) struct Orphaned {
    pub(crate) uid: String,
    pub(crate) key: Key,
}

#[derive(Debug, Default)]
struct Inner {
    version: u64,
    objects: HashMap<&'static str, BTreeMap<(String, String), Arc<Object>>>,
    history: HashMap<&'static str, VecDeque<Event>>,
    forgotten: HashMap<&'static str, u64>,
    dependents: HashMap<String, HashSet<Key>>,
}

impl Store {
    /// An empty store, and the queue from which the garbage collector works.
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Orphaned>) {
        let (orphaned, queue) = mpsc::unbounded_channel();
        let changed = KINDS
            .iter()
            .map(|kind| (kind.kind, channel::channel(0).0))
            .collect();
        let inner = Inner {
            version: 1,
            ..Inner::default()
        };
        (
            Self {
                inner: Arc::new(Mutex::new(inner)),
                changed: Arc::new(changed),
                orphaned,
            },
            queue,
        )
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No code that runs under the lock leaves the maps half changed when it panics.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest resource version.
    pub(crate) fn version(&self) -> u64 {
        self.lock().version
    }

    /// Adds an object; gives it name (from `generateName`), UID, time and version.
    pub(crate) fn create(
        &self,
        kind: &'static Kind,
        namespace: &str,
        mut value: Value,
    ) -> Result<Arc<Object>, StoreError> {
        let mut inner = self.lock();
        if kind.scope == Scope::Namespaced {
            let key = (String::new(), namespace.to_owned());
            if !inner
                .objects
                .get("Namespace")
                .is_some_and(|all| all.contains_key(&key))
            {
                return Err(StoreError::NoNamespace(namespace.to_owned()));
            }
        }
        object::prepare(kind, namespace, &mut value)?;
        let name = value["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let place = (namespace.to_owned(), name);
        if inner
            .objects
            .get(kind.kind)
            .is_some_and(|all| all.contains_key(&place))
        {
            return Err(StoreError::AlreadyExists);
        }
        let object = inner.put(kind, place, value, EventKind::Added);
        drop(inner);
        self.tell(kind, object.version);
        Ok(object)
    }

    /// Reads an object.
    pub(crate) fn get(
        &self,
        kind: &'static Kind,
        namespace: &str,
        name: &str,
    ) -> Option<Arc<Object>> {
        let inner = self.lock();
        inner
            .objects
            .get(kind.kind)?
            .get(&(namespace.to_owned(), name.to_owned()))
            .cloned()
    }

    /// Reads all objects that match, with the version at which that was true.
    pub(crate) fn list(
        &self,
        kind: &'static Kind,
        namespace: Option<&str>,
        selector: &Selector,
    ) -> (Vec<Arc<Object>>, u64) {
        let inner = self.lock();
        let matches = |object: &&Arc<Object>| {
            namespace.is_none_or(|wanted| object.namespace() == wanted) && selector.matches(object)
        };
        let found = inner
            .objects
            .get(kind.kind)
            .map(|all| all.values().filter(matches).cloned().collect())
            .unwrap_or_default();
        (found, inner.version)
    }

    /// How many objects of a kind there are.
    pub(crate) fn count(&self, kind: &'static Kind) -> usize {
        self.lock().objects.get(kind.kind).map_or(0, BTreeMap::len)
    }

    /// Changes a part of an object with `change`, atomically.
    ///
    /// A `metadata.resourceVersion` or `metadata.uid` that `change` leaves different from the stored
    /// one is a precondition that failed.
    pub(crate) fn update(
        &self,
        kind: &'static Kind,
        (namespace, name): (&str, &str),
        part: Part,
        change: impl FnOnce(&mut Value) -> Result<(), StoreError>,
    ) -> Result<Arc<Object>, StoreError> {
        let mut inner = self.lock();
        let place = (namespace.to_owned(), name.to_owned());
        let old = inner
            .objects
            .get(kind.kind)
            .and_then(|all| all.get(&place))
            .cloned()
            .ok_or(StoreError::NotFound)?;
        let mut value = old.value.clone();
        change(&mut value)?;
        object::check_preconditions(&old.value, &value)?;
        object::keep_protected(kind, &old.value, &mut value, part);
        if value == old.value {
            return Ok(old);
        }
        if object::spec_changed(&old.value, &value) && old.value["metadata"]["generation"].is_u64()
        {
            let generation = old.value["metadata"]["generation"].as_u64().unwrap_or(0) + 1;
            value["metadata"]["generation"] = json!(generation);
        }
        let gone = value["metadata"]["deletionTimestamp"].is_string()
            && value["metadata"]["finalizers"]
                .as_array()
                .is_none_or(Vec::is_empty)
            && kind.kind != "Pod";
        let object = if gone {
            inner.remove(kind, &place, value)
        } else {
            inner.put(kind, place, value, EventKind::Modified)
        };
        drop(inner);
        self.tell(kind, object.version);
        if gone {
            self.release(kind, &object);
        }
        Ok(object)
    }

    /// Deletes an object, or marks it for deletion.
    pub(crate) fn delete(
        &self,
        kind: &'static Kind,
        (namespace, name): (&str, &str),
        options: &DeleteOptions,
    ) -> Result<Deleted, StoreError> {
        let mut inner = self.lock();
        let place = (namespace.to_owned(), name.to_owned());
        let old = inner
            .objects
            .get(kind.kind)
            .and_then(|all| all.get(&place))
            .cloned()
            .ok_or(StoreError::NotFound)?;
        if let Some(wanted) = options.uid.as_ref().filter(|uid| *uid != old.uid()) {
            return Err(StoreError::Precondition {
                wanted: wanted.clone(),
                found: old.uid().to_owned(),
            });
        }
        if options
            .resource_version
            .as_ref()
            .is_some_and(|rv| *rv != old.version.to_string())
        {
            return Err(StoreError::Conflict);
        }
        let grace = object::grace(kind, &old.value, options);
        let foreground = options.propagation == Propagation::Foreground;
        let lingers = grace.is_some()
            || foreground
            || kind.kind == "Namespace"
            || old.value["metadata"]["finalizers"]
                .as_array()
                .is_some_and(|all| !all.is_empty());
        if options.propagation == Propagation::Orphan {
            inner.dependents.remove(old.uid());
        }
        let deleted = if !lingers {
            Deleted::Gone(inner.remove(kind, &place, old.value.clone()))
        } else if old.value["metadata"]["deletionTimestamp"].is_string() {
            return Ok(Deleted::Lingering(old));
        } else {
            let mut value = old.value.clone();
            object::mark_deleted(&mut value, grace, options.propagation);
            Deleted::Lingering(inner.put(kind, place, value, EventKind::Modified))
        };
        drop(inner);
        match &deleted {
            Deleted::Gone(object) => {
                self.tell(kind, object.version);
                self.release(kind, object);
            }
            Deleted::Lingering(object) => {
                self.tell(kind, object.version);
                if foreground || kind.kind == "Namespace" {
                    self.release(kind, object);
                }
            }
        }
        Ok(deleted)
    }

    /// Removes a lingering object for good, if it is still the same one.
    pub(crate) fn remove(&self, kind: &'static Kind, (namespace, name): (&str, &str), uid: &str) {
        let mut inner = self.lock();
        let place = (namespace.to_owned(), name.to_owned());
        let Some(old) = inner
            .objects
            .get(kind.kind)
            .and_then(|all| all.get(&place))
            .filter(|object| object.uid() == uid)
            .cloned()
        else {
            return;
        };
        let object = inner.remove(kind, &place, old.value.clone());
        drop(inner);
        self.tell(kind, object.version);
        self.release(kind, &object);
    }

    /// The objects that name `uid` as an owner.
    pub(crate) fn dependents(&self, uid: &str) -> Vec<Key> {
        self.lock()
            .dependents
            .get(uid)
            .map(|all| all.iter().cloned().collect())
            .unwrap_or_default()
    }

    /// Events of a kind after `version`.
    pub(crate) fn watch(&self, kind: &'static Kind, version: u64) -> Result<Watcher, Expired> {
        let inner = self.lock();
        let oldest = inner.forgotten.get(kind.kind).copied().unwrap_or(0);
        if version < oldest {
            return Err(Expired {
                wanted: version,
                oldest,
            });
        }
        drop(inner);
        Ok(Watcher::new(
            self.clone(),
            kind,
            version,
            self.changed[kind.kind].subscribe(),
        ))
    }

    /// Up to `most` events of a kind after `version`, oldest first.
    fn events_after(
        &self,
        kind: &'static Kind,
        version: u64,
        most: usize,
    ) -> Result<Vec<Event>, Expired> {
        let inner = self.lock();
        let oldest = inner.forgotten.get(kind.kind).copied().unwrap_or(0);
        if version < oldest {
            return Err(Expired {
                wanted: version,
                oldest,
            });
        }
        let Some(history) = inner.history.get(kind.kind) else {
            return Ok(Vec::new());
        };
        let from = history.partition_point(|event| event.object.version <= version);
        Ok(history.range(from..).take(most).cloned().collect())
    }

    fn tell(&self, kind: &'static Kind, version: u64) {
        self.changed[kind.kind].send_modify(|latest| *latest = version.max(*latest));
    }

    fn release(&self, kind: &'static Kind, object: &Object) {
        let key = Key {
            kind: kind.kind,
            namespace: object.namespace().to_owned(),
            name: object.name().to_owned(),
        };
        // The collector being gone means that the cluster is shutting down.
        let _closed = self
            .orphaned
            .send(Orphaned {
                uid: object.uid().to_owned(),
                key,
            })
            .is_err();
    }
}

impl Inner {
    fn put(
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

    fn remove(
        &mut self,
        kind: &'static Kind,
        place: &(String, String),
        mut value: Value,
    ) -> Arc<Object> {
        self.version += 1;
        value["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let object = Arc::new(Object::new(kind, value, self.version));
        let previous = self.objects.entry(kind.kind).or_default().remove(place);
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

#[cfg(test)]
mod tests;
