//! The patch formats: merge patch, JSON patch, strategic merge and server-side apply.

use std::sync::Arc;

use http::HeaderMap;
use http::header::CONTENT_TYPE;

use super::super::json::{Value, json};
use super::super::store::Kind as ObjectKind;
use super::status::Refusal;

/// A patch format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Merge,
    Json,
    /// On built-in kinds only; merged like a merge patch, lists by name where their items have one.
    Strategic,
    Apply,
}

impl Kind {
    /// The format that a request's content type names.
    pub(super) fn of(headers: &HeaderMap, kind: &ObjectKind) -> Result<Self, Refusal> {
        let content_type = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let content_type = content_type
            .unwrap_or_default()
            .split(';')
            .next()
            .unwrap_or_default();
        match content_type.trim() {
            "application/merge-patch+json" => Ok(Self::Merge),
            "application/json-patch+json" => Ok(Self::Json),
            "application/strategic-merge-patch+json" if !kind.is_custom() => Ok(Self::Strategic),
            "application/apply-patch+yaml" | "application/apply-patch+json" => Ok(Self::Apply),
            other => Err(Refusal::unsupported_media_type(&format!(
                "the body of the request was in an unknown format - accepted media types include: \
                 application/json-patch+json, application/merge-patch+json, \
                 application/apply-patch+yaml (not {other:?})"
            ))),
        }
    }

    /// Applies a patch to an object.
    pub(super) fn apply(self, stored: &mut Value, patch: &Value) -> Result<(), Refusal> {
        match self {
            Self::Merge | Self::Apply => merge(stored, patch),
            Self::Strategic => strategic(stored, patch),
            Self::Json => {
                let operations: json_patch::Patch = serde_json::from_value(patch.into())
                    .map_err(|error| Refusal::bad_request(&format!("not a JSON patch: {error}")))?;
                let mut patched = serde_json::Value::from(&*stored);
                json_patch::patch(&mut patched, &operations)
                    .map_err(|error| Refusal::bad_request(&error.to_string()))?;
                *stored = patched.into();
            }
        }
        Ok(())
    }
}

/// Merges a patch as RFC 7386 has it.
pub(super) fn merge(stored: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        *stored = patch.clone();
        return;
    };
    if !stored.is_object() {
        *stored = json!({});
    }
    let Some(stored) = stored.as_object_mut() else {
        return;
    };
    for (key, value) in patch {
        if value.is_null() {
            stored.remove(key);
        } else {
            merge(stored.get_or_insert_null(key), value);
        }
    }
}

fn strategic(stored: &mut Value, patch: &Value) {
    match (stored, patch) {
        (Value::Object(stored), Value::Object(patch)) => {
            let stored = Arc::make_mut(stored);
            for (key, value) in patch.iter() {
                if key.starts_with('$') {
                    continue;
                }
                if value.is_null() {
                    stored.remove(key);
                } else {
                    strategic(stored.get_or_insert_null(key), value);
                }
            }
        }
        (Value::Array(stored), Value::Array(patch))
            if patch.iter().all(|item| item.get("name").is_some()) =>
        {
            let stored = Arc::make_mut(stored);
            for item in patch.iter() {
                match stored
                    .iter_mut()
                    .find(|known| known["name"] == item["name"])
                {
                    Some(known) => strategic(known, item),
                    None => stored.push(item.clone()),
                }
            }
        }
        (stored, patch) => {
            let mut fresh = if patch.is_object() {
                json!({})
            } else {
                patch.clone()
            };
            if patch.is_object() {
                strategic(&mut fresh, patch);
            }
            *stored = fresh;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_changes_what_it_says() {
        let object = || json!({ "a": { "b": 1, "c": 2 }, "list": [{ "name": "x", "v": 1 }] });
        let mut merged = object();
        Kind::Merge
            .apply(&mut merged, &json!({ "a": { "b": null }, "list": [] }))
            .unwrap();
        assert_eq!(merged, json!({ "a": { "c": 2 }, "list": [] }));
        let mut strategic = object();
        let patch = json!({ "list": [{ "name": "x", "w": 2 }, { "name": "y" }] });
        Kind::Strategic.apply(&mut strategic, &patch).unwrap();
        assert_eq!(
            strategic["list"],
            json!([{ "name": "x", "v": 1, "w": 2 }, { "name": "y" }])
        );
        let mut patched = object();
        let patch = json!([{ "op": "replace", "path": "/a/b", "value": 7 }]);
        Kind::Json.apply(&mut patched, &patch).unwrap();
        assert_eq!(patched["a"]["b"], 7);
        assert!(
            Kind::Json
                .apply(&mut patched, &json!({ "no": "patch" }))
                .is_err()
        );
    }
}
