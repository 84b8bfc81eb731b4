//! What the client remembers of its claims until they are gone.
//!
//! With it, leftovers are recognised even after their claim has been deleted.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::core::Client;
use crate::api::claim::SandboxClaim;

/// The claims that are remembered, by name.
#[derive(Debug, Default)]
pub(super) struct KnownClaims(Mutex<HashMap<String, Known>>);

/// What the client remembers of a claim until it is gone.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) uid: String,
    pub(super) sandbox: Option<String>,
    /// Whether it asked for volumes.
    pub(super) has_volumes: bool,
}

impl Client {
    /// Remembers a claim until it is known to be gone.
    pub(super) fn remember(&self, claim: &SandboxClaim) {
        let known = Known {
            uid: claim.metadata.uid.clone(),
            sandbox: claim.sandbox_name().map(str::to_owned),
            has_volumes: !claim.spec.volume_claim_templates.is_empty(),
        };
        self.known().insert(claim.metadata.name.clone(), known);
    }

    pub(super) fn recall(&self, claim: &str) -> Option<Known> {
        self.known().get(claim).cloned()
    }

    pub(super) fn forget(&self, claim: &str) {
        self.known().remove(claim);
    }

    /// UIDs of the claims that this client made and that are not known to be gone.
    pub(super) fn remembered_uids(&self) -> HashSet<String> {
        let known = self.known();
        known.values().map(|known| known.uid.clone()).collect()
    }

    /// Names of the sandboxes of those claims.
    pub(super) fn remembered_sandboxes(&self) -> HashSet<String> {
        let known = self.known();
        known
            .values()
            .filter_map(|known| known.sandbox.clone())
            .collect()
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.0
            .known
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
