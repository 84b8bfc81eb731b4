//! Addresses behind the names of Services, read from the store at the moment of the question.
//!
//! A Sandbox's Service and its pod have the Sandbox's name, so that finding one from the other
//! needs no search. Only a Service that somebody else made is answered by its selector.

use std::net::IpAddr;

use super::controller::is_true;
use super::dns::split_service_name;
use super::json::Value;
use super::store::{LabelSelector, Object, Selector, Store, kind};
use crate::api::label;

/// Addresses of a Service: its own, or those of its ready pods if it is headless. `None` if there
/// is no such Service or nothing is ready behind it.
pub(super) fn addresses(store: &Store, namespace: &str, name: &str) -> Option<Vec<IpAddr>> {
    let service = store.get(kind("Service"), namespace, name)?;
    let own = service.value["spec"]["clusterIP"].as_str();
    if let Some(ip) = own.and_then(|ip| ip.parse().ok()) {
        return Some(vec![ip]);
    }
    let found: Vec<IpAddr> = pods(store, &service)
        .iter()
        .filter_map(|pod| ready_address(pod))
        .collect();
    (!found.is_empty()).then_some(found)
}

/// Address of the pod that a routed name means: `<sandbox>.<namespace>.svc.cluster.local`.
///
/// As the upstream Go router with its pod cache: the pod of that name if it is a Sandbox's and
/// ready, else the Service of that name.
pub(super) fn routed(store: &Store, host: &str) -> Option<IpAddr> {
    let (name, namespace) = split_service_name(host)?;
    let pod = store.get(kind("Pod"), namespace, name).filter(|pod| {
        pod.controller()
            .is_some_and(|owner| owner["kind"] == "Sandbox")
    });
    pod.and_then(|pod| ready_address(&pod))
        .or_else(|| addresses(store, namespace, name)?.first().copied())
}

/// The pods that a Service selects.
pub(super) fn pods(store: &Store, service: &Object) -> Vec<std::sync::Arc<Object>> {
    let namespace = service.namespace();
    let Some(selector) = service.value["spec"]["selector"].as_object() else {
        return Vec::new();
    };
    if selector.len() == 1 && selector.contains_key(label::SANDBOX_NAME_HASH) {
        let hash = selector[label::SANDBOX_NAME_HASH].as_str();
        return store
            .get(kind("Pod"), namespace, service.name())
            .filter(|pod| pod.label(label::SANDBOX_NAME_HASH) == hash)
            .into_iter()
            .collect();
    }
    let pairs: Vec<String> = selector
        .iter()
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    let Ok(labels) = LabelSelector::parse(&pairs.join(",")) else {
        return Vec::new();
    };
    let selector = Selector {
        labels,
        ..Selector::default()
    };
    store.list(kind("Pod"), Some(namespace), &selector).0
}

/// The pod's address, if it is ready.
pub(super) fn ready_address(pod: &Object) -> Option<IpAddr> {
    let ip = pod.value["status"]["podIP"]
        .as_str()
        .filter(|_| is_true(&pod.value, "Ready") && !pod.is_deleting())?;
    ip.parse().ok()
}

/// Whether a pod has all labels of a selector; an empty selector selects nothing.
pub(super) fn selects(selector: &Value, pod: &Object) -> bool {
    let Some(pairs) = selector.as_object().filter(|pairs| !pairs.is_empty()) else {
        return false;
    };
    pairs
        .iter()
        .all(|(key, value)| pod.label(key) == value.as_str())
}
