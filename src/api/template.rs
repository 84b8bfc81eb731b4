//! `SandboxTemplate`: the blueprint of sandboxes. The client only looks up its name.

use serde::{Deserialize, Serialize};

use super::metadata::Metadata;

/// A template.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SandboxTemplate {
    /// Name, UID, labels and so on.
    pub metadata: Metadata,
}
