//! The end of a claim's time: `shutdownTime`, or some time after its pod has finished.
//!
//! As upstream in two passes, so that watchers see the reason before the object goes.

use std::time::Duration;

use super::super::json::json;
use super::super::store::{DeleteOptions, Object, Part, Propagation, Store, StoreError};
use super::claim_rules::Refusal;
use super::claim_status::refuse;
use super::sandbox::time_left;
use super::{Agenda, Note, claims, condition, key_of, record, sandboxes};

/// Between the two passes of an expiry.
const SECOND_PASS: Duration = Duration::from_millis(1);

/// First pass: says so. Second pass, a millisecond later: deletes.
pub(super) fn expire(store: &Store, claim: &Object, agenda: &mut Agenda) -> Result<(), StoreError> {
    let said = condition(&claim.value, "Ready").is_some_and(|c| c["reason"] == "ClaimExpired");
    if !said {
        let message = "Claim expired. Sandbox cleanup initiated.";
        refuse(store, claim, &Refusal::new("ClaimExpired", message))?;
        note_expiry(store, claim, "Claim Expired", "Claim expired".to_owned());
        agenda.after(SECOND_PASS, &key_of(claim));
        return Ok(());
    }
    let place = (claim.namespace(), claim.name());
    let policy = claim.value["spec"]["lifecycle"]["shutdownPolicy"].as_str();
    let propagation = match policy {
        Some("Delete") => Propagation::Background,
        Some("DeleteForeground") => Propagation::Foreground,
        _ => return retain(store, claim),
    };
    let text = format!(
        "Deleting Claim (ShutdownPolicy={})",
        policy.unwrap_or_default()
    );
    note_expiry(store, claim, "Deleting", text);
    let options = DeleteOptions {
        propagation,
        ..DeleteOptions::default()
    };
    store.delete(claims(), place, &options)?;
    Ok(())
}

/// Keeps an expired claim without its Sandbox.
fn retain(store: &Store, claim: &Object) -> Result<(), StoreError> {
    let Some(name) = claim.value["status"]["sandbox"]["name"].as_str() else {
        return Ok(());
    };
    let owned = store
        .get(sandboxes(), claim.namespace(), name)
        .filter(|sandbox| sandbox.is_controlled_by(claim.uid()));
    if let Some(sandbox) = owned {
        let place = (sandbox.namespace(), sandbox.name());
        match store.delete(sandboxes(), place, &DeleteOptions::default()) {
            Ok(_) | Err(StoreError::NotFound) => {}
            Err(error) => return Err(error),
        }
    }
    let place = (claim.namespace(), claim.name());
    store.update(claims(), place, Part::Status, |value| {
        if let Some(status) = value["status"].as_object_mut() {
            status.remove("sandbox");
        }
        Ok(())
    })?;
    Ok(())
}

fn note_expiry(store: &Store, claim: &Object, action: &str, text: String) {
    let note = Note {
        reason: "ClaimExpired",
        action,
        text,
        component: "sandboxclaim-controller",
    };
    record(store, claim, &note);
}

/// The time until a claim expires: by its time, or some time after its pod has finished.
pub(super) fn expires_in(claim: &Object) -> Option<Duration> {
    let lifecycle = &claim.value["spec"]["lifecycle"];
    let by_time = time_left(&lifecycle["shutdownTime"]);
    let finished = condition(&claim.value, "Finished").filter(|found| found["status"] == "True");
    let by_end = finished
        .zip(lifecycle["ttlSecondsAfterFinished"].as_u64())
        .and_then(|(at, seconds)| {
            let at: jiff::Timestamp = at["lastTransitionTime"].as_str()?.parse().ok()?;
            let end = at.checked_add(Duration::from_secs(seconds)).ok()?;
            time_left(&json!(end.to_string()))
        });
    [by_time, by_end].into_iter().flatten().min()
}
