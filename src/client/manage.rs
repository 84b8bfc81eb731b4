//! Making, reading and deleting objects of any kind, with errors that name it.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::cluster::{Collection, Selector};
use super::core::Client;
use super::delete::Deleted;
use super::error::{KubeError, ManageError};
use super::validate::is_dns_label;
use crate::api::label;

const NAME: &str =
    "it must be 1 to 63 lower-case letters, digits and `-`, with a letter or digit at both ends";

/// A kind of object and where its objects are.
pub(super) struct Kind {
    /// Its name, for example `SandboxWarmPool`.
    pub(super) word: &'static str,
    /// Where its objects are.
    pub(super) of: Collection,
}

/// An object to be made.
pub(super) struct NewObject {
    /// Its name.
    pub(super) name: String,
    /// Its labels, to which the run's is added.
    pub(super) labels: BTreeMap<String, String>,
    /// What it is to be.
    pub(super) spec: Value,
}

impl Kind {
    /// Makes an object.
    pub(super) async fn create<T: DeserializeOwned>(
        &self,
        client: &Client,
        new: NewObject,
    ) -> Result<T, ManageError> {
        let NewObject {
            name,
            mut labels,
            spec,
        } = new;
        check_name(&name)?;
        if let Some(run_id) = client.run_id() {
            labels.insert(label::RUN_ID.to_owned(), run_id.to_owned());
        }
        let resource = &self.of.resource;
        let body = json!({
            "apiVersion": format!("{}/{}", resource.group, resource.version),
            "kind": self.word,
            "metadata": {"name": name, "namespace": self.of.namespace, "labels": labels},
            "spec": spec,
        });
        let body = body.to_string().into_bytes();
        let created = client.api().create(&self.of, &name, body).await;
        created.map_err(|error| {
            let kind = self.word;
            match error.code() {
                Some(409) => ManageError::AlreadyExists { kind, name },
                Some(404) => ManageError::NotInstalled { kind },
                _ => self.failed(&name, error),
            }
        })
    }

    /// Reads an object.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        client: &Client,
        name: &str,
    ) -> Result<T, ManageError> {
        let found = client.api().get(&self.of, name).await;
        found.map_err(|error| self.failed(name, error))
    }

    /// Reads all objects whose labels match.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        client: &Client,
        labels: Option<&str>,
    ) -> Result<Vec<T>, ManageError> {
        let selector = labels.map(|labels| Selector::Labels(labels.to_owned()));
        let listed = client.api().list(&self.of, selector.as_ref()).await;
        match listed {
            Ok(list) => Ok(list.items),
            Err(error) if error.is_not_found() => {
                Err(ManageError::NotInstalled { kind: self.word })
            }
            Err(error) => Err(self.failed("", error)),
        }
    }

    /// Changes an object.
    pub(super) async fn change<T: DeserializeOwned>(
        &self,
        client: &Client,
        name: &str,
        patch: &Value,
    ) -> Result<T, ManageError> {
        let changed = client.api().merge_patch(&self.of, name, patch).await;
        changed.map_err(|error| self.failed(name, error))
    }

    /// Deletes an object.
    pub(super) async fn delete(&self, client: &Client, name: &str) -> Result<Deleted, ManageError> {
        match client.api().delete(&self.of, name, None).await {
            Ok(()) => Ok(Deleted::Accepted),
            Err(error) if error.is_not_found() => Ok(Deleted::NotFound),
            Err(error) => Err(self.failed(name, error)),
        }
    }

    /// The failure of a request about an object.
    pub(super) fn failed(&self, name: &str, error: KubeError) -> ManageError {
        let (kind, name) = (self.word, name.to_owned());
        if error.is_not_found() {
            return ManageError::NotFound { kind, name };
        }
        ManageError::Kube {
            kind,
            name,
            source: Box::new(error),
        }
    }
}

/// Refuses what cannot be a name.
pub(super) fn check_name(name: &str) -> Result<(), ManageError> {
    if is_dns_label(name) {
        return Ok(());
    }
    Err(ManageError::Invalid {
        setting: "name",
        value: name.to_owned(),
        problem: NAME,
    })
}
