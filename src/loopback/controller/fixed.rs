//! What every cluster has: namespaces, a node, the router's Service, pod and endpoints.

use std::net::SocketAddr;

use super::super::error::LoopbackError;
use super::super::json::{Value, json};
use super::super::served::ServedVersions;
use super::super::store::{Event, EventKind, Key, Part, Store, StoreError, kind, now_seconds};
use super::{Agenda, Reconciler, key_of};
use crate::api::{
    EXTENSIONS_GROUP, GATEWAY_GROUP, GROUP, ROUTER_NAMESPACE, ROUTER_SERVICE, plural, snapshot,
};

/// The one node.
pub(in crate::loopback) const NODE: &str = "loopback-node";
/// The label by which the router's Service finds its pod.
const ROUTER_LABEL: (&str, &str) = ("app", "sandbox-router");
/// Name of the router's pod.
const ROUTER_POD: &str = "sandbox-router";
const ROUTER_IMAGE: &str = "loopback/sandbox-router";
/// On the router's objects, which the kubelet leaves alone.
pub(in crate::loopback) const STATIC: &str = "loopback.sandbench.dev/static";

/// Creates the objects that exist from the start: namespaces with the router in them, node,
/// definitions of the custom resources.
///
/// # Errors
/// [`LoopbackError::Object`] if a namespace has an impossible name.
pub(in crate::loopback) fn publish(
    store: &Store,
    router: SocketAddr,
    namespaces: &[String],
    served: ServedVersions,
) -> Result<(), LoopbackError> {
    let refused = |kind: &'static str, name: &str| {
        let name = name.to_owned();
        move |source: StoreError| LoopbackError::Object {
            kind,
            name,
            source: Box::new(source),
        }
    };
    publish_node(store).map_err(refused("Node", NODE))?;
    for (group, kind_name, plural, version) in DEFINED {
        let name = format!("{plural}.{group}");
        define(
            store,
            (group, kind_name, plural),
            &served.of_group(group, version),
        )
        .map_err(refused("CustomResourceDefinition", &name))?;
    }
    let fixed = ["default", "kube-system", ROUTER_NAMESPACE];
    for name in fixed
        .into_iter()
        .chain(namespaces.iter().map(String::as_str))
    {
        let value = json!({ "metadata": { "name": name } });
        match store.create(kind("Namespace"), "", value) {
            Ok(_) | Err(StoreError::AlreadyExists) => {}
            Err(error) => return Err(refused("Namespace", name)(error)),
        }
        furnish(store, name, router).map_err(refused("Namespace", name))?;
    }
    Ok(())
}

fn publish_node(store: &Store) -> Result<(), StoreError> {
    let labels = json!({ "kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux" });
    let node = json!({ "metadata": { "name": NODE, "labels": labels } });
    store.create(kind("Node"), "", node)?;
    store.update(kind("Node"), ("", NODE), Part::Status, |value| {
        value["status"] = json!({
            "capacity": { "pods": "64516" }, "allocatable": { "pods": "64516" },
            "addresses": [{ "type": "InternalIP", "address": "127.0.0.1" }],
            "conditions": [{ "type": "Ready", "status": "True", "reason": "KubeletReady",
                "message": "loopback node", "lastTransitionTime": now_seconds() }],
        });
        Ok(())
    })?;
    Ok(())
}

/// Custom resources: group, kind, plural, version.
const DEFINED: [(&str, &str, &str, &str); 7] = [
    (GROUP, "Sandbox", plural::SANDBOXES, "v1beta1"),
    (EXTENSIONS_GROUP, "SandboxClaim", plural::CLAIMS, "v1beta1"),
    (
        EXTENSIONS_GROUP,
        "SandboxTemplate",
        plural::TEMPLATES,
        "v1beta1",
    ),
    (
        EXTENSIONS_GROUP,
        "SandboxWarmPool",
        plural::WARM_POOLS,
        "v1beta1",
    ),
    (GATEWAY_GROUP, "Gateway", plural::GATEWAYS, "v1"),
    (snapshot::GROUP, "PodSnapshot", snapshot::SNAPSHOTS, "v1"),
    (
        snapshot::GROUP,
        "PodSnapshotManualTrigger",
        snapshot::TRIGGERS,
        "v1",
    ),
];

fn define(
    store: &Store,
    (group, kind_name, plural): (&str, &str, &str),
    served: &[&str],
) -> Result<(), StoreError> {
    let versions = served.iter().enumerate().map(|(place, version)| {
        json!({ "name": version, "served": true, "storage": place == 0,
            "deprecated": place > 0,
            "schema": { "openAPIV3Schema": { "type": "object",
                "x-kubernetes-preserve-unknown-fields": true } } })
    });
    let versions: Vec<Value> = versions.collect();
    let value = json!({
        "metadata": { "name": format!("{plural}.{group}") },
        "spec": { "group": group, "scope": "Namespaced",
            "names": { "kind": kind_name, "plural": plural },
            "versions": versions },
    });
    let definitions = kind("CustomResourceDefinition");
    let created = store.create(definitions, "", value)?;
    store.update(definitions, ("", created.name()), Part::Status, |value| {
        value["status"] = json!({ "conditions": [{ "type": "Established", "status": "True",
            "reason": "InitialNamesAccepted", "message": "", "lastTransitionTime": now_seconds() }] });
        Ok(())
    })?;
    Ok(())
}

/// Gives a namespace its label, its phase and the router: SDKs look for it in different ones.
fn furnish(store: &Store, namespace: &str, router: SocketAddr) -> Result<(), StoreError> {
    let place = ("", namespace);
    store.update(kind("Namespace"), place, Part::Main, |value| {
        value["metadata"]["labels"]["kubernetes.io/metadata.name"] = json!(namespace);
        Ok(())
    })?;
    store.update(kind("Namespace"), place, Part::Status, |value| {
        value["status"] = json!({ "phase": "Active" });
        Ok(())
    })?;
    for (name, value) in router_objects(namespace, router) {
        match store.create(kind(name), namespace, value) {
            Ok(_) | Err(StoreError::AlreadyExists) => {}
            Err(error) => return Err(error),
        }
    }
    let place = (namespace, ROUTER_POD);
    let conditions = ["PodScheduled", "Initialized", "ContainersReady", "Ready"]
        .map(|name| json!({ "type": name, "status": "True", "lastTransitionTime": now_seconds() }));
    store.update(kind("Pod"), place, Part::Status, |value| {
        if value["status"]["phase"] == "Running" {
            return Ok(());
        }
        value["status"] = json!({
            "phase": "Running", "conditions": conditions,
            "hostIP": "127.0.0.1", "podIP": router.ip(), "podIPs": [{ "ip": router.ip() }],
            "containerStatuses": [{ "name": "router", "ready": true, "started": true,
                "restartCount": 0, "image": ROUTER_IMAGE, "imageID": "",
                "state": { "running": { "startedAt": now_seconds() } } }],
        });
        Ok(())
    })?;
    Ok(())
}

fn router_objects(namespace: &str, router: SocketAddr) -> [(&'static str, Value); 3] {
    let labels = json!({ ROUTER_LABEL.0: ROUTER_LABEL.1 });
    let (ip, port) = (router.ip(), router.port());
    let service = json!({
        "metadata": { "name": ROUTER_SERVICE, "labels": labels, "annotations": { STATIC: "true" } },
        "spec": { "type": "ClusterIP", "clusterIP": ip, "clusterIPs": [ip], "selector": labels,
            "ports": [{ "name": "http", "port": port, "protocol": "TCP", "targetPort": port }] },
    });
    let pod = json!({
        "metadata": { "name": ROUTER_POD, "labels": labels, "annotations": { STATIC: "true" } },
        "spec": { "nodeName": NODE, "containers": [{ "name": "router",
            "image": ROUTER_IMAGE, "ports": [{ "containerPort": port, "protocol": "TCP" }] }] },
    });
    let slice = json!({
        "metadata": { "name": format!("{ROUTER_SERVICE}-loopback"),
            "labels": { "kubernetes.io/service-name": ROUTER_SERVICE } },
        "addressType": "IPv4",
        "ports": [{ "name": "http", "port": port, "protocol": "TCP" }],
        "endpoints": [{ "addresses": [ip],
            "conditions": { "ready": true, "serving": true, "terminating": false },
            "nodeName": NODE,
            "targetRef": { "kind": "Pod", "name": ROUTER_POD, "namespace": namespace } }],
    });
    [("Service", service), ("Pod", pod), ("EndpointSlice", slice)]
}

/// Furnishes every new namespace.
pub(super) struct NamespaceController {
    store: Store,
    router: SocketAddr,
}

impl NamespaceController {
    pub(super) fn new(store: Store, router: SocketAddr) -> Self {
        Self { store, router }
    }
}

impl Reconciler for NamespaceController {
    const KINDS: &'static [&'static str] = &["Namespace"];

    fn keys(&mut self, event: &Event) -> Vec<Key> {
        let added = event.kind == EventKind::Added;
        added.then(|| key_of(&event.object)).into_iter().collect()
    }

    fn reconcile(&mut self, key: &Key, _: &mut Agenda) {
        match furnish(&self.store, &key.name, self.router) {
            Ok(()) | Err(StoreError::NotFound | StoreError::NoNamespace(_)) => {}
            Err(error) => {
                tracing::warn!(%error, namespace = key.name, "could not furnish a namespace");
            }
        }
    }
}
