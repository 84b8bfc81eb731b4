//! Snapshots of a sandbox's Pod on GKE: taken, listed, deleted, and restored from.
//!
//! They need the kind `PodSnapshot` (GKE with gVisor). Restoring writes the snapshot's name into
//! the claim, waits until the controller has copied it into the Sandbox, and resumes it. Source:
//! Python SDK 1.0.8.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use rand::RngExt;
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::claim::ReadyClaim;
use super::cluster::{Change, Collection, Follower, Resource, Selector, Start};
use super::core::Client;
use super::delete::Deleted;
use super::error::{ManageError, RestoreError};
use super::manage::{Kind, NewObject};
use super::status::SandboxState;
use crate::api::condition::{Condition, READY, find};
use crate::api::snapshot::{
    GROUP, POD_RESTORED, PodSnapshot, RESTORE_FROM, RestoredPod, RestoredSandbox, SNAPSHOTS,
    TRIGGERED, TRIGGERS, Trigger, VERSION,
};
use crate::api::{label, name_hash};

const SNAPSHOT: &str = "PodSnapshot";
const TRIGGER: &str = "PodSnapshotManualTrigger";
/// Longest part of a trigger's name that the caller chooses.
const STEM: usize = 38;

/// A snapshot of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its name, by which it is restored and deleted.
    pub name: String,
    /// When it was made (RFC 3339); empty if that is not told.
    pub created_at: String,
    /// Whether it can be restored from.
    pub is_ready: bool,
}

impl From<PodSnapshot> for Snapshot {
    fn from(snapshot: PodSnapshot) -> Self {
        let conditions = snapshot.status.unwrap_or_default().conditions;
        Self {
            name: snapshot.metadata.name,
            created_at: snapshot.metadata.creation_timestamp.unwrap_or_default(),
            is_ready: find(&conditions, READY).is_some_and(Condition::is_true),
        }
    }
}

impl Client {
    /// Takes a snapshot of a claim's sandbox and waits until it is taken. `purpose` becomes part
    /// of the name of the request for it.
    ///
    /// ```no_run
    /// # async fn example(client: sandbench::client::Client, ready: sandbench::client::ReadyClaim)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    ///
    /// let limit = Duration::from_secs(180);
    /// let snapshot = client.take_snapshot(&ready, "before-upgrade", limit).await?;
    /// client.suspend(&ready, limit).await?;
    /// let ready = client.restore(&ready, &snapshot.name, limit).await?;
    /// client.delete_snapshot(&snapshot.name, limit).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ManageError`]; `NotInstalled` on clusters without snapshots.
    ///
    /// # Cancel safety
    /// If dropped, the snapshot may still be taken.
    pub async fn take_snapshot(
        &self,
        claim: &ReadyClaim,
        purpose: &str,
        timeout: Duration,
    ) -> Result<Snapshot, ManageError> {
        let name = trigger_name(purpose);
        let mut last = "nothing".to_owned();
        let taken = take(self, claim, &name, &mut last);
        let waited = timeout_at(Instant::now() + timeout, taken).await;
        waited.unwrap_or_else(|_| Err(late(TRIGGER, &name, timeout, last)))
    }

    /// Lists the snapshots of a claim's sandbox, newest first, those included that are not ready.
    ///
    /// # Errors
    /// [`ManageError`]; `NotInstalled` on clusters without snapshots.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn list_snapshots(&self, claim: &ReadyClaim) -> Result<Vec<Snapshot>, ManageError> {
        let hash = name_hash(&claim.sandbox_name);
        let labels = format!("{}={hash}", label::SANDBOX_NAME_HASH);
        let found: Vec<PodSnapshot> = self.snapshot_kind().list(self, Some(&labels)).await?;
        let mut found: Vec<Snapshot> = found.into_iter().map(Snapshot::from).collect();
        found.sort_by(|a, b| b.created_at.cmp(&a.created_at));
        Ok(found)
    }

    /// Deletes a snapshot and waits until it is gone.
    ///
    /// # Errors
    /// [`ManageError`].
    ///
    /// # Cancel safety
    /// If dropped, the deletion may or may not take place; call it again.
    pub async fn delete_snapshot(
        &self,
        name: &str,
        timeout: Duration,
    ) -> Result<Deleted, ManageError> {
        let kind = self.snapshot_kind();
        if kind.delete(self, name).await? == Deleted::NotFound {
            return Ok(Deleted::NotFound);
        }
        let gone = async {
            let mut follower: Follower<PodSnapshot> = self.follow(kind.of.clone(), name);
            loop {
                let change = follower.next().await;
                match change.map_err(|error| kind.failed(name, error))? {
                    Change::All(all) if all.is_empty() => return Ok(Deleted::Accepted),
                    Change::Gone(seen) if seen.metadata.name == name => {
                        return Ok(Deleted::Accepted);
                    }
                    _ => {}
                }
            }
        };
        let waited = timeout_at(Instant::now() + timeout, gone).await;
        waited.unwrap_or_else(|_| Err(late(SNAPSHOT, name, timeout, "still there".to_owned())))
    }

    /// Resumes a suspended sandbox from a snapshot, and waits until its Pod says that it was
    /// started from it. `timeout` is for each of three steps: telling the sandbox, resuming it,
    /// and the Pod's word.
    ///
    /// # Errors
    /// [`RestoreError`]: the sandbox is running, there is no such snapshot, or a step failed.
    ///
    /// # Cancel safety
    /// If dropped, the sandbox may or may not be resumed; call it again.
    pub async fn restore(
        &self,
        claim: &ReadyClaim,
        snapshot: &str,
        timeout: Duration,
    ) -> Result<ReadyClaim, RestoreError> {
        let _: PodSnapshot = self.snapshot_kind().get(self, snapshot).await?;
        let state = self.status(claim).await?;
        if !state.details().is_some_and(|details| details.is_suspended) {
            return Err(RestoreError::Running {
                sandbox: claim.sandbox_name.clone(),
            });
        }
        let kind = Kind {
            word: "SandboxClaim",
            of: self.claims(),
        };
        let patch = json!({"spec": {"additionalPodMetadata": {
            "annotations": {RESTORE_FROM: snapshot}}}});
        let _: serde::de::IgnoredAny = kind.change(self, &claim.claim_name, &patch).await?;
        let told = told(self, &claim.sandbox_name, snapshot);
        let waited = timeout_at(Instant::now() + timeout, told).await;
        let name = &claim.sandbox_name;
        waited.unwrap_or_else(|_| {
            let last = "the snapshot is not in its pod template".to_owned();
            Err(late("Sandbox", name, timeout, last))
        })?;
        let ready = self.resume(claim, timeout).await?;
        let state = self.status(&ready).await?;
        let pod = pod_name(&state, &ready);
        let mut last = "no condition PodRestored".to_owned();
        let restored = restored(self, pod, snapshot, &mut last);
        let waited = timeout_at(Instant::now() + timeout, restored).await;
        waited.unwrap_or_else(|_| Err(late("Pod", pod, timeout, last)))?;
        Ok(ready)
    }

    fn snapshot_kind(&self) -> Kind {
        Kind {
            word: SNAPSHOT,
            of: self.snapshot_collection(SNAPSHOTS),
        }
    }

    fn snapshot_collection(&self, plural: &'static str) -> Collection {
        let resource = Resource {
            group: GROUP,
            version: VERSION,
            plural,
        };
        resource.of(self.namespace())
    }

    fn follow<T: serde::de::DeserializeOwned>(&self, of: Collection, name: &str) -> Follower<T> {
        let selector = Some(Selector::Name(name.to_owned()));
        Follower::new(self.api().clone(), of, selector, Start::Get)
    }
}

/// Asks for a snapshot and watches what becomes of it.
async fn take(
    client: &Client,
    claim: &ReadyClaim,
    name: &str,
    last: &mut String,
) -> Result<Snapshot, ManageError> {
    let kind = Kind {
        word: TRIGGER,
        of: client.snapshot_collection(TRIGGERS),
    };
    let sandbox = Kind {
        word: "Sandbox",
        of: client.sandboxes(),
    };
    let found: crate::api::sandbox::Sandbox = sandbox.get(client, &claim.sandbox_name).await?;
    let new = NewObject {
        name: name.to_owned(),
        labels: BTreeMap::new(),
        spec: json!({"targetPod": found.pod_name()}),
    };
    let _: Trigger = kind.create(client, new).await?;
    let mut follower: Follower<Trigger> = client.follow(kind.of.clone(), name);
    loop {
        let change = follower.next().await;
        let seen = match change.map_err(|error| kind.failed(name, error))? {
            Change::All(mut all) => all.pop(),
            Change::Present(seen) => Some(seen),
            Change::Gone(seen) if seen.metadata.name == name => None,
            Change::Reading | Change::Gone(_) => continue,
        };
        let status = match seen {
            Some(seen) if seen.metadata.name == name => seen.status.unwrap_or_default(),
            Some(_) => continue,
            None => {
                return Err(ManageError::NotFound {
                    kind: TRIGGER,
                    name: name.to_owned(),
                });
            }
        };
        let Some(triggered) = find(&status.conditions, TRIGGERED) else {
            continue;
        };
        *last = triggered.to_string();
        if triggered.is_true() && triggered.reason == "Complete" {
            return Ok(Snapshot {
                name: status.snapshot_created.name,
                created_at: triggered.last_transition_time.clone().unwrap_or_default(),
                is_ready: true,
            });
        }
        if triggered.is_false() && matches!(triggered.reason.as_str(), "Failed" | "Error") {
            return Err(ManageError::Failed {
                kind: TRIGGER,
                name: name.to_owned(),
                reason: triggered.reason.clone(),
                message: triggered.message.clone(),
            });
        }
    }
}

/// Waits until the Sandbox's pod template names the snapshot.
async fn told(client: &Client, name: &str, snapshot: &str) -> Result<(), ManageError> {
    let kind = Kind {
        word: "Sandbox",
        of: client.sandboxes(),
    };
    let mut follower: Follower<RestoredSandbox> = client.follow(kind.of.clone(), name);
    loop {
        let change = follower.next().await;
        let seen = match change.map_err(|error| kind.failed(name, error))? {
            Change::All(mut all) => all.pop(),
            Change::Present(seen) => Some(seen),
            Change::Reading | Change::Gone(_) => None,
        };
        let Some(seen) = seen.filter(|seen| seen.metadata.name == name) else {
            continue;
        };
        let annotations = &seen.spec.pod_template.metadata.annotations;
        if annotations.get(RESTORE_FROM).map(String::as_str) == Some(snapshot) {
            return Ok(());
        }
    }
}

/// Waits until the Pod says that it was started from the snapshot.
async fn restored(
    client: &Client,
    name: &str,
    snapshot: &str,
    last: &mut String,
) -> Result<(), ManageError> {
    let kind = Kind {
        word: "Pod",
        of: client.pods(),
    };
    let mut follower: Follower<RestoredPod> = client.follow(kind.of.clone(), name);
    loop {
        let change = follower.next().await;
        let seen = match change.map_err(|error| kind.failed(name, error))? {
            Change::All(mut all) => all.pop(),
            Change::Present(seen) => Some(seen),
            Change::Reading | Change::Gone(_) => None,
        };
        let Some(seen) = seen.filter(|seen| seen.metadata.name == name) else {
            continue;
        };
        if let Some(condition) = find(&seen.status.conditions, POD_RESTORED) {
            *last = condition.to_string();
            if condition.is_true() && condition.message.contains(snapshot) {
                return Ok(());
            }
        }
    }
}

fn pod_name<'a>(state: &'a SandboxState, claim: &'a ReadyClaim) -> &'a str {
    state
        .details()
        .map_or(&claim.sandbox_name, |details| &details.pod_name)
}

fn late(kind: &'static str, name: &str, after: Duration, last: String) -> ManageError {
    ManageError::Timeout {
        kind,
        name: name.to_owned(),
        after,
        last,
    }
}

/// The name of a request for a snapshot: what it is for, when it was made, and chance.
fn trigger_name(purpose: &str) -> String {
    let stem: String = purpose
        .to_lowercase()
        .replace('_', "-")
        .chars()
        .filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-')
        .take(STEM)
        .collect();
    let stem = match stem.trim_matches('-') {
        "" => "snap",
        stem => stem,
    };
    let now = Timestamp::now().strftime("%Y%m%d-%H%M%S");
    format!("{stem}-{now}-{:08x}", rand::rng().random::<u32>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trigger_is_named_after_its_purpose_and_fits_in_a_label() {
        for (purpose, stem) in [
            ("Before_Upgrade", "before-upgrade-2"),
            ("__", "snap-2"),
            ("ä/b", "b-2"),
            (&"x".repeat(99), &"x".repeat(STEM)),
        ] {
            let name = trigger_name(purpose);
            assert!(name.starts_with(stem), "{name}");
            assert!(super::super::validate::is_dns_label(&name), "{name}");
        }
    }
}
