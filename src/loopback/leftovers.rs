//! [`Leftovers`]: what lives in a cluster, or could not be removed from it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Counts of what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Leftovers {
    /// `SandboxClaim` objects.
    pub claims: usize,
    /// `Sandbox` objects, also those in warm pools.
    pub sandboxes: usize,
    /// Pods with a listening runtime.
    pub pods: usize,
    /// Process groups of commands that still have members.
    pub processes: usize,
    /// `PodSnapshot` objects.
    pub snapshots: usize,
    /// Directories of pods and of snapshots.
    pub directories: usize,
}

impl Leftovers {
    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Leftovers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = [
            (self.claims, "claims"),
            (self.sandboxes, "sandboxes"),
            (self.pods, "pods"),
            (self.processes, "process groups"),
            (self.snapshots, "snapshots"),
            (self.directories, "directories"),
        ];
        let shown: Vec<String> = counts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        if shown.is_empty() {
            f.write_str("nothing")
        } else {
            f.write_str(&shown.join(", "))
        }
    }
}
