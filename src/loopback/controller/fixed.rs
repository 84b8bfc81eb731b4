//! What every cluster has: namespaces, a node, the router's Service, pod and endpoints.

use std::net::Ipv4Addr;

use serde_json::json;

use super::super::store::{Event, EventKind, Key, Part, Store, StoreError, kind, now_seconds};
use super::{Later, Reconciler, key_of};
use crate::api::{
    EXTENSIONS_GROUP, GATEWAY_GROUP, GROUP, ROUTER_NAMESPACE, ROUTER_PORT, ROUTER_SERVICE,
};

/// The one node.
pub(in crate::loopback) const NODE: &str = "loopback-node";
/// The label by which the router's Service finds its pod.
const ROUTER_LABEL: (&str, &str) = ("app", "sandbox-router");
/// Name of the router's pod.
const ROUTER_POD: &str = "sandbox-router";
/// On the router's objects, which the kubelet leaves alone.
pub(in crate::loopback) const STATIC: &str = "loopback.sandbench.dev/static";
/// On a namespace: the router's address.
const ROUTER_ADDRESS: &str = "loopback.sandbench.dev/router";

/// Creates the objects that exist from the start.
pub(in crate::loopback) fn publish(store: &Store, router: Ipv4Addr) -> Result<(), StoreError> {
    for name in ["default", "kube-system", ROUTER_NAMESPACE] {
        let value = json!({ "metadata": {
            "name": name, "labels": { "kubernetes.io/metadata.name": name },
            "annotations": { ROUTER_ADDRESS: router.to_string() },
        } });
        store.create(kind("Namespace"), "", value)?;
    }
    let node =
        json!({ "metadata": { "name": NODE, "labels": { "kubernetes.io/hostname": NODE } } });
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
    for (group, kind_name, plural, version) in [
        (GROUP, "Sandbox", "sandboxes", "v1beta1"),
        (EXTENSIONS_GROUP, "SandboxClaim", "sandboxclaims", "v1beta1"),
        (
            EXTENSIONS_GROUP,
            "SandboxTemplate",
            "sandboxtemplates",
            "v1beta1",
        ),
        (
            EXTENSIONS_GROUP,
            "SandboxWarmPool",
            "sandboxwarmpools",
            "v1beta1",
        ),
        (GATEWAY_GROUP, "Gateway", "gateways", "v1"),
    ] {
        let value = json!({
            "metadata": { "name": format!("{plural}.{group}") },
            "spec": { "group": group, "scope": "Namespaced",
                "names": { "kind": kind_name, "plural": plural },
                "versions": [{ "name": version, "served": true, "storage": true,
                    "schema": { "openAPIV3Schema": { "type": "object",
                        "x-kubernetes-preserve-unknown-fields": true } } }] },
        });
        let crd = kind("CustomResourceDefinition");
        let created = store.create(crd, "", value)?;
        store.update(crd, ("", created.name()), Part::Status, |value| {
            value["status"] = json!({ "conditions": [{ "type": "Established", "status": "True",
                "reason": "InitialNamesAccepted", "message": "", "lastTransitionTime": now_seconds() }] });
            Ok(())
        })?;
    }
    Ok(())
}

/// Makes the router reachable in every namespace, since SDKs look for it in different ones.
pub(super) struct NamespaceController {
    store: Store,
    router: Option<String>,
}

impl NamespaceController {
    pub(super) fn new(store: Store) -> Self {
        Self {
            store,
            router: None,
        }
    }

    fn ensure(&self, namespace: &str, router: &str) -> Result<(), StoreError> {
        let labels = json!({ ROUTER_LABEL.0: ROUTER_LABEL.1 });
        let port = json!({ "name": "http", "port": ROUTER_PORT, "protocol": "TCP" });
        let service = json!({
            "metadata": { "name": ROUTER_SERVICE, "labels": labels },
            "spec": { "type": "ClusterIP", "clusterIP": router, "selector": labels,
                "ports": [{ "name": "http", "port": ROUTER_PORT, "protocol": "TCP",
                    "targetPort": ROUTER_PORT }] },
        });
        let pod = json!({
            "metadata": { "name": ROUTER_POD, "labels": labels, "annotations": { STATIC: "true" } },
            "spec": { "nodeName": NODE, "containers": [{ "name": "router",
                "image": "loopback/sandbox-router", "ports": [{ "containerPort": ROUTER_PORT }] }] },
        });
        let slice = json!({
            "metadata": { "name": format!("{ROUTER_SERVICE}-loopback"),
                "labels": { "kubernetes.io/service-name": ROUTER_SERVICE } },
            "addressType": "IPv4", "ports": [port],
            "endpoints": [{ "addresses": [router],
                "conditions": { "ready": true, "serving": true, "terminating": false },
                "nodeName": NODE,
                "targetRef": { "kind": "Pod", "name": ROUTER_POD, "namespace": namespace } }],
        });
        for (name, value) in [("Service", service), ("Pod", pod), ("EndpointSlice", slice)] {
            match self.store.create(kind(name), namespace, value) {
                Ok(_) | Err(StoreError::AlreadyExists) => {}
                Err(error) => return Err(error),
            }
        }
        let conditions = ["PodScheduled", "Initialized", "ContainersReady", "Ready"].map(
            |name| json!({ "type": name, "status": "True", "lastTransitionTime": now_seconds() }),
        );
        self.store.update(
            kind("Pod"),
            (namespace, ROUTER_POD),
            Part::Status,
            |value| {
                value["status"] = json!({
                    "phase": "Running", "podIP": router, "podIPs": [{ "ip": router }],
                    "hostIP": "127.0.0.1",
                    "conditions": conditions,
                    "containerStatuses": [{ "name": "router", "ready": true, "started": true,
                        "restartCount": 0, "image": "loopback/sandbox-router", "imageID": "",
                        "state": { "running": { "startedAt": now_seconds() } } }],
                });
                Ok(())
            },
        )?;
        Ok(())
    }
}

impl Reconciler for NamespaceController {
    const KINDS: &'static [&'static str] = &["Namespace"];

    fn keys(&mut self, event: &Event) -> Vec<Key> {
        if let Some(router) = event.object.annotation(ROUTER_ADDRESS) {
            self.router = Some(router.to_owned());
        }
        (event.kind != EventKind::Deleted)
            .then(|| key_of(&event.object))
            .into_iter()
            .collect()
    }

    fn reconcile(&mut self, key: &Key, _later: &Later) {
        let Some(namespace) = self.store.get(kind("Namespace"), "", &key.name) else {
            return;
        };
        if namespace.is_deleting() {
            return;
        }
        let phase = self
            .store
            .update(kind("Namespace"), ("", &key.name), Part::Status, |value| {
                value["status"] = json!({ "phase": "Active" });
                Ok(())
            });
        let router = self.router.clone().unwrap_or_default();
        if let Err(error) = phase.and_then(|_| self.ensure(&key.name, &router)) {
            tracing::debug!(%error, namespace = key.name, "the namespace went while it was set up");
        }
    }
}
