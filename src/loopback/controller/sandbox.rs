//! The Sandbox controller: volumes, pod, Service, status; suspension and expiry.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::super::json::{Map, Value, json};
use super::super::spans::{self, SpanSink};
use super::super::store::{
    DeleteOptions, Deleted, Event, Key, Object, Part, Store, StoreError, kind,
};
use super::pod::{differs, pod_for, sync_metadata, volume_claim_templates};
use super::sandbox_status::{Observed, State, write_status};
use super::{Agenda, Reconciler, condition, key_of, owned_by, owner_key, sandboxes};
use crate::api::{annotation, label, name_hash};

/// The soonest that an expiry is looked at after it was seen, as upstream.
const SOONEST_EXPIRY: Duration = Duration::from_secs(2);
/// Between the two passes of an expiry.
const SECOND_PASS: Duration = Duration::from_millis(1);
/// Until the next look while an object of the same name is about to go.
const NAME_TAKEN_PAUSE: Duration = Duration::from_millis(5);

pub(super) struct SandboxController {
    store: Store,
    spans: SpanSink,
    /// What the last look at a Sandbox left, so that its own writes are not worth another one.
    settled: HashMap<Key, Versions>,
}

/// Versions of a Sandbox, its pod and its Service. A look at the same ones again changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Versions {
    sandbox: u64,
    pod: Option<u64>,
    service: Option<u64>,
}

impl SandboxController {
    pub(super) fn new(store: Store, spans: SpanSink) -> Self {
        Self {
            store,
            spans,
            settled: HashMap::new(),
        }
    }

    /// Returns the versions with which nothing is left to be done, if that is known.
    fn bring_about(
        &self,
        sandbox: &Arc<Object>,
        settled: Option<Versions>,
        agenda: &mut Agenda,
    ) -> Result<Option<Versions>, StoreError> {
        if let Some(left) = time_left(&sandbox.value["spec"]["shutdownTime"]) {
            if left.is_zero() {
                return self.expire(sandbox, agenda).map(|()| None);
            }
            agenda.after(left.max(SOONEST_EXPIRY), &key_of(sandbox));
        }
        if settled.is_some_and(|settled| settled == self.versions(sandbox)) {
            return Ok(settled);
        }
        spans::part("reconcilePVCs", || self.ensure_volumes(sandbox))?;
        let (state, pod) = spans::part("reconcilePod", || self.ensure_pod(sandbox))?;
        let service = self.ensure_service(sandbox)?;
        let annotated = self.annotate_pod_name(sandbox, pod.as_deref())?;
        let settles = matches!(state, State::Running | State::Suspended) && annotated.is_none();
        let observed = Observed {
            state,
            service: service.is_some(),
        };
        let written = write_status(&self.store, sandbox, pod.as_deref(), &observed)?;
        let is_as_seen = |part: &str| written.value[part] == sandbox.value[part];
        let settles = settles && is_as_seen("metadata") && is_as_seen("spec");
        let versions = Versions {
            sandbox: written.version,
            pod: pod.map(|pod| pod.version),
            service: service.map(|service| service.version),
        };
        Ok(settles.then_some(versions))
    }

    /// What is there now.
    fn versions(&self, sandbox: &Object) -> Versions {
        let version = |of| {
            let found = self
                .store
                .get(kind(of), sandbox.namespace(), sandbox.name());
            let own = found.filter(|object| object.is_controlled_by(sandbox.uid()));
            own.map(|object| object.version)
        };
        Versions {
            sandbox: sandbox.version,
            pod: version("Pod"),
            service: version("Service"),
        }
    }

    /// Makes, keeps or deletes the pod; returns the Sandbox's own.
    fn ensure_pod(&self, sandbox: &Object) -> Result<(State, Option<Arc<Object>>), StoreError> {
        let place = (sandbox.namespace(), sandbox.name());
        let suspended = sandbox.value["spec"]["operatingMode"] == "Suspended";
        let state = if suspended {
            State::Suspended
        } else {
            State::Running
        };
        let Some(pod) = self.store.get(kind("Pod"), place.0, place.1) else {
            if suspended {
                return Ok((state, None));
            }
            let pod = self.store.create(kind("Pod"), place.0, pod_for(sandbox))?;
            return Ok((state, Some(pod)));
        };
        if !pod.is_controlled_by(sandbox.uid()) {
            if pod.controller().is_none() && may_adopt(&pod, sandbox) {
                let adopted = self.store.update(kind("Pod"), place, Part::Main, |value| {
                    value["metadata"]["ownerReferences"] = owned_by(sandbox);
                    Ok(())
                })?;
                return Ok((state, Some(adopted)));
            }
            // a pod of the same name whose old Sandbox is gone is about to go too
            let state = if suspended {
                State::PodNotOwned
            } else if pod.is_deleting() {
                return Err(StoreError::AlreadyExists);
            } else {
                let name = pod.name();
                State::Error(format!("pod \"{name}\" is controlled by another object"))
            };
            return Ok((state, None));
        }
        if pod.is_deleting() {
            return Ok((state, Some(pod)));
        }
        if suspended {
            let options = DeleteOptions::default();
            return Ok(match self.store.delete(kind("Pod"), place, &options)? {
                Deleted::Gone(_) => (state, None),
                Deleted::Lingering(pod) => (state, Some(pod)),
            });
        }
        if !differs(&pod, sandbox) {
            return Ok((state, Some(pod)));
        }
        let synced = self.store.update(kind("Pod"), place, Part::Main, |value| {
            sync_metadata(&mut value["metadata"], sandbox);
            Ok(())
        })?;
        Ok((state, Some(synced)))
    }

    fn ensure_volumes(&self, sandbox: &Object) -> Result<(), StoreError> {
        let volumes = kind("PersistentVolumeClaim");
        for template in volume_claim_templates(sandbox) {
            let name = template["metadata"]["name"].as_str().unwrap_or_default();
            let name = format!("{name}-{}", sandbox.name());
            if self
                .store
                .get(volumes, sandbox.namespace(), &name)
                .is_some()
            {
                continue;
            }
            let mut value = json!({
                "metadata": {
                    "name": name,
                    "labels": template["metadata"]["labels"],
                    "annotations": template["metadata"]["annotations"],
                    "ownerReferences": owned_by(sandbox),
                },
                "spec": template["spec"],
            });
            value["metadata"]["labels"][label::SANDBOX_NAME_HASH] =
                json!(name_hash(sandbox.name()));
            match self.store.create(volumes, sandbox.namespace(), value) {
                Ok(volume) => {
                    let place = (volume.namespace(), volume.name());
                    self.store.update(volumes, place, Part::Status, |value| {
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

    /// Makes, keeps or deletes the Service; returns the Sandbox's own.
    fn ensure_service(&self, sandbox: &Object) -> Result<Option<Arc<Object>>, StoreError> {
        let place = (sandbox.namespace(), sandbox.name());
        let owned = self
            .store
            .get(kind("Service"), place.0, place.1)
            .filter(|service| service.is_controlled_by(sandbox.uid()));
        match (sandbox.value["spec"]["service"].as_bool(), owned) {
            (Some(true) | None, owned @ Some(_)) => Ok(owned),
            (Some(false) | None, None) => Ok(None),
            (Some(true), None) => {
                let hash = name_hash(sandbox.name());
                let value = json!({
                    "metadata": { "name": sandbox.name(),
                        "labels": { label::SANDBOX_NAME_HASH: hash },
                        "ownerReferences": owned_by(sandbox) },
                    "spec": { "type": "ClusterIP", "clusterIP": "None", "clusterIPs": ["None"],
                        "selector": { label::SANDBOX_NAME_HASH: hash },
                        "ports": service_ports(sandbox) },
                });
                self.store.create(kind("Service"), place.0, value).map(Some)
            }
            (Some(false), Some(_)) => {
                self.store
                    .delete(kind("Service"), place, &DeleteOptions::default())?;
                Ok(None)
            }
        }
    }

    /// Notes the pod's name on the Sandbox; returns what was written, if it had to be.
    fn annotate_pod_name(
        &self,
        sandbox: &Object,
        pod: Option<&Object>,
    ) -> Result<Option<Arc<Object>>, StoreError> {
        let name = pod.map(Object::name);
        if sandbox.annotation(annotation::POD_NAME) == name {
            return Ok(None);
        }
        let place = (sandbox.namespace(), sandbox.name());
        let written = self.store.update(sandboxes(), place, Part::Main, |value| {
            let annotations = &mut value["metadata"]["annotations"];
            if let Some(name) = name {
                annotations[annotation::POD_NAME] = json!(name);
            } else if let Some(all) = annotations.as_object_mut() {
                all.remove(annotation::POD_NAME);
            }
            Ok(())
        })?;
        Ok(Some(written))
    }

    /// First pass: says so. Second pass, a millisecond later: deletes.
    fn expire(&self, sandbox: &Arc<Object>, agenda: &mut Agenda) -> Result<(), StoreError> {
        let place = (sandbox.namespace(), sandbox.name());
        let ready = condition(&sandbox.value, "Ready");
        let said = ready.is_some_and(|ready| ready["reason"] == "SandboxExpired");
        let pod = self.store.get(kind("Pod"), place.0, place.1);
        let pod = pod.filter(|pod| pod.is_controlled_by(sandbox.uid()));
        let observed = Observed {
            state: State::Expired,
            service: false,
        };
        write_status(&self.store, sandbox, pod.as_deref(), &observed)?;
        if !said {
            agenda.after(SECOND_PASS, &key_of(sandbox));
            return Ok(());
        }
        for name in ["Pod", "Service"] {
            let owned = self
                .store
                .get(kind(name), place.0, place.1)
                .filter(|object| object.is_controlled_by(sandbox.uid()) && !object.is_deleting());
            if owned.is_some() {
                self.store
                    .delete(kind(name), place, &DeleteOptions::default())?;
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
            vec![key_of(&event.object)]
        } else {
            owner_key(&event.object, "Sandbox").into_iter().collect()
        }
    }

    fn reconcile(&mut self, key: &Key, agenda: &mut Agenda) {
        let sandbox = self.store.get(sandboxes(), &key.namespace, &key.name);
        let Some(sandbox) = sandbox.filter(|sandbox| !sandbox.is_deleting()) else {
            agenda.forget(key);
            self.settled.remove(key);
            return;
        };
        let settled = self.settled.remove(key);
        let look = || self.bring_about(&sandbox, settled, agenda);
        let looked = self.spans.reconcile("ReconcileSandbox", &sandbox, look);
        match looked {
            Ok(Some(settled)) => {
                self.settled.insert(key.clone(), settled);
            }
            Ok(None) | Err(StoreError::NotFound | StoreError::NoNamespace(_)) => {}
            Err(StoreError::AlreadyExists | StoreError::Conflict) => {
                agenda.after(NAME_TAKEN_PAUSE, key);
            }
            Err(error) => self.report(&sandbox, &error),
        }
    }
}

impl SandboxController {
    /// Shows an error that no retry mends, a pod that the API would refuse for instance.
    fn report(&self, sandbox: &Arc<Object>, error: &StoreError) {
        let observed = Observed {
            state: State::Error(error.to_string()),
            service: false,
        };
        if let Err(error) = write_status(&self.store, sandbox, None, &observed) {
            tracing::debug!(%error, sandbox = sandbox.name(), "the sandbox went meanwhile");
        }
    }
}

/// Whether an object without a controller may become the Sandbox's.
fn may_adopt(object: &Object, sandbox: &Object) -> bool {
    object.label("agents.x-k8s.io/adoptable") == Some("true")
        || object.label(label::SANDBOX_NAME_HASH) == Some(&name_hash(sandbox.name()))
}

/// The time until an RFC 3339 time; zero when it has passed; `None` when there is none.
pub(super) fn time_left(time: &Value) -> Option<Duration> {
    let time: jiff::Timestamp = time.as_str()?.parse().ok()?;
    let left = time.duration_since(jiff::Timestamp::now());
    Some(Duration::try_from(left).unwrap_or(Duration::ZERO))
}

/// The parts of a template's spec that a Sandbox takes over, with upstream's secure defaults.
pub(super) fn template_fields(template: &Object) -> Value {
    let given = &template.value["spec"];
    let mut spec = Map::new();
    for field in ["podTemplate", "volumeClaimTemplates", "service"] {
        if let Some(value) = given.get(field) {
            spec.insert(field, value.clone());
        }
    }
    let mut spec = Value::from(spec);
    let pod = &mut spec["podTemplate"]["spec"];
    if pod["automountServiceAccountToken"].is_null() {
        pod["automountServiceAccountToken"] = json!(false);
    }
    let managed = given["networkPolicyManagement"] != "Unmanaged";
    let dns_is_open = pod["dnsPolicy"].as_str().is_none_or(str::is_empty);
    if managed && given["networkPolicy"].is_null() && dns_is_open {
        pod["dnsPolicy"] = json!("None");
        pod["dnsConfig"] = json!({ "nameservers": ["8.8.8.8", "1.1.1.1"] });
    }
    spec["operatingMode"] = json!("Running");
    spec["shutdownPolicy"] = json!("Retain");
    spec
}

fn service_ports(sandbox: &Object) -> Value {
    let containers = sandbox.value["spec"]["podTemplate"]["spec"]["containers"].as_array();
    let mut ports: Vec<(u64, &str, String)> = containers
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
            Some((number, protocol, name))
        })
        .collect();
    ports.sort();
    ports.dedup_by(|a, b| (a.0, a.1) == (b.0, b.1));
    ports
        .into_iter()
        .map(|(number, protocol, name)| {
            json!({ "name": name, "port": number, "targetPort": number, "protocol": protocol })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A controller and a Sandbox that it has looked at until nothing was left to be done.
    fn settled() -> (SandboxController, Store, Key) {
        let (store, _orphans) = Store::new();
        let namespace = json!({ "metadata": { "name": "default" } });
        store.create(kind("Namespace"), "", namespace).unwrap();
        let template = json!({ "metadata": { "labels": { "team": "a" } },
            "spec": { "containers": [{ "name": "c", "image": "i" }] } });
        let sandbox = json!({ "metadata": { "name": "s" },
            "spec": { "podTemplate": template, "service": true } });
        let sandbox = store.create(sandboxes(), "default", sandbox).unwrap();
        let mut controller = SandboxController::new(store.clone(), SpanSink::default());
        let (key, mut agenda) = (key_of(&sandbox), Agenda::default());
        for _ in 0..2 {
            controller.reconcile(&key, &mut agenda);
        }
        assert!(controller.settled.contains_key(&key));
        (controller, store, key)
    }

    #[test]
    fn a_look_at_what_the_last_one_left_changes_nothing_and_finds_nothing_to_do() {
        let (mut controller, store, key) = settled();
        let (version, left) = (store.version(), controller.settled[&key]);
        controller.reconcile(&key, &mut Agenda::default());
        assert_eq!(store.version(), version);
        assert_eq!(controller.settled[&key], left);
        store
            .delete(
                sandboxes(),
                (&key.namespace, &key.name),
                &DeleteOptions::default(),
            )
            .unwrap();
        controller.reconcile(&key, &mut Agenda::default());
        assert!(
            controller.settled.is_empty(),
            "nothing is kept of what is gone"
        );
    }

    #[test]
    fn what_somebody_else_changed_of_sandbox_pod_or_service_is_seen() {
        let (mut controller, store, key) = settled();
        let place = (key.namespace.as_str(), key.name.as_str());
        let pod = || store.get(kind("Pod"), place.0, place.1).unwrap();
        let mut look = || controller.reconcile(&key, &mut Agenda::default());

        let changed = store.update(kind("Pod"), place, Part::Main, |pod| {
            pod["metadata"]["labels"]["team"] = json!("b");
            Ok(())
        });
        assert_eq!(changed.unwrap().label("team"), Some("b"));
        look();
        assert_eq!(pod().label("team"), Some("a"));

        let options = DeleteOptions::default();
        store.delete(kind("Service"), place, &options).unwrap();
        look();
        assert!(store.get(kind("Service"), place.0, place.1).is_some());

        let suspended = store.update(sandboxes(), place, Part::Main, |sandbox| {
            sandbox["spec"]["operatingMode"] = json!("Suspended");
            Ok(())
        });
        suspended.unwrap();
        look();
        assert!(store.get(kind("Pod"), place.0, place.1).is_none());
    }
}
