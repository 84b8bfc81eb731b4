//! [`Value`]: what a variable, an output or an expression holds.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::units::HumanDuration;

/// A value of the scenario language. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A fraction.
    Float(f64),
    /// Text.
    Text(Arc<str>),
    /// A span of time. CEL sees it as seconds.
    Duration(Duration),
    /// A list.
    List(Arc<[Self]>),
    /// Named values.
    Map(Arc<BTreeMap<String, Self>>),
}

impl Value {
    /// Text.
    pub fn text(text: impl AsRef<str>) -> Self {
        Self::Text(Arc::from(text.as_ref()))
    }

    /// A whole number; beyond the range of CEL's integers the largest one.
    pub fn count(count: u64) -> Self {
        Self::Int(i64::try_from(count).unwrap_or(i64::MAX))
    }

    /// A list of texts.
    pub fn texts<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Self {
        Self::List(texts.into_iter().map(Self::text).collect())
    }

    /// Named values.
    pub fn map(entries: impl IntoIterator<Item = (&'static str, Self)>) -> Self {
        Self::Map(Arc::new(
            entries
                .into_iter()
                .map(|(k, v)| (k.to_owned(), v))
                .collect(),
        ))
    }

    /// The value as it was most likely meant when it is written without quotes in YAML.
    pub fn from_plain(text: &str) -> Self {
        match text {
            "" | "~" | "null" => Self::Null,
            "true" => Self::Bool(true),
            "false" => Self::Bool(false),
            _ => match (text.parse::<i64>(), text.parse::<f64>()) {
                (Ok(int), _) if text == int.to_string() => Self::Int(int),
                (_, Ok(float)) if float.is_finite() && text.contains('.') => Self::Float(float),
                _ => Self::text(text),
            },
        }
    }

    /// The value as JSON.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(value) => (*value).into(),
            Self::Int(value) => (*value).into(),
            Self::Float(value) => (*value).into(),
            Self::Text(value) => (&**value).into(),
            Self::Duration(value) => HumanDuration(*value).to_string().into(),
            Self::List(items) => items.iter().map(Self::to_json).collect(),
            Self::Map(entries) => entries
                .iter()
                .map(|(key, value)| (key.clone(), value.to_json()))
                .collect(),
        }
    }
}

impl From<serde_json::Value> for Value {
    fn from(json: serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(value),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(int) => Self::Int(int),
                None => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::String(text) => Self::text(text),
            serde_json::Value::Array(items) => {
                Self::List(items.into_iter().map(Into::into).collect())
            }
            serde_json::Value::Object(entries) => Self::Map(Arc::new(
                entries.into_iter().map(|(k, v)| (k, v.into())).collect(),
            )),
        }
    }
}

/// As it is put into text: no quotes around text, JSON for lists and maps.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::Text(value) => f.write_str(value),
            Self::Duration(value) => HumanDuration(*value).fmt(f),
            Self::List(_) | Self::Map(_) => self.to_json().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_are_what_they_look_like_and_lookalikes_stay_text() {
        assert_eq!(Value::from_plain("41"), Value::Int(41));
        assert_eq!(Value::from_plain("1.5"), Value::Float(1.5));
        assert_eq!(Value::from_plain("true"), Value::Bool(true));
        for text in ["010", "yes", "1e3", "1_000", "+1", "inf", "1KiB"] {
            assert_eq!(Value::from_plain(text), Value::text(text));
        }
    }

    #[test]
    fn values_survive_json() {
        let value = Value::map([
            ("a", Value::Int(1)),
            ("b", Value::texts(["x"])),
            ("c", Value::Null),
            ("d", Value::Float(0.5)),
        ]);
        assert_eq!(Value::from(value.to_json()), value);
    }
}
