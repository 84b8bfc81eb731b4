//! What an iteration has made and not yet removed, newest first.
//!
//! A claim is put here *before* the request that creates it is sent, so that nothing is lost when
//! the request is cancelled half-way. Clean-up has a deadline of its own; "not found" is success.

use std::time::Duration;

use tokio::time::Instant;

use crate::client::Client;
use crate::step::Registrar;

/// How long the clean-up of one iteration may take.
pub(super) const CLEANUP_LIMIT: Duration = Duration::from_secs(60);

/// A claim that could not be removed, and why.
#[derive(Debug, Clone)]
pub(super) struct NotRemoved {
    pub(super) claim: String,
    pub(super) reason: String,
}

/// Removes everything that is still registered, newest first; gives what it could not remove.
///
/// # Cancel safety
/// Dropping the future keeps what is left in the registrar, so that it can be called again.
pub(super) async fn clean_up(client: &Client, registrar: &Registrar) -> Vec<NotRemoved> {
    let deadline = Instant::now() + CLEANUP_LIMIT;
    let mut not_removed = Vec::new();
    while let Some(claim) = registrar.newest() {
        let deleting = client.delete(&claim.name, claim.uid.as_deref());
        match tokio::time::timeout_at(deadline, deleting).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => {
                not_removed.push(NotRemoved {
                    claim: claim.name.clone(),
                    reason: error.to_string(),
                });
            }
            Err(_) => not_removed.push(NotRemoved {
                claim: claim.name.clone(),
                reason: format!("no answer within {CLEANUP_LIMIT:?}"),
            }),
        }
        registrar.remove(&claim.name);
    }
    not_removed
}
