//! Why a claim could not be created.

use super::{Delivered, KubeError};

/// Why a claim could not be created.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The request is not valid; nothing was sent.
    #[error("create a claim: {setting} `{value}` is not valid: {problem}")]
    Invalid {
        /// Which part of the request.
        setting: &'static str,
        /// What was given.
        value: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A claim of that name exists already and is not ours.
    #[error("create the claim `{claim}`: a claim of that name exists already")]
    AlreadyExists {
        /// Name of the claim.
        claim: String,
    },
    /// A claim of that name exists already and cannot be used in place of a new one.
    #[error("adopt the claim `{claim}`: {problem}")]
    NotAdoptable {
        /// Name of the claim.
        claim: String,
        /// Why not.
        problem: &'static str,
    },
    /// The cluster speaks `v1alpha1` and has no such pool.
    #[error("create the claim `{claim}`: there is no warm pool `{pool}`")]
    PoolNotFound {
        /// Name of the claim.
        claim: String,
        /// Name of the pool.
        pool: String,
    },
    /// The cluster speaks `v1beta1`, where claims name a pool, and no pool uses the template.
    #[error("create the claim `{claim}`: no warm pool uses the template `{template}`")]
    NoPoolForTemplate {
        /// Name of the claim.
        claim: String,
        /// Name of the template.
        template: String,
    },
    /// The API server refused or failed.
    #[error("create the claim `{claim}`")]
    Kube {
        /// Name of the claim.
        claim: String,
        /// The cause.
        #[source]
        source: Box<KubeError>,
    },
    /// The answer to the creation was lost, and so was the question whether it took place.
    #[error("find out whether the claim `{claim}` was created after the answer was lost")]
    Lost {
        /// Name of the claim.
        claim: String,
        /// The cause.
        #[source]
        source: Box<KubeError>,
    },
}

impl CreateError {
    /// Whether the claim can exist now.
    pub fn delivered(&self) -> Delivered {
        match self {
            Self::Invalid { .. }
            | Self::AlreadyExists { .. }
            | Self::NotAdoptable { .. }
            | Self::PoolNotFound { .. }
            | Self::NoPoolForTemplate { .. } => Delivered::No,
            Self::Kube { source, .. } => match source.code() {
                Some(_) => Delivered::No,
                None => source.delivered(),
            },
            Self::Lost { .. } => Delivered::Unknown,
        }
    }

    /// What the user can do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::NoPoolForTemplate { template, .. } => Some(format!(
                "this cluster speaks v1beta1, where a claim names a SandboxWarmPool; create one \
                 with `sandboxTemplateRef.name: {template}` (`replicas: 0` for cold starts)"
            )),
            Self::PoolNotFound { .. } => {
                Some("list the pools with `kubectl get sandboxwarmpools`".to_owned())
            }
            Self::AlreadyExists { .. } | Self::NotAdoptable { .. } => {
                Some("delete it, or choose another name".to_owned())
            }
            Self::Kube { source, .. } | Self::Lost { source, .. } => source.help(),
            Self::Invalid { .. } => None,
        }
    }
}
