//! The status of a sandbox: conditions with upstream's reasons and messages, pod addresses, service.

use serde_json::{Value, json};

use super::super::store::{Object, Part, Store, StoreError};
use super::{Condition, condition, generation, is_true, sandboxes, set_condition};
use crate::api::{label, name_hash};

/// What was seen beside the pod.
#[derive(Debug, Default)]
pub(super) struct Observed {
    pub(super) suspended: bool,
    pub(super) expired: bool,
    pub(super) service: bool,
    pub(super) error: Option<String>,
}

/// Writes the status, if it differs.
pub(super) fn write_status(
    store: &Store,
    sandbox: &Object,
    pod: Option<&Object>,
    observed: &Observed,
) -> Result<(), StoreError> {
    let place = (sandbox.namespace(), sandbox.name());
    store.update(sandboxes(), place, Part::Status, |value| {
        let generation = value["metadata"]["generation"]
            .as_u64()
            .unwrap_or(generation(sandbox));
        let old = value["status"]["conditions"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let conditions = conditions(old, pod, observed, generation);
        let mut status = json!({
            "selector": format!("{}={}", label::SANDBOX_NAME_HASH, name_hash(sandbox.name())),
            "conditions": conditions,
        });
        if observed.service {
            status["service"] = json!(sandbox.name());
            status["serviceFQDN"] = json!(format!(
                "{}.{}.svc.cluster.local",
                sandbox.name(),
                sandbox.namespace()
            ));
        }
        if let Some(pod) = pod.filter(|_| !observed.expired) {
            let ips: Vec<Value> = pod.value["status"]["podIPs"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|entry| entry["ip"].clone())
                .collect();
            if !ips.is_empty() {
                status["podIPs"] = json!(ips);
                status["nodeName"] = pod.value["spec"]["nodeName"].clone();
            }
        }
        value["status"] = status;
        Ok(())
    })?;
    Ok(())
}

fn conditions(
    mut all: Vec<Value>,
    pod: Option<&Object>,
    observed: &Observed,
    generation: u64,
) -> Vec<Value> {
    let suspended = match (observed.suspended, pod) {
        (false, _) => Condition(
            "Suspended",
            "False",
            "NotSuspended",
            "Sandbox is not suspended",
        ),
        (true, Some(_)) => Condition(
            "Suspended",
            "False",
            "PodTerminating",
            "Pod is terminating. Sandbox is suspending",
        ),
        (true, None) => Condition(
            "Suspended",
            "True",
            "PodTerminated",
            "Pod has been terminated. Sandbox is suspended",
        ),
    };
    set_condition(&mut all, &suspended, generation);
    all.retain(|found| found["type"] != "Finished");
    let phase = pod
        .and_then(|pod| pod.value["status"]["phase"].as_str())
        .unwrap_or("Pending");
    let finished = match phase {
        "Succeeded" => Some(("PodSucceeded", "Pod completed successfully")),
        "Failed" => Some(("PodFailed", "Pod failed")),
        _ => None,
    };
    if let Some((reason, message)) = finished {
        set_condition(
            &mut all,
            &Condition("Finished", "True", reason, message),
            generation,
        );
    }
    match pod.filter(|_| !observed.expired) {
        None => all.retain(|found| found["type"] != "PodScheduled"),
        Some(pod) => {
            let scheduled = condition(&pod.value, "PodScheduled");
            let text = |field: &str| {
                scheduled
                    .and_then(|found| found[field].as_str())
                    .unwrap_or_default()
                    .to_owned()
            };
            let (status, reason, message) = match text("status").as_str() {
                "" => (
                    "Unknown".to_owned(),
                    "PodSchedulingUnknown".to_owned(),
                    "Pod has not reported a PodScheduled condition yet".to_owned(),
                ),
                status => {
                    let reason = match text("reason") {
                        reason if reason.is_empty() && status == "True" => {
                            "PodScheduled".to_owned()
                        }
                        reason if reason.is_empty() => "PodSchedulingUnknown".to_owned(),
                        reason => reason,
                    };
                    (status.to_owned(), reason, text("message"))
                }
            };
            let scheduled = Condition("PodScheduled", &status, &reason, &message);
            set_condition(&mut all, &scheduled, generation);
        }
    }
    let (status, reason, message) = ready(pod, phase, finished, observed);
    set_condition(
        &mut all,
        &Condition("Ready", status, reason, &message),
        generation,
    );
    all
}

fn ready(
    pod: Option<&Object>,
    phase: &str,
    finished: Option<(&'static str, &'static str)>,
    observed: &Observed,
) -> (&'static str, &'static str, String) {
    if observed.expired {
        return ("False", "SandboxExpired", "Sandbox has expired".to_owned());
    }
    if let Some(error) = &observed.error {
        return ("False", "ReconcilerError", format!("Error seen: {error}"));
    }
    if observed.suspended {
        let text = if pod.is_some() {
            "Sandbox is suspending"
        } else {
            "Sandbox is suspended"
        };
        return ("False", "SandboxSuspended", text.to_owned());
    }
    if let Some((reason, message)) = finished {
        return ("False", reason, message.to_owned());
    }
    let suffix = if observed.service {
        "; Service Exists"
    } else {
        ""
    };
    let not_ready = |text: String| ("False", "DependenciesNotReady", format!("{text}{suffix}"));
    let Some(pod) = pod else {
        return not_ready("Pod does not exist".to_owned());
    };
    if phase != "Running" {
        return not_ready(format!("Pod exists with phase: {phase}"));
    }
    if !is_true(&pod.value, "Ready") {
        return not_ready("Pod is Running but not Ready".to_owned());
    }
    if pod.value["status"]["podIPs"]
        .as_array()
        .is_none_or(Vec::is_empty)
    {
        return not_ready("Pod is Ready but has no podIPs yet".to_owned());
    }
    ("True", "DependenciesReady", format!("Pod is Ready{suffix}"))
}
