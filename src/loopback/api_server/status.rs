//! [`Refusal`]: an error answer as a Kubernetes `Status` object.

use http::{Response, StatusCode};

use super::super::http::{Body, json as answer, with_type};
use super::super::json::{Value, json};
use super::super::store::{Expired, Kind, StoreError};
use super::object_path::ObjectPath;

/// Why a request is refused.
#[derive(Debug)]
pub(super) struct Refusal {
    code: StatusCode,
    reason: &'static str,
    message: String,
    details: Value,
}

impl Refusal {
    fn new(code: StatusCode, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason,
            message: message.into(),
            details: Value::Null,
        }
    }

    fn about(mut self, kind: &Kind, name: &str) -> Self {
        self.details = json!({ "name": name, "group": kind.group, "kind": kind.plural });
        self
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized")
    }

    pub(super) fn bad_request(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadRequest", message)
    }

    pub(super) fn too_large() -> Self {
        let message = "Request entity too large: limit is 3145728";
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestEntityTooLarge",
            message,
        )
    }

    pub(super) fn unsupported_media_type(message: &str) -> Self {
        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UnsupportedMediaType",
            message,
        )
    }

    pub(super) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
    }

    pub(super) fn no_such_path(path: &str) -> Self {
        // An unknown group is answered in plain text by a real server.
        let known = super::super::store::KINDS.iter().any(|kind| {
            path.starts_with(&format!("/apis/{}/", kind.group)) || path.starts_with("/api/v1/")
        });
        let reason = if known { "NotFound" } else { "" };
        Self::new(
            StatusCode::NOT_FOUND,
            reason,
            "the server could not find the requested resource",
        )
    }

    pub(super) fn not_found(target: &ObjectPath) -> Self {
        let message = format!("{} \"{}\" not found", target.kind.resource(), target.name);
        Self::new(StatusCode::NOT_FOUND, "NotFound", message).about(target.kind, &target.name)
    }

    pub(super) fn expired(expired: Expired) -> Self {
        Self::new(StatusCode::GONE, "Expired", expired.to_string())
    }

    /// A list is asked for as it will be later.
    pub(super) fn too_new(wanted: u64, current: u64) -> Self {
        let text = "Too large resource version";
        let mut refusal = Self::new(
            StatusCode::GATEWAY_TIMEOUT,
            "Timeout",
            format!("{text}: {wanted}, current: {current}"),
        );
        refusal.details = json!({
            "causes": [{ "reason": "ResourceVersionTooLarge", "message": text }],
            "retryAfterSeconds": 1,
        });
        refusal
    }

    /// An object that breaks a rule of its kind.
    pub(super) fn invalid(target: &ObjectPath, field: &str, message: &str) -> Self {
        Self::invalid_object(target.kind, &target.name, field, message)
    }

    pub(super) fn invalid_object(kind: &Kind, name: &str, field: &str, message: &str) -> Self {
        let resource = if kind.group.is_empty() {
            kind.kind.to_owned()
        } else {
            format!("{}.{}", kind.kind, kind.group)
        };
        let text = format!("{resource} \"{name}\" is invalid: {field}: {message}");
        let mut refusal = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "Invalid", text);
        refusal.details = json!({
            "name": name, "group": kind.group, "kind": kind.kind,
            "causes": [{ "reason": "FieldValueInvalid", "message": message, "field": field }],
        });
        refusal
    }

    /// What the store says about a write.
    pub(super) fn from_store(
        error: &StoreError,
        target: &ObjectPath,
        object: Option<&Value>,
    ) -> Self {
        let name = object
            .and_then(|object| object["metadata"]["name"].as_str())
            .unwrap_or(&target.name)
            .to_owned();
        let resource = target.kind.resource();
        let (code, reason, message) = match error {
            StoreError::NotFound => return Self::not_found(target),
            StoreError::AlreadyExists => (
                StatusCode::CONFLICT,
                "AlreadyExists",
                format!("{resource} \"{name}\" already exists"),
            ),
            StoreError::NoNamespace(namespace) => {
                let message = format!("namespaces \"{namespace}\" not found");
                let mut refusal = Self::new(StatusCode::NOT_FOUND, "NotFound", message);
                refusal.details = json!({ "name": namespace, "kind": "namespaces" });
                return refusal;
            }
            StoreError::Conflict | StoreError::Precondition { .. } => (
                StatusCode::CONFLICT,
                "Conflict",
                format!("Operation cannot be fulfilled on {resource} \"{name}\": {error}"),
            ),
            StoreError::BadRequest(message) => return Self::bad_request(message),
            StoreError::Invalid { field, message } => {
                return Self::invalid_object(target.kind, &name, field, message);
            }
        };
        Self::new(code, reason, message).about(target.kind, &name)
    }

    /// The `Status` object.
    pub(super) fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code.as_u16(),
        });
        if !self.details.is_null() {
            status["details"] = self.details.clone();
        }
        status
    }

    pub(super) fn into_response(self) -> Response<Body> {
        if self.reason.is_empty() {
            return with_type(
                self.code,
                "text/plain; charset=utf-8",
                "404 page not found\n",
            );
        }
        answer(self.code, &self.status())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_from_the_future_is_refused_in_kubernetes_words() {
        let status = Refusal::too_new(9, 5).status();
        assert_eq!(status["code"], 504);
        assert_eq!(status["reason"], "Timeout");
        assert_eq!(
            status["message"],
            "Too large resource version: 9, current: 5"
        );
        let cause = &status["details"]["causes"][0]["reason"];
        assert_eq!(cause, "ResourceVersionTooLarge");
    }
}
