//! [`View`]: a kind in one of the versions in which it is served.

use bytes::Bytes;

use super::super::conversion;
use super::super::json::Value;
use super::super::store::{Column, Kind, Object, Subresource};
use super::request::Query;
use super::status::Refusal;
use super::validate;
use crate::api::ApiVersion;

/// How a request sees the objects of a kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    pub(super) kind: &'static Kind,
    /// As it stands in the URL.
    pub(super) version: &'static str,
}

impl View {
    /// Whether objects are converted on their way in and out.
    pub(super) fn is_old(self) -> bool {
        self.version == ApiVersion::V1Alpha1.as_str()
    }

    /// `group/version`, or `v1`.
    pub(super) fn api_version(self) -> String {
        if self.kind.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.kind.group, self.version)
        }
    }

    /// The JSON text of an object.
    pub(super) fn text(self, object: &Object) -> Bytes {
        if self.is_old() {
            self.value(object).text()
        } else {
            object.text()
        }
    }

    /// An object as this view shows it.
    pub(super) fn value(self, object: &Object) -> Value {
        let mut value = object.shown();
        self.show(&mut value);
        value
    }

    /// Makes a stored object one of this view.
    pub(super) fn show(self, value: &mut Value) {
        if self.is_old() {
            conversion::down(self.kind, value);
        }
    }

    /// Makes an object of this view, with its rules checked, one that can be stored.
    pub(super) fn take_in(self, value: &mut Value, query: &Query) -> Result<(), Refusal> {
        if self.is_old() {
            validate::old_object(self.kind, value, query)?;
            conversion::up(self.kind, value);
        }
        Ok(())
    }

    /// The columns that `kubectl get` prints after the name.
    pub(super) fn columns(self) -> &'static [Column] {
        let all = self.kind.columns;
        if self.is_old() && ["Sandbox", "SandboxClaim"].contains(&self.kind.kind) {
            let age = all.iter().position(|column| column.source == "age");
            age.map_or(all, |at| &all[at..=at])
        } else {
            all
        }
    }

    /// Whether there is this subresource.
    pub(super) fn has_subresource(self, name: &str) -> bool {
        match name {
            "status" => self.kind.status == Subresource::Yes,
            "scale" => {
                self.kind.kind == "SandboxWarmPool"
                    || (self.is_old() && self.kind.kind == "Sandbox")
            }
            "portforward" | "log" => self.kind.kind == "Pod",
            _ => false,
        }
    }
}
