//! [`Followed`]: what can be watched.

use serde::de::DeserializeOwned;

use crate::api::claim::SandboxClaim;
use crate::api::gateway::Gateway;
use crate::api::metadata::Metadata;
use crate::api::pod::Pod;
use crate::api::sandbox::Sandbox;
use crate::api::snapshot::{PodSnapshot, RestoredPod, RestoredSandbox, Trigger};
use crate::api::warm_pool::SandboxWarmPool;

/// An object that can be watched: its metadata tells up to which version the watch has come.
pub(in crate::client) trait Followed: DeserializeOwned {
    /// The object's metadata.
    fn metadata(&self) -> &Metadata;
}

/// Objects that can be watched: those that have metadata.
macro_rules! followed {
    ($($object:ty)*) => { $(
        impl $crate::client::cluster::Followed for $object {
            fn metadata(&self) -> &$crate::api::metadata::Metadata {
                &self.metadata
            }
        }
    )* };
}

pub(in crate::client) use followed;

followed!(Gateway Pod PodSnapshot RestoredPod RestoredSandbox Sandbox SandboxClaim SandboxWarmPool Trigger);
