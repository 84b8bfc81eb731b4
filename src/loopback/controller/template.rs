//! The template controller: labels each template with the hash of its name.
//!
//! Upstream's also keeps a `NetworkPolicy`; nothing enforces one here, so none is made.

use serde_json::json;

use super::super::store::{Event, EventKind, Key, Part, Store, StoreError, kind};
use super::{Agenda, Reconciler, key_of};
use crate::api::{label, name_hash};

pub(super) struct TemplateController {
    store: Store,
}

impl TemplateController {
    pub(super) fn new(store: Store) -> Self {
        Self { store }
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
            Ok(_) | Err(StoreError::NotFound) => {}
            Err(error) => tracing::warn!(%error, template = key.name, "could not label a template"),
        }
    }
}
