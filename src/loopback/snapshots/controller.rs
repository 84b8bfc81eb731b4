//! The snapshot controller: takes what triggers ask for, and removes the copies of snapshots that
//! are gone.
//!
//! A trigger is answered once, in its condition `Triggered`: `True` with the reason `Complete`, or
//! `False` with the reason `Failed`.

use std::sync::Arc;

use super::super::http::Lifetime;
use super::super::json::{Value, json};
use super::super::store::{
    DeleteOptions, Event, EventKind, Object, Part, Store, StoreError, kind, now_seconds,
};
use super::Archive;
use crate::api::condition::READY;
use crate::api::label;
use crate::api::snapshot::{ORIGIN_POD, TRIGGERED};

const SNAPSHOT: &str = "PodSnapshot";
const TRIGGER: &str = "PodSnapshotManualTrigger";

/// Follows triggers and snapshots until the lifetime ends.
pub(in crate::loopback) fn start(store: &Store, archive: &Archive, lifetime: &Lifetime) {
    let Ok(mut watchers) = store.watch_all(&[kind(TRIGGER), kind(SNAPSHOT)]) else {
        return;
    };
    let controller = Controller {
        store: store.clone(),
        archive: archive.clone(),
        lifetime: lifetime.clone(),
    };
    lifetime.spawn(async move {
        loop {
            let Ok(events) = watchers.next().await else {
                tracing::error!("the snapshot controller fell behind the history");
                return;
            };
            for event in events {
                controller.follow(event);
            }
            tokio::task::yield_now().await;
        }
    });
}

#[derive(Clone)]
struct Controller {
    store: Store,
    archive: Archive,
    lifetime: Lifetime,
}

impl Controller {
    /// Starts what an event asks for. Its task is not dropped when the lifetime ends, but joined:
    /// nobody else waits for the copying.
    fn follow(&self, event: Event) {
        let object = event.object;
        let controller = self.clone();
        match (object.kind.kind, event.kind) {
            (TRIGGER, EventKind::Added) => {
                let work = async move { controller.answer(&object).await };
                self.lifetime.tasks.spawn(work);
            }
            (SNAPSHOT, EventKind::Deleted) => {
                let work = async move { controller.archive.remove(object.uid()).await };
                self.lifetime.tasks.spawn(work);
            }
            _ => {}
        }
    }

    /// Does what a trigger asks for, and says what became of it.
    async fn answer(&self, trigger: &Object) {
        let status = match self.take(trigger).await {
            Ok(name) => {
                let message = format!("snapshot \"{name}\" was taken");
                let triggered = condition(TRIGGERED, "True", "Complete", &message);
                json!({ "conditions": [triggered], "snapshotCreated": { "name": name } })
            }
            Err(message) => {
                json!({ "conditions": [condition(TRIGGERED, "False", "Failed", &message)] })
            }
        };
        if let Err(error) = self.write(trigger, status) {
            tracing::debug!(%error, trigger = trigger.name(), "the trigger went meanwhile");
        }
    }

    /// Takes the snapshot and returns its name, or why there is none.
    async fn take(&self, trigger: &Object) -> Result<String, String> {
        let target = trigger.value["spec"]["targetPod"].as_str();
        let target = target.unwrap_or_default();
        let pod = self.store.get(kind("Pod"), trigger.namespace(), target);
        let pod = pod.ok_or_else(|| format!("pod \"{target}\" not found"))?;
        if !runs(&pod) {
            return Err(format!("pod \"{target}\" is not running"));
        }
        let draft = trigger.uid();
        let saved = self.archive.save(&pod, draft, &self.lifetime.stop).await;
        saved.map_err(|error| format!("copying the files of pod \"{target}\": {error}"))?;
        // A pod that is ending removes its files, perhaps before they were copied.
        let now = self.store.get(kind("Pod"), pod.namespace(), pod.name());
        let published = if now.is_some_and(|now| now.uid() == pod.uid() && runs(&now)) {
            self.publish(&pod, draft)
        } else {
            Err(format!("pod \"{target}\" ended meanwhile"))
        };
        if published.is_err() {
            self.archive.remove(draft).await;
        }
        let snapshot = published?;
        let ready = condition(READY, "True", "Complete", "the snapshot can be restored");
        if let Err(error) = self.write(&snapshot, json!({ "conditions": [ready] })) {
            // It was deleted at once, perhaps before its copy had its name.
            self.archive.remove(snapshot.uid()).await;
            return Err(format!("the snapshot was deleted meanwhile: {error}"));
        }
        Ok(snapshot.name().to_owned())
    }

    /// Makes the object of a snapshot, which is not ready yet, and gives the copy its name.
    fn publish(&self, pod: &Object, draft: &str) -> Result<Arc<Object>, String> {
        let mut metadata = json!({
            "name": uuid::Uuid::new_v4().to_string(),
            "annotations": { ORIGIN_POD: pod.name() },
        });
        if let Some(hash) = pod.label(label::SANDBOX_NAME_HASH) {
            metadata["labels"] = json!({ label::SANDBOX_NAME_HASH: hash });
        }
        let snapshots = kind(SNAPSHOT);
        let value = json!({ "metadata": metadata, "spec": {} });
        let created = self.store.create(snapshots, pod.namespace(), value);
        let snapshot = created.map_err(|error| format!("making the snapshot: {error}"))?;
        if let Err(error) = self.archive.rename(pod, draft, snapshot.uid()) {
            let place = (snapshot.namespace(), snapshot.name());
            let options = DeleteOptions::default();
            if let Err(error) = self.store.delete(snapshots, place, &options) {
                tracing::debug!(%error, "a snapshot without content went by itself");
            }
            return Err(format!("keeping the copy: {error}"));
        }
        Ok(snapshot)
    }

    /// Writes the status of an object that still is the same one.
    fn write(&self, object: &Object, status: Value) -> Result<(), StoreError> {
        let place = (object.namespace(), object.name());
        let uid = object.uid();
        self.store
            .update(object.kind, place, Part::Status, |value| {
                if value["metadata"]["uid"] != uid {
                    return Err(StoreError::NotFound);
                }
                value["status"] = status;
                Ok(())
            })?;
        Ok(())
    }
}

/// Whether a pod's files are there to be copied.
fn runs(pod: &Object) -> bool {
    pod.value["status"]["phase"] == "Running" && !pod.is_deleting()
}

fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({ "type": kind, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": now_seconds(), "observedGeneration": 1 })
}
