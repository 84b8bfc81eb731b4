//! [`Shape`]: what a mapping may have. One table for the decoder, the JSON Schema and `explain`.
//!
//! A field that is not in a shape is refused by [`Fields`](super::Fields), and one that is there has
//! a type and a sentence; so neither the schema nor `explain` can lack a key that is read.

use super::read::Keyword;
use super::suggest::list_of;

/// What a mapping may have.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// What it is, for messages: `load`, ``the step `exec` ``.
    pub what: &'static str,
    /// The fields that exist.
    pub fields: &'static [Field],
    /// Fields of the language that this version does not have yet.
    pub later: &'static [&'static str],
    /// A help line for an unknown or later field, beyond the list of fields.
    pub help: Option<&'static str>,
}

/// A field of a mapping.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its key.
    pub name: &'static str,
    /// What its value may be.
    pub takes: Takes,
    /// Whether it must be written.
    pub required: bool,
    /// What it says, its range and default, for `explain` and editors.
    pub what: &'static str,
}

/// What a value may be. A schema is made of it; a decoder may ask for more than this can say.
#[derive(Debug, Clone, Copy)]
pub enum Takes {
    /// Text, with `${{ }}` where it says so.
    Text,
    /// `true` or `false`.
    Bool,
    /// A whole number, both bounds included.
    Whole(i64, i64),
    /// A time with its unit: `1m30s`.
    Duration,
    /// A count per time: `50/s`.
    Rate,
    /// A share: `5%`, or a number from 0 to 1.
    Ratio,
    /// A CEL expression without `${{ }}`.
    Expression,
    /// Any value; texts in it may have `${{ }}`.
    Value,
    /// One of a few words.
    Word(fn() -> Vec<&'static str>),
    /// A list.
    List(&'static Self),
    /// A mapping whose keys the user chooses.
    Map(&'static Self),
    /// A mapping with known fields.
    Fields(&'static Shape),
    /// One of several forms, the short ones first.
    Either(&'static [Self]),
    /// A list of steps.
    Steps,
    /// `matrix`: axes, `include`, `exclude`.
    Matrix,
    /// `thresholds`: selectors of metrics to conditions; the fields are those of the long form.
    Thresholds(&'static Shape),
    /// `expect` of a step: what it may name depends on the action.
    Expect,
}

impl Field {
    /// A field that may be left out.
    pub const fn new(name: &'static str, takes: Takes, what: &'static str) -> Self {
        Self {
            name,
            takes,
            required: false,
            what,
        }
    }

    /// A field that must be written.
    pub const fn required(name: &'static str, takes: Takes, what: &'static str) -> Self {
        Self {
            required: true,
            ..Self::new(name, takes, what)
        }
    }
}

/// A field is known by its name.
impl AsRef<str> for Field {
    fn as_ref(&self) -> &str {
        self.name
    }
}

impl Shape {
    /// The field with this key.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The keys of all fields.
    pub fn names(&self) -> Vec<&'static str> {
        self.fields.iter().map(|field| field.name).collect()
    }
}

impl Takes {
    /// The mapping with known fields that the value, or an item of it, may be.
    pub fn shape(&self) -> Option<&'static Shape> {
        match self {
            Self::Fields(shape) | Self::Thresholds(shape) => Some(shape),
            Self::List(inner) | Self::Map(inner) => inner.shape(),
            Self::Either(forms) => forms.iter().find_map(Self::shape),
            Self::Text
            | Self::Bool
            | Self::Whole(..)
            | Self::Duration
            | Self::Rate
            | Self::Ratio
            | Self::Expression
            | Self::Value
            | Self::Word(_)
            | Self::Steps
            | Self::Matrix
            | Self::Expect => None,
        }
    }

    /// What it may be, for people: ``a duration with its unit, or a mapping``.
    pub fn name(&self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Bool => "`true` or `false`".to_owned(),
            Self::Whole(least, i64::MAX) => format!("a whole number from {least}"),
            Self::Whole(least, most) => format!("a whole number from {least} to {most}"),
            Self::Duration => "a time with its unit, `1m30s`".to_owned(),
            Self::Rate => "a rate, `50/s`".to_owned(),
            Self::Ratio => "a share, `5%`".to_owned(),
            Self::Expression => "an expression, without `${{ }}`".to_owned(),
            Self::Value => "any value".to_owned(),
            Self::Word(words) => list_of(&words()),
            Self::List(item) => format!("a list: {}", item.name()),
            Self::Map(value) => format!("a mapping of names: {}", value.name()),
            Self::Fields(shape) => {
                let names: Vec<&str> = shape.fields.iter().map(|field| field.name).collect();
                format!("a mapping with {}", list_of(&names))
            }
            Self::Either(forms) => {
                let forms: Vec<String> = forms.iter().map(Self::name).collect();
                forms.join("; or ")
            }
            Self::Steps => "a list of steps".to_owned(),
            Self::Matrix => "axes, each with a list of values; `include`, `exclude`".to_owned(),
            Self::Thresholds(_) => "metrics with conditions".to_owned(),
            Self::Expect => "outputs with values or operators".to_owned(),
        }
    }
}

/// The words of a [`Keyword`], for [`Takes::Word`].
pub fn words<K: Keyword>() -> Vec<&'static str> {
    K::WORDS.iter().map(|(word, _)| *word).collect()
}
