//! Answers of the API server: their bodies, and their failures in Kubernetes' own words.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::{BodyExt, Limited};
use kube::client::Body;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::client::error::{BoxError, Delivered, KubeError, Operation};

/// Largest answer that is read.
const ANSWER_LIMIT: usize = 256 << 20;
/// Largest part of a failure's text that is kept.
const MESSAGE_LIMIT: usize = 64 << 10;

/// Reads a whole body.
pub(super) async fn collect(body: Body, operation: &Operation) -> Result<Bytes, KubeError> {
    match Limited::new(body, ANSWER_LIMIT).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(source) => Err(KubeError::Transport {
            operation: Box::new(operation.clone()),
            delivered: Delivered::Yes,
            source,
        }),
    }
}

/// Reads an answer as JSON.
pub(super) fn decode<T: DeserializeOwned>(
    body: &[u8],
    operation: Operation,
) -> Result<T, KubeError> {
    serde_json::from_slice(body).map_err(|source| KubeError::Decode {
        operation: Box::new(operation),
        source,
    })
}

/// The failure that kube reports for a request that got no answer.
pub(super) fn transport(error: kube::Error, operation: &Operation) -> KubeError {
    let (delivered, source): (Delivered, BoxError) = match error {
        kube::Error::Service(source) => {
            let unsent = source
                .downcast_ref::<hyper_util::client::legacy::Error>()
                .is_some_and(hyper_util::client::legacy::Error::is_connect);
            let delivered = if unsent {
                Delivered::No
            } else {
                Delivered::Unknown
            };
            (delivered, source)
        }
        error @ (kube::Error::Auth(_) | kube::Error::BuildRequest(_)) => {
            (Delivered::No, error.into())
        }
        error => (Delivered::Unknown, error.into()),
    };
    KubeError::Transport {
        operation: Box::new(operation.clone()),
        delivered,
        source,
    }
}

/// Reason and message of a failure, from its `Status` object if it is one.
pub(super) fn failure(
    status: StatusCode,
    retry_after: Option<Duration>,
    body: &[u8],
    operation: &Operation,
) -> KubeError {
    let parsed: StatusObject = serde_json::from_slice(body).unwrap_or_default();
    let reason = if parsed.reason.is_empty() {
        status.canonical_reason().unwrap_or("").to_owned()
    } else {
        parsed.reason
    };
    let message = if parsed.message.is_empty() {
        let kept = &body[..body.len().min(MESSAGE_LIMIT)];
        String::from_utf8_lossy(kept).trim().to_owned()
    } else {
        parsed.message
    };
    KubeError::Status {
        retry_after,
        operation: Box::new(operation.clone()),
        code: status.as_u16(),
        reason,
        message,
    }
}

/// The part of Kubernetes' `Status` that is of use.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct StatusObject {
    #[serde(deserialize_with = "crate::api::metadata::null_is_default")]
    pub(super) code: u16,
    #[serde(deserialize_with = "crate::api::metadata::null_is_default")]
    pub(super) reason: String,
    #[serde(deserialize_with = "crate::api::metadata::null_is_default")]
    pub(super) message: String,
}
