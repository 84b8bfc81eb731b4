//! [`Leaks`]: what a run left behind.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What was left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Leaks {
    /// Claims of the run that still exist.
    pub claims: u64,
    /// Sandboxes of the run that still exist.
    pub sandboxes: u64,
    /// Pods of the run that still exist.
    pub pods: u64,
    /// `PersistentVolumeClaim`s of the run that still exist.
    pub volumes: u64,
    /// Services of the run that still exist.
    pub services: u64,
    /// `EndpointSlice`s of the run that still exist.
    pub endpoint_slices: u64,
    /// Port-forwards that are still open.
    pub port_forwards: u64,
    /// Other sockets to the cluster and to sandboxes that are still open.
    pub connections: u64,
    /// What the loopback cluster could not remove from this machine.
    pub local: u64,
    /// Why it could not be found out, if so: then nothing is known, which is as bad as a leak.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
    /// Kinds that the user may not list, and where. They are not zero but unknown; no leak is made
    /// of that, since all claims are gone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_counted: Vec<String>,
    /// The command that deletes what is left in the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reap: Option<String>,
}

impl Leaks {
    /// Whether nothing was left, as far as may be known.
    pub fn is_empty(&self) -> bool {
        self.unknown.is_none() && self.counts().iter().all(|(_, count)| *count == 0)
    }

    /// Whether something was, or may have been, left in the cluster.
    pub fn is_in_cluster(&self) -> bool {
        self.unknown.is_some() || self.counts().iter().take(6).any(|(_, count)| *count > 0)
    }

    /// Every count and what it counts; those of objects in the cluster come first.
    fn counts(&self) -> [(&'static str, u64); 9] {
        [
            ("claims", self.claims),
            ("sandboxes", self.sandboxes),
            ("pods", self.pods),
            ("volumes", self.volumes),
            ("services", self.services),
            ("endpoint slices", self.endpoint_slices),
            ("port-forwards", self.port_forwards),
            ("connections", self.connections),
            ("local things", self.local),
        ]
    }
}

/// `2 claims, 1 pods were left`, or why that is not known.
impl fmt::Display for Leaks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (what, count) in self.counts().iter().filter(|(_, count)| *count > 0) {
            write!(f, "{separator}{count} {what}")?;
            separator = ", ";
        }
        if !separator.is_empty() {
            f.write_str(" were left")?;
            separator = "; ";
        }
        match &self.unknown {
            Some(reason) => write!(f, "{separator}could not look for what was left: {reason}"),
            None if separator.is_empty() => f.write_str("nothing was left"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_not_nothing_but_what_may_not_be_listed_is_no_leak() {
        let unknown = Leaks {
            unknown: Some("no answer".to_owned()),
            ..Leaks::default()
        };
        assert!(!unknown.is_empty() && unknown.is_in_cluster());
        let not_counted = Leaks {
            not_counted: vec!["pods in namespace a".to_owned()],
            ..Leaks::default()
        };
        assert!(not_counted.is_empty());
    }

    #[test]
    fn every_kind_counts_and_is_told() {
        let leaks = Leaks {
            volumes: 2,
            connections: 1,
            ..Leaks::default()
        };
        assert!(!leaks.is_empty() && leaks.is_in_cluster());
        assert_eq!(leaks.to_string(), "2 volumes, 1 connections were left");
        let local = Leaks {
            local: 1,
            ..Leaks::default()
        };
        assert!(!local.is_empty() && !local.is_in_cluster());
    }
}
