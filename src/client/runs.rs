//! Claims of runs of sandbench, whichever made them: found by the label of their run.
//!
//! What a killed run left behind is found with this and deleted, and what ends too early in a long
//! run gets more time.

use std::collections::HashSet;
use std::time::Duration;

use futures::{StreamExt as _, stream};
use jiff::Timestamp;
use serde::de::IgnoredAny;
use serde_json::json;

use super::cluster::Selector;
use super::core::Client;
use super::create::end_of_life;
use super::delete::{claims_of_run, list_failed};
use super::error::{DeleteError, KubeError};
use super::leftovers::{Leftovers, Sought, count};
use crate::api::claim::SandboxClaim;
use crate::api::{annotation, label};

/// Claims that are renewed at the same time: few, so that a run's own requests do not wait.
const RENEWED_AT_ONCE: usize = 4;

/// A claim that a run of sandbench made.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RunClaim {
    /// Namespace of the claim.
    pub namespace: String,
    /// Name of the claim.
    pub name: String,
    /// UID of the claim.
    pub uid: String,
    /// The run that made it.
    pub run_id: String,
    /// Its sandbox, if it has one.
    pub sandbox: Option<String>,
    /// How long ago it was made, in whole seconds by the API server's clock; `None` if the API
    /// server does not tell its time.
    pub age: Option<Duration>,
}

/// Where claims are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reach {
    /// In the client's namespace.
    Namespace,
    /// In all namespaces, which the user must be allowed to list.
    AllNamespaces,
}

/// How a renewal went.
#[derive(Debug, Default)]
pub struct Renewed {
    /// Claims that have their whole time to live again.
    pub claims: usize,
    /// Claims that could not be renewed, those that are gone not counted.
    pub failed: usize,
    /// Why the first of these could not.
    pub failure: Option<KubeError>,
}

impl Client {
    /// The claims of one run of sandbench, or of all runs.
    ///
    /// # Errors
    /// [`DeleteError::List`]: the API server refuses or fails.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn claims_of_runs(
        &self,
        run_id: Option<&str>,
        reach: Reach,
    ) -> Result<Vec<RunClaim>, DeleteError> {
        let mut claims = self.claims();
        if reach == Reach::AllNamespaces {
            claims.namespace.clear();
        }
        let selector = Selector::Labels(match run_id {
            Some(run_id) => format!("{}={run_id}", label::RUN_ID),
            None => label::RUN_ID.to_owned(),
        });
        let now = self.api().clock().await.map_err(list_failed)?;
        let listed = self.api().list(&claims, Some(&selector)).await;
        let listed = listed.map_err(list_failed)?.items;
        let found = listed.into_iter().map(|claim| found(claim, now));
        Ok(found.collect())
    }

    /// Counts what is left of claims of the client's namespace and of what belongs to them.
    ///
    /// # Errors
    /// [`DeleteError::List`]: the API server fails, or refuses to list claims.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn leftovers_of(&self, claims: &[RunClaim]) -> Result<Leftovers, DeleteError> {
        let sought = Sought {
            claims: claims.iter().map(|claim| claim.uid.clone()).collect(),
            // A sandbox that is not known yet is a cold one, which has the claim's name.
            sandboxes: claims
                .iter()
                .map(|claim| claim.sandbox.as_ref().unwrap_or(&claim.name).clone())
                .collect(),
        };
        let left: HashSet<String> = self
            .claims_of_runs(None, Reach::Namespace)
            .await?
            .into_iter()
            .map(|claim| claim.uid)
            .collect();
        let left = left.intersection(&sought.claims).count();
        count(self, left, sought).await
    }

    /// Gives claims of the run that end within `soon` their whole time to live again: those that say
    /// with the annotation `sandbench.dev/time-to-live` how long that is. One list of the run's
    /// claims, and a patch for each such claim, few at a time. Without a run id nothing is renewed.
    ///
    /// # Errors
    /// [`DeleteError::List`]: the claims cannot be listed. That one cannot be renewed is no error
    /// but stands in [`Renewed`].
    ///
    /// # Cancel safety
    /// If dropped, some may be renewed; call it again.
    pub async fn renew_claims_of_run(&self, soon: Duration) -> Result<Renewed, DeleteError> {
        if self.run_id().is_none() {
            return Ok(Renewed::default());
        }
        let now = self.server_now();
        let ending = claims_of_run(self).await?.into_iter().filter_map(|claim| {
            let time_to_live = renewable(&claim, now, soon)?;
            Some(self.renew(claim.metadata.name, time_to_live))
        });
        let mut renewals = stream::iter(ending).buffer_unordered(RENEWED_AT_ONCE);
        let mut renewed = Renewed::default();
        while let Some(done) = renewals.next().await {
            match done {
                Ok(()) => renewed.claims += 1,
                Err(error) if error.is_not_found() => {}
                Err(error) => {
                    renewed.failed += 1;
                    renewed.failure.get_or_insert(error);
                }
            }
        }
        Ok(renewed)
    }

    async fn renew(&self, claim: String, time_to_live: Duration) -> Result<(), KubeError> {
        let end = end_of_life(self.server_now(), time_to_live);
        let patch = json!({"spec": {"lifecycle": {"shutdownTime": end}}});
        let patched = self.api().merge_patch(&self.claims(), &claim, &patch).await;
        patched.map(|_: IgnoredAny| ())
    }
}

fn found(claim: SandboxClaim, now: Option<Timestamp>) -> RunClaim {
    let sandbox = claim.sandbox_name().map(str::to_owned);
    let metadata = claim.metadata;
    let made: Option<Timestamp> = metadata
        .creation_timestamp
        .and_then(|made| made.parse().ok());
    let age = now.zip(made).map(|(now, made)| now.duration_since(made));
    RunClaim {
        namespace: metadata.namespace,
        name: metadata.name,
        uid: metadata.uid,
        run_id: metadata
            .labels
            .get(label::RUN_ID)
            .cloned()
            .unwrap_or_default(),
        sandbox,
        // One that was made in this very second may seem to come from the next one.
        age: age.map(|age| Duration::try_from(age).unwrap_or_default()),
    }
}

/// The time to live of a claim that asks to be renewed and ends soon.
fn renewable(claim: &SandboxClaim, now: Timestamp, soon: Duration) -> Option<Duration> {
    if claim.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let asked = claim.metadata.annotations.get(annotation::TIME_TO_LIVE)?;
    let seconds = asked.strip_suffix('s')?.parse().ok()?;
    let end: Timestamp = claim
        .spec
        .lifecycle
        .as_ref()?
        .shutdown_time
        .as_ref()?
        .parse()
        .ok()?;
    let left = Duration::try_from(end.duration_since(now)).unwrap_or_default();
    (left < soon).then_some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::claim::{ClaimSpec, Lifecycle};
    use crate::api::metadata::Metadata;

    fn claim(asked: Option<&str>, end: &str) -> SandboxClaim {
        let annotations =
            asked.map(|asked| (annotation::TIME_TO_LIVE.to_owned(), asked.to_owned()));
        SandboxClaim {
            metadata: Metadata {
                annotations: annotations.into_iter().collect(),
                creation_timestamp: Some("2026-01-01T00:00:00Z".to_owned()),
                ..Metadata::default()
            },
            spec: ClaimSpec {
                lifecycle: Some(Lifecycle {
                    shutdown_time: Some(end.to_owned()),
                    ..Lifecycle::default()
                }),
                ..ClaimSpec::default()
            },
            status: None,
        }
    }

    #[test]
    fn only_a_claim_that_asks_for_it_and_ends_soon_is_renewed() {
        let now: Timestamp = "2026-01-01T00:10:00Z".parse().expect("a time");
        let renewed = |asked, end| renewable(&claim(asked, end), now, Duration::from_mins(1));
        let soon = "2026-01-01T00:10:30Z";
        assert_eq!(renewed(Some("900s"), soon), Some(Duration::from_mins(15)));
        assert_eq!(renewed(Some("900s"), "2026-01-01T00:11:30Z"), None);
        assert_eq!(renewed(None, soon), None, "its end is what its maker wants");
        assert_eq!(renewed(Some("soon"), soon), None);
    }

    #[test]
    fn the_age_of_a_claim_is_by_the_clock_of_the_server() {
        let now = "2026-01-01T00:10:00Z".parse().ok();
        let age = |now| found(claim(None, "2026-01-01T00:10:30Z"), now).age;
        assert_eq!(age(now), Some(Duration::from_mins(10)));
        assert_eq!(
            age("2025-12-31T23:59:59Z".parse().ok()),
            Some(Duration::ZERO)
        );
        assert_eq!(age(None), None);
    }
}
