//! The warm queue: sandboxes that wait in a pool to be adopted, oldest first.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use serde_json::json;

use super::super::store::{Event, EventKind, Object, Part, Store, StoreError, kind};
use super::{Note, Value, is_true, owned_by, record, sandboxes};
use crate::api::{annotation, label};

/// A pool: namespace and hash of its name.
type Pool = (String, String);

/// What the queue has for a claim.
pub(super) enum Candidate {
    /// A sandbox to adopt.
    Found(Arc<Object>),
    /// None that can be used yet, but some that may soon: they have no address.
    Soon,
    /// None.
    None,
}

/// The sandboxes of all pools, oldest first, fed by their events.
#[derive(Debug, Default)]
pub(super) struct WarmQueue {
    pools: HashMap<Pool, VecDeque<String>>,
    members: HashSet<(String, String)>,
}

impl WarmQueue {
    /// Learns from a sandbox's event.
    pub(super) fn learn(&mut self, event: &Event) {
        let sandbox = &event.object;
        let member = (sandbox.namespace().to_owned(), sandbox.name().to_owned());
        let pooled = sandbox.label(label::WARM_POOL_SANDBOX).filter(|_| {
            event.kind != EventKind::Deleted
                && !sandbox.is_deleting()
                && sandbox
                    .controller()
                    .is_some_and(|owner| owner["kind"] == "SandboxWarmPool")
        });
        match pooled {
            Some(hash) if self.members.insert(member.clone()) => {
                let pool = (member.0, hash.to_owned());
                self.pools.entry(pool).or_default().push_back(member.1);
            }
            Some(_) => {}
            None => {
                self.members.remove(&member);
            }
        }
    }

    /// The sandbox to adopt: the oldest ready one, else the oldest with an address.
    pub(super) fn pick(&mut self, store: &Store, namespace: &str, pool_hash: &str) -> Candidate {
        let pool = (namespace.to_owned(), pool_hash.to_owned());
        let Some(queue) = self.pools.get_mut(&pool) else {
            return Candidate::None;
        };
        let members = &self.members;
        queue.retain(|name| members.contains(&(pool.0.clone(), name.clone())));
        let mut with_address = None;
        let mut soon = false;
        for name in queue.iter() {
            let Some(sandbox) = store.get(sandboxes(), namespace, name) else {
                continue;
            };
            if sandbox.is_deleting() || sandbox.label(label::WARM_POOL_SANDBOX) != Some(pool_hash) {
                continue;
            }
            if sandbox.value["status"]["podIPs"]
                .as_array()
                .is_none_or(Vec::is_empty)
            {
                soon = true;
            } else if is_true(&sandbox.value, "Ready") {
                return Candidate::Found(sandbox);
            } else {
                with_address.get_or_insert(sandbox);
            }
        }
        match (with_address, soon) {
            (Some(sandbox), _) => Candidate::Found(sandbox),
            (None, true) => Candidate::Soon,
            (None, false) => Candidate::None,
        }
    }
}

/// Makes a pool's sandbox the claim's, in upstream's order of writes.
pub(super) fn adopt(
    store: &Store,
    claim: &Object,
    sandbox: &Object,
    template: &Object,
) -> Result<Arc<Object>, StoreError> {
    let place = (claim.namespace(), claim.name());
    store.update(kind("SandboxClaim"), place, Part::Main, |value| {
        value["metadata"]["annotations"][annotation::SANDBOX_NAME] = json!(sandbox.name());
        Ok(())
    })?;
    let sandbox_place = (sandbox.namespace(), sandbox.name());
    let adopted = store.update(sandboxes(), sandbox_place, Part::Main, |value| {
        value["metadata"]["resourceVersion"] = json!(sandbox.version.to_string());
        if let Some(labels) = value["metadata"]["labels"].as_object_mut() {
            for gone in [
                label::WARM_POOL_SANDBOX,
                label::TEMPLATE_HASH,
                label::POD_TEMPLATE_HASH,
            ] {
                labels.remove(gone);
            }
        }
        mark(value, claim, "warm");
        value["metadata"]["ownerReferences"] = owned_by(claim);
        value["metadata"]["annotations"][annotation::POD_NAME] = json!(sandbox.name());
        let reference = value["metadata"]["labels"][label::TEMPLATE_REF_HASH].clone();
        let mut metadata = template.value["spec"]["podTemplate"]["metadata"].clone();
        metadata["labels"][label::CLAIM_UID] = json!(claim.uid());
        metadata["labels"][label::TEMPLATE_REF_HASH] = reference;
        add_pod_metadata(&mut metadata, claim);
        value["spec"]["podTemplate"]["metadata"] = metadata;
        Ok(())
    })?;
    record(
        store,
        claim,
        &Note {
            reason: "SandboxAdopted",
            action: "Adoption",
            text: format!("Adopted warm pool Sandbox \"{}\"", sandbox.name()),
            component: "sandboxclaim-controller",
        },
    );
    Ok(adopted)
}

/// The labels and the trace context that a claim's sandbox carries.
pub(super) fn mark(sandbox: &mut Value, claim: &Object, launch_type: &str) {
    let labels = &mut sandbox["metadata"]["labels"];
    labels[label::LAUNCH_TYPE] = json!(launch_type);
    labels[label::CLAIM_UID] = json!(claim.uid());
    match claim.label(label::CREATED_BY) {
        Some(created_by) => labels[label::CREATED_BY] = json!(created_by),
        None => {
            labels
                .as_object_mut()
                .map(|labels| labels.remove(label::CREATED_BY));
        }
    }
    if let Some(context) = claim.annotation(annotation::TRACE_CONTEXT) {
        sandbox["metadata"]["annotations"][annotation::TRACE_CONTEXT] = json!(context);
    }
}

/// Adds the pod labels and annotations that the claim asks for.
pub(super) fn add_pod_metadata(metadata: &mut Value, claim: &Object) {
    for part in ["labels", "annotations"] {
        let wanted = claim.value["spec"]["additionalPodMetadata"][part].as_object();
        for (key, value) in wanted.into_iter().flatten() {
            metadata[part][key.as_str()] = value.clone();
        }
    }
}
