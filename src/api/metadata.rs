//! Object metadata, as much of it as the client reads and writes.
//!
//! Reading is lenient: a missing or `null` field has its default, an unknown field is ignored,
//! so that a newer or older API server never breaks a client.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

/// Metadata of any Kubernetes object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    /// Name within the namespace.
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub name: String,
    /// Namespace; empty for objects without one.
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub namespace: String,
    /// Identity over time: an object made again under the same name has another one.
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub uid: String,
    /// Version of the last write, opaque.
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub resource_version: String,
    /// Version of the specification, 0 if absent.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "null_is_default")]
    pub generation: i64,
    /// Set once deletion has been asked for (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_timestamp: Option<String>,
    /// When the object was made (RFC 3339, whole seconds).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creation_timestamp: Option<String>,
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
    /// Who owns the object; with its owners gone it is garbage.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "null_is_default"
    )]
    pub owner_references: Vec<OwnerReference>,
}

/// A reference from an object to its owner.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OwnerReference {
    /// API group and version of the owner.
    pub api_version: String,
    /// Kind of the owner.
    pub kind: String,
    /// Name of the owner.
    pub name: String,
    /// UID of the owner.
    pub uid: String,
}

/// A list of objects as the API server answers it.
#[derive(Debug, Clone, Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
pub struct ObjectList<T> {
    /// Version and continuation of the list.
    #[serde(default)]
    pub metadata: ListMetadata,
    /// The objects.
    #[serde(default = "Vec::new", deserialize_with = "null_is_default")]
    pub items: Vec<T>,
}

/// Metadata of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ListMetadata {
    /// Version from which a watch continues.
    #[serde(deserialize_with = "null_is_default")]
    pub resource_version: String,
    /// Token of the next page; empty on the last one.
    #[serde(rename = "continue", deserialize_with = "null_is_default")]
    pub continue_token: String,
}

/// Reads `null` like a missing field.
pub(crate) fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
fn is_zero(value: &i64) -> bool {
    *value == 0
}
