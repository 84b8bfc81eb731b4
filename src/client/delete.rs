//! Deleting claims, one or all of the run.

use super::cluster::Selector;
use super::core::Client;
use super::error::{DeleteError, KubeError};
use crate::api::claim::SandboxClaim;
use crate::api::label;

/// What became of a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Deleted {
    /// The API server accepted it; the sandbox may live a moment longer.
    Accepted,
    /// There was nothing to delete.
    NotFound,
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
    // Also those that nobody has seen made: so that their sandboxes are recognised later.
    for claim in &claims {
        client.remember(claim);
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

fn of_run(client: &Client) -> Result<Selector, DeleteError> {
    let run_id = client.run_id().ok_or(DeleteError::NoRunId)?;
    Ok(Selector::Labels(format!("{}={run_id}", label::RUN_ID)))
}

pub(super) fn list_failed(source: KubeError) -> DeleteError {
    DeleteError::List {
        source: Box::new(source),
    }
}
