//! The query of a request.

use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::super::store::{FieldSelector, Kind, LabelSelector, Selector};
use super::status::Refusal;

/// The decoded query parameters, in order.
#[derive(Debug, Clone)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(text: &str) -> Self {
        let decode = |text: &str| {
            percent_decode_str(&text.replace('+', " "))
                .decode_utf8_lossy()
                .into_owned()
        };
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        });
        Self(pairs.collect())
    }

    pub(super) fn value(&self, name: &str) -> Option<String> {
        self.0
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| value.clone())
    }

    /// Every value of a repeated parameter.
    pub(super) fn values(&self, name: &str) -> Vec<String> {
        self.0
            .iter()
            .filter(|(found, _)| found == name)
            .map(|(_, value)| value.clone())
            .collect()
    }

    fn is_set(&self, name: &str) -> bool {
        self.value(name)
            .is_some_and(|value| !["", "0", "false"].contains(&value.to_lowercase().as_str()))
    }

    pub(super) fn is_watch(&self) -> bool {
        self.is_set("watch")
    }

    pub(super) fn wants_bookmarks(&self) -> bool {
        self.is_set("allowWatchBookmarks")
    }

    pub(super) fn wants_initial_events(&self) -> bool {
        self.is_set("sendInitialEvents")
    }

    pub(super) fn is_dry_run(&self) -> bool {
        self.value("dryRun").is_some_and(|value| value == "All")
    }

    pub(super) fn is_strict(&self) -> bool {
        self.value("fieldValidation")
            .is_some_and(|value| value == "Strict")
    }

    /// How long a watch may last.
    pub(super) fn timeout(&self) -> Option<Duration> {
        self.value("timeoutSeconds")?
            .parse()
            .ok()
            .map(Duration::from_secs)
    }

    /// The version that a watch starts after; `None`: from the current state on.
    pub(super) fn resource_version(&self) -> Result<Option<u64>, Refusal> {
        match self.value("resourceVersion").as_deref() {
            None | Some("" | "0") => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| {
                Refusal::bad_request(&format!("resourceVersion: Invalid value: {text:?}"))
            }),
        }
    }

    pub(super) fn selector(&self, kind: &Kind) -> Result<Selector, Refusal> {
        let refuse =
            |error: super::super::store::SelectorError| Refusal::bad_request(&error.to_string());
        Ok(Selector {
            labels: LabelSelector::parse(&self.value("labelSelector").unwrap_or_default())
                .map_err(refuse)?,
            fields: FieldSelector::parse(
                kind.kind,
                &self.value("fieldSelector").unwrap_or_default(),
            )
            .map_err(refuse)?,
        })
    }
}
