//! Snapshots of a sandbox's Pod on GKE: taken, listed and deleted.
//!
//! They need the kind `PodSnapshot` (GKE with gVisor). One is asked for by a trigger, which is
//! removed once it was answered. Source: Python SDK 1.0.8.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use rand::RngExt;
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::claim::ReadyClaim;
use super::cluster::{Change, Collection, Followed, Follower, Resource, Selector, Start};
use super::core::Client;
use super::delete::Deleted;
use super::error::ManageError;
use super::manage::{Kind, NewObject};
use crate::api::condition::{Condition, READY, find};
use crate::api::snapshot::{GROUP, PodSnapshot, SNAPSHOTS, TRIGGERED, TRIGGERS, Trigger, VERSION};
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

/// Which of a sandbox's snapshots are meant. Default: all of them.
///
/// ```no_run
/// # async fn example(client: sandbench::client::Client, ready: sandbench::client::ReadyClaim)
/// # -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use sandbench::client::{SnapshotFilter, SnapshotReadiness};
///
/// let usable = SnapshotFilter {
///     readiness: SnapshotReadiness::Ready,
///     created_after: Some("2026-01-01T00:00:00Z".parse()?),
///     ..SnapshotFilter::default()
/// };
/// for snapshot in client.find_snapshots(&ready, &usable).await? {
///     println!("{} of {}", snapshot.name, snapshot.created_at);
/// }
/// let deleted = client.delete_snapshots(&ready, &usable, Duration::from_secs(60)).await?;
/// println!("{} are deleted", deleted.len());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SnapshotFilter {
    /// Whether those count that cannot be restored from. Default: they do.
    pub readiness: SnapshotReadiness,
    /// Only those made then or later. Default: no limit.
    pub created_after: Option<Timestamp>,
    /// Only those made then or earlier. Default: no limit.
    pub created_before: Option<Timestamp>,
}

/// Whether snapshots count that cannot be restored from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SnapshotReadiness {
    /// They do.
    #[default]
    Any,
    /// They do not.
    Ready,
}

impl SnapshotFilter {
    /// Whether a snapshot is meant. One whose time is not known is not, if there is a limit.
    fn admits(&self, snapshot: &Snapshot) -> bool {
        let ready = snapshot.is_ready || self.readiness == SnapshotReadiness::Any;
        let made: Option<Timestamp> = snapshot.created_at.parse().ok();
        let late = |limit| made.is_some_and(|made| made >= limit);
        let early = |limit| made.is_some_and(|made| made <= limit);
        ready && self.created_after.is_none_or(late) && self.created_before.is_none_or(early)
    }
}

/// How far a wish for a snapshot has come.
struct Progress {
    /// Whether there is a trigger.
    asked: bool,
    /// The last condition of it.
    last: String,
}

impl Client {
    /// Takes a snapshot of a claim's sandbox and waits until it is taken. `purpose` becomes part
    /// of the name of the request for it, which is removed at the end, whatever that is.
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
    /// If dropped, the snapshot may still be taken, and the request for it stays.
    pub async fn take_snapshot(
        &self,
        claim: &ReadyClaim,
        purpose: &str,
        timeout: Duration,
    ) -> Result<Snapshot, ManageError> {
        let name = trigger_name(purpose);
        let mut progress = Progress {
            asked: false,
            last: "nothing".to_owned(),
        };
        let taken = take(self, claim, &name, &mut progress);
        let waited = timeout_at(Instant::now() + timeout, taken).await;
        if progress.asked
            && let Err(error) = self.trigger_kind().delete(self, &name).await
        {
            tracing::debug!(%error, "a trigger stays");
        }
        waited.unwrap_or_else(|_| Err(late(TRIGGER, &name, timeout, progress.last)))
    }

    /// Lists the snapshots of a claim's sandbox, newest first, those included that are not ready.
    ///
    /// # Errors
    /// [`ManageError`]; `NotInstalled` on clusters without snapshots.
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn list_snapshots(&self, claim: &ReadyClaim) -> Result<Vec<Snapshot>, ManageError> {
        self.find_snapshots(claim, &SnapshotFilter::default()).await
    }

    /// Lists those snapshots of a claim's sandbox that a filter admits, newest first; of two made
    /// in the same second, the one written last.
    ///
    /// # Errors
    /// As for [`list_snapshots`](Self::list_snapshots).
    ///
    /// # Cancel safety
    /// Nothing is left behind.
    pub async fn find_snapshots(
        &self,
        claim: &ReadyClaim,
        filter: &SnapshotFilter,
    ) -> Result<Vec<Snapshot>, ManageError> {
        let hash = name_hash(&claim.sandbox_name);
        let labels = format!("{}={hash}", label::SANDBOX_NAME_HASH);
        let mut found: Vec<PodSnapshot> = self.snapshot_kind().list(self, Some(&labels)).await?;
        found.sort_by_cached_key(|snapshot| {
            let metadata = &snapshot.metadata;
            let written: u64 = metadata.resource_version.parse().unwrap_or(0);
            Reverse((metadata.creation_timestamp.clone(), written))
        });
        let found = found.into_iter().map(Snapshot::from);
        Ok(found.filter(|found| filter.admits(found)).collect())
    }

    /// Deletes those snapshots of a claim's sandbox that a filter admits, one after the other, and
    /// waits until each is gone. Returns the names of those that were deleted; one that was gone
    /// already is not among them. `timeout` is for each of them.
    ///
    /// # Errors
    /// [`ManageError`] of the first that failed; those before it are deleted.
    ///
    /// # Cancel safety
    /// If dropped, some may be deleted and others not; call it again.
    pub async fn delete_snapshots(
        &self,
        claim: &ReadyClaim,
        filter: &SnapshotFilter,
        timeout: Duration,
    ) -> Result<Vec<String>, ManageError> {
        let mut gone = Vec::new();
        for Snapshot { name, .. } in self.find_snapshots(claim, filter).await? {
            if self.delete_snapshot(&name, timeout).await? == Deleted::Accepted {
                gone.push(name);
            }
        }
        Ok(gone)
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

    /// The kind of snapshots.
    pub(super) fn snapshot_kind(&self) -> Kind {
        Kind {
            word: SNAPSHOT,
            of: self.snapshot_collection(SNAPSHOTS),
        }
    }

    fn trigger_kind(&self) -> Kind {
        Kind {
            word: TRIGGER,
            of: self.snapshot_collection(TRIGGERS),
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

    /// Follows one object.
    pub(super) fn follow<T: Followed>(&self, of: Collection, name: &str) -> Follower<T> {
        let selector = Some(Selector::Name(name.to_owned()));
        Follower::new(self.api().clone(), of, selector, Start::Get)
    }
}

/// Asks for a snapshot and watches what becomes of it.
async fn take(
    client: &Client,
    claim: &ReadyClaim,
    name: &str,
    progress: &mut Progress,
) -> Result<Snapshot, ManageError> {
    let kind = client.trigger_kind();
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
    progress.asked = true;
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
        progress.last = triggered.to_string();
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

/// The failure of waiting too long.
pub(super) fn late(kind: &'static str, name: &str, after: Duration, last: String) -> ManageError {
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
    fn a_filter_has_both_ends_in_it_and_leaves_out_what_has_no_time() {
        let snapshot = |created_at: &str, is_ready| Snapshot {
            name: "a".to_owned(),
            created_at: created_at.to_owned(),
            is_ready,
        };
        let noon: Timestamp = "2026-01-01T12:00:00Z".parse().expect("a time");
        let after = SnapshotFilter {
            created_after: Some(noon),
            ..SnapshotFilter::default()
        };
        let before = SnapshotFilter {
            created_before: Some(noon),
            ..SnapshotFilter::default()
        };
        for (time, is_after, is_before) in [
            ("2026-01-01T11:59:59Z", false, true),
            ("2026-01-01T12:00:00Z", true, true),
            ("2026-01-01T12:00:01Z", true, false),
            ("", false, false),
        ] {
            let seen = snapshot(time, true);
            assert_eq!(
                (after.admits(&seen), before.admits(&seen)),
                (is_after, is_before),
                "{time}"
            );
        }
        let ready = SnapshotFilter {
            readiness: SnapshotReadiness::Ready,
            ..SnapshotFilter::default()
        };
        assert!(SnapshotFilter::default().admits(&snapshot("", false)));
        assert!(ready.admits(&snapshot("", true)) && !ready.admits(&snapshot("", false)));
    }

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
