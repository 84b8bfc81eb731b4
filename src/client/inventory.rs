//! Claims of the namespace, whoever made them: listed page by page, deleted by label.

use serde::Deserialize;

use super::cluster::Selector;
use super::core::Client;
use super::delete::Deleted;
use super::error::{DeleteError, KubeError};
use crate::api::metadata::{Metadata, ObjectList};

/// What a list tells of a claim.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClaimEntry {
    /// Name of the claim.
    pub name: String,
    /// UID of the claim.
    pub uid: String,
    /// Whether its deletion has been asked for.
    pub is_ending: bool,
}

/// What became of one claim of many.
#[derive(Debug)]
pub struct DeleteOutcome {
    /// Which claim.
    pub claim: ClaimEntry,
    /// Whether its deletion was accepted, or why not.
    pub outcome: Result<Deleted, DeleteError>,
}

/// Claims page by page. In memory is one page, at most 500 claims.
#[derive(Debug)]
#[must_use]
pub struct ClaimPages {
    client: Client,
    selector: Option<Selector>,
    /// Where the next page begins; empty at the start.
    token: String,
    done: bool,
}

/// A claim, as much of it as a list needs.
#[derive(Debug, Deserialize)]
struct Any {
    metadata: Metadata,
}

impl ClaimPages {
    /// The next page; `None` after the last. A page can be empty. After an error the same page
    /// can be asked for again; if the API server says that the list has expired (410), begin anew.
    ///
    /// # Errors
    /// [`DeleteError::List`]: the API server refuses or fails.
    ///
    /// # Cancel safety
    /// If dropped, the same page is asked for again.
    pub async fn next(&mut self) -> Result<Option<Vec<ClaimEntry>>, DeleteError> {
        if self.done {
            return Ok(None);
        }
        let claims = self.client.claims();
        let page: Result<ObjectList<Any>, KubeError> = self
            .client
            .api()
            .page(&claims, self.selector.as_ref(), &self.token)
            .await;
        let page = page.map_err(|source| DeleteError::List {
            source: Box::new(source),
        })?;
        self.token = page.metadata.continue_token;
        self.done = self.token.is_empty();
        let entry = |object: Any| ClaimEntry {
            name: object.metadata.name,
            uid: object.metadata.uid,
            is_ending: object.metadata.deletion_timestamp.is_some(),
        };
        Ok(Some(page.items.into_iter().map(entry).collect()))
    }
}

impl Client {
    /// The claims of the namespace page by page, those with matching labels or all of them.
    ///
    /// ```no_run
    /// # async fn example(client: sandbench::client::Client)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// let mut pages = client.claim_pages(Some("team=a"));
    /// while let Some(page) = pages.next().await? {
    ///     for claim in page {
    ///         assert!(!claim.name.is_empty());
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn claim_pages(&self, labels: Option<&str>) -> ClaimPages {
        ClaimPages {
            client: self.clone(),
            selector: labels.map(|labels| Selector::Labels(labels.to_owned())),
            token: String::new(),
            done: false,
        }
    }

    /// The claims of the namespace, those with matching labels or all of them, in one list: about
    /// 100 bytes a claim. Where there may be very many, use [`claim_pages`](Self::claim_pages).
    ///
    /// ```no_run
    /// # async fn example(client: sandbench::client::Client)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// let all = client.list_claims(None).await?;
    /// let ending = all.iter().filter(|claim| claim.is_ending).count();
    /// println!("{} claims, {ending} of them are being deleted", all.len());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`DeleteError::List`]: the API server refuses or fails.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn list_claims(&self, labels: Option<&str>) -> Result<Vec<ClaimEntry>, DeleteError> {
        let mut pages = self.claim_pages(labels);
        let mut all = Vec::new();
        while let Some(page) = pages.next().await? {
            all.extend(page);
        }
        Ok(all)
    }

    /// Deletes the claims with matching labels, one after another, each only if it is still the
    /// one that was listed. Tells what became of each; one that fails does not stop the others.
    ///
    /// ```no_run
    /// # async fn example(client: sandbench::client::Client)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// for deleted in client.delete_claims("team=a").await? {
    ///     deleted.outcome?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`DeleteError::NoSelector`]: the selector is empty and would match every claim of the
    /// namespace; [`DeleteError::List`]: the claims cannot be listed.
    ///
    /// # Cancel safety
    /// If dropped, some may be deleted; call it again.
    pub async fn delete_claims(&self, labels: &str) -> Result<Vec<DeleteOutcome>, DeleteError> {
        if labels.trim().is_empty() {
            return Err(DeleteError::NoSelector);
        }
        let mut outcomes = Vec::new();
        for claim in self.list_claims(Some(labels)).await? {
            let outcome = self.delete(&claim.name, Some(&claim.uid)).await;
            outcomes.push(DeleteOutcome { claim, outcome });
        }
        Ok(outcomes)
    }
}
