//! The warm-pool controller: keeps `spec.replicas` sandboxes ready to be adopted.

use serde_json::{Value, json};

use super::super::store::{
    DeleteOptions, Event, Key, Object, Part, Selector, Store, StoreError, kind,
};
use super::sandbox::template_fields;
use super::{Later, Reconciler, is_true, key_of, owned_by, owner_key, sandboxes};
use crate::api::{annotation, label, name_hash};

/// The most sandboxes that one look at a pool creates, as upstream's batch limit.
const BATCH: usize = 300;

pub(super) struct WarmPoolController {
    store: Store,
}

impl WarmPoolController {
    pub(super) fn new(store: Store) -> Self {
        Self { store }
    }

    fn member(&self, pool: &Object, template: &Object) -> Value {
        let hash = name_hash(pool.name());
        let template_hash = name_hash(template.name());
        let mut spec = template_fields(template);
        let metadata = &mut spec["podTemplate"]["metadata"];
        metadata["labels"][label::TEMPLATE_REF_HASH] = json!(template_hash);
        metadata["annotations"]["cluster-autoscaler.kubernetes.io/safe-to-evict"] = json!("true");
        let pod_template = template.value["spec"]["podTemplate"].to_string();
        let blueprint = template.value["spec"].to_string();
        json!({
            "metadata": {
                "generateName": format!("{}-", pool.name()),
                "labels": {
                    label::WARM_POOL_SANDBOX: hash,
                    label::TEMPLATE_REF_HASH: template_hash,
                    label::TEMPLATE_HASH: name_hash(&blueprint),
                    label::POD_TEMPLATE_HASH: name_hash(&pod_template),
                },
                "annotations": { annotation::TEMPLATE_REF: template.name() },
                "ownerReferences": owned_by(pool),
            },
            "spec": spec,
        })
    }

    /// Creates what is missing or deletes what is too much.
    fn scale(&self, pool: &Object, members: &[&Object], later: &Later) -> Result<(), StoreError> {
        let wanted = usize::try_from(pool.value["spec"]["replicas"].as_u64().unwrap_or(1))
            .unwrap_or(usize::MAX);
        if members.len() < wanted {
            let template_name = pool.value["spec"]["sandboxTemplateRef"]["name"].as_str();
            let Some(template) = self.store.get(
                kind("SandboxTemplate"),
                pool.namespace(),
                template_name.unwrap_or_default(),
            ) else {
                return Ok(());
            };
            let missing = wanted - members.len();
            for _ in 0..missing.min(BATCH) {
                let member = self.member(pool, &template);
                self.store.create(sandboxes(), pool.namespace(), member)?;
            }
            if missing > BATCH {
                later.after(std::time::Duration::from_millis(1), &key_of(pool));
            }
        } else {
            let mut surplus: Vec<&&Object> = members.iter().collect();
            surplus.sort_by_key(|member| {
                (
                    is_true(&member.value, "Ready"),
                    std::cmp::Reverse(member.version),
                )
            });
            for member in surplus.into_iter().take(members.len() - wanted) {
                let place = (member.namespace(), member.name());
                self.store
                    .delete(sandboxes(), place, &DeleteOptions::default())?;
            }
        }
        Ok(())
    }
}

impl Reconciler for WarmPoolController {
    const KINDS: &'static [&'static str] = &["SandboxWarmPool", "Sandbox", "SandboxTemplate"];

    fn keys(&mut self, event: &Event) -> Vec<Key> {
        match event.object.kind.kind {
            "SandboxWarmPool" => vec![key_of(&event.object)],
            "Sandbox" => [Some(&event.object), event.previous.as_ref()]
                .into_iter()
                .flatten()
                .filter_map(|sandbox| owner_key(sandbox, "SandboxWarmPool"))
                .collect(),
            _ => {
                let namespace = event.object.namespace();
                let (pools, _) = self.store.list(
                    kind("SandboxWarmPool"),
                    Some(namespace),
                    &Selector::default(),
                );
                pools
                    .iter()
                    .filter(|pool| {
                        pool.value["spec"]["sandboxTemplateRef"]["name"] == event.object.name()
                    })
                    .map(|pool| key_of(pool))
                    .collect()
            }
        }
    }

    fn reconcile(&mut self, key: &Key, later: &Later) {
        let pools = kind("SandboxWarmPool");
        let Some(pool) = self.store.get(pools, &key.namespace, &key.name) else {
            return;
        };
        if pool.is_deleting() {
            return;
        }
        let hash = name_hash(pool.name());
        let selector = Selector::label(label::WARM_POOL_SANDBOX, &hash);
        let (all, _) = self
            .store
            .list(sandboxes(), Some(&key.namespace), &selector);
        let members: Vec<&Object> = all
            .iter()
            .map(AsRef::as_ref)
            .filter(|member| !member.is_deleting() && member.is_controlled_by(pool.uid()))
            .collect();
        if let Err(error) = self.scale(&pool, &members, later) {
            tracing::warn!(%error, pool = key.name, "could not scale a warm pool");
        }
        let ready = members
            .iter()
            .filter(|member| is_true(&member.value, "Ready"))
            .count();
        let written =
            self.store
                .update(pools, (&key.namespace, &key.name), Part::Status, |value| {
                    value["status"] = json!({
                        "replicas": members.len(), "readyReplicas": ready,
                        "selector": format!("{}={hash}", label::WARM_POOL_SANDBOX),
                        "observedGeneration": value["metadata"]["generation"],
                    });
                    Ok(())
                });
        if let Err(error) = written {
            tracing::debug!(%error, pool = key.name, "the pool went while it was looked at");
        }
    }
}
