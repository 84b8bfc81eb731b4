//! [`Value`]: JSON whose copies share what is the same.
//!
//! A copy costs a count. A change copies the way down to it and nothing beside it, so that the
//! versions of an object share all that did not change, and comparing two of them costs only what
//! differs. Names and rules are those of `serde_json::Value` with its objects in order of insertion.

mod convert;
mod index;
mod macros;
mod map;
mod text;
mod word;

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Number;

pub(crate) use convert::ToJson;
pub(crate) use index::Index;
pub(crate) use macros::json;
pub(crate) use map::Map;
pub(crate) use word::Word;

/// A JSON value. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) enum Value {
    #[default]
    Null,
    Bool(bool),
    Number(Number),
    String(Word),
    Array(Arc<Vec<Self>>),
    Object(Arc<Map>),
}

impl Value {
    /// The member of an object, or the item of an array, if there is one.
    pub(crate) fn get(&self, index: impl Index) -> Option<&Self> {
        index.find(self)
    }

    /// What a JSON pointer leads to.
    pub(crate) fn pointer(&self, pointer: &str) -> Option<&Self> {
        if pointer.is_empty() {
            return Some(self);
        }
        let mut parts = pointer.strip_prefix('/')?.split('/');
        parts.try_fold(self, |value, part| match value {
            Self::Object(map) => map.get(&part.replace("~1", "/").replace("~0", "~")),
            Self::Array(all) => all.get(part.parse::<usize>().ok()?),
            _ => None,
        })
    }

    /// As compact JSON text.
    pub(crate) fn text(&self) -> Bytes {
        // A value has no part that has no text.
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    /// Takes the value and leaves null.
    pub(crate) fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    pub(crate) fn is_string(&self) -> bool {
        matches!(self, Self::String(_))
    }

    pub(crate) fn is_object(&self) -> bool {
        matches!(self, Self::Object(_))
    }

    pub(crate) fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Number(number) => number.as_u64(),
            _ => None,
        }
    }

    pub(crate) fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Number(number) => number.as_i64(),
            _ => None,
        }
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_array(&self) -> Option<&Vec<Self>> {
        match self {
            Self::Array(all) => Some(all),
            _ => None,
        }
    }

    /// The items, to be changed; copied first if somebody else has them too.
    pub(crate) fn as_array_mut(&mut self) -> Option<&mut Vec<Self>> {
        match self {
            Self::Array(all) => Some(Arc::make_mut(all)),
            _ => None,
        }
    }

    pub(crate) fn as_object(&self) -> Option<&Map> {
        match self {
            Self::Object(map) => Some(map),
            _ => None,
        }
    }

    /// The members, to be changed; copied first if somebody else has them too.
    pub(crate) fn as_object_mut(&mut self) -> Option<&mut Map> {
        match self {
            Self::Object(map) => Some(Arc::make_mut(map)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
