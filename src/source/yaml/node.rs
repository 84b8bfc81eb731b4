//! [`Node`]: a YAML value with its place.
//!
//! Plain scalars are read strictly: `true` and `false` are booleans, JSON numbers are numbers,
//! empty, `~` and `null` are null; everything else (`yes`, `010`, `1_000`, `0x1f`) is text.

use std::ops::Range;
use std::sync::Arc;

use crate::source::span::{Span, Spanned};

/// A YAML value and where it was written.
#[derive(Debug, Clone)]
pub struct Node {
    /// From the first to the last byte of the value.
    pub span: Span,
    /// The value.
    pub kind: NodeKind,
}

/// What a node is.
#[derive(Debug, Clone)]
pub enum NodeKind {
    /// Text, a number, a boolean or null.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in the order of the file; no key twice.
    Mapping(Vec<(Key, Node)>),
    /// Something that was already reported (an alias, say): say nothing more about it.
    Invalid,
}

/// The key of a mapping entry.
pub type Key = Spanned<Arc<str>>;

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScalarStyle {
    /// Without quotes.
    Plain,
    /// In single or double quotes.
    Quoted,
    /// As a block, after `|` or `>`.
    Block,
}

/// The text of a scalar after escapes and line folding.
#[derive(Debug, Clone)]
pub struct Scalar {
    /// The text.
    pub text: Arc<str>,
    /// How it is written.
    pub style: ScalarStyle,
    /// Where it is written, quotes included.
    pub span: Span,
    pub(super) origin: Origin,
}

/// How positions in the text lead back to the file.
#[derive(Debug, Clone)]
pub(super) enum Origin {
    /// The text stands in the file unchanged, from this byte.
    Verbatim(usize),
    /// The text was changed (escapes, folding); this is what the file has, from the span's start.
    Changed(Arc<str>),
}

impl Scalar {
    /// A scalar that stands in no file; its places are all at `span`.
    pub fn synthetic(text: impl Into<Arc<str>>, span: Span) -> Self {
        Self {
            text: text.into(),
            style: ScalarStyle::Quoted,
            span,
            origin: Origin::Changed("".into()),
        }
    }

    /// The place in the file of a part of the text. Where escapes or folding changed the part, the
    /// place is that of the whole scalar.
    pub fn span_of(&self, part: Range<usize>) -> Span {
        match &self.origin {
            Origin::Verbatim(start) => Span::new(start + part.start, start + part.end),
            Origin::Changed(raw) => self.find(raw, &part).unwrap_or(self.span),
        }
    }

    /// Finds the same occurrence of the part in the raw text.
    fn find(&self, raw: &str, part: &Range<usize>) -> Option<Span> {
        let wanted = self.text.get(part.clone())?;
        if wanted.is_empty() {
            return None;
        }
        let nth = self.text.get(..part.start)?.matches(wanted).count();
        let (at, _) = raw.match_indices(wanted).nth(nth)?;
        let start = self.span.start + at;
        Some(Span::new(start, start + wanted.len()))
    }

    fn after(self, bytes: usize) -> Self {
        let origin = match self.origin {
            Origin::Verbatim(start) => Origin::Verbatim(start + bytes),
            changed @ Origin::Changed(_) => changed,
        };
        Self {
            span: self.span.after(bytes),
            origin,
            ..self
        }
    }

    fn plain(&self) -> Option<&str> {
        (self.style == ScalarStyle::Plain).then_some(&*self.text)
    }

    /// Whether it is null: empty, `~` or `null` without quotes.
    pub fn is_null(&self) -> bool {
        matches!(self.plain(), Some("" | "~" | "null"))
    }

    /// `true` or `false` without quotes.
    pub fn as_bool(&self) -> Option<bool> {
        match self.plain() {
            Some("true") => Some(true),
            Some("false") => Some(false),
            _ => None,
        }
    }

    /// A whole number without quotes, as JSON writes it, that fits.
    pub fn as_i64(&self) -> Option<i64> {
        self.number().and_then(|text| text.parse().ok())
    }

    /// A number without quotes, as JSON writes it; never infinite.
    pub fn as_f64(&self) -> Option<f64> {
        let number: f64 = self.number()?.parse().ok()?;
        number.is_finite().then_some(number)
    }

    /// Whether it is a number without quotes.
    pub fn is_number(&self) -> bool {
        self.number().is_some()
    }

    /// Whether it is text: quoted, a block, or plain and nothing else.
    pub fn is_text(&self) -> bool {
        !(self.is_null() || self.as_bool().is_some() || self.is_number())
    }

    /// JSON's grammar: `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`.
    fn number(&self) -> Option<&str> {
        let text = self.plain()?;
        let (whole, rest) = digits(text.strip_prefix('-').unwrap_or(text));
        if whole.is_empty() || (whole.len() > 1 && whole.starts_with('0')) {
            return None;
        }
        let rest = match rest.strip_prefix('.') {
            None => rest,
            Some(rest) => match digits(rest) {
                ("", _) => return None,
                (_, rest) => rest,
            },
        };
        let Some(exponent) = rest.strip_prefix(['e', 'E']) else {
            return rest.is_empty().then_some(text);
        };
        let (exponent, rest) = digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent));
        (!exponent.is_empty() && rest.is_empty()).then_some(text)
    }
}

fn digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

impl Node {
    /// The scalar, if it is one.
    pub fn as_scalar(&self) -> Option<&Scalar> {
        match &self.kind {
            NodeKind::Scalar(scalar) => Some(scalar),
            NodeKind::Sequence(_) | NodeKind::Mapping(_) | NodeKind::Invalid => None,
        }
    }

    /// The items, if it is a list.
    pub fn as_sequence(&self) -> Option<&[Self]> {
        match &self.kind {
            NodeKind::Sequence(items) => Some(items),
            NodeKind::Scalar(_) | NodeKind::Mapping(_) | NodeKind::Invalid => None,
        }
    }

    /// The entries, if it is a mapping.
    pub fn as_mapping(&self) -> Option<&[(Key, Self)]> {
        match &self.kind {
            NodeKind::Mapping(entries) => Some(entries),
            NodeKind::Scalar(_) | NodeKind::Sequence(_) | NodeKind::Invalid => None,
        }
    }

    /// The value of a key, if it is a mapping that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_mapping()?
            .iter()
            .find(|(known, _)| &*known.value == key)
            .map(|(_, value)| value)
    }

    /// The same with every place further on by so many bytes: that of a file after another one.
    #[must_use]
    pub fn after(self, bytes: usize) -> Self {
        let key = |key: Key| Key::new(key.value, key.span.after(bytes));
        let kind = match self.kind {
            NodeKind::Scalar(scalar) => NodeKind::Scalar(scalar.after(bytes)),
            NodeKind::Sequence(items) => {
                NodeKind::Sequence(items.into_iter().map(|item| item.after(bytes)).collect())
            }
            NodeKind::Mapping(entries) => {
                let entries = entries.into_iter();
                let entries = entries.map(|(name, node)| (key(name), node.after(bytes)));
                NodeKind::Mapping(entries.collect())
            }
            NodeKind::Invalid => NodeKind::Invalid,
        };
        Self {
            span: self.span.after(bytes),
            kind,
        }
    }

    /// How many values it is, itself included.
    pub fn size(&self) -> usize {
        1 + match &self.kind {
            NodeKind::Scalar(_) | NodeKind::Invalid => 0,
            NodeKind::Sequence(items) => items.iter().map(Self::size).sum(),
            NodeKind::Mapping(entries) => entries.iter().map(|(_, node)| node.size()).sum(),
        }
    }

    /// Whether it is a null scalar.
    pub fn is_null(&self) -> bool {
        self.as_scalar().is_some_and(Scalar::is_null)
    }

    /// Whether it was already reported.
    pub fn is_invalid(&self) -> bool {
        matches!(self.kind, NodeKind::Invalid)
    }

    /// What it is, for "expected …, found …": `` the number `5` ``, `a list`.
    pub fn found(&self) -> String {
        match &self.kind {
            NodeKind::Sequence(_) => "a list".to_owned(),
            NodeKind::Mapping(_) => "a mapping".to_owned(),
            NodeKind::Invalid => "something invalid".to_owned(),
            NodeKind::Scalar(scalar) if scalar.is_null() => "nothing".to_owned(),
            NodeKind::Scalar(scalar) if scalar.is_number() => {
                format!("the number `{}`", shorten(&scalar.text))
            }
            NodeKind::Scalar(scalar) if scalar.as_bool().is_some() => {
                format!("the boolean `{}`", scalar.text)
            }
            NodeKind::Scalar(scalar) => format!("the text `{}`", shorten(&scalar.text)),
        }
    }
}

/// The first line of a text, cut to 40 characters.
fn shorten(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    if line.len() == text.trim_end().len() && line.chars().count() <= 40 {
        return line.to_owned();
    }
    let mut short: String = line.chars().take(39).collect();
    short.push('…');
    short
}
