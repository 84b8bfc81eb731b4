//! The loopback cluster's objects: one store, one resource version that only grows, history for
//! watches, ownership for garbage collection.
//!
//! Objects are JSON values behind [`Arc`]s. A write is visible to readers and watchers in the order
//! of its resource version; a write that changes nothing keeps the version and tells nobody.

mod inner;
mod kinds;
mod object;
mod selector;
mod types;
mod watch;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::json::{Value, json};
use inner::Inner;
use tokio::sync::{mpsc, watch as channel};

pub(crate) use kinds::{Column, KINDS, Kind, Scope, Subresource, kind};
pub(crate) use object::{Object, now_micros, now_rfc3339, now_seconds};
pub(crate) use selector::{FieldSelector, LabelSelector, Selector, SelectorError};
pub(crate) use types::{DeleteOptions, Deleted, Key, Orphaned, Part, Propagation, StoreError};
pub(crate) use watch::{Event, EventKind, Expired, Watcher};

/// The objects. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    inner: Arc<Mutex<Inner>>,
    changed: Arc<HashMap<&'static str, channel::Sender<u64>>>,
    orphaned: mpsc::UnboundedSender<Orphaned>,
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
    #[cfg(test)]
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
        let is_taken = |name: &str| {
            let place = (namespace.to_owned(), name.to_owned());
            let all = inner.objects.get(kind.kind);
            all.is_some_and(|all| all.contains_key(&place))
        };
        object::prepare((kind, namespace), &mut value, is_taken)?;
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
        let absent = inner.absent_owners(&object);
        drop(inner);
        self.tell(kind, object.version);
        self.collect_later(absent);
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
        let owners = |object: &Object| object.value["metadata"]["ownerReferences"].clone();
        let absent = if gone || owners(&old) == owners(&object) {
            Vec::new()
        } else {
            inner.absent_owners(&object)
        };
        drop(inner);
        self.tell(kind, object.version);
        self.collect_later(absent);
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
        self.collect_later(vec![Orphaned {
            uid: object.uid().to_owned(),
            key,
        }]);
    }

    fn collect_later(&self, owners: Vec<Orphaned>) {
        for owner in owners {
            // The collector being gone means that the cluster is shutting down.
            let _closed = self.orphaned.send(owner).is_err();
        }
    }
}

#[cfg(test)]
mod tests;
