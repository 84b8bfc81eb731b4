//! Changing an object: one merge patch (RFC 7386).

use http::{HeaderValue, Method, header};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::answer::decode;
use super::api::with_body;
use super::{Api, Collection};
use crate::client::error::{KubeError, Verb};

impl Api {
    /// Changes an object, and gives it as it is then.
    pub(in crate::client) async fn merge_patch<T: DeserializeOwned>(
        &self,
        of: &Collection,
        name: &str,
        patch: &Value,
    ) -> Result<T, KubeError> {
        let operation = of.operation(Verb::Patch, name);
        let body = patch.to_string().into_bytes();
        let mut request = with_body(Method::PATCH, &of.object_path(name), body);
        let kind = HeaderValue::from_static("application/merge-patch+json");
        request.headers_mut().insert(header::CONTENT_TYPE, kind);
        let body = self.answer(request, &operation).await?;
        decode(&body, operation)
    }
}
