//! Counting what is left of a run.

use std::collections::HashSet;

use serde::Deserialize;

use super::cluster::{Collection, Selector};
use super::core::Client;
use super::delete::{claims_of_run, list_failed};
use super::error::DeleteError;
use crate::api::label;
use crate::api::metadata::Metadata;
use crate::api::sandbox::Sandbox;

/// What is left of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Leftovers {
    /// Claims with the run's label.
    pub claims: usize,
    /// Sandboxes of claims of the run.
    pub sandboxes: usize,
    /// Pods of those sandboxes.
    pub pods: usize,
}

impl Leftovers {
    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// An object of any kind.
#[derive(Debug, Deserialize)]
struct Any {
    metadata: Metadata,
}

/// Counts claims of the run, sandboxes of claims that are or were of the run, and their Pods.
pub(super) async fn leftovers(client: &Client) -> Result<Leftovers, DeleteError> {
    let claims = claims_of_run(client).await?;
    let mut owners: HashSet<String> = client.remembered_uids();
    owners.extend(claims.iter().map(|claim| claim.metadata.uid.clone()));
    let belongs = |metadata: &Metadata, owners: &HashSet<String>| {
        metadata
            .labels
            .get(label::CLAIM_UID)
            .is_some_and(|uid| owners.contains(uid))
            || metadata
                .owner_references
                .iter()
                .any(|owner| owners.contains(&owner.uid))
    };
    let selector = Selector::Labels(label::CLAIM_UID.to_owned());
    let mut sandboxes: Vec<Sandbox> =
        readable(client, &client.sandboxes(), Some(&selector)).await?;
    sandboxes.retain(|sandbox| belongs(&sandbox.metadata, &owners));
    let uids: HashSet<String> = sandboxes.iter().map(|s| s.metadata.uid.clone()).collect();
    let mut names: HashSet<String> = client.remembered_sandboxes();
    names.extend(sandboxes.iter().map(|s| s.pod_name().to_owned()));
    let selector = Selector::Labels(label::SANDBOX_NAME_HASH.to_owned());
    let mut pods: Vec<Any> = readable(client, &client.pods(), Some(&selector)).await?;
    pods.retain(|pod| belongs(&pod.metadata, &uids) || names.contains(&pod.metadata.name));
    Ok(Leftovers {
        claims: claims.len(),
        sandboxes: sandboxes.len(),
        pods: pods.len(),
    })
}

/// A list, empty if it may not be read.
async fn readable<T: serde::de::DeserializeOwned>(
    client: &Client,
    of: &Collection,
    selector: Option<&Selector>,
) -> Result<Vec<T>, DeleteError> {
    match client.api().list::<T>(of, selector).await {
        Ok(list) => Ok(list.items),
        Err(error) if error.is_forbidden() => {
            tracing::debug!(%error, "leftovers of this kind are not counted");
            Ok(Vec::new())
        }
        Err(error) => Err(list_failed(error)),
    }
}
