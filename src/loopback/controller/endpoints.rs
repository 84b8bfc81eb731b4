//! The endpoint controller: one `EndpointSlice` for each Service with a selector.
//!
//! A Sandbox's Service has the name of its pod, so a pod's event names it; other Services of the
//! namespace are few and are compared with the pod's labels.

use std::collections::{BTreeMap, HashSet};

use super::super::json::{Value, json};
use super::super::services::{pods, selects};
use super::super::store::{Event, EventKind, Key, Object, Part, Store, StoreError, kind};
use super::{Agenda, NODE, Reconciler, STATIC, is_true, key_of, owned_by};
use crate::api::label;

pub(super) struct EndpointController {
    store: Store,
    /// Services that are no Sandbox's, by namespace.
    others: BTreeMap<String, HashSet<String>>,
}

impl EndpointController {
    pub(super) fn new(store: Store) -> Self {
        Self {
            store,
            others: BTreeMap::new(),
        }
    }

    fn learn(&mut self, event: &Event) -> Vec<Key> {
        let service = &event.object;
        let key = key_of(service);
        let own = service.value["spec"]["selector"][label::SANDBOX_NAME_HASH].is_string();
        if event.kind == EventKind::Deleted {
            if let Some(names) = self.others.get_mut(&key.namespace) {
                names.remove(&key.name);
            }
            return Vec::new();
        }
        if service.annotation(STATIC).is_some() {
            return Vec::new();
        }
        if !own {
            let names = self.others.entry(key.namespace.clone()).or_default();
            names.insert(key.name.clone());
        }
        vec![key]
    }

    /// The Services that a pod's event concerns.
    fn of_pod(&self, pod: &Object) -> Vec<Key> {
        let service = |name: &str| Key {
            kind: "Service",
            namespace: pod.namespace().to_owned(),
            name: name.to_owned(),
        };
        let mut keys: Vec<Key> = Vec::new();
        if pod.label(label::SANDBOX_NAME_HASH).is_some() {
            keys.push(service(pod.name()));
        }
        for name in self.others.get(pod.namespace()).into_iter().flatten() {
            let found = self.store.get(kind("Service"), pod.namespace(), name);
            if found.is_some_and(|found| selects(&found.value["spec"]["selector"], pod)) {
                keys.push(service(name));
            }
        }
        keys
    }

    fn write(&self, service: &Object) -> Result<(), StoreError> {
        let slices = kind("EndpointSlice");
        let name = format!("{}-loopback", service.name());
        let endpoints: Value = pods(&self.store, service)
            .iter()
            .filter_map(|pod| endpoint(pod))
            .collect();
        let ports: Value = service.value["spec"]["ports"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|port| {
                let target = port["targetPort"].as_u64().or(port["port"].as_u64());
                json!({ "name": port["name"], "port": target, "protocol": "TCP" })
            })
            .collect();
        let place = (service.namespace(), name.as_str());
        let written = self.store.update(slices, place, Part::Main, |value| {
            value["endpoints"] = endpoints.clone();
            value["ports"] = ports.clone();
            Ok(())
        });
        if !matches!(written, Err(StoreError::NotFound)) {
            return written.map(drop);
        }
        let slice = json!({
            "metadata": { "name": name, "ownerReferences": owned_by(service),
                "labels": { "kubernetes.io/service-name": service.name() } },
            "addressType": "IPv4", "endpoints": endpoints, "ports": ports,
        });
        self.store.create(slices, place.0, slice).map(drop)
    }
}

fn endpoint(pod: &Object) -> Option<Value> {
    let ip = pod.value["status"]["podIP"].as_str()?;
    let ready = is_true(&pod.value, "Ready") && !pod.is_deleting();
    Some(json!({
        "addresses": [ip],
        "conditions": { "ready": ready, "serving": ready, "terminating": pod.is_deleting() },
        "nodeName": NODE,
        "targetRef": { "kind": "Pod", "name": pod.name(), "namespace": pod.namespace(),
            "uid": pod.uid() },
    }))
}

impl Reconciler for EndpointController {
    const KINDS: &'static [&'static str] = &["Service", "Pod"];

    fn keys(&mut self, event: &Event) -> Vec<Key> {
        if event.object.kind.kind == "Service" {
            self.learn(event)
        } else {
            self.of_pod(&event.object)
        }
    }

    fn reconcile(&mut self, key: &Key, _: &mut Agenda) {
        let Some(service) = self.store.get(kind("Service"), &key.namespace, &key.name) else {
            return;
        };
        if service.value["spec"]["selector"].as_object().is_none() {
            return;
        }
        match self.write(&service) {
            Ok(()) | Err(StoreError::NotFound | StoreError::NoNamespace(_)) => {}
            Err(error) => tracing::warn!(%error, service = key.name, "could not write endpoints"),
        }
    }
}
