//! The controllers: claims, warm pools, sandboxes, templates, endpoints, garbage collection.
//!
//! Each is one task that follows the events of some kinds and brings objects, one after the other,
//! from the state that is to the state that should be. Being one task each, none needs locks, and no
//! warm sandbox can be adopted twice. Conditions, reasons and messages are upstream's.

mod adoption;
mod agenda;
mod claim;
mod claim_expiry;
mod claim_metadata;
mod claim_rules;
mod claim_source;
mod claim_status;
mod collector;
mod endpoints;
mod fixed;
mod line;
mod pod;
mod sandbox;
mod sandbox_status;
mod template;
mod warm_pool;

use std::collections::HashSet;
use std::net::SocketAddr;

use tokio::sync::mpsc;

use super::http::Lifetime;
use super::json::{Value, json};
use super::store::{Event, Key, Kind, Object, Orphaned, Store, kind, now_micros, now_seconds};

pub(super) use claim::ClaimSettings;
pub(super) use fixed::{NODE, STATIC, publish};

use agenda::Agenda;

/// Brings objects to the state that they should have.
trait Reconciler: Send + 'static {
    /// The kinds whose events matter.
    const KINDS: &'static [&'static str];

    /// What an event makes worth a look.
    fn keys(&mut self, event: &Event) -> Vec<Key>;

    /// Looks at one object.
    fn reconcile(&mut self, key: &Key, agenda: &mut Agenda);
}

/// Starts every controller.
pub(super) fn start(
    store: &Store,
    settings: ClaimSettings,
    orphans: mpsc::UnboundedReceiver<Orphaned>,
    router: SocketAddr,
    lifetime: &Lifetime,
) {
    let own = || store.clone();
    let sandboxes = sandbox::SandboxController::new(own(), settings.spans.clone());
    run(store, sandboxes, lifetime);
    run(store, warm_pool::WarmPoolController::new(own()), lifetime);
    let served = settings.served;
    let claims = claim::ClaimController::new(own(), settings);
    run(store, claims, lifetime);
    run(
        store,
        template::TemplateController::new(own(), served),
        lifetime,
    );
    run(store, endpoints::EndpointController::new(own()), lifetime);
    let namespaces = fixed::NamespaceController::new(own(), router);
    run(store, namespaces, lifetime);
    collector::start(own(), orphans, lifetime);
}

fn run<R: Reconciler>(store: &Store, mut reconciler: R, lifetime: &Lifetime) {
    let kinds: Vec<_> = R::KINDS.iter().map(|name| kind(name)).collect();
    let Ok(mut watchers) = store.watch_all(&kinds) else {
        return;
    };
    lifetime.spawn(async move {
        let mut agenda = Agenda::default();
        loop {
            let keys = tokio::select! {
                keys = agenda.due() => keys,
                events = watchers.next() => match events {
                    Ok(events) => distinct(events.iter().flat_map(|event| reconciler.keys(event))),
                    Err(expired) => {
                        tracing::error!(%expired, "a controller fell behind the history");
                        return;
                    }
                },
            };
            for key in keys {
                reconciler.reconcile(&key, &mut agenda);
            }
            // A long history is no reason to keep a worker from everybody else.
            tokio::task::yield_now().await;
        }
    });
}

fn distinct(keys: impl Iterator<Item = Key>) -> Vec<Key> {
    let mut seen = HashSet::new();
    keys.filter(|key| seen.insert(key.clone())).collect()
}

fn key_of(object: &Object) -> Key {
    Key {
        kind: object.kind.kind,
        namespace: object.namespace().to_owned(),
        name: object.name().to_owned(),
    }
}

/// The key of the object's controller, if it is of this kind.
fn owner_key(object: &Object, kind: &'static str) -> Option<Key> {
    let owner = object.controller()?;
    (owner["kind"] == kind).then(|| Key {
        kind,
        namespace: object.namespace().to_owned(),
        name: owner["name"].as_str().unwrap_or_default().to_owned(),
    })
}

/// An owner reference as upstream's controllers write it.
fn owned_by(owner: &Object) -> Value {
    let (value, metadata) = (&owner.value, &owner.value["metadata"]);
    json!([{
        "apiVersion": value["apiVersion"], "kind": value["kind"], "name": metadata["name"],
        "uid": metadata["uid"], "controller": true, "blockOwnerDeletion": true,
    }])
}

/// A condition of an object.
pub(super) fn condition<'a>(object: &'a Value, name: &str) -> Option<&'a Value> {
    object["status"]["conditions"]
        .as_array()?
        .iter()
        .find(|found| found["type"] == name)
}

/// Whether a condition is `True`.
pub(super) fn is_true(object: &Value, name: &str) -> bool {
    condition(object, name).is_some_and(|found| found["status"] == "True")
}

/// A condition to be set: type, status, reason, message.
struct Condition<'a>(&'a str, &'a str, &'a str, &'a str);

/// Sets a condition; its transition time moves only when its status does.
fn set_condition(conditions: &mut Vec<Value>, new: &Condition<'_>, generation: u64) {
    let Condition(name, status, reason, message) = *new;
    let old = conditions.iter_mut().find(|found| found["type"] == name);
    let since = match &old {
        // What stays the same is shared with the versions before.
        Some(old)
            if old["status"] == status
                && old["reason"] == reason
                && old["message"] == message
                && old["observedGeneration"] == generation =>
        {
            return;
        }
        Some(old) if old["status"] == status => old["lastTransitionTime"].clone(),
        _ => json!(now_seconds()),
    };
    let value = json!({
        "type": name, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": since, "observedGeneration": generation,
    });
    match old {
        Some(old) => *old = value,
        None => conditions.push(value),
    }
}

fn generation(object: &Object) -> u64 {
    object.value["metadata"]["generation"].as_u64().unwrap_or(1)
}

/// What an event tells about an object.
struct Note<'a> {
    reason: &'a str,
    action: &'a str,
    text: String,
    component: &'a str,
}

/// Records an Event about an object.
fn record(store: &Store, object: &Object, note: &Note<'_>) {
    let now = json!(now_seconds());
    let (about, metadata) = (&object.value, &object.value["metadata"]);
    let value = json!({
        "metadata": { "generateName": format!("{}.", object.name()) },
        "involvedObject": {
            "kind": about["kind"], "namespace": metadata["namespace"], "name": metadata["name"],
            "uid": metadata["uid"], "apiVersion": about["apiVersion"],
            "resourceVersion": object.version.to_string(),
        },
        "reason": note.reason, "message": note.text, "type": "Normal", "action": note.action,
        "source": { "component": note.component }, "reportingComponent": note.component,
        "reportingInstance": note.component, "firstTimestamp": now, "lastTimestamp": now,
        "eventTime": now_micros(), "count": 1,
    });
    if let Err(error) = store.create(kind("Event"), object.namespace(), value) {
        tracing::debug!(%error, "could not record an event");
    }
}

fn claims() -> &'static Kind {
    kind("SandboxClaim")
}

fn sandboxes() -> &'static Kind {
    kind("Sandbox")
}

#[cfg(test)]
mod tests;
