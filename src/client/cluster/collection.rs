//! Which objects a request is about: a kind, a namespace, a selector.

use crate::client::encode;
use crate::client::error::{Operation, Verb};

/// A kind of object in URLs and Roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::client) struct Resource {
    /// API group; empty for the core group.
    pub(in crate::client) group: &'static str,
    /// Version of the group.
    pub(in crate::client) version: &'static str,
    /// Plural name.
    pub(in crate::client) plural: &'static str,
}

/// All objects of a kind in a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::client) struct Collection {
    /// The kind.
    pub(in crate::client) resource: Resource,
    /// The namespace.
    pub(in crate::client) namespace: String,
}

impl Resource {
    /// The objects of this kind in a namespace.
    pub(in crate::client) fn of(self, namespace: &str) -> Collection {
        Collection {
            resource: self,
            namespace: namespace.to_owned(),
        }
    }
}

impl Collection {
    /// Path of the collection.
    pub(in crate::client) fn path(&self) -> String {
        let Resource {
            group,
            version,
            plural,
        } = self.resource;
        let root = if group.is_empty() {
            format!("/api/{version}")
        } else {
            format!("/apis/{group}/{version}")
        };
        format!(
            "{root}/namespaces/{}/{plural}",
            encode::component(&self.namespace)
        )
    }

    pub(super) fn object_path(&self, name: &str) -> String {
        format!("{}/{}", self.path(), encode::component(name))
    }

    /// What a request does, for errors.
    pub(in crate::client) fn operation(&self, verb: Verb, name: &str) -> Operation {
        let Resource { group, plural, .. } = self.resource;
        let resource = if group.is_empty() {
            plural.to_owned()
        } else {
            format!("{plural}.{group}")
        };
        Operation {
            verb,
            resource,
            namespace: self.namespace.clone(),
            name: name.to_owned(),
        }
    }
}

/// Which objects of a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::client) enum Selector {
    /// Those with labels that match.
    Labels(String),
    /// The one of this name.
    Name(String),
}

impl Selector {
    /// As a query parameter.
    pub(in crate::client) fn query(&self) -> String {
        match self {
            Self::Labels(labels) => format!("labelSelector={}", encode::component(labels)),
            Self::Name(name) => format!(
                "fieldSelector={}",
                encode::component(&format!("metadata.name={name}"))
            ),
        }
    }

    /// The name, if there is only one.
    pub(in crate::client) fn name(&self) -> &str {
        match self {
            Self::Labels(_) => "",
            Self::Name(name) => name,
        }
    }
}
