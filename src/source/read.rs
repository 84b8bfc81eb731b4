//! Reading one value from a node: [`FromNode`] for types, [`keyword`] for a choice of words,
//! [`quantity`] for text with a unit. Each reports what is wrong and gives `None` then.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use super::diagnostic::{Code, Diagnostic, Problems};
use super::shape::words;
use super::span::Spanned;
use super::suggest::{did_you_mean, list_of};
use super::yaml::{Key, Node, Scalar};

/// A type that can be read from a YAML node.
pub trait FromNode: Sized {
    /// Reads the value. Reports what is wrong and gives `None` then.
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self>;
}

/// A type that is one of a few words.
pub trait Keyword: Copy + 'static {
    /// What the words choose, for messages: `connection mode`.
    const WHAT: &'static str;
    /// Every word and its meaning.
    const WORDS: &'static [(&'static str, Self)];
}

/// Reports "expected …, found …" (nothing if the node was already reported).
pub fn wrong_type(node: &Node, expected: &str, problems: &mut Problems) {
    if let Some(diagnostic) = mismatch(node, expected) {
        problems.push(diagnostic);
    }
}

fn mismatch(node: &Node, expected: &str) -> Option<Diagnostic> {
    if node.is_invalid() {
        return None;
    }
    let found = node.found();
    Some(
        Diagnostic::error(
            Code::WrongType,
            node.span,
            format!("expected {expected}, found {found}"),
        )
        .label(format!("expected {expected}")),
    )
}

/// The scalar of a node that must be text. Numbers and booleans are refused: in quotes they are
/// text.
pub(crate) fn text_of<'n>(node: &'n Node, problems: &mut Problems) -> Option<&'n Scalar> {
    if let Some(scalar) = node.as_scalar()
        && scalar.is_text()
    {
        return Some(scalar);
    }
    let diagnostic = mismatch(node, "text")?;
    problems.push(match node.as_scalar() {
        Some(scalar) if !scalar.is_null() => {
            diagnostic.help(format!("put it in quotes: \"{}\"", scalar.text))
        }
        _ => diagnostic,
    });
    None
}

impl FromNode for Arc<str> {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        text_of(node, problems).map(|scalar| Self::clone(&scalar.text))
    }
}

impl FromNode for String {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        text_of(node, problems).map(|scalar| scalar.text.to_string())
    }
}

impl FromNode for bool {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        let value = node.as_scalar().and_then(Scalar::as_bool);
        if value.is_none() {
            wrong_type(node, "`true` or `false`", problems);
        }
        value
    }
}

impl FromNode for i64 {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        whole_number(node, Self::MIN..=Self::MAX, problems)
    }
}

impl FromNode for u32 {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        whole_number(node, 0..=i64::from(Self::MAX), problems).and_then(|n| n.try_into().ok())
    }
}

impl FromNode for u64 {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        whole_number(node, 0..=i64::MAX, problems).and_then(|n| n.try_into().ok())
    }
}

impl FromNode for u16 {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        whole_number(node, 0..=i64::from(Self::MAX), problems).and_then(|n| n.try_into().ok())
    }
}

impl<T: FromNode> FromNode for Spanned<T> {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        T::from_node(node, problems).map(|value| Self::new(value, node.span))
    }
}

/// A list; every item that can be read is reported or read, `None` if one could not.
impl<T: FromNode> FromNode for Vec<T> {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Some(items) = node.as_sequence() else {
            wrong_type(node, "a list", problems);
            return None;
        };
        // Every item is read, so that every problem is reported, before one `None` decides.
        let read: Vec<Option<T>> = items
            .iter()
            .map(|item| T::from_node(item, problems))
            .collect();
        read.into_iter().collect()
    }
}

fn whole_number(
    node: &Node,
    range: std::ops::RangeInclusive<i64>,
    problems: &mut Problems,
) -> Option<i64> {
    let scalar = node.as_scalar().filter(|scalar| scalar.is_number());
    let Some(scalar) = scalar else {
        wrong_type(node, "a whole number", problems);
        return None;
    };
    let whole = scalar.as_i64();
    if let Some(value) = whole.filter(|value| range.contains(value)) {
        return Some(value);
    }
    let fraction = scalar.text.contains(['.', 'e', 'E']);
    let label = if fraction {
        "not a whole number".to_owned()
    } else {
        format!("a whole number from {} to {}", range.start(), range.end())
    };
    problems.push(
        Diagnostic::error(
            Code::BadValue,
            node.span,
            format!("`{}` is out of range", scalar.text),
        )
        .label(label),
    );
    None
}

/// Reads text with a unit (`30s`, `64KiB`, `50/s`): any type that is read from text.
///
/// A number without quotes is handed to the type too, so that it can say which unit is missing.
pub fn quantity<T>(node: &Node, problems: &mut Problems) -> Option<T>
where
    T: FromStr,
    T::Err: Display,
{
    let scalar = node
        .as_scalar()
        .filter(|scalar| scalar.is_text() || scalar.is_number());
    let Some(scalar) = scalar else {
        wrong_type(node, "a quantity with its unit", problems);
        return None;
    };
    match scalar.text.parse() {
        Ok(value) => Some(value),
        Err(error) => {
            let text = error.to_string();
            let (message, label) = text.split_once("; ").unwrap_or((&text, ""));
            problems.push(Diagnostic::error(Code::BadValue, node.span, message).label(label));
            None
        }
    }
}

/// Reads one of a few words, with did-you-mean.
pub fn keyword<K: Keyword>(node: &Node, problems: &mut Problems) -> Option<K> {
    let scalar = text_of(node, problems)?;
    let found = K::WORDS.iter().find(|(word, _)| *word == &*scalar.text);
    if let Some((_, value)) = found {
        return Some(*value);
    }
    let words = words::<K>();
    let label = did_you_mean(&scalar.text, &words);
    problems.push(
        Diagnostic::error(
            Code::BadValue,
            node.span,
            format!("unknown {} `{}`", K::WHAT, scalar.text),
        )
        .label(label)
        .help(format!("the words are {}", list_of(&words))),
    );
    None
}

/// Reads a mapping whose keys are names that the user chooses; `what` is for the message.
/// Values that cannot be read are reported and left out.
pub fn read_map<T: FromNode>(
    node: &Node,
    what: &str,
    problems: &mut Problems,
) -> Option<Vec<(Key, T)>> {
    let Some(entries) = node.as_mapping() else {
        wrong_type(node, &format!("a mapping of {what}"), problems);
        return None;
    };
    let read = entries
        .iter()
        .filter_map(|(key, value)| T::from_node(value, problems).map(|value| (key.clone(), value)));
    Some(read.collect())
}
