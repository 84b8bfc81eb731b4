//! How values compare: equality across number types and between text and bytes, order, and
//! containment.

use std::cmp::Ordering;

use super::value::Value;

#[expect(
    clippy::float_cmp,
    reason = "a scenario that compares with a number means that number"
)]
/// Whether two values are equal. `1` equals `1.0`, text equals its bytes.
pub(super) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Int(a), Value::Float(b)) | (Value::Float(b), Value::Int(a)) => *a as f64 == *b,
        (Value::Bytes(a), Value::Text(b)) | (Value::Text(b), Value::Bytes(a)) => {
            a.as_ref() == b.as_bytes()
        }
        (Value::List(a), Value::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::Map(a), Value::Map(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, value)| b.get(key).is_some_and(|other| equal(value, other)))
        }
        (a, b) => a == b,
    }
}

/// The order of two numbers or two durations; `None` for anything else.
pub(super) fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Duration(a), Value::Duration(b)) => Some(a.cmp(b)),
        (Value::Int(a), Value::Float(b)) => (*a as f64).partial_cmp(b),
        (Value::Float(a), Value::Int(b)) => a.partial_cmp(&(*b as f64)),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        _ => None,
    }
}

/// Whether `whole` contains `part`: text in text, an item in a list, a key in a map.
pub(super) fn contains(whole: &Value, part: &Value) -> bool {
    match whole {
        Value::List(items) => items.iter().any(|item| equal(item, part)),
        Value::Map(map) => part.as_text().is_some_and(|key| map.contains_key(key)),
        _ => match (whole.as_bytes(), part.as_bytes()) {
            (Some(whole), Some(part)) => {
                part.is_empty() || whole.windows(part.len()).any(|window| window == part)
            }
            _ => false,
        },
    }
}
