//! The claim controller: finds a sandbox for each claim, warm or cold, and mirrors its readiness.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::config::Delay;
use super::super::store::{
    DeleteOptions, Event, EventKind, Key, Object, Part, Propagation, Store, StoreError, kind,
    now_rfc3339,
};
use super::adoption::{Candidate, WarmQueue, add_pod_metadata, adopt, mark};
use super::sandbox::{template_fields, time_left};
use super::{
    Condition, Later, Note, Reconciler, condition, generation, is_true, key_of, owned_by,
    owner_key, record, sandboxes, set_condition,
};
use crate::api::{annotation, label, name_hash};

/// How long a young claim waits for a pooled sandbox that has no address yet.
const GRACE: Duration = Duration::from_secs(2);
const GRACE_POLL: Duration = Duration::from_millis(500);
/// The domains that pod labels of a claim may have.
const LABEL_DOMAIN: &str = "sandbox.users.io";

pub(super) struct ClaimController {
    store: Store,
    warm: WarmQueue,
    adoption_delay: Delay,
    /// When each claim was first seen.
    seen: HashMap<String, Instant>,
    /// Claims whose adoption is not due yet.
    not_before: HashMap<String, Instant>,
    /// Claims without a sandbox: any change of a pool or template may help them.
    waiting: BTreeSet<(String, String)>,
}

/// What a look at a claim came to.
enum Bound {
    /// The claim has this sandbox.
    To(String),
    /// It has none: reason and message.
    Not(&'static str, String),
    /// It has none and nothing is to be written yet.
    Waiting,
}

fn claims() -> &'static super::Kind {
    kind("SandboxClaim")
}

impl ClaimController {
    pub(super) fn new(store: Store, adoption_delay: Delay) -> Self {
        Self {
            store,
            warm: WarmQueue::default(),
            adoption_delay,
            seen: HashMap::new(),
            not_before: HashMap::new(),
            waiting: BTreeSet::new(),
        }
    }

    fn look(&mut self, claim: &Object, later: &Later) -> Result<(), StoreError> {
        let key = key_of(claim);
        let now = Instant::now();
        self.seen.entry(claim.uid().to_owned()).or_insert(now);
        let place = (claim.namespace(), claim.name());
        self.store.update(claims(), place, Part::Main, |value| {
            let annotations = &mut value["metadata"]["annotations"];
            if annotations[annotation::CONTROLLER_OBSERVED_AT].is_null() {
                annotations[annotation::CONTROLLER_OBSERVED_AT] = json!(now_rfc3339());
            }
            Ok(())
        })?;
        if let Some(left) = expires_in(claim) {
            if left.is_zero() {
                return self.expire(claim);
            }
            later.after(left, &key);
        }
        if self.adoption_delay != Delay::None {
            let delay = self.adoption_delay;
            let due = *self
                .not_before
                .entry(claim.uid().to_owned())
                .or_insert_with(|| now + delay.draw());
            if due > now {
                later.after(due - now, &key);
                return Ok(());
            }
        }
        let waiting_key = (claim.namespace().to_owned(), claim.name().to_owned());
        match self.resolve(claim, later)? {
            Bound::To(sandbox) => {
                self.waiting.remove(&waiting_key);
                self.mirror(claim, &sandbox)
            }
            Bound::Not(reason, message) => {
                self.waiting.insert(waiting_key);
                self.refuse(claim, reason, &message)
            }
            Bound::Waiting => {
                self.waiting.insert(waiting_key);
                Ok(())
            }
        }
    }

    fn resolve(&mut self, claim: &Object, later: &Later) -> Result<Bound, StoreError> {
        let namespace = claim.namespace();
        let owned = |name: &str| {
            self.store
                .get(sandboxes(), namespace, name)
                .filter(|sandbox| sandbox.is_controlled_by(claim.uid()))
        };
        let named = claim.value["status"]["sandbox"]["name"].as_str();
        let picked = claim.annotation(annotation::SANDBOX_NAME);
        for name in [named, picked].into_iter().flatten() {
            if owned(name).is_some() {
                return Ok(Bound::To(name.to_owned()));
            }
        }
        if let Some(same) = self.store.get(sandboxes(), namespace, claim.name()) {
            if same.is_controlled_by(claim.uid()) {
                return Ok(Bound::To(claim.name().to_owned()));
            }
            let name = claim.name();
            later.after(Duration::from_millis(200), &key_of(claim));
            return Ok(Bound::Not(
                "ReconcilerError",
                format!(
                    "Error seen: sandbox \"{name}\" is not controlled by claim \"{name}\". Please use a \
                 different claim name or delete the sandbox manually"
                ),
            ));
        }
        let pool_name = claim.value["spec"]["warmPoolRef"]["name"]
            .as_str()
            .unwrap_or_default();
        let Some(pool) = self
            .store
            .get(kind("SandboxWarmPool"), namespace, pool_name)
        else {
            let message = format!("SandboxWarmPool \"{pool_name}\" not found");
            return Ok(Bound::Not("WarmPoolNotFound", message));
        };
        let template_name = pool.value["spec"]["sandboxTemplateRef"]["name"]
            .as_str()
            .unwrap_or_default();
        let Some(template) = self
            .store
            .get(kind("SandboxTemplate"), namespace, template_name)
        else {
            let message = format!("SandboxTemplate \"{template_name}\" not found");
            return Ok(Bound::Not("TemplateNotFound", message));
        };
        if let Some((reason, message)) = refusal(claim, &template) {
            return Ok(Bound::Not(reason, message));
        }
        if !needs_own(claim) {
            match self
                .warm
                .pick(&self.store, namespace, &name_hash(pool_name))
            {
                Candidate::Found(sandbox) => {
                    let adopted = adopt(&self.store, claim, &sandbox, &template)?;
                    return Ok(Bound::To(adopted.name().to_owned()));
                }
                Candidate::Soon => {
                    let age = self
                        .seen
                        .get(claim.uid())
                        .map(Instant::elapsed)
                        .unwrap_or_default();
                    if age < GRACE {
                        later.after(GRACE_POLL.min(GRACE - age), &key_of(claim));
                        return Ok(Bound::Waiting);
                    }
                }
                Candidate::None => {}
            }
        }
        self.start_cold(claim, &template)
    }

    fn start_cold(&self, claim: &Object, template: &Object) -> Result<Bound, StoreError> {
        let mut spec = template_fields(template);
        let reference = name_hash(template.name());
        let metadata = &mut spec["podTemplate"]["metadata"];
        metadata["labels"][label::CLAIM_UID] = json!(claim.uid());
        metadata["labels"][label::TEMPLATE_REF_HASH] = json!(reference);
        add_pod_metadata(metadata, claim);
        add_env(&mut spec, claim);
        merge_volumes(&mut spec, claim);
        let mut sandbox = json!({
            "metadata": {
                "name": claim.name(),
                "labels": { label::TEMPLATE_REF_HASH: reference },
                "annotations": { annotation::TEMPLATE_REF: template.name() },
                "ownerReferences": owned_by(claim),
            },
            "spec": spec,
        });
        mark(&mut sandbox, claim, "cold");
        let sandbox = self.store.create(sandboxes(), claim.namespace(), sandbox)?;
        record(
            &self.store,
            claim,
            &Note {
                reason: "SandboxProvisioned",
                action: "Provisioning",
                text: format!("Created Sandbox \"{}\"", sandbox.name()),
                component: "sandboxclaim-controller",
            },
        );
        Ok(Bound::To(sandbox.name().to_owned()))
    }

    /// Copies the sandbox's readiness and addresses to the claim, in one write.
    fn mirror(&self, claim: &Object, sandbox: &str) -> Result<(), StoreError> {
        let Some(sandbox) = self.store.get(sandboxes(), claim.namespace(), sandbox) else {
            return Ok(());
        };
        let place = (claim.namespace(), claim.name());
        let generation = generation(claim);
        let written = self.store.update(claims(), place, Part::Status, |value| {
            let mut conditions = Vec::new();
            for name in ["Finished", "Ready"] {
                if let Some(found) = condition(&sandbox.value, name) {
                    let mut copy = found.clone();
                    copy["observedGeneration"] = json!(generation);
                    conditions.push(copy);
                }
            }
            if condition(&sandbox.value, "Ready").is_none() {
                let text = Condition("Ready", "False", "SandboxNotReady", "Sandbox is not ready");
                set_condition(&mut conditions, &text, generation);
            }
            let mut bound = json!({ "name": sandbox.name() });
            if let Some(ips) = sandbox.value["status"].get("podIPs") {
                bound["podIPs"] = ips.clone();
            }
            value["status"] = json!({ "conditions": conditions, "sandbox": bound });
            Ok(())
        })?;
        if is_true(&written.value, "Ready")
            && written.annotation(annotation::FIRST_READY_AT).is_none()
        {
            self.store.update(claims(), place, Part::Main, |value| {
                value["metadata"]["annotations"][annotation::FIRST_READY_AT] = json!(now_rfc3339());
                Ok(())
            })?;
        }
        Ok(())
    }

    fn refuse(&self, claim: &Object, reason: &str, message: &str) -> Result<(), StoreError> {
        let place = (claim.namespace(), claim.name());
        self.store.update(claims(), place, Part::Status, |value| {
            let mut conditions = value["status"]["conditions"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let text = Condition("Ready", "False", reason, message);
            set_condition(&mut conditions, &text, generation(claim));
            value["status"]["conditions"] = json!(conditions);
            Ok(())
        })?;
        Ok(())
    }

    fn expire(&self, claim: &Object) -> Result<(), StoreError> {
        let message = "Claim expired. Sandbox cleanup initiated.";
        let expired =
            condition(&claim.value, "Ready").is_some_and(|c| c["reason"] == "ClaimExpired");
        if !expired {
            self.refuse(claim, "ClaimExpired", message)?;
            let note = Note {
                reason: "ClaimExpired",
                action: "Claim Expired",
                text: "Claim expired".to_owned(),
                component: "sandboxclaim-controller",
            };
            record(&self.store, claim, &note);
        }
        let place = (claim.namespace(), claim.name());
        let policy = claim.value["spec"]["lifecycle"]["shutdownPolicy"].as_str();
        let propagation = match policy {
            Some("Delete") => Propagation::Background,
            Some("DeleteForeground") => Propagation::Foreground,
            _ => {
                let name = claim.value["status"]["sandbox"]["name"]
                    .as_str()
                    .unwrap_or_default();
                let options = DeleteOptions::default();
                match self.store.delete(sandboxes(), (place.0, name), &options) {
                    Ok(_) | Err(StoreError::NotFound) => {}
                    Err(error) => return Err(error),
                }
                self.store.update(claims(), place, Part::Status, |value| {
                    value["status"]
                        .as_object_mut()
                        .map(|status| status.remove("sandbox"));
                    Ok(())
                })?;
                return Ok(());
            }
        };
        let options = DeleteOptions {
            propagation,
            ..DeleteOptions::default()
        };
        self.store.delete(claims(), place, &options)?;
        Ok(())
    }
}

impl Reconciler for ClaimController {
    const KINDS: &'static [&'static str] = &[
        "SandboxClaim",
        "Sandbox",
        "SandboxWarmPool",
        "SandboxTemplate",
    ];

    fn keys(&mut self, event: &Event) -> Vec<Key> {
        match event.object.kind.kind {
            "SandboxClaim" if event.kind == EventKind::Deleted => {
                self.seen.remove(event.object.uid());
                self.not_before.remove(event.object.uid());
                let key = key_of(&event.object);
                self.waiting.remove(&(key.namespace, key.name));
                Vec::new()
            }
            "SandboxClaim" => vec![key_of(&event.object)],
            "Sandbox" => {
                self.warm.learn(event);
                let mut keys: Vec<Key> = owner_key(&event.object, "SandboxClaim")
                    .into_iter()
                    .collect();
                if keys.is_empty() && event.object.label(label::WARM_POOL_SANDBOX).is_some() {
                    keys = self.waiting_in(event.object.namespace());
                }
                keys
            }
            _ => self.waiting_in(event.object.namespace()),
        }
    }

    fn reconcile(&mut self, key: &Key, later: &Later) {
        let Some(claim) = self.store.get(claims(), &key.namespace, &key.name) else {
            return;
        };
        if claim.is_deleting() {
            return;
        }
        match self.look(&claim, later) {
            Ok(()) | Err(StoreError::NotFound) => {}
            // Somebody else wrote in between: their event brings the claim back.
            Err(StoreError::Conflict | StoreError::AlreadyExists) => {
                later.after(Duration::from_millis(10), key);
            }
            Err(error) => tracing::warn!(%error, claim = key.name, "could not serve a claim"),
        }
    }
}

impl ClaimController {
    fn waiting_in(&self, namespace: &str) -> Vec<Key> {
        let here = self.waiting.iter().filter(|(found, _)| found == namespace);
        here.map(|(namespace, name)| Key {
            kind: "SandboxClaim",
            namespace: namespace.clone(),
            name: name.clone(),
        })
        .collect()
    }
}

/// The time until a claim expires: by its time, or some time after its pod has finished.
fn expires_in(claim: &Object) -> Option<Duration> {
    let lifecycle = &claim.value["spec"]["lifecycle"];
    let by_time = time_left(&lifecycle["shutdownTime"]);
    let finished = condition(&claim.value, "Finished").filter(|found| found["status"] == "True");
    let by_end = finished
        .zip(lifecycle["ttlSecondsAfterFinished"].as_u64())
        .and_then(|(at, ttl)| {
            let at: jiff::Timestamp = at["lastTransitionTime"].as_str()?.parse().ok()?;
            let end = at.checked_add(Duration::from_secs(ttl)).ok()?;
            time_left(&json!(end.to_string()))
        });
    [by_time, by_end].into_iter().flatten().min()
}

/// Whether a claim asks for what no pooled sandbox has.
fn needs_own(claim: &Object) -> bool {
    ["env", "volumeClaimTemplates"].iter().any(|field| {
        claim.value["spec"][*field]
            .as_array()
            .is_some_and(|all| !all.is_empty())
    })
}

/// Why a claim can never be served with this template, if so.
fn refusal(claim: &Object, template: &Object) -> Option<(&'static str, String)> {
    let spec = &claim.value["spec"];
    let labels = spec["additionalPodMetadata"]["labels"]
        .as_object()
        .into_iter()
        .flatten();
    for (key, _) in labels {
        let domain = key
            .split_once('/')
            .map(|(domain, _)| domain)
            .unwrap_or_default();
        if domain != LABEL_DOMAIN && !domain.ends_with(&format!(".{LABEL_DOMAIN}")) {
            let message =
                format!("label key \"{key}\" is not in an allowed domain ({LABEL_DOMAIN})");
            return Some(("InvalidMetadata", message));
        }
    }
    let disallowed = |field: &str| {
        template.value["spec"][field]
            .as_str()
            .unwrap_or("Disallowed")
            == "Disallowed"
    };
    let asks = |field: &str| spec[field].as_array().is_some_and(|all| !all.is_empty());
    if asks("env") && disallowed("envVarsInjectionPolicy") {
        let message = "environment variable injection is not allowed by the SandboxTemplate";
        return Some(("EnvVarsInjectionRejected", message.to_owned()));
    }
    if asks("volumeClaimTemplates") && disallowed("volumeClaimTemplatesPolicy") {
        let message = "volumeClaimTemplates are not allowed by the SandboxTemplate";
        return Some(("VolumeClaimTemplatesError", message.to_owned()));
    }
    None
}

fn add_env(spec: &mut Value, claim: &Object) {
    for variable in claim.value["spec"]["env"].as_array().into_iter().flatten() {
        let container = &mut spec["podTemplate"]["spec"]["containers"][0];
        let mut env = container["env"].as_array().cloned().unwrap_or_default();
        env.retain(|known| known["name"] != variable["name"]);
        env.push(json!({ "name": variable["name"], "value": variable["value"] }));
        container["env"] = json!(env);
    }
}

/// Volumes of the template, then those of the claim; one of the same name replaces the template's.
fn merge_volumes(spec: &mut Value, claim: &Object) {
    let Some(wanted) = claim.value["spec"]["volumeClaimTemplates"].as_array() else {
        return;
    };
    let mut volumes = spec["volumeClaimTemplates"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    for volume in wanted {
        let name = &volume["metadata"]["name"];
        match volumes
            .iter_mut()
            .find(|known| known["metadata"]["name"] == *name)
        {
            Some(known) => *known = volume.clone(),
            None => volumes.push(volume.clone()),
        }
    }
    spec["volumeClaimTemplates"] = json!(volumes);
}
