//! `Pod`: as much of it as tells when it was scheduled, running and ready.
//!
//! The client only reads it. Source: Kubernetes `core/v1`.

use serde::{Deserialize, Serialize};

use super::condition::Condition;
use super::metadata::{Metadata, null_is_default};

/// Type of the condition that says whether a Pod has a node.
pub const SCHEDULED: &str = "PodScheduled";
/// Phase of a Pod whose containers have been started.
pub const RUNNING: &str = "Running";

/// A Pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Pod {
    /// Name, UID, owners and so on.
    pub metadata: Metadata,
    /// What has become of it.
    #[serde(deserialize_with = "null_is_default")]
    pub status: PodStatus,
}

/// What has become of a Pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatus {
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    #[serde(deserialize_with = "null_is_default")]
    pub phase: String,
    /// Conditions: `PodScheduled`, `Ready` and others.
    #[serde(deserialize_with = "null_is_default")]
    pub conditions: Vec<Condition>,
    /// When the node took it on (RFC 3339, whole seconds).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_time: Option<String>,
    /// Its containers.
    #[serde(deserialize_with = "null_is_default")]
    pub container_statuses: Vec<ContainerStatus>,
}

/// What has become of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerStatus {
    /// What it is doing.
    #[serde(deserialize_with = "null_is_default")]
    pub state: ContainerState,
}

/// What a container is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerState {
    /// Present while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running: Option<Running>,
}

/// A container that runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Running {
    /// Since when (RFC 3339, whole seconds).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
}

impl Pod {
    /// Name of the `Sandbox` that it belongs to.
    pub fn sandbox(&self) -> Option<&str> {
        let mut owners = self.metadata.owner_references.iter();
        owners
            .find(|owner| owner.kind == "Sandbox")
            .map(|owner| owner.name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_without_status_or_with_null_in_it_is_read() {
        for status in ["", r#","status":null"#, r#","status":{"conditions":null}"#] {
            let text = format!(
                r#"{{"metadata":{{"name":"p","ownerReferences":[
                    {{"kind":"Sandbox","name":"s","uid":"u","apiVersion":"x"}}]}}{status}}}"#
            );
            let pod: Pod = serde_json::from_str(&text).expect("lenient");
            assert_eq!(pod.sandbox(), Some("s"));
            assert_eq!(pod.status.phase, "");
        }
    }
}
