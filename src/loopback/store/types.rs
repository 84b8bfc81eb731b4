//! The words of the store: what a write or delete asks for, and how it ends.

use std::sync::Arc;

use super::object::Object;

/// What part of an object a write may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    /// Everything but the status, where the kind has a status subresource.
    Main,
    /// The status only.
    Status,
}

/// What happens to the dependents of a deleted object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Propagation {
    /// The object goes at once, its dependents follow.
    #[default]
    Background,
    /// The dependents go first; until then the object lingers.
    Foreground,
    /// The dependents stay, without an owner.
    Orphan,
}

/// What a delete asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeleteOptions {
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
    pub(crate) propagation: Propagation,
    pub(crate) grace_seconds: Option<u64>,
}

/// How a delete ended.
#[derive(Debug, Clone)]
pub(crate) enum Deleted {
    /// The object is gone; this was its last content.
    Gone(Arc<Object>),
    /// It lingers: a finalizer or a pod's grace period.
    Lingering(Arc<Object>),
}

/// Why a write was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("not found")]
    NotFound,
    #[error("already exists")]
    AlreadyExists,
    #[error("namespace `{0}` not found")]
    NoNamespace(String),
    #[error(
        "the object has been modified; please apply your changes to the latest version and try again"
    )]
    Conflict,
    #[error("Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}")]
    Precondition { wanted: String, found: String },
    #[error("{0}")]
    BadRequest(String),
    #[error("{message}")]
    Invalid { field: String, message: String },
}

/// Where an object stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) kind: &'static str,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// An owner went, or asks for its dependents to go first.
#[derive(Debug, Clone)]
pub(crate) struct Orphaned {
    pub(crate) uid: String,
    pub(crate) key: Key,
}
