//! `SandboxClaim`: what a client creates to get a sandbox.
//!
//! One set of types serves `v1alpha1` (`spec.sandboxTemplateRef`) and `v1beta1`
//! (`spec.warmPoolRef`). Source: the custom resource definitions of kubernetes-sigs/agent-sandbox.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::condition::{Condition, READY, find};
use super::metadata::{Metadata, null_is_default};

/// A claim.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SandboxClaim {
    /// Name, UID, labels and so on.
    pub metadata: Metadata,
    /// What is wanted.
    pub spec: ClaimSpec,
    /// What is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<ClaimStatus>,
}

/// What a claim asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimSpec {
    /// `v1alpha1`: the template to use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox_template_ref: Option<NameRef>,
    /// `v1alpha1`: `default`, `none` (never adopt) or the name of a pool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warmpool: Option<String>,
    /// `v1beta1`: the pool to take a sandbox from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warm_pool_ref: Option<NameRef>,
    /// When the claim ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<Lifecycle>,
    /// `v1beta1`: volumes of the claim's own. Forces a cold start.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub volume_claim_templates: Vec<VolumeClaimTemplate>,
    /// Labels and annotations of the Pod's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub additional_pod_metadata: Option<PodMetadata>,
    /// Environment variables of the claim's own. Forces a cold start.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub env: Vec<EnvVar>,
}

/// What a claim adds to the metadata of its Pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PodMetadata {
    /// Labels, by key.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub labels: BTreeMap<String, String>,
    /// Annotations, by key.
    #[serde(
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub annotations: BTreeMap<String, String>,
}

/// An environment variable of a claim.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EnvVar {
    /// Its name.
    pub name: String,
    /// Its value.
    #[serde(deserialize_with = "null_is_default")]
    pub value: String,
    /// Which container gets it; the controller's choice if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_name: Option<String>,
}

/// A volume that a sandbox gets of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VolumeClaimTemplate {
    /// Its name; the `PersistentVolumeClaim` is called `<name>-<sandbox>`.
    pub metadata: NameRef,
    /// The `PersistentVolumeClaim`'s spec.
    pub spec: serde_json::Value,
}

/// A reference by name to an object in the same namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NameRef {
    /// The name.
    pub name: String,
}

/// When and how a claim ends by itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Lifecycle {
    /// RFC 3339, whole seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shutdown_time: Option<String>,
    /// `Delete`, `DeleteForeground` or `Retain` (the controller's default).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shutdown_policy: Option<String>,
    /// Seconds after the end until the claim is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_seconds_after_finished: Option<i64>,
}

/// What has become of a claim.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ClaimStatus {
    /// Conditions; `Ready` is a copy of the bound Sandbox's.
    #[serde(deserialize_with = "null_is_default")]
    pub conditions: Vec<Condition>,
    /// The bound Sandbox.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<BoundSandbox>,
}

/// The Sandbox that a claim is bound to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BoundSandbox {
    /// Its name. Controllers older than 0.3 wrote `Name`.
    #[serde(alias = "Name", deserialize_with = "null_is_default")]
    pub name: String,
    /// Addresses of its Pod, as far as known.
    #[serde(rename = "podIPs", deserialize_with = "null_is_default")]
    pub pod_ips: Vec<PodIp>,
}

/// An address of a Pod: plain text, or an object with the field `ip`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PodIp {
    /// `"10.0.0.5"`
    Text(String),
    /// `{"ip": "10.0.0.5"}`
    Object {
        /// The address.
        ip: String,
    },
}

impl PodIp {
    /// The address, if it is one. An IPv4 address written as IPv6 is given as IPv4.
    pub fn address(&self) -> Option<IpAddr> {
        let (Self::Text(text) | Self::Object { ip: text }) = self;
        let address: IpAddr = text.trim().parse().ok()?;
        Some(address.to_canonical())
    }
}

/// The valid addresses of a list, IPv4 before IPv6 and otherwise in their order.
pub fn addresses(list: &[PodIp]) -> Vec<IpAddr> {
    let mut found: Vec<IpAddr> = list.iter().filter_map(PodIp::address).collect();
    found.sort_by_key(IpAddr::is_ipv6);
    found
}

impl SandboxClaim {
    /// The conditions, empty if there is no status yet.
    pub fn conditions(&self) -> &[Condition] {
        self.status
            .as_ref()
            .map_or(&[], |status| status.conditions.as_slice())
    }

    /// The `Ready` condition.
    pub fn ready(&self) -> Option<&Condition> {
        find(self.conditions(), READY)
    }

    /// Name of the bound Sandbox, if there is one.
    pub fn sandbox_name(&self) -> Option<&str> {
        let name = self.status.as_ref()?.sandbox.as_ref()?.name.as_str();
        (!name.is_empty()).then_some(name)
    }

    /// Addresses of the bound Sandbox's Pod, as far as the claim tells them.
    pub fn pod_ips(&self) -> Vec<IpAddr> {
        self.status
            .as_ref()
            .and_then(|status| status.sandbox.as_ref())
            .map(|sandbox| addresses(&sandbox.pod_ips))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_with_unknown_and_null_fields_is_read() {
        let claim: SandboxClaim = serde_json::from_str(
            r#"{"apiVersion":"x","kind":"SandboxClaim","metadata":{"name":"a","labels":null,"new":1},
               "spec":{"warmPoolRef":{"name":"p"},"more":[]},
               "status":{"conditions":[{"type":"Ready","status":"True","reason":null}],
                         "sandbox":{"Name":"s","podIPs":["bad","fd00::1",{"ip":"::ffff:10.0.0.5"}]}}}"#,
        )
        .expect("lenient");
        assert_eq!(claim.sandbox_name(), Some("s"));
        assert!(claim.ready().is_some_and(Condition::is_true));
        assert_eq!(
            claim.pod_ips(),
            [
                "10.0.0.5".parse::<IpAddr>().expect("address"),
                "fd00::1".parse().expect("address")
            ]
        );
    }

    #[test]
    fn a_claim_without_status_is_unbound() {
        let claim: SandboxClaim = serde_json::from_str(r#"{"metadata":{"name":"a"}}"#).expect("ok");
        assert_eq!(claim.sandbox_name(), None);
        assert_eq!(claim.ready(), None);
    }
}
