//! Values from other types, and comparisons with them.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::{Map, Value, Word};

/// What can stand in [`json!`](super::json): as in the place of a value, it is only looked at.
pub(crate) trait ToJson {
    /// As a value; what is one already is shared.
    fn to_json(&self) -> Value;
}

impl ToJson for Value {
    fn to_json(&self) -> Value {
        self.clone()
    }
}

impl ToJson for Map {
    fn to_json(&self) -> Value {
        Value::from(self.clone())
    }
}

impl ToJson for str {
    fn to_json(&self) -> Value {
        Value::String(Word::from(self))
    }
}

impl ToJson for String {
    fn to_json(&self) -> Value {
        self.as_str().to_json()
    }
}

impl ToJson for Cow<'_, str> {
    fn to_json(&self) -> Value {
        (**self).to_json()
    }
}

impl ToJson for bool {
    fn to_json(&self) -> Value {
        Value::Bool(*self)
    }
}

impl<T: ToJson> ToJson for [T] {
    fn to_json(&self) -> Value {
        self.iter().map(T::to_json).collect()
    }
}

impl<T: ToJson, const N: usize> ToJson for [T; N] {
    fn to_json(&self) -> Value {
        self.as_slice().to_json()
    }
}

impl<T: ToJson> ToJson for Vec<T> {
    fn to_json(&self) -> Value {
        self.as_slice().to_json()
    }
}

impl<T: ToJson> ToJson for Option<T> {
    fn to_json(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::to_json)
    }
}

impl<T: ToJson + ?Sized> ToJson for &T {
    fn to_json(&self) -> Value {
        (**self).to_json()
    }
}

macro_rules! by_text {
    ($($type:ty)*) => { $(
        impl ToJson for $type {
            fn to_json(&self) -> Value {
                self.to_string().to_json()
            }
        }
    )* };
}

by_text!(IpAddr Ipv4Addr);

macro_rules! numbers {
    ($($type:ty)*) => { $(
        impl ToJson for $type {
            fn to_json(&self) -> Value {
                Value::Number((*self).into())
            }
        }
    )* };
}

numbers!(u8 u16 u32 u64 usize i32 i64);

impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Self::Object(Arc::new(map))
    }
}

impl From<Vec<Self>> for Value {
    fn from(all: Vec<Self>) -> Self {
        Self::Array(Arc::new(all))
    }
}

impl FromIterator<Self> for Value {
    fn from_iter<I: IntoIterator<Item = Self>>(all: I) -> Self {
        Self::from(all.into_iter().collect::<Vec<_>>())
    }
}

/// Copies everything.
impl From<serde_json::Value> for Value {
    fn from(value: serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(value),
            serde_json::Value::Number(number) => Self::Number(number),
            serde_json::Value::String(text) => Self::String(text.into()),
            serde_json::Value::Array(all) => all.into_iter().map(Self::from).collect(),
            serde_json::Value::Object(map) => {
                let members = map.into_iter();
                let members = members.map(|(key, value)| (key.into(), Self::from(value)));
                Self::from(members.collect::<Map>())
            }
        }
    }
}

/// Copies everything.
impl From<&Value> for serde_json::Value {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => Self::Number(number.clone()),
            Value::String(text) => Self::String((**text).to_owned()),
            Value::Array(all) => Self::Array(all.iter().map(Self::from).collect()),
            Value::Object(map) => {
                let members = map.iter();
                let members = members.map(|(key, value)| (key.to_string(), Self::from(value)));
                Self::Object(members.collect())
            }
        }
    }
}

impl PartialEq<str> for Value {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == Some(other)
    }
}

impl PartialEq<&str> for Value {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == Some(*other)
    }
}

impl PartialEq<String> for Value {
    fn eq(&self, other: &String) -> bool {
        self.as_str() == Some(other)
    }
}

impl PartialEq<bool> for Value {
    fn eq(&self, other: &bool) -> bool {
        self.as_bool() == Some(*other)
    }
}

impl PartialEq<i32> for Value {
    fn eq(&self, other: &i32) -> bool {
        self.as_i64() == Some(i64::from(*other))
    }
}

impl PartialEq<u64> for Value {
    fn eq(&self, other: &u64) -> bool {
        self.as_u64() == Some(*other)
    }
}
