//! [`ValueKind`]: the type that a step declares for an output, and [`Output`]: the declaration.
//!
//! A declared kind makes an `expect` typed: `lt: 5` on a duration is refused when the file is
//! read, and `lt: 5s` is read as a duration.

use std::sync::Arc;

use super::value::Value;
use crate::units::{ByteSize, HumanDuration};

/// The type of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// Anything: what it is is known only at run time.
    Any,
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// Text.
    Text,
    /// Text that is one of a few words.
    Word(&'static [&'static str]),
    /// Bytes, compared with text or bytes.
    Bytes,
    /// A list of texts.
    Texts,
    /// Named values.
    Map,
    /// A span of time, written with its unit.
    Duration,
    /// A number of bytes, written with its unit; its value is [`Value::Int`].
    Size,
}

/// One declared output of a step kind.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// Its name in `expect` and `capture`.
    pub name: &'static str,
    /// Its type.
    pub kind: ValueKind,
    /// What it is, in one sentence.
    pub what: &'static str,
}

impl ValueKind {
    /// The kind for people: `a duration`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Any => "a value",
            Self::Bool => "`true` or `false`",
            Self::Int => "a whole number",
            Self::Float => "a number",
            Self::Text => "text",
            Self::Word(_) => "a word",
            Self::Bytes => "text or bytes",
            Self::Texts => "a list of texts",
            Self::Map => "a map",
            Self::Duration => "a duration with its unit",
            Self::Size => "a size with its unit",
        }
    }

    /// Whether values of this kind have an order, so that `lt`, `lte`, `gt`, `gte` mean something.
    pub fn is_ordered(self) -> bool {
        matches!(
            self,
            Self::Any | Self::Int | Self::Float | Self::Duration | Self::Size
        )
    }

    /// The kind of what such a value can contain, if it can contain something.
    pub fn item(self) -> Option<Self> {
        match self {
            Self::Any => Some(Self::Any),
            Self::Text | Self::Texts | Self::Map => Some(Self::Text),
            Self::Bytes => Some(Self::Bytes),
            Self::Bool | Self::Int | Self::Float | Self::Word(_) | Self::Duration | Self::Size => {
                None
            }
        }
    }

    /// Whether `matches` means something.
    pub fn is_text(self) -> bool {
        matches!(self, Self::Any | Self::Text | Self::Word(_) | Self::Bytes)
    }

    /// Reads a value as this kind: text with a unit becomes a duration or a size, text that is a
    /// number becomes one where a number is wanted.
    ///
    /// # Errors
    /// What is wrong with the value, as a fragment.
    pub fn coerce(self, value: Value) -> Result<Value, String> {
        let wrong =
            |value: &Value| format!("expected {}, found {}", self.name(), value.type_name());
        match (self, value) {
            (Self::Any, value)
            | (Self::Bool, value @ Value::Bool(_))
            | (Self::Int, value @ Value::Int(_))
            | (Self::Float, value @ (Value::Int(_) | Value::Float(_)))
            | (Self::Text, value @ Value::Text(_))
            | (Self::Bytes, value @ (Value::Text(_) | Value::Bytes(_)))
            | (Self::Map, value @ Value::Map(_))
            | (Self::Duration, value @ Value::Duration(_)) => Ok(value),
            (Self::Word(words), Value::Text(text)) => {
                if words.contains(&&*text) {
                    Ok(Value::Text(text))
                } else {
                    Err(format!("unknown word `{text}`"))
                }
            }
            (Self::Texts, Value::List(items)) => {
                let items: Result<Vec<Value>, String> = items
                    .into_iter()
                    .map(|item| Self::Text.coerce(item))
                    .collect();
                items.map(Value::List)
            }
            (Self::Duration, Value::Text(text)) => text
                .parse::<HumanDuration>()
                .map(|duration| Value::Duration(duration.0))
                .map_err(|error| error.to_string()),
            (Self::Duration, Value::Int(number)) => number
                .to_string()
                .parse::<HumanDuration>()
                .map(|duration| Value::Duration(duration.0))
                .map_err(|error| error.to_string()),
            (Self::Size, value) => size(&value).unwrap_or_else(|| Err(wrong(&value))),
            (Self::Int, Value::Text(text)) => text
                .trim()
                .parse()
                .map(Value::Int)
                .map_err(|_| wrong(&Value::Text(text))),
            (Self::Float, Value::Text(text)) => text
                .trim()
                .parse()
                .map(Value::Float)
                .map_err(|_| wrong(&Value::Text(text))),
            (Self::Bool, Value::Text(text)) => match &*text {
                "true" => Ok(Value::Bool(true)),
                "false" => Ok(Value::Bool(false)),
                _ => Err(wrong(&Value::Text(text))),
            },
            (
                Self::Text,
                value @ (Value::Int(_)
                | Value::Float(_)
                | Value::Bool(_)
                | Value::Bytes(_)
                | Value::Duration(_)),
            ) => value
                .to_text()
                .map(Value::Text)
                .ok_or_else(|| wrong(&value)),
            (
                Self::Bool
                | Self::Int
                | Self::Float
                | Self::Text
                | Self::Word(_)
                | Self::Bytes
                | Self::Texts
                | Self::Map
                | Self::Duration,
                value,
            ) => Err(wrong(&value)),
        }
    }
}

fn size(value: &Value) -> Option<Result<Value, String>> {
    let text: Arc<str> = match value {
        Value::Text(text) => Arc::clone(text),
        Value::Int(0) => return Some(Ok(Value::Int(0))),
        Value::Int(number) => number.to_string().into(),
        _ => return None,
    };
    Some(match text.parse::<ByteSize>() {
        Err(error) => Err(error.to_string()),
        Ok(bytes) => i64::try_from(bytes.0)
            .map(Value::Int)
            .map_err(|_| format!("`{text}` is out of range for a size")),
    })
}
