//! What scheduler and kubelet write into a pod: its node, defaults, phase, conditions, containers.

use std::net::Ipv4Addr;

use super::controller::NODE;
use super::json::{Map, Value, json};
use super::store::now_seconds;

/// Where a pod is in its life.
#[derive(Debug, Clone, Copy)]
pub(super) enum Phase<'a> {
    /// Bound, its containers are being created.
    Starting,
    /// The runtime listens, but the pod is not ready.
    Running(Ipv4Addr),
    /// The runtime listens and the pod is ready.
    Ready(Ipv4Addr),
    /// Ended with an error: why.
    Failed(&'a str),
    /// Ended well.
    Succeeded,
}

/// Gives the pod its node, and what the API server would have filled in.
pub(super) fn bind(pod: &mut Value) {
    let defaults = [
        ("restartPolicy", json!("Always")),
        ("dnsPolicy", json!("ClusterFirst")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("schedulerName", json!("default-scheduler")),
        ("serviceAccountName", json!("default")),
        ("securityContext", json!({})),
        ("enableServiceLinks", json!(true)),
    ];
    let spec = &mut pod["spec"];
    for (field, value) in defaults {
        if spec[field].is_null() {
            spec[field] = value;
        }
    }
    spec["nodeName"] = json!(NODE);
}

/// Adds a condition that is none of a phase.
pub(super) fn add(pod: &mut Value, condition: Value) {
    let conditions = &mut pod["status"]["conditions"];
    match conditions.as_array_mut() {
        Some(known) => {
            known.retain(|known| known["type"] != condition["type"]);
            known.push(condition);
        }
        None => *conditions = json!([condition]),
    }
}

/// Writes the status of a phase. Conditions keep their time of transition while they hold; those
/// that are none of a phase stay.
pub(super) fn set(pod: &mut Value, phase: Phase<'_>) {
    let now = json!(now_seconds());
    let (name, ready) = match phase {
        Phase::Starting => ("Pending", false),
        Phase::Running(_) => ("Running", false),
        Phase::Ready(_) => ("Running", true),
        Phase::Failed(_) => ("Failed", false),
        Phase::Succeeded => ("Succeeded", false),
    };
    let old = pod["status"]["conditions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let condition = |kind: &str, holds: bool| {
        let status = if holds { "True" } else { "False" };
        let since = old
            .iter()
            .find(|known| known["type"] == kind && known["status"] == status)
            .map_or_else(|| now.clone(), |known| known["lastTransitionTime"].clone());
        let mut condition = Map::new();
        condition.insert("type", json!(kind));
        condition.insert("status", json!(status));
        condition.insert("lastProbeTime", Value::Null);
        condition.insert("lastTransitionTime", since);
        if !holds {
            let reason = match phase {
                Phase::Succeeded => "PodCompleted",
                _ => "ContainersNotReady",
            };
            condition.insert("reason", json!(reason));
        }
        let condition = Value::from(condition);
        // What stays the same is shared with the versions before.
        let same = old.iter().find(|known| **known == condition);
        same.cloned().unwrap_or(condition)
    };
    let mut conditions = vec![
        condition("PodScheduled", true),
        condition("Initialized", true),
        condition("ContainersReady", ready),
        condition("Ready", ready),
    ];
    let is_of_phase = |known: &Value| conditions.iter().any(|new| new["type"] == known["type"]);
    let others: Vec<Value> = old
        .iter()
        .filter(|old| !is_of_phase(old))
        .cloned()
        .collect();
    conditions.extend(others);
    let containers = containers(pod, phase, &now);
    let status = &mut pod["status"];
    status["phase"] = json!(name);
    status["conditions"] = Value::from(conditions);
    if status["startTime"].is_null() {
        status["hostIP"] = json!("127.0.0.1");
        status["hostIPs"] = json!([{ "ip": "127.0.0.1" }]);
        status["startTime"] = now;
        status["qosClass"] = json!("BestEffort");
    }
    if let Phase::Running(ip) | Phase::Ready(ip) = phase {
        status["podIP"] = json!(ip);
        status["podIPs"] = json!([{ "ip": ip }]);
    }
    if let Phase::Failed(reason) = phase {
        status["message"] = json!(reason);
    }
    status["containerStatuses"] = containers;
}

fn containers(pod: &Value, phase: Phase<'_>, now: &Value) -> Value {
    let started = &pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"];
    let since = if started.is_null() { now } else { started };
    let (ready, running, state) = match phase {
        Phase::Starting => (
            false,
            false,
            json!({ "waiting": { "reason": "ContainerCreating" } }),
        ),
        Phase::Running(_) => (false, true, json!({ "running": { "startedAt": since } })),
        Phase::Ready(_) => (true, true, json!({ "running": { "startedAt": since } })),
        Phase::Failed(_) => (false, false, ended(1, "Error", now)),
        Phase::Succeeded => (false, false, ended(0, "Completed", now)),
    };
    let all = pod["spec"]["containers"].as_array().into_iter().flatten();
    all.map(|container| {
        json!({
            "name": container["name"], "image": container["image"], "imageID": "",
            "ready": ready, "started": running, "restartCount": 0, "state": state,
        })
    })
    .collect()
}

fn ended(code: i32, reason: &str, now: &Value) -> Value {
    json!({ "terminated": { "exitCode": code, "reason": reason, "startedAt": now, "finishedAt": now } })
}
