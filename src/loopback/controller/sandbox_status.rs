//! The status of a Sandbox: conditions with upstream's reasons and messages, pod addresses, Service.
//!
//! The conditions stand in upstream's order of first appearance: `Suspended`, `Finished` if the pod
//! has ended, `PodScheduled` while there is a pod, `Ready`.

use std::sync::Arc;

use super::super::json::{Value, json};
use super::super::store::{Object, Part, Store, StoreError};
use super::{Condition, condition, is_true, sandboxes, set_condition};
use crate::api::{label, name_hash};

/// What the Sandbox is meant to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    Running,
    Suspended,
    Expired,
    /// Meant to be suspended, but the pod of its name is somebody else's.
    PodNotOwned,
    /// The controller cannot go on.
    Error(String),
}

/// What was seen beside the pod.
#[derive(Debug)]
pub(super) struct Observed {
    pub(super) state: State,
    /// Whether the Sandbox has a Service.
    pub(super) service: bool,
}

/// Writes the status, if it differs; returns the Sandbox then. `pod` is the Sandbox's own.
pub(super) fn write_status(
    store: &Store,
    sandbox: &Arc<Object>,
    pod: Option<&Object>,
    observed: &Observed,
) -> Result<Arc<Object>, StoreError> {
    let wanted = status(&sandbox.value, pod, observed);
    if sandbox.value["status"] == wanted {
        return Ok(Arc::clone(sandbox));
    }
    let place = (sandbox.namespace(), sandbox.name());
    store.update(sandboxes(), place, Part::Status, |value| {
        if value["metadata"]["uid"] != sandbox.uid() {
            return Err(StoreError::NotFound);
        }
        let generation = |of: &Value| of["metadata"]["generation"].as_u64();
        let is_seen = value["status"] == sandbox.value["status"]
            && generation(value) == generation(&sandbox.value);
        value["status"] = if is_seen {
            wanted
        } else {
            status(value, pod, observed)
        };
        Ok(())
    })
}

fn status(sandbox: &Value, pod: Option<&Object>, observed: &Observed) -> Value {
    let generation = sandbox["metadata"]["generation"].as_u64().unwrap_or(1);
    let old = sandbox["status"]["conditions"].as_array();
    let old = old.cloned().unwrap_or_default();
    let mut status = json!({});
    if observed.state != State::Expired {
        let hash = name_hash(sandbox["metadata"]["name"].as_str().unwrap_or_default());
        status["selector"] = json!(format!("{}={hash}", label::SANDBOX_NAME_HASH));
        add_places(&mut status, &sandbox["metadata"], pod, observed);
    }
    status["conditions"] = Value::from(conditions(old, pod, observed, generation));
    status
}

fn add_places(status: &mut Value, metadata: &Value, pod: Option<&Object>, observed: &Observed) {
    if observed.service {
        let text = |field: &str| metadata[field].as_str().unwrap_or_default();
        let (name, namespace) = (text("name"), text("namespace"));
        status["service"] = json!(name);
        status["serviceFQDN"] = json!(format!("{name}.{namespace}.svc.cluster.local"));
    }
    let Some(pod) = pod else { return };
    let entries = pod.value["status"]["podIPs"].as_array();
    let ips: Vec<&Value> = entries
        .into_iter()
        .flatten()
        .map(|entry| &entry["ip"])
        .collect();
    if !ips.is_empty() {
        status["podIPs"] = json!(ips);
        status["nodeName"] = pod.value["spec"]["nodeName"].clone();
    }
}

fn conditions(
    mut all: Vec<Value>,
    pod: Option<&Object>,
    observed: &Observed,
    generation: u64,
) -> Vec<Value> {
    let phase = pod.and_then(|pod| pod.value["status"]["phase"].as_str());
    let finished = match phase {
        Some("Succeeded") => Some(("PodSucceeded", "Pod completed successfully")),
        Some("Failed") => Some(("PodFailed", "Pod failed")),
        _ => None,
    };
    let expired = observed.state == State::Expired;
    if let Some(suspended) = suspended(&observed.state, pod) {
        set_condition(&mut all, &suspended, generation);
    }
    if let Some((reason, message)) = finished {
        let finished = Condition("Finished", "True", reason, message);
        set_condition(&mut all, &finished, generation);
    } else if !expired {
        all.retain(|found| found["type"] != "Finished");
    }
    match pod.filter(|_| !expired) {
        None => all.retain(|found| found["type"] != "PodScheduled"),
        Some(pod) => set_scheduled(&mut all, pod, generation),
    }
    let (status, reason, message) = ready(pod, finished, observed);
    let ready = Condition("Ready", status, reason, &message);
    set_condition(&mut all, &ready, generation);
    all
}

/// `None` leaves the condition as it is.
fn suspended(state: &State, pod: Option<&Object>) -> Option<Condition<'static>> {
    let (status, reason, message) = match (state, pod) {
        (State::Expired, _) => return None,
        (State::Running | State::Error(_), _) => {
            ("False", "NotSuspended", "Sandbox is not suspended")
        }
        (State::PodNotOwned, _) => (
            "False",
            "PodNotOwned",
            "Refused to delete pod because it is not owned by this sandbox",
        ),
        (State::Suspended, Some(_)) => (
            "False",
            "PodTerminating",
            "Pod is terminating. Sandbox is suspending",
        ),
        (State::Suspended, None) => (
            "True",
            "PodTerminated",
            "Pod has been terminated. Sandbox is suspended",
        ),
    };
    Some(Condition("Suspended", status, reason, message))
}

fn set_scheduled(all: &mut Vec<Value>, pod: &Object, generation: u64) {
    let found = condition(&pod.value, "PodScheduled");
    let text = |field: &str| {
        found
            .and_then(|found| found[field].as_str())
            .unwrap_or_default()
    };
    let (status, reason, message) = match (text("status"), text("reason")) {
        ("", _) => (
            "Unknown",
            "PodSchedulingUnknown",
            "Pod has not reported a PodScheduled condition yet",
        ),
        ("True", "") => ("True", "PodScheduled", text("message")),
        (status, "") => (status, "PodSchedulingUnknown", text("message")),
        (status, reason) => (status, reason, text("message")),
    };
    let scheduled = Condition("PodScheduled", status, reason, message);
    set_condition(all, &scheduled, generation);
}

fn ready(
    pod: Option<&Object>,
    finished: Option<(&'static str, &'static str)>,
    observed: &Observed,
) -> (&'static str, &'static str, String) {
    match (&observed.state, finished) {
        (State::Expired, _) => {
            return ("False", "SandboxExpired", "Sandbox has expired".to_owned());
        }
        (State::Error(error), _) => {
            return ("False", "ReconcilerError", format!("Error seen: {error}"));
        }
        (State::Suspended | State::PodNotOwned, _) => {
            let there = pod.is_some() || observed.state == State::PodNotOwned;
            let text = if there {
                "Sandbox is suspending"
            } else {
                "Sandbox is suspended"
            };
            return ("False", "SandboxSuspended", text.to_owned());
        }
        (State::Running, Some((reason, message))) => return ("False", reason, message.to_owned()),
        (State::Running, None) => {}
    }
    let suffix = if observed.service {
        "; Service Exists"
    } else {
        ""
    };
    let not_ready = |text: &str| ("False", "DependenciesNotReady", format!("{text}{suffix}"));
    let Some(pod) = pod else {
        return not_ready("Pod does not exist");
    };
    let phase = pod.value["status"]["phase"].as_str().unwrap_or("Pending");
    let ips = pod.value["status"]["podIPs"].as_array();
    if phase != "Running" {
        not_ready(&format!("Pod exists with phase: {phase}"))
    } else if !is_true(&pod.value, "Ready") {
        not_ready("Pod is Running but not Ready")
    } else if ips.is_none_or(Vec::is_empty) {
        not_ready("Pod is Ready but has no podIPs yet")
    } else {
        ("True", "DependenciesReady", format!("Pod is Ready{suffix}"))
    }
}
