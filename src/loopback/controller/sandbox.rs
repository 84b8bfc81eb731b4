//! The sandbox controller: volumes, pod, service, status; suspension and expiry.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::super::store::{
    DeleteOptions, Event, EventKind, Key, Object, Part, Store, StoreError, kind,
};
use super::sandbox_status::{Observed, write_status};
use super::{Later, Reconciler, key_of, owned_by, owner_key, sandboxes};
use crate::api::{annotation, label, name_hash};

pub(super) struct SandboxController {
    store: Store,
}

impl SandboxController {
    pub(super) fn new(store: Store) -> Self {
        Self { store }
    }

    fn bring_about(&self, sandbox: &Object, later: &Later) -> Result<(), StoreError> {
        let place = (sandbox.namespace(), sandbox.name());
        let pod = self.store.get(kind("Pod"), place.0, place.1);
        if let Some(left) = time_left(&sandbox.value["spec"]["shutdownTime"]) {
            if left.is_zero() {
                return self.expire(sandbox, pod.as_deref());
            }
            later.after(left, &key_of(sandbox));
        }
        self.ensure_volumes(sandbox)?;
        let suspended = sandbox.value["spec"]["operatingMode"] == "Suspended";
        let mut observed = Observed {
            suspended,
            ..Observed::default()
        };
        match &pod {
            Some(pod) if !pod.is_controlled_by(sandbox.uid()) => {
                observed.error = Some(format!(
                    "pod \"{}\" is controlled by another object",
                    pod.name()
                ));
            }
            Some(pod) if suspended && !pod.is_deleting() => {
                self.store
                    .delete(kind("Pod"), place, &DeleteOptions::default())?;
            }
            Some(pod) if !suspended => self.sync_pod(sandbox, pod)?,
            None if !suspended => {
                self.store.create(kind("Pod"), place.0, pod_for(sandbox))?;
            }
            Some(_) | None => {}
        }
        self.ensure_service(sandbox)?;
        observed.service = self.store.get(kind("Service"), place.0, place.1).is_some();
        let pod = self.store.get(kind("Pod"), place.0, place.1);
        self.annotate_pod_name(sandbox, pod.as_deref())?;
        write_status(&self.store, sandbox, pod.as_deref(), &observed)
    }

    fn ensure_volumes(&self, sandbox: &Object) -> Result<(), StoreError> {
        for template in sandbox.value["spec"]["volumeClaimTemplates"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let name = template["metadata"]["name"].as_str().unwrap_or_default();
            let value = json!({
                "metadata": {
                    "name": format!("{name}-{}", sandbox.name()),
                    "labels": { label::SANDBOX_NAME_HASH: name_hash(sandbox.name()) },
                    "ownerReferences": owned_by(sandbox),
                },
                "spec": template["spec"],
            });
            let claims = kind("PersistentVolumeClaim");
            match self.store.create(claims, sandbox.namespace(), value) {
                Ok(claim) => {
                    let place = (claim.namespace(), claim.name());
                    self.store.update(claims, place, Part::Status, |value| {
                        value["status"] = json!({ "phase": "Bound" });
                        Ok(())
                    })?;
                }
                Err(StoreError::AlreadyExists) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Brings labels and annotations of an existing pod in line; adoption changes them.
    fn sync_pod(&self, sandbox: &Object, pod: &Object) -> Result<(), StoreError> {
        let wanted = pod_for(sandbox);
        let place = (pod.namespace(), pod.name());
        self.store.update(kind("Pod"), place, Part::Main, |value| {
            value["metadata"]["labels"] = wanted["metadata"]["labels"].clone();
            value["metadata"]["annotations"] = wanted["metadata"]["annotations"].clone();
            Ok(())
        })?;
        Ok(())
    }

    fn ensure_service(&self, sandbox: &Object) -> Result<(), StoreError> {
        let place = (sandbox.namespace(), sandbox.name());
        match sandbox.value["spec"]["service"].as_bool() {
            Some(true) => {
                let hash = name_hash(sandbox.name());
                let value = json!({
                    "metadata": { "name": sandbox.name(),
                        "labels": { label::SANDBOX_NAME_HASH: hash },
                        "ownerReferences": owned_by(sandbox) },
                    "spec": { "type": "ClusterIP", "clusterIP": "None",
                        "selector": { label::SANDBOX_NAME_HASH: hash },
                        "ports": service_ports(sandbox) },
                });
                match self.store.create(kind("Service"), place.0, value) {
                    Ok(_) | Err(StoreError::AlreadyExists) => Ok(()),
                    Err(error) => Err(error),
                }
            }
            Some(false) => {
                match self
                    .store
                    .delete(kind("Service"), place, &DeleteOptions::default())
                {
                    Ok(_) | Err(StoreError::NotFound) => Ok(()),
                    Err(error) => Err(error),
                }
            }
            None => Ok(()),
        }
    }

    fn annotate_pod_name(&self, sandbox: &Object, pod: Option<&Object>) -> Result<(), StoreError> {
        let place = (sandbox.namespace(), sandbox.name());
        let name = pod.map(|pod| json!(pod.name()));
        self.store.update(sandboxes(), place, Part::Main, |value| {
            let annotations = &mut value["metadata"]["annotations"];
            match name {
                Some(name) => annotations[annotation::POD_NAME] = name,
                None => {
                    annotations
                        .as_object_mut()
                        .map(|all| all.remove(annotation::POD_NAME));
                }
            }
            Ok(())
        })?;
        Ok(())
    }

    fn expire(&self, sandbox: &Object, pod: Option<&Object>) -> Result<(), StoreError> {
        let place = (sandbox.namespace(), sandbox.name());
        let observed = Observed {
            expired: true,
            ..Observed::default()
        };
        write_status(&self.store, sandbox, pod, &observed)?;
        for name in ["Pod", "Service"] {
            match self
                .store
                .delete(kind(name), place, &DeleteOptions::default())
            {
                Ok(_) | Err(StoreError::NotFound) => {}
                Err(error) => return Err(error),
            }
        }
        if sandbox.value["spec"]["shutdownPolicy"] == "Delete" {
            self.store
                .delete(sandboxes(), place, &DeleteOptions::default())?;
        }
        Ok(())
    }
}

impl Reconciler for SandboxController {
    const KINDS: &'static [&'static str] = &["Sandbox", "Pod", "Service"];

    fn keys(&mut self, event: &Event) -> Vec<Key> {
        if event.object.kind.kind == "Sandbox" {
            (event.kind != EventKind::Deleted)
                .then(|| key_of(&event.object))
                .into_iter()
                .collect()
        } else {
            owner_key(&event.object, "Sandbox").into_iter().collect()
        }
    }

    fn reconcile(&mut self, key: &Key, later: &Later) {
        let Some(sandbox) = self.store.get(sandboxes(), &key.namespace, &key.name) else {
            return;
        };
        if sandbox.is_deleting() {
            return;
        }
        match self.bring_about(&sandbox, later) {
            Ok(()) | Err(StoreError::NotFound) => {}
            Err(StoreError::AlreadyExists) => {
                // A pod of the same name that is about to go: look again when it has gone.
                later.after(Duration::from_millis(5), key);
            }
            Err(error) => {
                tracing::warn!(%error, sandbox = key.name, "could not bring a sandbox about")
            }
        }
    }
}

/// The time until an RFC 3339 time; zero when it has passed; `None` when there is none.
pub(super) fn time_left(time: &Value) -> Option<Duration> {
    let time: jiff::Timestamp = time.as_str()?.parse().ok()?;
    let left = time.duration_since(jiff::Timestamp::now());
    Some(Duration::try_from(left).unwrap_or(Duration::ZERO))
}

/// The parts of a template's spec that a sandbox takes over, with upstream's secure default.
pub(super) fn template_fields(template: &Object) -> Value {
    let mut spec = Map::new();
    for field in ["podTemplate", "volumeClaimTemplates", "service"] {
        if let Some(value) = template.value["spec"].get(field) {
            spec.insert(field.to_owned(), value.clone());
        }
    }
    let mut spec = Value::Object(spec);
    let pod = &mut spec["podTemplate"]["spec"];
    if pod["automountServiceAccountToken"].is_null() {
        pod["automountServiceAccountToken"] = json!(false);
    }
    spec["operatingMode"] = json!("Running");
    spec["shutdownPolicy"] = json!("Retain");
    spec
}

fn is_reserved(key: &str) -> bool {
    key.starts_with("agents.x-k8s.io/") || key.starts_with("extensions.agents.x-k8s.io/")
}

fn unreserved(values: &Value) -> Map<String, Value> {
    let entries = values.as_object().into_iter().flatten();
    entries
        .filter(|(key, _)| !is_reserved(key))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect()
}

/// The pod of a sandbox, as upstream's controller builds it.
fn pod_for(sandbox: &Object) -> Value {
    let template = &sandbox.value["spec"]["podTemplate"];
    let mut labels = unreserved(&template["metadata"]["labels"]);
    let annotations = unreserved(&template["metadata"]["annotations"]);
    labels.insert(
        label::SANDBOX_NAME_HASH.to_owned(),
        json!(name_hash(sandbox.name())),
    );
    for key in [label::TEMPLATE_REF_HASH, label::WARM_POOL_SANDBOX] {
        if let Some(value) = sandbox.label(key) {
            labels.insert(key.to_owned(), json!(value));
        }
    }
    if let Some(created_by) = sandbox.label(label::CREATED_BY) {
        let known = ["python-client", "go-client", "controller"].contains(&created_by);
        let value = if known { created_by } else { "unknown" };
        labels.insert(label::CREATED_BY.to_owned(), json!(value));
    }
    let mut spec = template["spec"].clone();
    for volume in sandbox.value["spec"]["volumeClaimTemplates"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let name = volume["metadata"]["name"].as_str().unwrap_or_default();
        let mut volumes = spec["volumes"].as_array().cloned().unwrap_or_default();
        volumes.retain(|known| known["name"] != name);
        volumes.push(json!({ "name": name, "persistentVolumeClaim": {
            "claimName": format!("{name}-{}", sandbox.name()) } }));
        spec["volumes"] = json!(volumes);
    }
    json!({
        "metadata": { "name": sandbox.name(), "labels": labels, "annotations": annotations,
            "ownerReferences": owned_by(sandbox) },
        "spec": spec,
    })
}

fn service_ports(sandbox: &Object) -> Value {
    let containers = sandbox.value["spec"]["podTemplate"]["spec"]["containers"].as_array();
    let mut ports: Vec<(u64, String)> = containers
        .into_iter()
        .flatten()
        .flat_map(|container| container["ports"].as_array().into_iter().flatten())
        .filter_map(|port| {
            let number = port["containerPort"].as_u64()?;
            let protocol = port["protocol"].as_str().unwrap_or("TCP");
            let name = port["name"].as_str().map_or_else(
                || format!("p-{number}-{}", protocol.to_lowercase()),
                str::to_owned,
            );
            Some((number, name))
        })
        .collect();
    ports.sort();
    ports.dedup_by_key(|(number, _)| *number);
    let port = |(number, name): (u64, String)| json!({ "name": name, "port": number, "targetPort": number, "protocol": "TCP" });
    ports.into_iter().map(port).collect()
}
