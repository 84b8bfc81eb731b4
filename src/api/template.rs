//! `SandboxTemplate`: the blueprint of sandboxes. What it holds is passed on as it is.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::metadata::Metadata;

/// A template.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SandboxTemplate {
    /// Name, UID, labels and so on.
    pub metadata: Metadata,
    /// What sandboxes are made from.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub spec: Value,
}
