//! Waiting until a claim is gone, and with it its sandbox and Pod.
//!
//! Each object is asked for a few times in quick succession, since most are gone within
//! milliseconds; then its deletion is watched.

use std::time::Duration;

use serde::Deserialize;
use tokio::time::{Instant, sleep, timeout_at};

use super::cluster::{Change, Collection, Follower, Selector, Start};
use super::core::Client;
use super::delete::Deleted;
use super::error::{DeleteAndWaitError, KubeError, WaitError};
use crate::api::label;
use crate::api::metadata::Metadata;
use crate::api::sandbox::Sandbox;

/// Pauses between the first questions.
const PAUSES: [Duration; 6] = [
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(40),
    Duration::from_millis(80),
    Duration::from_millis(160),
];

/// An object of any kind.
#[derive(Debug, Deserialize)]
struct Any {
    metadata: Metadata,
}

impl Client {
    /// Deletes a claim and waits until it, its sandbox and its Pod are gone. The time covers only
    /// the waiting; the deletion is one request with the client's own limit.
    ///
    /// # Errors
    /// [`DeleteAndWaitError`]: which of both failed, and why.
    ///
    /// # Cancel safety
    /// If dropped, the deletion may or may not take place; call it again.
    pub async fn delete_and_wait(
        &self,
        claim: &str,
        uid: Option<&str>,
        timeout: Duration,
    ) -> Result<Deleted, DeleteAndWaitError> {
        let deleted = self.delete(claim, uid).await?;
        self.wait_gone(claim, uid, timeout).await?;
        Ok(deleted)
    }
}

/// Waits until claim, sandbox and Pod are gone.
pub(super) async fn wait(
    client: &Client,
    claim: &str,
    uid: Option<&str>,
    timeout: Duration,
) -> Result<(), WaitError> {
    let mut left = format!("the claim `{claim}`");
    let waited = timeout_at(Instant::now() + timeout, all(client, claim, uid, &mut left)).await;
    match waited {
        Ok(Ok(())) => {
            client.forget(claim);
            Ok(())
        }
        Ok(Err(source)) => Err(WaitError::Kube {
            claim: claim.to_owned(),
            source: Box::new(source),
        }),
        Err(_) => Err(WaitError::Timeout {
            claim: claim.to_owned(),
            left,
            after: timeout,
        }),
    }
}

async fn all(
    client: &Client,
    claim: &str,
    uid: Option<&str>,
    left: &mut String,
) -> Result<(), KubeError> {
    let known = client.recall(claim);
    let uid = uid
        .map(str::to_owned)
        .or_else(|| known.as_ref().map(|known| known.uid.clone()));
    let target = Target {
        of: client.claims(),
        name: claim.to_owned(),
        uid: uid.clone(),
        owner: None,
    };
    let seen = target.wait(client).await?;
    let uid = uid.or(seen);
    // A cold sandbox has the claim's name; a warm one is known from the claim or by its label.
    let mut sandboxes = vec![claim.to_owned()];
    sandboxes.extend(known.and_then(|known| known.sandbox));
    if let Some(uid) = &uid {
        sandboxes.extend(sandboxes_of(client, uid).await?);
    }
    sandboxes.sort_unstable();
    sandboxes.dedup();
    for name in sandboxes {
        *left = format!("the Sandbox `{name}`");
        let target = Target {
            of: client.sandboxes(),
            name: name.clone(),
            uid: None,
            owner: uid.clone(),
        };
        match target.wait(client).await {
            Err(error) if error.is_forbidden() => {}
            waited => drop(waited?),
        }
        *left = format!("the Pod `{name}`");
        pod(client, &name).await?;
    }
    Ok(())
}

/// Names of the sandboxes that carry the claim's UID.
async fn sandboxes_of(client: &Client, uid: &str) -> Result<Vec<String>, KubeError> {
    let selector = Selector::Labels(format!("{}={uid}", label::CLAIM_UID));
    let listed = client
        .api()
        .list::<Sandbox>(&client.sandboxes(), Some(&selector))
        .await;
    match listed {
        Ok(list) => Ok(list
            .items
            .into_iter()
            .map(|sandbox| sandbox.metadata.name)
            .collect()),
        Err(error) if error.is_forbidden() => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Waits until the Pod is gone. Who may not read Pods cannot tell; its Sandbox is gone, after all.
async fn pod(client: &Client, name: &str) -> Result<(), KubeError> {
    let pods = client.pods();
    let found: Result<Any, KubeError> = client.api().get(&pods, name).await;
    let uid = match found {
        Err(error) if error.is_not_found() || error.is_forbidden() => return Ok(()),
        Err(error) => return Err(error),
        Ok(pod) => Some(pod.metadata.uid),
    };
    let target = Target {
        of: pods,
        name: name.to_owned(),
        uid,
        owner: None,
    };
    target.wait(client).await.map(drop)
}

/// An object that is to be gone.
struct Target {
    of: Collection,
    name: String,
    /// If known: an object of the same name with another UID is not meant.
    uid: Option<String>,
    /// If known: an object of the same name that belongs to somebody else is not meant.
    owner: Option<String>,
}

impl Target {
    /// Waits until it is gone; tells its UID if it was seen.
    async fn wait(&self, client: &Client) -> Result<Option<String>, KubeError> {
        let mut seen = None;
        for pause in PAUSES {
            let found: Result<Any, KubeError> = client.api().get(&self.of, &self.name).await;
            match found {
                Err(error) if error.is_not_found() => return Ok(seen),
                Err(error) => return Err(error),
                Ok(object) if !self.is_meant(&object.metadata, seen.as_deref()) => return Ok(seen),
                Ok(object) => seen = Some(object.metadata.uid),
            }
            sleep(pause).await;
        }
        let selector = Some(Selector::Name(self.name.clone()));
        let mut follower: Follower<Any> =
            Follower::new(client.api().clone(), self.of.clone(), selector, Start::Get);
        loop {
            let gone = match follower.next().await? {
                Change::Reading => false,
                Change::All(objects) => !objects
                    .iter()
                    .any(|object| self.is_meant(&object.metadata, seen.as_deref())),
                Change::Present(object) => {
                    object.metadata.name == self.name
                        && !self.is_meant(&object.metadata, seen.as_deref())
                }
                Change::Gone(object) => self.is_meant(&object.metadata, seen.as_deref()),
            };
            if gone {
                return Ok(seen);
            }
        }
    }

    fn is_meant(&self, object: &Metadata, seen: Option<&str>) -> bool {
        let uid = self.uid.as_deref().or(seen);
        object.name == self.name
            && uid.is_none_or(|uid| uid == object.uid)
            && self.owner.as_deref().is_none_or(|owner| {
                object.owner_references.is_empty()
                    || object.owner_references.iter().any(|o| o.uid == owner)
            })
    }
}
