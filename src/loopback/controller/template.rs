//! The template controller: labels each template with the hash of its name; where both API versions are
//! served, gives it the shadow pool that `v1alpha1` claims are converted to.
//!
//! Upstream's also keeps a `NetworkPolicy`; nothing enforces one here, so none is made.

use super::super::conversion::SHADOW_POOL;
use super::super::json::json;
use super::super::served::ServedVersions;
use super::super::store::{Event, EventKind, Key, Object, Part, Store, StoreError, kind};
use super::{Agenda, Reconciler, key_of, owned_by};
use crate::api::{label, name_hash};

pub(super) struct TemplateController {
    store: Store,
    served: ServedVersions,
}

impl TemplateController {
    pub(super) fn new(store: Store, served: ServedVersions) -> Self {
        Self { store, served }
    }

    /// As upstream's migration makes it: without replicas, so that its claims start cold.
    fn add_shadow_pool(&self, template: &Object) {
        let name = template.name();
        let pool = json!({
            "metadata": {
                "name": format!("{SHADOW_POOL}{name}"),
                "annotations": { "agents.x-k8s.io/migration-shadow": "true",
                    "agents.x-k8s.io/migration-source-template": name },
                "ownerReferences": owned_by(template),
            },
            "spec": { "replicas": 0, "sandboxTemplateRef": { "name": name },
                "updateStrategy": { "type": "OnReplenish" } },
        });
        let pools = kind("SandboxWarmPool");
        match self.store.create(pools, template.namespace(), pool) {
            Ok(_) | Err(StoreError::AlreadyExists | StoreError::NoNamespace(_)) => {}
            Err(error) => tracing::warn!(%error, template = name, "could not add a shadow pool"),
        }
    }
}

impl Reconciler for TemplateController {
    const KINDS: &'static [&'static str] = &["SandboxTemplate"];

    fn keys(&mut self, event: &Event) -> Vec<Key> {
        let exists = event.kind != EventKind::Deleted;
        exists.then(|| key_of(&event.object)).into_iter().collect()
    }

    fn reconcile(&mut self, key: &Key, _: &mut Agenda) {
        let place = (key.namespace.as_str(), key.name.as_str());
        let hash = name_hash(&key.name);
        let written = self
            .store
            .update(kind("SandboxTemplate"), place, Part::Main, |value| {
                value["metadata"]["labels"][label::TEMPLATE_REF_HASH] = json!(hash);
                Ok(())
            });
        match written {
            Ok(template) if self.served == ServedVersions::Both => self.add_shadow_pool(&template),
            Ok(_) | Err(StoreError::NotFound) => {}
            Err(error) => tracing::warn!(%error, template = key.name, "could not label a template"),
        }
    }
}
