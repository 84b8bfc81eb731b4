//! Waiting until a claim is gone, and with it its sandbox, Pod and volumes.
//!
//! Each object is asked for a few times in quick succession, since most are gone within
//! milliseconds; then its deletion is watched: Sandboxes and Pods on one shared watch per kind.

use std::time::Duration;

use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::time::{Instant, sleep, timeout_at};

use super::cluster::{Change, Collection, Follower, Resource, Selector, Start, followed};
use super::core::Client;
use super::delete::Deleted;
use super::departures::{News, Waiter};
use super::error::{DeleteAndWaitError, KubeError, WaitError};
use crate::api::metadata::{Metadata, null_is_default};
use crate::api::sandbox::Sandbox;
use crate::api::{label, name_hash};

/// Pauses between the first questions.
const PAUSES: [Duration; 6] = [
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(40),
    Duration::from_millis(80),
    Duration::from_millis(160),
];

/// Volumes of sandboxes.
const VOLUMES: Resource = Resource {
    group: "",
    version: "v1",
    plural: "persistentvolumeclaims",
};

/// An object of any kind.
#[derive(Debug, Deserialize)]
struct Any {
    metadata: Metadata,
    #[serde(default)]
    spec: Spec,
}

followed!(Any);

/// What claims and sandboxes tell of their volumes; empty for other kinds.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    #[serde(deserialize_with = "null_is_default")]
    volume_claim_templates: Vec<IgnoredAny>,
}

/// What was seen of an object before it was gone.
#[derive(Debug, Default)]
struct Seen {
    uid: Option<String>,
    has_volumes: bool,
}

impl Client {
    /// Deletes a claim and waits until it, its sandbox, its Pod and its volumes are gone. The time
    /// covers only the waiting; the deletion is one request with the client's own limit.
    ///
    /// ```no_run
    /// # async fn example(client: sandbench::client::Client, claim: sandbench::client::Claim)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    ///
    /// let limit = Duration::from_secs(60);
    /// client.delete_and_wait(claim.name(), Some(claim.uid()), limit).await?;
    /// # Ok(())
    /// # }
    /// ```
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
        following: Following::Alone,
    };
    let seen = target.wait(client).await?;
    let uid = uid.or(seen.uid);
    let asked_for_volumes =
        seen.has_volumes || known.as_ref().is_some_and(|known| known.has_volumes);
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
            // Old controllers mark none of them as a claim's.
            following: Following::Shared(None),
        };
        let seen = match target.wait(client).await {
            Err(error) if error.is_forbidden() => Seen::default(),
            waited => waited?,
        };
        *left = format!("the Pod `{name}`");
        pod(client, &name).await?;
        if asked_for_volumes || seen.has_volumes {
            volumes(client, &name, left).await?;
        }
    }
    Ok(())
}

/// Waits until the volumes of a sandbox are gone. Who may not list them cannot tell.
async fn volumes(client: &Client, sandbox: &str, left: &mut String) -> Result<(), KubeError> {
    let of = VOLUMES.of(client.namespace());
    let hash = name_hash(sandbox);
    let selector = Selector::Labels(format!("{}={hash}", label::SANDBOX_NAME_HASH));
    let listed = match client.api().list::<Any>(&of, Some(&selector)).await {
        Err(error) if error.is_forbidden() => return Ok(()),
        listed => listed?,
    };
    for volume in listed.items {
        let name = volume.metadata.name;
        *left = format!("the PersistentVolumeClaim `{name}`");
        let target = Target {
            of: of.clone(),
            name,
            uid: Some(volume.metadata.uid),
            owner: None,
            following: Following::Alone,
        };
        match target.wait(client).await {
            Err(error) if error.is_forbidden() => return Ok(()),
            waited => waited?,
        };
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
    let hashed = Selector::Labels(label::SANDBOX_NAME_HASH.to_owned());
    let target = Target {
        of: pods,
        name: name.to_owned(),
        uid,
        owner: None,
        following: Following::Shared(Some(hashed)),
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
    following: Following,
}

/// How the end of an object is followed.
enum Following {
    /// On a watch of its own.
    Alone,
    /// On the shared watch of its kind, which shows the objects that match, or all of them.
    Shared(Option<Selector>),
}

impl Target {
    /// Waits until it is gone; tells what was seen of it.
    async fn wait(&self, client: &Client) -> Result<Seen, KubeError> {
        let mut seen = Seen::default();
        for pause in PAUSES {
            let found: Result<Any, KubeError> = client.api().get(&self.of, &self.name).await;
            match found {
                Err(error) if error.is_not_found() => return Ok(seen),
                Err(error) => return Err(error),
                Ok(object) if !self.is_meant(&object.metadata, &seen) => return Ok(seen),
                Ok(object) => {
                    seen = Seen {
                        uid: Some(object.metadata.uid),
                        has_volumes: !object.spec.volume_claim_templates.is_empty(),
                    };
                }
            }
            sleep(pause).await;
        }
        match &self.following {
            Following::Alone => self.wait_alone(client, seen).await,
            Following::Shared(matching) => {
                let feed = client.departures(&self.of, matching.clone());
                self.wait_shared(client, feed.subscribe(&self.name), seen)
                    .await
            }
        }
    }

    /// On the shared watch, as long as there is one.
    async fn wait_shared(
        &self,
        client: &Client,
        mut news: Waiter,
        mut seen: Seen,
    ) -> Result<Seen, KubeError> {
        loop {
            // After the subscription, so that no end is missed.
            let found: Result<Any, KubeError> = client.api().get(&self.of, &self.name).await;
            match found {
                Err(error) if error.is_not_found() => return Ok(seen),
                Err(error) => return Err(error),
                Ok(object) if !self.is_meant(&object.metadata, &seen) => return Ok(seen),
                Ok(object) => seen.uid = Some(object.metadata.uid),
            }
            let is_it = |uid: &String| seen.uid.as_ref() == Some(uid);
            loop {
                match news.next().await {
                    News::Gone(uid) if is_it(&uid) => return Ok(seen),
                    News::Present(uid) if !is_it(&uid) => return Ok(seen),
                    News::Look => break,
                    News::Refused => return self.wait_alone(client, seen).await,
                    News::None | News::Gone(_) | News::Present(_) => {}
                }
            }
        }
    }

    /// On a watch of this object alone.
    async fn wait_alone(&self, client: &Client, seen: Seen) -> Result<Seen, KubeError> {
        let selector = Some(Selector::Name(self.name.clone()));
        let mut follower: Follower<Any> =
            Follower::new(client.api().clone(), self.of.clone(), selector, Start::Get);
        loop {
            let gone = match follower.next().await? {
                Change::Reading => false,
                Change::All(objects) => !objects
                    .iter()
                    .any(|object| self.is_meant(&object.metadata, &seen)),
                Change::Present(object) => {
                    object.metadata.name == self.name && !self.is_meant(&object.metadata, &seen)
                }
                Change::Gone(object) => self.is_meant(&object.metadata, &seen),
            };
            if gone {
                return Ok(seen);
            }
        }
    }

    fn is_meant(&self, object: &Metadata, seen: &Seen) -> bool {
        let uid = self.uid.as_deref().or(seen.uid.as_deref());
        object.name == self.name
            && uid.is_none_or(|uid| uid == object.uid)
            && self.owner.as_deref().is_none_or(|owner| {
                object.owner_references.is_empty()
                    || object.owner_references.iter().any(|o| o.uid == owner)
            })
    }
}
