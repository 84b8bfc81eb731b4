//! [`Answer`]: what a call gives, read up to a limit.

use bytes::{Bytes, BytesMut};
use http::header::HeaderValue;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use serde::de::DeserializeOwned;

use super::operation::Operation;
use crate::client::error::CallError;

/// How much of a failure's body is kept.
pub(super) const FAILURE_LIMIT: usize = 64 << 10;

/// A successful answer.
#[derive(Debug)]
pub(in crate::client) struct Answer {
    /// Value of the header `Content-Type`.
    pub(in crate::client) content_type: Option<HeaderValue>,
    pub(in crate::client) body: Bytes,
}

/// Reads an answer as JSON.
pub(in crate::client) fn decode<T: DeserializeOwned>(
    answer: &Bytes,
    operation: Operation<'_>,
) -> Result<T, CallError> {
    serde_json::from_slice(answer).map_err(|source| CallError::Decode {
        operation: operation.to_string(),
        body: answer.slice(..answer.len().min(FAILURE_LIMIT)),
        source,
    })
}

/// Whether a body was read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    Yes,
    No,
}

/// Reads a body up to a limit.
pub(super) async fn read(mut body: Incoming, limit: u64) -> Result<(Bytes, Whole), hyper::Error> {
    let room = |length: usize| limit.saturating_sub(length as u64);
    let announced = body.size_hint().lower();
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        let have = first.len() + rest.len();
        if data.len() as u64 > room(have) {
            let fits = usize::try_from(room(have)).unwrap_or(usize::MAX);
            rest.extend_from_slice(&first);
            rest.extend_from_slice(&data[..fits.min(data.len())]);
            return Ok((rest.freeze(), Whole::No));
        }
        if have == 0 {
            first = data;
        } else {
            if rest.is_empty() {
                let expected = announced.min(limit).max(first.len() as u64 * 2);
                rest.reserve(usize::try_from(expected).unwrap_or(0));
                rest.extend_from_slice(&std::mem::take(&mut first));
            }
            rest.extend_from_slice(&data);
        }
    }
    let content = if rest.is_empty() {
        first
    } else {
        rest.freeze()
    };
    Ok((content, Whole::Yes))
}
