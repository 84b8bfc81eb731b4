//! `Sandbox`: the thing that runs, one Pod behind a stable name.
//!
//! The client only reads it. Source: the custom resource definitions of
//! kubernetes-sigs/agent-sandbox, `v1alpha1` and `v1beta1`.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::annotation;
use super::claim::{PodIp, VolumeClaimTemplate, addresses};
use super::condition::Condition;
use super::metadata::{Metadata, null_is_default};

/// A sandbox.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Sandbox {
    /// Name, UID, labels and so on.
    pub metadata: Metadata,
    /// What is wanted, as far as the client looks at it.
    pub spec: SandboxSpec,
    /// What is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<SandboxStatus>,
}

/// What a sandbox is to be, as far as the client looks at it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SandboxSpec {
    /// Its volumes: the template's, then the claim's.
    #[serde(deserialize_with = "null_is_default")]
    pub volume_claim_templates: Vec<VolumeClaimTemplate>,
}

/// What has become of a sandbox.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SandboxStatus {
    /// Conditions: `Ready`, `Suspended`, `PodScheduled`, `Finished`.
    #[serde(deserialize_with = "null_is_default")]
    pub conditions: Vec<Condition>,
    /// Addresses of its Pod; empty while there is none.
    #[serde(rename = "podIPs", deserialize_with = "null_is_default")]
    pub pod_ips: Vec<PodIp>,
    /// Cluster name of its Service; empty if it has no Service.
    #[serde(rename = "serviceFQDN", deserialize_with = "null_is_default")]
    pub service_fqdn: String,
    /// How many Pods it has, 0 or 1; only in `v1alpha1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i64>,
    /// Label selector of its Pod.
    #[serde(deserialize_with = "null_is_default")]
    pub selector: String,
}

impl Sandbox {
    /// Addresses of its Pod, IPv4 first.
    pub fn pod_ips(&self) -> Vec<IpAddr> {
        self.status
            .as_ref()
            .map(|status| addresses(&status.pod_ips))
            .unwrap_or_default()
    }

    /// Name of its Pod: the annotation, or else its own name.
    pub fn pod_name(&self) -> &str {
        self.metadata
            .annotations
            .get(annotation::POD_NAME)
            .filter(|name| !name.is_empty())
            .unwrap_or(&self.metadata.name)
    }

    /// Cluster name of its Service, if it has one.
    pub fn service_fqdn(&self) -> Option<&str> {
        let name = self.status.as_ref()?.service_fqdn.as_str();
        (!name.is_empty()).then_some(name)
    }
}
