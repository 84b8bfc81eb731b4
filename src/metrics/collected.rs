//! [`Collected`]: what a `collect` step took from the cluster, as the result has it.

use serde::{Deserialize, Serialize};

/// What was collected in a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collection {
    /// The first texts.
    pub texts: Vec<Collected>,
    /// How many more there were, which are not here.
    pub dropped: u64,
}

impl Collection {
    /// Adds what another generator collected in the same run.
    pub fn add(&mut self, other: Self) {
        self.texts.extend(other.texts);
        self.dropped += other.dropped;
    }

    /// Whether nothing was collected.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }
}

/// A text about a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collected {
    /// The cell.
    pub cell: String,
    /// What it is: `pod-logs`, `events`, `objects`.
    pub what: String,
    /// `namespace/claim`.
    pub claim: String,
    /// Its end, at most 16 KiB.
    pub text: String,
    /// How many bytes before that are left out.
    #[serde(default)]
    pub left_out_bytes: u64,
    /// Where all of it is, with `--artifacts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}
