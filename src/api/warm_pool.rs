//! `SandboxWarmPool`: sandboxes kept ready, waiting to be adopted by a claim.

use serde::{Deserialize, Serialize};

use super::claim::NameRef;
use super::metadata::Metadata;

/// A warm pool.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SandboxWarmPool {
    /// Name, UID, labels and so on.
    pub metadata: Metadata,
    /// What is wanted.
    pub spec: WarmPoolSpec,
    /// What is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<WarmPoolStatus>,
}

/// What a pool is asked to keep.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WarmPoolSpec {
    /// How many sandboxes to keep ready; 0 means that every claim starts cold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i64>,
    /// The template of its sandboxes.
    pub sandbox_template_ref: NameRef,
}

/// What a pool has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WarmPoolStatus {
    /// Sandboxes in the pool.
    pub replicas: i64,
    /// Those that are ready.
    pub ready_replicas: i64,
}
