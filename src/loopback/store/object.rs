//! [`Object`]: one version of an object, and the rules of its metadata.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use rand::RngExt;

use super::super::json::{Map, Value, Word, json};
use super::kinds::{Kind, Scope, Subresource};
use super::{DeleteOptions, Part, Propagation, StoreError};

/// One version of an object. Never changes; its JSON text is made when first asked for, and kept until it is
/// [forgotten](Self::forget_text).
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) kind: &'static Kind,
    /// All of it but the resource version, so that versions share the metadata that stays the same.
    pub(crate) value: Value,
    /// Its resource version.
    pub(crate) version: u64,
    text: Mutex<Option<Bytes>>,
}

impl Object {
    pub(super) fn new(kind: &'static Kind, value: Value, version: u64) -> Self {
        Self {
            kind,
            value,
            version,
            text: Mutex::default(),
        }
    }

    /// The same content under a later version: how a watcher sees an object leave its view.
    pub(crate) fn at_version(&self, version: u64) -> Self {
        Self::new(self.kind, self.value.clone(), version)
    }

    /// The object as its readers see it: with its resource version.
    pub(crate) fn shown(&self) -> Value {
        let mut value = self.value.clone();
        value["metadata"]["resourceVersion"] = json!(self.version.to_string());
        value
    }

    pub(crate) fn namespace(&self) -> &str {
        self.value["metadata"]["namespace"]
            .as_str()
            .unwrap_or_default()
    }

    pub(crate) fn name(&self) -> &str {
        self.value["metadata"]["name"].as_str().unwrap_or_default()
    }

    pub(crate) fn uid(&self) -> &str {
        self.value["metadata"]["uid"].as_str().unwrap_or_default()
    }

    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        self.value["metadata"]["labels"][key].as_str()
    }

    pub(crate) fn annotation(&self, key: &str) -> Option<&str> {
        self.value["metadata"]["annotations"][key].as_str()
    }

    pub(crate) fn is_deleting(&self) -> bool {
        self.value["metadata"]["deletionTimestamp"].is_string()
    }

    /// Its owner references; null if it has none.
    pub(super) fn owners(&self) -> &Value {
        &self.value["metadata"]["ownerReferences"]
    }

    /// The UIDs of all owners.
    pub(super) fn owner_uids(&self) -> impl Iterator<Item = &str> {
        let owners = self.owners().as_array();
        owners
            .into_iter()
            .flatten()
            .filter_map(|owner| owner["uid"].as_str())
    }

    /// The owner with `controller: true`.
    pub(crate) fn controller(&self) -> Option<&Value> {
        let owners = self.owners().as_array()?;
        owners.iter().find(|owner| owner["controller"] == true)
    }

    /// Whether the object's controller is the one with this UID.
    pub(crate) fn is_controlled_by(&self, uid: &str) -> bool {
        self.controller().is_some_and(|owner| owner["uid"] == uid)
    }

    /// The object as JSON text.
    pub(crate) fn text(&self) -> Bytes {
        let mut text = self.text.lock().unwrap_or_else(PoisonError::into_inner);
        text.get_or_insert_with(|| self.shown().text()).clone()
    }

    /// Gives back the memory of the text, which is made anew for who asks once more.
    pub(super) fn forget_text(&self) {
        *self.text.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Now, as Kubernetes writes times in metadata: whole seconds, UTC.
pub(crate) fn now_seconds() -> String {
    let now = jiff::Timestamp::now();
    jiff::Timestamp::from_second(now.as_second())
        .unwrap_or(now)
        .to_string()
}

/// Now as Kubernetes' `MicroTime` writes it: exactly six digits after the point.
pub(crate) fn now_micros() -> String {
    format!("{:.6}", jiff::Timestamp::now())
}

/// Now with nanoseconds, as the controllers' annotations have it.
pub(crate) fn now_rfc3339() -> String {
    jiff::Timestamp::now().to_string()
}

/// The alphabet of generated name suffixes (upstream's, without vowels and look-alikes).
const SUFFIX_ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// How often a name is generated until one is free. Source: the API server's `RetryGenerateName`.
const NAME_ATTEMPTS: usize = 8;

/// Gives a new object what the server adds, and refuses what it cannot have.
pub(super) fn prepare(
    (kind, namespace): (&'static Kind, &str),
    value: &mut Value,
    is_taken: impl Fn(&str) -> bool,
) -> Result<(), StoreError> {
    let Some(object) = value.as_object_mut() else {
        return Err(StoreError::BadRequest(
            "the object is not a JSON object".to_owned(),
        ));
    };
    object.insert("apiVersion", json!(kind.api_version()));
    object.insert("kind", json!(kind.kind));
    if kind.status == Subresource::Yes {
        object.remove("status");
    }
    if !object.contains_key("metadata") {
        object.insert("metadata", json!({}));
    }
    let metadata = object.get_mut("metadata");
    let Some(metadata) = metadata.and_then(Value::as_object_mut) else {
        return Err(StoreError::BadRequest(
            "`metadata` is not a JSON object".to_owned(),
        ));
    };
    if metadata
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .is_empty()
    {
        let base = metadata
            .get("generateName")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if base.is_empty() {
            return Err(StoreError::Invalid {
                field: "metadata.name".to_owned(),
                message: "Required value: name or generateName is required".to_owned(),
            });
        }
        let name = free_name(base, is_taken).ok_or(StoreError::AlreadyExists)?;
        metadata.insert("name", json!(name));
    }
    check_name(metadata)?;
    if kind.scope == Scope::Namespaced {
        metadata.insert("namespace", json!(namespace));
    } else {
        metadata.remove("namespace");
    }
    metadata.insert("uid", json!(uuid::Uuid::new_v4().to_string()));
    metadata.insert("creationTimestamp", json!(now_seconds()));
    metadata.insert("generation", json!(1));
    for dropped in [
        "resourceVersion",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "managedFields",
    ] {
        metadata.remove(dropped);
    }
    Ok(())
}

/// A name with this base that nobody has; `None` if none was found in as many attempts as an API server makes.
pub(super) fn free_name(base: &str, is_taken: impl Fn(&str) -> bool) -> Option<String> {
    let base: String = base.chars().take(58).collect();
    let mut rng = rand::rng();
    let mut generate = || -> String {
        let suffix =
            (0..5).map(|_| char::from(SUFFIX_ALPHABET[rng.random_range(0..SUFFIX_ALPHABET.len())]));
        base.chars().chain(suffix).collect()
    };
    (0..NAME_ATTEMPTS)
        .map(|_| generate())
        .find(|name| !is_taken(name))
}

fn check_name(metadata: &Map) -> Result<(), StoreError> {
    let name = metadata
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let valid = name.len() <= 253
        && edge(name.chars().next())
        && edge(name.chars().last())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b));
    if valid {
        return Ok(());
    }
    Err(StoreError::Invalid {
        field: "metadata.name".to_owned(),
        message: format!(
            "Invalid value: {name:?}: a lowercase RFC 1123 subdomain must consist of lower case \
             alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character"
        ),
    })
}

/// Refuses a write whose resource version or UID is not the stored one.
pub(super) fn check_preconditions(old: &Object, new: &Value) -> Result<(), StoreError> {
    let wanted = |field: &str| {
        let wanted = new["metadata"][field].as_str();
        wanted.filter(|wanted| !wanted.is_empty())
    };
    if wanted("resourceVersion").is_some_and(|version| version != old.version.to_string()) {
        return Err(StoreError::Conflict);
    }
    match wanted("uid") {
        Some(uid) if uid != old.uid() => Err(StoreError::Precondition {
            wanted: uid.to_owned(),
            found: old.uid().to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Puts back what a write to this part may not change.
pub(super) fn keep_protected(kind: &'static Kind, old: &Value, new: &mut Value, part: Part) {
    if part == Part::Status {
        let status = new.get("status").cloned().unwrap_or_default();
        *new = old.clone();
        if status.is_null() {
            new.as_object_mut().map(|object| object.remove("status"));
        } else {
            new["status"] = status;
        }
        return;
    }
    if kind.status == Subresource::Yes {
        match old.get("status") {
            Some(status) => new["status"] = status.clone(),
            None => {
                new.as_object_mut().map(|object| object.remove("status"));
            }
        }
    }
    for field in ["apiVersion", "kind"] {
        new[field] = old[field].clone();
    }
    if new["metadata"] != old["metadata"] {
        keep_metadata(&old["metadata"], &mut new["metadata"]);
    }
}

/// Puts back what a write may not change of the metadata.
fn keep_metadata(kept: &Value, metadata: &mut Value) {
    for field in [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "generation",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generateName",
    ] {
        match kept.get(field) {
            Some(value) => metadata[field] = value.clone(),
            None => {
                metadata.as_object_mut().map(|all| all.remove(field));
            }
        }
    }
    if let Some(metadata) = metadata.as_object_mut() {
        metadata.remove("resourceVersion");
        metadata.remove("managedFields");
        // An empty map and no map are the same to a reader.
        metadata.retain(|_, value| !is_bare(value));
    }
}

/// Null, or without members or items.
fn is_bare(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(all) => all.is_empty(),
        _ => false,
    }
}

/// Whether anything outside metadata and status differs.
pub(super) fn spec_changed(old: &Value, new: &Value) -> bool {
    let (Some(old), Some(new)) = (old.as_object(), new.as_object()) else {
        return true;
    };
    let spec = |(key, _): &&(Word, Value)| *key != "metadata" && *key != "status";
    !old.iter().filter(spec).eq(new.iter().filter(spec))
}

/// The grace period that a delete gives; `None` when the object goes at once.
pub(super) fn grace(kind: &'static Kind, value: &Value, options: &DeleteOptions) -> Option<u64> {
    if kind.kind != "Pod"
        || value["spec"]["nodeName"]
            .as_str()
            .unwrap_or_default()
            .is_empty()
    {
        return None;
    }
    let default = value["spec"]["terminationGracePeriodSeconds"]
        .as_u64()
        .unwrap_or(30);
    Some(options.grace_seconds.unwrap_or(default))
}

/// Marks an object for deletion.
pub(super) fn mark_deleted(value: &mut Value, grace: Option<u64>, propagation: Propagation) {
    let metadata = &mut value["metadata"];
    metadata["deletionTimestamp"] = json!(now_seconds());
    metadata["deletionGracePeriodSeconds"] = json!(grace.unwrap_or(0));
    if propagation == Propagation::Foreground {
        let mut finalizers = metadata["finalizers"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        finalizers.push(json!("foregroundDeletion"));
        metadata["finalizers"] = json!(finalizers);
    }
}
