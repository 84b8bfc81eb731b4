//! The status of a claim: its Sandbox's readiness and addresses, or why it has none.

use super::super::json::{Value, json};
use super::super::store::{Object, Part, Store, StoreError, now_rfc3339};
use super::claim_rules::Refusal;
use super::{Condition, claims, condition, generation, sandboxes, set_condition};
use crate::api::annotation;

/// Writes the time of now into an annotation of the claim.
pub(super) fn annotate(store: &Store, claim: &Object, key: &str) -> Result<(), StoreError> {
    let place = (claim.namespace(), claim.name());
    store.update(claims(), place, Part::Main, |value| {
        value["metadata"]["annotations"][key] = json!(now_rfc3339());
        Ok(())
    })?;
    Ok(())
}

/// Copies the Sandbox's readiness and addresses to the claim, in one write.
pub(super) fn mirror(store: &Store, claim: &Object, sandbox: &str) -> Result<(), StoreError> {
    let Some(sandbox) = store.get(sandboxes(), claim.namespace(), sandbox) else {
        return Ok(());
    };
    let wanted = bound_status(&claim.value, &sandbox);
    let is_ready = wanted["conditions"]
        .as_array()
        .and_then(|all| all.last())
        .is_some_and(|ready| ready["status"] == "True");
    if claim.value["status"] != wanted {
        let place = (claim.namespace(), claim.name());
        store.update(claims(), place, Part::Status, |value| {
            value["status"] = bound_status(value, &sandbox);
            Ok(())
        })?;
    }
    if is_ready && claim.annotation(annotation::FIRST_READY_AT).is_none() {
        annotate(store, claim, annotation::FIRST_READY_AT)?;
    }
    Ok(())
}

fn bound_status(claim: &Value, sandbox: &Object) -> Value {
    let mut bound = json!({ "name": sandbox.name() });
    if let Some(ips) = sandbox.value["status"].get("podIPs") {
        bound["podIPs"] = ips.clone();
    }
    json!({ "conditions": mirrored(claim, &sandbox.value), "sandbox": bound })
}

/// Says why the claim has no Sandbox.
pub(super) fn refuse(store: &Store, claim: &Object, refusal: &Refusal) -> Result<(), StoreError> {
    let place = (claim.namespace(), claim.name());
    store.update(claims(), place, Part::Status, |value| {
        let mut conditions = value["status"]["conditions"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let text = Condition("Ready", "False", &refusal.reason, &refusal.message);
        set_condition(&mut conditions, &text, generation(claim));
        value["status"]["conditions"] = Value::from(conditions);
        Ok(())
    })?;
    Ok(())
}

/// The claim's conditions as its Sandbox makes them: sorted by type, with the claim's generation.
///
/// A status that does not flip keeps the claim's time of transition, one that does takes over the
/// Sandbox's, which may be before the claim was made.
fn mirrored(claim: &Value, sandbox: &Value) -> Vec<Value> {
    let generation = claim["metadata"]["generation"].clone();
    let mut conditions: Vec<Value> = condition(sandbox, "Finished")
        .cloned()
        .into_iter()
        .collect();
    let Some(found) = condition(sandbox, "Ready") else {
        let text = Condition("Ready", "False", "SandboxNotReady", "Sandbox is not ready");
        let mut ready: Vec<Value> = condition(claim, "Ready").cloned().into_iter().collect();
        set_condition(&mut ready, &text, generation.as_u64().unwrap_or(1));
        conditions.append(&mut ready);
        return conditions;
    };
    let mut ready = found.clone();
    if ready["reason"] == "SandboxExpired" {
        ready["message"] =
            json!("Underlying Sandbox resource has expired independently of the Claim.");
    }
    if let Some(own) = condition(claim, "Ready").filter(|own| own["status"] == ready["status"]) {
        ready["lastTransitionTime"] = own["lastTransitionTime"].clone();
    }
    ready["observedGeneration"] = generation;
    conditions.push(ready);
    conditions
}
