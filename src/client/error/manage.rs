//! Why a warm pool, template or snapshot could not be managed.

use std::time::Duration;

use super::KubeError;
use crate::units::HumanDuration;

/// Why a warm pool, template or snapshot could not be managed.
#[derive(Debug, thiserror::Error)]
pub enum ManageError {
    /// An argument is not valid; nothing was sent.
    #[error("use `{value}` as {setting}: {problem}")]
    Invalid {
        /// Which one.
        setting: &'static str,
        /// What was given.
        value: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// There is one of that name already.
    #[error("create the {kind} `{name}`: it exists already")]
    AlreadyExists {
        /// For example `SandboxWarmPool`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// There is none of that name, or it was deleted meanwhile.
    #[error("find the {kind} `{name}`")]
    NotFound {
        /// For example `SandboxWarmPool`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// The cluster does not know this kind.
    #[error("find the kind {kind} in the cluster")]
    NotInstalled {
        /// For example `PodSnapshot`.
        kind: &'static str,
    },
    /// The controller gave up.
    #[error("wait for the {kind} `{name}`: the controller gave up with {reason}: {message}")]
    Failed {
        /// For example `PodSnapshotManualTrigger`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// One word for programs.
        reason: String,
        /// One sentence for people.
        message: String,
    },
    /// It took too long.
    #[error("wait for the {kind} `{name}` for {} (last seen: {last})", HumanDuration(*.after))]
    Timeout {
        /// For example `SandboxWarmPool`.
        kind: &'static str,
        /// Its name.
        name: String,
        /// How long was waited.
        after: Duration,
        /// What was seen last.
        last: String,
    },
    /// The API server refused or failed.
    #[error("manage the {kind} `{name}`")]
    Kube {
        /// For example `SandboxWarmPool`.
        kind: &'static str,
        /// Its name; empty if all were meant.
        name: String,
        /// The cause.
        #[source]
        source: Box<KubeError>,
    },
}

impl ManageError {
    /// What the user can do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::NotInstalled { kind } if kind.starts_with("PodSnapshot") => Some(
                "Pod snapshots are a feature of GKE with gVisor; enable it for the cluster"
                    .to_owned(),
            ),
            Self::NotFound { kind, name } => {
                let plural = format!("{}s", kind.to_ascii_lowercase());
                Some(format!("`{name}` is not in `kubectl get {plural}`"))
            }
            Self::Kube { source, .. } => source.help(),
            _ => None,
        }
    }
}
