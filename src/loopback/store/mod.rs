//! The loopback cluster's objects: one store, one resource version that only grows, history for
//! watches, ownership for garbage collection.
//!
//! Objects are JSON values behind [`Arc`]s. A write is visible to readers and watchers in the order
//! of its resource version; a write that changes nothing keeps the version and tells nobody.

mod inner;
mod kinds;
mod object;
mod selector;
mod table;
mod types;
mod watch;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::json::{Value, json};
use inner::Inner;
use tokio::sync::{Notify, mpsc};

pub(crate) use kinds::{Column, KINDS, Kind, Scope, Subresource, kind};
pub(crate) use object::{Object, now_micros, now_rfc3339, now_seconds};
pub(crate) use selector::{FieldSelector, LabelSelector, Selector, SelectorError};
pub(crate) use types::{DeleteOptions, Deleted, Key, Orphaned, Part, Propagation, StoreError};
pub(crate) use watch::{Event, EventKind, Expired, Watcher, Watchers};

/// The objects. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    inner: Arc<Mutex<Inner>>,
    orphaned: mpsc::UnboundedSender<Orphaned>,
}

impl Store {
    /// An empty store, and the queue from which the garbage collector works.
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Orphaned>) {
        let (orphaned, queue) = mpsc::unbounded_channel();
        (
            Self {
                inner: Arc::new(Mutex::new(Inner::new())),
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
        if kind.scope == Scope::Namespaced
            && inner
                .of(self::kind("Namespace"))
                .get(("", namespace))
                .is_none()
        {
            return Err(StoreError::NoNamespace(namespace.to_owned()));
        }
        let is_taken = |name: &str| inner.of(kind).get((namespace, name)).is_some();
        object::prepare((kind, namespace), &mut value, is_taken)?;
        let name = value["metadata"]["name"].clone();
        let name = name.as_str().unwrap_or_default();
        if is_taken(name) {
            return Err(StoreError::AlreadyExists);
        }
        let place = (namespace, name);
        let object = inner.put(kind, place, value, EventKind::Added);
        let absent = inner.absent_owners(&object);
        drop(inner);
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
        self.lock().of(kind).get((namespace, name)).cloned()
    }

    /// Reads all objects that match, with the version at which that was true.
    pub(crate) fn list(
        &self,
        kind: &'static Kind,
        namespace: Option<&str>,
        selector: &Selector,
    ) -> (Vec<Arc<Object>>, u64) {
        let inner = self.lock();
        let all = inner.of(kind).list(namespace);
        let found = all.filter(|object| selector.matches(object)).cloned();
        (found.collect(), inner.version)
    }

    /// How many objects of a kind there are.
    pub(crate) fn count(&self, kind: &'static Kind) -> usize {
        self.lock().of(kind).count()
    }

    /// Changes a part of an object with `change`, atomically.
    ///
    /// A `metadata.resourceVersion` that `change` sets, or a `metadata.uid`, is a precondition: it must be the
    /// stored one.
    pub(crate) fn update(
        &self,
        kind: &'static Kind,
        place: (&str, &str),
        part: Part,
        change: impl FnOnce(&mut Value) -> Result<(), StoreError>,
    ) -> Result<Arc<Object>, StoreError> {
        self.replace(kind, place, part, |old| {
            let mut value = old.value.clone();
            change(&mut value).map(|()| value)
        })
    }

    /// Replaces a part of an object by what `make` makes of it, atomically; as [`update`](Self::update).
    pub(crate) fn replace(
        &self,
        kind: &'static Kind,
        place: (&str, &str),
        part: Part,
        make: impl FnOnce(&Object) -> Result<Value, StoreError>,
    ) -> Result<Arc<Object>, StoreError> {
        let mut inner = self.lock();
        let old = inner.of(kind).get(place).cloned();
        let old = old.ok_or(StoreError::NotFound)?;
        let mut value = make(&old)?;
        object::check_preconditions(&old, &value)?;
        object::keep_protected(kind, &old.value, &mut value, part);
        if value == old.value {
            return Ok(old);
        }
        if object::spec_changed(&old.value, &value)
            && let Some(generation) = old.value["metadata"]["generation"].as_u64()
        {
            value["metadata"]["generation"] = json!(generation + 1);
        }
        let metadata = &value["metadata"];
        let held = metadata["finalizers"].as_array();
        let gone = metadata["deletionTimestamp"].is_string()
            && held.is_none_or(Vec::is_empty)
            && kind.kind != "Pod";
        let object = if gone {
            inner.remove(kind, place, value)
        } else {
            inner.put(kind, place, value, EventKind::Modified)
        };
        let absent = if gone || old.owners() == object.owners() {
            Vec::new()
        } else {
            inner.absent_owners(&object)
        };
        drop(inner);
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
        place: (&str, &str),
        options: &DeleteOptions,
    ) -> Result<Deleted, StoreError> {
        let mut inner = self.lock();
        let old = inner.of(kind).get(place).cloned();
        let old = old.ok_or(StoreError::NotFound)?;
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
            Deleted::Gone(inner.remove(kind, place, old.value.clone()))
        } else if old.value["metadata"]["deletionTimestamp"].is_string() {
            return Ok(Deleted::Lingering(old));
        } else {
            let mut value = old.value.clone();
            object::mark_deleted(&mut value, grace, options.propagation);
            Deleted::Lingering(inner.put(kind, place, value, EventKind::Modified))
        };
        drop(inner);
        let is_gone = matches!(deleted, Deleted::Gone(_));
        if is_gone || foreground || kind.kind == "Namespace" {
            let (Deleted::Gone(object) | Deleted::Lingering(object)) = &deleted;
            self.release(kind, object);
        }
        Ok(deleted)
    }

    /// Removes a lingering object for good, if it is still the same one.
    pub(crate) fn remove(&self, kind: &'static Kind, place: (&str, &str), uid: &str) {
        let mut inner = self.lock();
        let old = inner.of(kind).get(place).cloned();
        let Some(old) = old.filter(|object| object.uid() == uid) else {
            return;
        };
        let object = inner.remove(kind, place, old.value.clone());
        drop(inner);
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
        self.watch_with(kind, version, &Arc::default())
    }

    /// Events of some kinds, from the first on.
    pub(crate) fn watch_all(&self, kinds: &[&'static Kind]) -> Result<Watchers, Expired> {
        let bell = Arc::default();
        let watch = |kind: &&'static Kind| self.watch_with(kind, 0, &bell);
        let watchers = kinds.iter().map(watch).collect::<Result<_, _>>()?;
        Ok(Watchers::new(watchers, bell))
    }

    fn watch_with(
        &self,
        kind: &'static Kind,
        version: u64,
        bell: &Arc<Notify>,
    ) -> Result<Watcher, Expired> {
        let reader = self.lock().open_watch(kind, version, Arc::clone(bell))?;
        Ok(Watcher::new(self.clone(), kind, reader))
    }

    /// Up to `most` events of a kind after `version`, oldest first.
    fn events_after(
        &self,
        kind: &'static Kind,
        version: u64,
        most: usize,
    ) -> Result<Vec<Event>, Expired> {
        self.lock().of(kind).events_after(version, most)
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
