//! Quantities that carry their unit: durations, sizes, rates and ratios as people write them.
//!
//! Every type parses its own [`Display`](std::fmt::Display) form (`parse ∘ print = id`) and
//! refuses a bare number: a unit is always written.

mod bytes;
mod duration;
mod rate;
mod ratio;

pub use bytes::ByteSize;
pub use duration::HumanDuration;
pub use rate::Rate;
pub use ratio::Ratio;

/// Why a quantity could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// The text has a number but no unit.
    #[error("`{text}` has no unit; write for example `{example}`")]
    MissingUnit {
        /// What was written.
        text: String,
        /// The same quantity with a unit.
        example: String,
    },
    /// The unit is not one that this quantity has.
    #[error("`{unit}` is not a unit of {quantity}; use one of {known}")]
    UnknownUnit {
        /// What was written.
        unit: String,
        /// Which quantity was expected.
        quantity: &'static str,
        /// The units that exist.
        known: &'static str,
    },
    /// The text is not a number followed by a unit.
    #[error("`{text}` is not a {quantity}; write for example `{example}`")]
    Malformed {
        /// What was written.
        text: String,
        /// Which quantity was expected.
        quantity: &'static str,
        /// A correct form.
        example: &'static str,
    },
    /// The value does not fit.
    #[error("`{text}` is out of range for a {quantity}")]
    OutOfRange {
        /// What was written.
        text: String,
        /// Which quantity was expected.
        quantity: &'static str,
    },
}

/// Splits `12.5ms` into its number and what follows it, both trimmed.
fn split_number(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    (text[..end].trim(), text[end..].trim())
}
