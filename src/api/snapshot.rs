//! Snapshots of Pods on GKE: `PodSnapshotManualTrigger` asks for one, `PodSnapshot` is one.
//!
//! Source: Python SDK 1.0.8, which uses `podsnapshot.gke.io/v1`.

use serde::{Deserialize, Serialize};

use super::claim::NameRef;
use super::condition::Condition;
use super::metadata::{Metadata, null_is_default};

/// API group of both kinds.
pub const GROUP: &str = "podsnapshot.gke.io";
/// Its version.
pub const VERSION: &str = "v1";
/// Plural of `PodSnapshot`.
pub const SNAPSHOTS: &str = "podsnapshots";
/// Plural of `PodSnapshotManualTrigger`.
pub const TRIGGERS: &str = "podsnapshotmanualtriggers";
/// Annotation of a pod template: the snapshot from which its Pods start.
pub const RESTORE_FROM: &str = "podsnapshot.gke.io/ps-name";
/// Annotation of a `PodSnapshot`: name of the Pod that it was taken of.
pub const ORIGIN_POD: &str = "podsnapshot.gke.io/origin-pod";
/// Condition of a trigger that says what became of it.
pub const TRIGGERED: &str = "Triggered";
/// Condition of a Pod that says from which snapshot it was started.
pub const POD_RESTORED: &str = "PodRestored";

/// A wish for a snapshot of a Pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Trigger {
    /// Name, UID, labels and so on.
    pub metadata: Metadata,
    /// What is wanted.
    pub spec: TriggerSpec,
    /// What became of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<TriggerStatus>,
}

/// What a trigger is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TriggerSpec {
    /// Name of the Pod.
    pub target_pod: String,
}

/// What became of a trigger.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TriggerStatus {
    /// Conditions: `Triggered`.
    #[serde(deserialize_with = "null_is_default")]
    pub conditions: Vec<Condition>,
    /// The snapshot.
    #[serde(deserialize_with = "null_is_default")]
    pub snapshot_created: NameRef,
}

/// A snapshot of a Pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PodSnapshot {
    /// Name, labels, when it was made and so on.
    pub metadata: Metadata,
    /// What is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<PodSnapshotStatus>,
}

/// What has become of a snapshot.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PodSnapshotStatus {
    /// Conditions: `Ready`.
    #[serde(deserialize_with = "null_is_default")]
    pub conditions: Vec<Condition>,
}

/// A Sandbox, as far as a restoration looks at it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RestoredSandbox {
    /// Name and so on.
    pub metadata: Metadata,
    /// What is wanted.
    pub spec: RestoredSandboxSpec,
}

/// What such a Sandbox is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RestoredSandboxSpec {
    /// What its Pod is made from.
    #[serde(deserialize_with = "null_is_default")]
    pub pod_template: RestoredPodTemplate,
}

/// What such a Sandbox's Pod is made from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RestoredPodTemplate {
    /// Annotations and so on.
    #[serde(deserialize_with = "null_is_default")]
    pub metadata: Metadata,
}

/// A Pod, as far as a restoration looks at it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RestoredPod {
    /// Name and so on.
    pub metadata: Metadata,
    /// What is.
    #[serde(deserialize_with = "null_is_default")]
    pub status: RestoredPodStatus,
}

/// What has become of such a Pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RestoredPodStatus {
    /// Conditions: `PodRestored`.
    #[serde(deserialize_with = "null_is_default")]
    pub conditions: Vec<Condition>,
}
