//! The warm queue: Sandboxes that wait in a pool to be adopted, oldest first; and the adoption.
//!
//! The queue is fed by the Sandboxes' events and sorted by what they can be used for, so that
//! picking one takes the same time in a pool of ten and of ten thousand.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::super::json::{Value, json};
use super::super::store::{Event, EventKind, Object, Part, Store, StoreError, kind};
use super::{Note, is_true, owned_by, record, sandboxes};
use crate::api::{annotation, label};

/// A pool: namespace and hash of its name.
pub(super) type Pool = (String, String);

/// What the queue has for a claim.
pub(super) enum Candidate {
    /// A Sandbox to adopt.
    Found(Arc<Object>),
    /// None that can be used yet, but some that may soon: they have no address.
    Soon,
    /// None.
    None,
}

/// How far a pooled Sandbox is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    Ready,
    HasAddress,
    New,
}

/// Where a member stands in its pool's queue.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    pool: Pool,
    progress: Progress,
    /// Version at which it was first seen: its age.
    since: u64,
}

/// The Sandboxes of all pools.
#[derive(Debug, Default)]
pub(super) struct WarmQueue {
    pools: HashMap<Pool, BTreeMap<(Progress, u64), String>>,
    members: HashMap<(String, String), Place>,
}

impl WarmQueue {
    /// Learns from a Sandbox's event; returns the pool if the Sandbox has become more useful.
    pub(super) fn learn(&mut self, event: &Event) -> Option<Pool> {
        let sandbox = &event.object;
        let member = (sandbox.namespace().to_owned(), sandbox.name().to_owned());
        let old = self.members.remove(&member);
        if let Some(old) = &old {
            self.take_out(old);
        }
        let pooled = event.kind != EventKind::Deleted
            && !sandbox.is_deleting()
            && sandbox.label(label::TEMPLATE_REF_HASH).is_some()
            && sandbox
                .controller()
                .is_some_and(|owner| owner["kind"] == "SandboxWarmPool");
        let hash = sandbox.label(label::WARM_POOL_SANDBOX).filter(|_| pooled)?;
        let place = Place {
            pool: (member.0.clone(), hash.to_owned()),
            progress: progress(sandbox),
            since: old.as_ref().map_or(sandbox.version, |old| old.since),
        };
        let queue = self.pools.entry(place.pool.clone()).or_default();
        queue.insert((place.progress, place.since), member.1.clone());
        let before = old.map_or(Progress::New, |old| old.progress);
        let improved = place.progress < before;
        let pool = improved.then(|| place.pool.clone());
        self.members.insert(member, place);
        pool
    }

    /// Takes a Sandbox out of the queue: it was adopted.
    pub(super) fn forget(&mut self, sandbox: &Object) {
        let member = (sandbox.namespace().to_owned(), sandbox.name().to_owned());
        if let Some(old) = self.members.remove(&member) {
            self.take_out(&old);
        }
    }

    fn take_out(&mut self, place: &Place) {
        if let Some(queue) = self.pools.get_mut(&place.pool) {
            queue.remove(&(place.progress, place.since));
            if queue.is_empty() {
                self.pools.remove(&place.pool);
            }
        }
    }

    /// The Sandbox to adopt: the oldest ready one, else the oldest with an address.
    pub(super) fn pick(&mut self, store: &Store, pool: &Pool) -> Candidate {
        let Some(queue) = self.pools.get(pool) else {
            return Candidate::None;
        };
        for ((progress, _), name) in queue {
            if *progress == Progress::New {
                return Candidate::Soon;
            }
            let usable = store.get(sandboxes(), &pool.0, name).filter(|sandbox| {
                !sandbox.is_deleting()
                    && sandbox.label(label::WARM_POOL_SANDBOX) == Some(pool.1.as_str())
                    && progress_allows(sandbox)
            });
            if let Some(sandbox) = usable {
                return Candidate::Found(sandbox);
            }
        }
        Candidate::None
    }
}

fn progress(sandbox: &Object) -> Progress {
    if !progress_allows(sandbox) {
        Progress::New
    } else if is_true(&sandbox.value, "Ready") {
        Progress::Ready
    } else {
        Progress::HasAddress
    }
}

fn progress_allows(sandbox: &Object) -> bool {
    let ips = sandbox.value["status"]["podIPs"].as_array();
    ips.is_some_and(|ips| !ips.is_empty())
}

/// Names the Sandbox on the claim, before the Sandbox is touched.
pub(super) fn announce(store: &Store, claim: &Object, sandbox: &Object) -> Result<(), StoreError> {
    let place = (claim.namespace(), claim.name());
    store.update(kind("SandboxClaim"), place, Part::Main, |value| {
        value["metadata"]["annotations"][annotation::SANDBOX_NAME] = json!(sandbox.name());
        Ok(())
    })?;
    Ok(())
}

/// Makes a pool's Sandbox the claim's, if it still is at the version that was picked.
///
/// # Errors
/// [`StoreError::Conflict`] if somebody wrote in between, [`StoreError::NotFound`] if it is gone.
pub(super) fn adopt(
    store: &Store,
    claim: &Object,
    sandbox: &Object,
    template: &Object,
) -> Result<Arc<Object>, StoreError> {
    announce(store, claim, sandbox)?;
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
        let metadata = &template.value["spec"]["podTemplate"]["metadata"];
        value["spec"]["podTemplate"]["metadata"] = pod_metadata(metadata, claim, reference);
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

/// The labels and the trace context that a claim's Sandbox carries.
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

/// The pod template's metadata for a claim: the template's, the controller's labels, and what the
/// claim asks for.
pub(super) fn pod_metadata(template: &Value, claim: &Object, reference: Value) -> Value {
    let mut metadata = template.clone();
    metadata["labels"][label::CLAIM_UID] = json!(claim.uid());
    metadata["labels"][label::TEMPLATE_REF_HASH] = reference;
    if let Some(created_by) = claim.label(label::CREATED_BY) {
        metadata["labels"][label::CREATED_BY] = json!(created_by);
    }
    for part in ["labels", "annotations"] {
        let wanted = claim.value["spec"]["additionalPodMetadata"][part].as_object();
        for (key, value) in wanted.into_iter().flatten() {
            metadata[part][key.as_str()] = value.clone();
        }
    }
    metadata
}
