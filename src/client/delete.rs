//! Deleting claims, one or all of the run, and counting what is left.

use super::cluster::{Collection, Selector};
use super::core::Client;
use super::error::{DeleteError, KubeError};
use crate::api::claim::SandboxClaim;
use crate::api::label;
use crate::api::metadata::Metadata;
use crate::api::sandbox::Sandbox;
use serde::Deserialize;
use std::collections::HashSet;

/// What became of a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Deleted {
    /// The API server accepted it; the sandbox may live a moment longer.
    Accepted,
    /// There was nothing to delete.
    NotFound,
}

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

/// Deletes one claim.
pub(super) async fn one(
    client: &Client,
    claim: &str,
    uid: Option<&str>,
) -> Result<Deleted, DeleteError> {
    match client.api().delete(&client.claims(), claim, uid).await {
        Ok(()) => Ok(Deleted::Accepted),
        Err(error) if error.is_not_found() => Ok(Deleted::NotFound),
        Err(error) if error.code() == Some(409) && uid.is_some() => Err(DeleteError::Replaced {
            claim: claim.to_owned(),
        }),
        Err(source) => Err(DeleteError::Kube {
            claim: claim.to_owned(),
            source: Box::new(source),
        }),
    }
}

/// The claims of the run.
pub(super) async fn claims_of_run(client: &Client) -> Result<Vec<SandboxClaim>, DeleteError> {
    let selector = of_run(client)?;
    let listed = client
        .api()
        .list::<SandboxClaim>(&client.claims(), Some(&selector))
        .await;
    listed.map(|list| list.items).map_err(list_failed)
}

/// Deletes all claims of the run, in one request or, where that is not allowed, one by one.
pub(super) async fn all_of_run(client: &Client) -> Result<usize, DeleteError> {
    let claims = claims_of_run(client).await?;
    if claims.is_empty() {
        return Ok(0);
    }
    let total = claims.len();
    let selector = of_run(client)?;
    match client
        .api()
        .delete_collection(&client.claims(), &selector)
        .await
    {
        Ok(()) => return Ok(total),
        Err(error) => tracing::debug!(%error, "claims are deleted one by one"),
    }
    let mut failed = 0;
    let mut first = None;
    for claim in claims {
        let deleted = client
            .api()
            .delete(
                &client.claims(),
                &claim.metadata.name,
                Some(&claim.metadata.uid),
            )
            .await;
        match deleted {
            Ok(()) => {}
            // Gone, or replaced by another one, which is not of this list.
            Err(error) if error.is_not_found() || error.code() == Some(409) => {}
            Err(error) => {
                failed += 1;
                first.get_or_insert(error);
            }
        }
    }
    match first {
        None => Ok(total),
        Some(source) => Err(DeleteError::Run {
            run_id: client.run_id().unwrap_or_default().to_owned(),
            failed,
            total,
            source: Box::new(source),
        }),
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

fn of_run(client: &Client) -> Result<Selector, DeleteError> {
    let run_id = client.run_id().ok_or(DeleteError::NoRunId)?;
    Ok(Selector::Labels(format!("{}={run_id}", label::RUN_ID)))
}

fn list_failed(source: KubeError) -> DeleteError {
    DeleteError::List {
        source: Box::new(source),
    }
}
