//! [`Value`]: what variables, outputs and expressions hold.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::source::yaml::{Node, NodeKind, Scalar};
use crate::source::{FromNode, Problems, wrong_type};
use crate::units::HumanDuration;

/// A value. Texts and bytes are shared, so that cloning is cheap.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    /// Nothing.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction.
    Float(f64),
    /// Text.
    Text(Arc<str>),
    /// Bytes: the content of a file.
    Bytes(Bytes),
    /// A list.
    List(Vec<Self>),
    /// Named values.
    Map(BTreeMap<String, Self>),
    /// A span of time.
    Duration(Duration),
}

impl Value {
    /// Text from anything that is text.
    pub fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Text(text.into())
    }

    /// What it is, for messages: `text`, `a list`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
            Self::Duration(_) => "a duration",
        }
    }

    /// Whether it is nothing.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The bytes of text or bytes.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Text(text) => Some(text.as_bytes()),
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The text of text, or of bytes that are UTF-8.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// How the value stands inside text; `None` for nothing, bytes that are not UTF-8, lists
    /// and maps.
    pub fn to_text(&self) -> Option<Arc<str>> {
        match self {
            Self::Text(text) => Some(Arc::clone(text)),
            Self::Bytes(bytes) => std::str::from_utf8(bytes).ok().map(Into::into),
            Self::Bool(value) => Some(value.to_string().into()),
            Self::Int(value) => Some(value.to_string().into()),
            Self::Float(value) => Some(value.to_string().into()),
            Self::Duration(value) => Some(HumanDuration(*value).to_string().into()),
            Self::Null | Self::List(_) | Self::Map(_) => None,
        }
    }

    /// A field of a map, an item of a list by its index, else `None`.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Map(map) => map.get(name),
            _ => None,
        }
    }
}

/// Short, for people: text in quotes with escapes, at most 200 characters of it.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("nothing"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::Text(text) => quote(f, text),
            Self::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => quote(f, text),
                Err(_) => write!(f, "{} bytes that are not text", bytes.len()),
            },
            Self::Duration(value) => write!(f, "{}", HumanDuration(*value)),
            Self::List(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().take(SHOWN_ITEMS).enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    write!(f, "{comma}{item}")?;
                }
                rest(f, items.len())?;
                f.write_str("]")
            }
            Self::Map(map) => {
                f.write_str("{")?;
                for (index, (key, value)) in map.iter().take(SHOWN_ITEMS).enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    write!(f, "{comma}{key}: {value}")?;
                }
                rest(f, map.len())?;
                f.write_str("}")
            }
        }
    }
}

const SHOWN_ITEMS: usize = 10;
const SHOWN_TEXT: usize = 200;

fn rest(f: &mut fmt::Formatter<'_>, count: usize) -> fmt::Result {
    if count > SHOWN_ITEMS {
        write!(f, ", … {} more", count - SHOWN_ITEMS)?;
    }
    Ok(())
}

fn quote(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    match text.char_indices().nth(SHOWN_TEXT) {
        None => write!(f, "{text:?}"),
        Some((end, _)) => write!(f, "{:?}… ({} bytes)", &text[..end], text.len()),
    }
}

impl From<serde_json::Value> for Value {
    fn from(json: serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(value),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(whole) => Self::Int(whole),
                None => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            serde_json::Value::String(text) => Self::Text(text.into()),
            serde_json::Value::Array(items) => {
                Self::List(items.into_iter().map(Self::from).collect())
            }
            serde_json::Value::Object(map) => Self::Map(
                map.into_iter()
                    .map(|(key, value)| (key, Self::from(value)))
                    .collect(),
            ),
        }
    }
}

/// As JSON has it: bytes as text where they are text, a duration as it is written.
impl From<Value> for serde_json::Value {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(value),
            Value::Int(value) => value.into(),
            Value::Float(value) => value.into(),
            Value::List(items) => items.into_iter().map(Self::from).collect(),
            Value::Map(map) => map
                .into_iter()
                .map(|(key, value)| (key, Self::from(value)))
                .collect(),
            Value::Text(text) => Self::String(text.to_string()),
            Value::Bytes(bytes) => Self::String(String::from_utf8_lossy(&bytes).into_owned()),
            Value::Duration(_) => value
                .to_text()
                .map_or(Self::Null, |text| Self::String(text.to_string())),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<i32> for Value {
    fn from(number: i32) -> Self {
        Self::Int(number.into())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<Duration> for Value {
    fn from(duration: Duration) -> Self {
        Self::Duration(duration)
    }
}

/// What a scalar is when nothing else is expected: a boolean, a number, nothing or text.
pub(super) fn of_scalar(scalar: &Scalar) -> Value {
    if scalar.is_null() {
        Value::Null
    } else if let Some(value) = scalar.as_bool() {
        Value::Bool(value)
    } else if let Some(value) = scalar.as_i64() {
        Value::Int(value)
    } else if let Some(value) = scalar.as_f64() {
        Value::Float(value)
    } else {
        Value::Text(Arc::clone(&scalar.text))
    }
}

/// Any YAML value as it stands; `${{ … }}` is not looked at.
impl FromNode for Value {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.kind {
            NodeKind::Scalar(scalar) => Some(of_scalar(scalar)),
            NodeKind::Sequence(items) => items
                .iter()
                .map(|item| Self::from_node(item, problems))
                .collect::<Option<_>>()
                .map(Self::List),
            NodeKind::Mapping(entries) => entries
                .iter()
                .map(|(key, value)| {
                    Some((key.value.to_string(), Self::from_node(value, problems)?))
                })
                .collect::<Option<_>>()
                .map(Self::Map),
            NodeKind::Invalid => {
                wrong_type(node, "a value", problems);
                None
            }
        }
    }
}
