//! One watch: a request that answers with a line per change, until it ends.

use std::marker::PhantomData;
use std::time::Duration;

use http::StatusCode;
use tokio::time::timeout;

use super::answer::{StatusObject, failure};
use super::envelope::{Bookmark, Envelope};
use super::lines::{Lines, LinesEnd};
use super::{Api, Collection, Followed, Selector};
use crate::api::metadata::Metadata;
use crate::client::encode;
use crate::client::error::{BoxError, KubeError, Operation, Verb};

/// How long the API server is asked to keep a watch open.
const SERVER_TIMEOUT: Duration = Duration::from_secs(290);

/// A change to an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Event<T> {
    /// It is new, or has changed.
    Present(T),
    /// It is gone, or no longer matches.
    Gone(T),
    /// Nothing happened up to this version.
    Bookmark,
}

/// Why a watch gives no further events.
#[derive(Debug)]
pub(super) enum WatchEnd {
    /// The version to start from is too old: list again.
    Expired,
    /// The API server ended it, as it does from time to time.
    Complete,
    /// Nothing at all was heard for too long; the connection may be dead.
    Silent,
    /// The connection failed, or what came is not understood.
    Broken(BoxError),
    /// The API server refused.
    Refused(KubeError),
}

/// An open watch.
#[derive(Debug)]
pub(super) struct Watch<T> {
    lines: Lines,
    /// Version of the last event.
    version: String,
    operation: Operation,
    object: PhantomData<fn() -> T>,
}

impl<T: Followed> Watch<T> {
    /// Follows changes after `version`.
    pub(super) async fn open(
        api: &Api,
        of: &Collection,
        selector: Option<&Selector>,
        version: &str,
    ) -> Result<Self, WatchEnd> {
        let operation = of.operation(Verb::Watch, selector.map_or("", Selector::name));
        let mut target = format!(
            "{}?watch=true&allowWatchBookmarks=true&timeoutSeconds={}&resourceVersion={}",
            of.path(),
            SERVER_TIMEOUT.as_secs(),
            encode::component(version)
        );
        if let Some(selector) = selector {
            target = format!("{target}&{}", selector.query());
        }
        let body = match api.stream(&target, &operation).await {
            Ok(body) => body,
            Err(error) => {
                return Err(match error.code() {
                    Some(410) => WatchEnd::Expired,
                    Some(504) if is_too_new(&error) => WatchEnd::Expired,
                    _ => WatchEnd::Refused(error),
                });
            }
        };
        Ok(Self {
            lines: Lines::new(body),
            version: version.to_owned(),
            operation,
            object: PhantomData,
        })
    }

    /// Version from which another watch would continue.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// The next change; `silence` bounds how long nothing may be heard.
    ///
    /// # Cancel safety
    /// Nothing is lost if dropped.
    pub(super) async fn next(&mut self, silence: Duration) -> Result<Event<T>, WatchEnd> {
        let line = match timeout(silence, self.lines.next()).await {
            Err(_) => return Err(WatchEnd::Silent),
            Ok(Err(LinesEnd::Complete)) => return Err(WatchEnd::Complete),
            Ok(Err(LinesEnd::Broken(source))) => return Err(WatchEnd::Broken(source)),
            Ok(Ok(line)) => line,
        };
        self.understand(&line)
    }

    fn understand(&mut self, line: &[u8]) -> Result<Event<T>, WatchEnd> {
        let read = serde_json::from_slice(line);
        let read: Envelope<T> = read.map_err(|error| WatchEnd::Broken(error.into()))?;
        Ok(match read {
            Envelope::Present(object) => {
                self.reach(object.metadata());
                Event::Present(object)
            }
            Envelope::Gone(object) => {
                self.reach(object.metadata());
                Event::Gone(object)
            }
            Envelope::Bookmark(Bookmark { metadata }) => {
                self.reach(&metadata);
                Event::Bookmark
            }
            Envelope::Error(status) => return Err(self.refused(&status)),
        })
    }

    /// All is known up to the version of this object.
    fn reach(&mut self, metadata: &Metadata) {
        if !metadata.resource_version.is_empty() {
            self.version.clone_from(&metadata.resource_version);
        }
    }

    fn refused(&self, status: &StatusObject) -> WatchEnd {
        if status.code == 410 || status.reason == "Expired" || status.reason == "Gone" {
            return WatchEnd::Expired;
        }
        let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let text = serde_json::json!({"reason": status.reason, "message": status.message});
        WatchEnd::Refused(failure(
            code,
            None,
            text.to_string().as_bytes(),
            &self.operation,
        ))
    }
}

/// Whether the API server has not yet reached the version asked for, or lost it.
fn is_too_new(error: &KubeError) -> bool {
    matches!(error, KubeError::Status { message, .. } if message.contains("Too large resource version"))
}
