//! Which snapshot a pod starts from, and what the pod says about it.
//!
//! An annotation names the snapshot; without it the newest one of the same sandbox counts. A pod
//! that cannot be restored starts empty and says so in its condition `PodRestored`.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::super::controller::is_true;
use super::super::json::{Value, json};
use super::super::store::{Object, Selector, Store, kind, now_seconds};
use super::Archive;
use crate::api::label;
use crate::api::snapshot::{POD_RESTORED, RESTORE_FROM};

/// Makes the directories of a pod that is about to start from its snapshot, and returns the
/// condition that says so; `None` if it has none to start from.
///
/// # Cancel safety
/// Not cancel safe: the copying goes on with nobody waiting. End it with `stop`.
pub(in crate::loopback) async fn restore(
    store: &Store,
    archive: &Archive,
    pod: &Object,
    stop: &CancellationToken,
) -> Option<Value> {
    let snapshot = match pod.annotation(RESTORE_FROM) {
        Some(name) => {
            let named = store.get(kind("PodSnapshot"), pod.namespace(), name);
            let Some(named) = named.filter(|found| usable(archive, found)) else {
                let message = format!("there is no snapshot \"{name}\" that is ready");
                return Some(condition("False", "SnapshotNotFound", &message));
            };
            named
        }
        None => newest(store, archive, pod)?,
    };
    let name = snapshot.name();
    let restored = archive.restore(pod, snapshot.uid(), stop).await;
    Some(match restored {
        Ok(()) => condition(
            "True",
            "Restored",
            &format!("pod was restored from snapshot \"{name}\""),
        ),
        Err(error) => condition(
            "False",
            "Failed",
            &format!("restoring snapshot \"{name}\": {error}"),
        ),
    })
}

/// The newest snapshot of the pod's sandbox; of two in the same second, the one written last.
fn newest(store: &Store, archive: &Archive, pod: &Object) -> Option<Arc<Object>> {
    let hash = pod.label(label::SANDBOX_NAME_HASH)?;
    let all = Selector::default();
    let (found, _) = store.list(kind("PodSnapshot"), Some(pod.namespace()), &all);
    let own = found.into_iter().filter(|snapshot| {
        snapshot.label(label::SANDBOX_NAME_HASH) == Some(hash) && usable(archive, snapshot)
    });
    let time = |snapshot: &Object| {
        let text = snapshot.value["metadata"]["creationTimestamp"].as_str();
        text.unwrap_or_default().to_owned()
    };
    own.max_by_key(|snapshot| (time(snapshot), snapshot.version))
}

fn usable(archive: &Archive, snapshot: &Object) -> bool {
    is_true(&snapshot.value, "Ready") && archive.has(snapshot.uid())
}

fn condition(status: &str, reason: &str, message: &str) -> Value {
    json!({ "type": POD_RESTORED, "status": status, "reason": reason, "message": message,
        "lastProbeTime": null, "lastTransitionTime": now_seconds() })
}
