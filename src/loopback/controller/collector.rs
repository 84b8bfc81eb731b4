//! Garbage collection: dependents of what is gone go too; a namespace goes when it is empty.

use std::time::Duration;

use tokio::sync::mpsc;

use super::super::http::Lifetime;
use super::super::json::json;
use super::super::store::{
    DeleteOptions, KINDS, Key, Orphaned, Part, Propagation, Scope, Selector, Store, StoreError,
    kind,
};

/// How often a lingering owner or namespace is looked at again.
const AGAIN: Duration = Duration::from_millis(20);

/// Works off the queue of released owners.
pub(super) fn start(
    store: Store,
    mut released: mpsc::UnboundedReceiver<Orphaned>,
    lifetime: &Lifetime,
) {
    let lifetime = lifetime.clone();
    let tasks = lifetime.tasks.clone();
    tasks.spawn(async move {
        loop {
            let owner = tokio::select! {
                () = lifetime.stop.cancelled() => return,
                owner = released.recv() => owner,
            };
            let Some(owner) = owner else { return };
            let lingers = store
                .get(kind(owner.key.kind), &owner.key.namespace, &owner.key.name)
                .is_some_and(|object| object.uid() == owner.uid);
            if lingers {
                let (store, stop) = (store.clone(), lifetime.stop.clone());
                lifetime.tasks.spawn(async move {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = linger(&store, &owner) => {}
                    }
                });
            } else {
                let options = DeleteOptions::default();
                collect(&store, &store.dependents(&owner.uid), &options);
            }
        }
    });
}

/// Deletes dependents.
fn collect(store: &Store, dependents: &[Key], options: &DeleteOptions) {
    for key in dependents {
        match store.delete(kind(key.kind), (&key.namespace, &key.name), options) {
            Ok(_) | Err(StoreError::NotFound) => {}
            Err(error) => tracing::warn!(%error, name = key.name, "could not collect an object"),
        }
    }
}

/// Deletes what an owner holds until nothing is left, then the owner.
async fn linger(store: &Store, owner: &Orphaned) {
    let place = (owner.key.namespace.as_str(), owner.key.name.as_str());
    let owner_kind = kind(owner.key.kind);
    loop {
        let held = if owner_kind.kind == "Namespace" {
            content(store, &owner.key.name)
        } else {
            store.dependents(&owner.uid)
        };
        if held.is_empty() {
            break;
        }
        let options = DeleteOptions {
            propagation: if owner_kind.kind == "Namespace" {
                Propagation::Background
            } else {
                Propagation::Foreground
            },
            ..DeleteOptions::default()
        };
        collect(store, &held, &options);
        tokio::time::sleep(AGAIN).await;
    }
    if owner_kind.kind == "Namespace" {
        store.remove(owner_kind, place, &owner.uid);
        return;
    }
    let finished = store.update(owner_kind, place, Part::Main, |value| {
        let finalizers = value["metadata"]["finalizers"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let rest: Vec<_> = finalizers
            .into_iter()
            .filter(|name| *name != json!("foregroundDeletion"))
            .collect();
        value["metadata"]["finalizers"] = json!(rest);
        Ok(())
    });
    match finished {
        Ok(object) if owner_kind.kind == "Pod" => {
            tracing::debug!(pod = object.name(), "pod lingers");
        }
        Ok(_) | Err(StoreError::NotFound) => {}
        Err(error) => tracing::warn!(%error, "could not finish a foreground deletion"),
    }
}

fn content(store: &Store, namespace: &str) -> Vec<Key> {
    KINDS
        .iter()
        .filter(|kind| kind.scope == Scope::Namespaced)
        .flat_map(|kind| store.list(kind, Some(namespace), &Selector::default()).0)
        .map(|object| super::key_of(&object))
        .collect()
}
