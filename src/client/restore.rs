//! Suspending with a snapshot, and resuming from one: the newest, or one that is named.
//!
//! A snapshot is named in the claim; its controller copies the name into the Sandbox, whose next Pod
//! starts from it and says so. Without a name the newest snapshot counts. Source: Python SDK 1.0.8.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::claim::ReadyClaim;
use super::cluster::Change;
use super::core::Client;
use super::error::{ManageError, RestoreError};
use super::manage::Kind;
use super::snapshots::{Snapshot, SnapshotFilter, SnapshotReadiness, late};
use crate::api::condition::find;
use crate::api::snapshot::{POD_RESTORED, PodSnapshot, RESTORE_FROM, RestoredPod, RestoredSandbox};

/// A sandbox that was resumed.
#[derive(Debug, Clone)]
pub struct Resumed {
    /// The claim with the addresses of the new Pod: connect with it.
    pub ready: ReadyClaim,
    /// Name of the snapshot that the Pod was started from; `None` if there was none, or if the
    /// sandbox was running.
    pub snapshot: Option<String>,
}

impl Client {
    /// Takes a snapshot of a claim's sandbox, then suspends it. `timeout` is for each of both. A
    /// sandbox that is suspended already is left as it is; there is no snapshot then.
    ///
    /// ```no_run
    /// # async fn example(client: sandbench::client::Client, ready: sandbench::client::ReadyClaim)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// let limit = client.ready_timeout();
    /// let taken = client.suspend_with_snapshot(&ready, limit).await?;
    /// // Later, perhaps in another program: on with what was in memory and in files.
    /// let resumed = client.resume_from_newest(&ready, limit).await?;
    /// assert_eq!(resumed.snapshot, taken.map(|snapshot| snapshot.name));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`RestoreError`]; a sandbox of which no snapshot was taken goes on running.
    ///
    /// # Cancel safety
    /// If dropped, the snapshot may be taken, and the sandbox be suspended; call it again.
    pub async fn suspend_with_snapshot(
        &self,
        claim: &ReadyClaim,
        timeout: Duration,
    ) -> Result<Option<Snapshot>, RestoreError> {
        if self.is_suspended(claim).await? {
            return Ok(None);
        }
        let purpose = format!("suspend-{}", claim.sandbox_name);
        let taken = self.take_snapshot(claim, &purpose, timeout).await?;
        self.suspend(claim, timeout).await?;
        Ok(Some(taken))
    }

    /// Resumes a suspended sandbox from its newest snapshot, and waits until its Pod says that it was
    /// started from it. What [`restore`](Self::restore) has left in the claim is taken out of it.
    /// Without a snapshot, and for a sandbox that runs, it is as [`resume`](Self::resume). `timeout`
    /// is for each of three steps: telling the sandbox, resuming it, and the Pod's word.
    ///
    /// # Errors
    /// [`RestoreError`].
    ///
    /// # Cancel safety
    /// If dropped, the sandbox may or may not be resumed; call it again.
    pub async fn resume_from_newest(
        &self,
        claim: &ReadyClaim,
        timeout: Duration,
    ) -> Result<Resumed, RestoreError> {
        if !self.is_suspended(claim).await? {
            let ready = self.resume(claim, timeout).await?;
            return Ok(Resumed {
                ready,
                snapshot: None,
            });
        }
        let ready_ones = SnapshotFilter {
            readiness: SnapshotReadiness::Ready,
            ..SnapshotFilter::default()
        };
        let found = self.find_snapshots(claim, &ready_ones).await?;
        let newest = found.into_iter().next().map(|newest| newest.name);
        tell(self, claim, None, timeout).await?;
        let ready = self.resume(claim, timeout).await?;
        if let Some(newest) = &newest {
            self.confirm(&ready, newest, timeout).await?;
        }
        Ok(Resumed {
            ready,
            snapshot: newest,
        })
    }

    /// Resumes a suspended sandbox from a snapshot, and waits until its Pod says that it was
    /// started from it. `timeout` is for each of three steps: telling the sandbox, resuming it,
    /// and the Pod's word. The snapshot stays named in the claim: [`resume`](Self::resume) starts
    /// from it again, [`resume_from_newest`](Self::resume_from_newest) does not.
    ///
    /// ```no_run
    /// # async fn example(client: sandbench::client::Client, ready: sandbench::client::ReadyClaim)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// let limit = client.ready_timeout();
    /// let snapshots = client.list_snapshots(&ready).await?;
    /// let oldest = snapshots.last().ok_or("there is no snapshot")?;
    /// client.suspend(&ready, limit).await?;
    /// let ready = client.restore(&ready, &oldest.name, limit).await?;
    /// # Ok(())
    /// # }
    /// ```
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
        if !self.is_suspended(claim).await? {
            return Err(RestoreError::Running {
                sandbox: claim.sandbox_name.clone(),
            });
        }
        tell(self, claim, Some(snapshot), timeout).await?;
        let ready = self.resume(claim, timeout).await?;
        self.confirm(&ready, snapshot, timeout).await?;
        Ok(ready)
    }

    async fn is_suspended(&self, claim: &ReadyClaim) -> Result<bool, RestoreError> {
        let state = self.status(claim).await?;
        Ok(state.details().is_some_and(|details| details.is_suspended))
    }

    /// Waits until the sandbox's Pod says that it was started from the snapshot.
    async fn confirm(
        &self,
        claim: &ReadyClaim,
        snapshot: &str,
        timeout: Duration,
    ) -> Result<(), RestoreError> {
        let state = self.status(claim).await?;
        let details = state.details();
        let pod = details.map_or(&claim.sandbox_name, |details| &details.pod_name);
        let mut last = "no condition PodRestored".to_owned();
        let restored = restored(self, pod, snapshot, &mut last);
        let waited = timeout_at(Instant::now() + timeout, restored).await;
        waited.unwrap_or_else(|_| Err(late("Pod", pod, timeout, last)))?;
        Ok(())
    }
}

/// Names the snapshot in the claim, or takes the name out of it, and waits until the Sandbox's pod
/// template has it so.
async fn tell(
    client: &Client,
    claim: &ReadyClaim,
    snapshot: Option<&str>,
    timeout: Duration,
) -> Result<(), ManageError> {
    let kind = Kind {
        word: "SandboxClaim",
        of: client.claims(),
    };
    let name = snapshot.map_or(Value::Null, Value::from);
    let patch = json!({"spec": {"additionalPodMetadata": {"annotations": {RESTORE_FROM: name}}}});
    let _: serde::de::IgnoredAny = kind.change(client, &claim.claim_name, &patch).await?;
    let sandbox = &claim.sandbox_name;
    let told = told(client, sandbox, snapshot);
    let waited = timeout_at(Instant::now() + timeout, told).await;
    waited.unwrap_or_else(|_| {
        let last = if snapshot.is_some() {
            "the snapshot is not in its pod template"
        } else {
            "another snapshot is in its pod template"
        };
        Err(late("Sandbox", sandbox, timeout, last.to_owned()))
    })
}

/// Waits until the Sandbox's pod template names the snapshot, or none.
async fn told(client: &Client, name: &str, snapshot: Option<&str>) -> Result<(), ManageError> {
    let kind = Kind {
        word: "Sandbox",
        of: client.sandboxes(),
    };
    let mut follower = client.follow::<RestoredSandbox>(kind.of.clone(), name);
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
        if annotations.get(RESTORE_FROM).map(String::as_str) == snapshot {
            return Ok(());
        }
    }
}

/// Waits until the Pod, which is ready, says that it was started from the snapshot; fails when it
/// says that it was not.
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
    let mut follower = client.follow::<RestoredPod>(kind.of.clone(), name);
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
        let Some(condition) = find(&seen.status.conditions, POD_RESTORED) else {
            continue;
        };
        *last = condition.to_string();
        if condition.is_true() && condition.message.contains(snapshot) {
            return Ok(());
        }
        if condition.is_true() || condition.is_false() {
            return Err(ManageError::Failed {
                kind: "Pod",
                name: name.to_owned(),
                reason: condition.reason.clone(),
                message: condition.message.clone(),
            });
        }
    }
}
