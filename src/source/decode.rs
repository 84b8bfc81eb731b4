//! [`Fields`]: a mapping with known fields, read strictly.
//!
//! [`Fields::of`] reports what does not belong there (unknown fields with did-you-mean and the
//! list of valid ones, fields that come later); the getters then read what does.

use std::fmt::Display;
use std::str::FromStr;

use super::diagnostic::{Code, Diagnostic, Problems};
use super::read::{FromNode, Keyword, keyword, quantity, wrong_type};
use super::shape::{Field, Shape};
use super::span::Span;
use super::suggest::{list_of, suggest};
use super::yaml::{Key, Node};

/// The fields of one mapping node.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'n> {
    entries: &'n [(Key, Node)],
    span: Span,
    what: &'static str,
    known: &'static [Field],
}

impl<'n> Fields<'n> {
    /// Looks at a mapping and reports every field that does not belong there.
    ///
    /// `None` when the node is no mapping (reported). Unknown fields do not stop the reading of
    /// the others.
    pub fn of(node: &'n Node, shape: &Shape, problems: &mut Problems) -> Option<Self> {
        let Some(entries) = node.as_mapping() else {
            wrong_type(
                node,
                &format!("a mapping with the fields of {}", shape.what),
                problems,
            );
            return None;
        };
        for (key, _) in entries {
            if shape.field(&key.value).is_none() {
                problems.push(unknown_field(key, shape));
            }
        }
        Some(Self {
            entries,
            span: node.span,
            what: shape.what,
            known: shape.fields,
        })
    }

    /// The place of the whole mapping.
    pub fn span(&self) -> Span {
        self.span
    }

    /// A place for messages about the mapping as a whole: its first key.
    pub fn head(&self) -> Span {
        self.entries.first().map_or(self.span, |(key, _)| key.span)
    }

    /// The node of a field, if it is written.
    pub fn node(&self, name: &str) -> Option<&'n Node> {
        self.entry(name).map(|(_, node)| node)
    }

    /// The key and the node of a field, if it is written.
    pub fn entry(&self, name: &str) -> Option<(&'n Key, &'n Node)> {
        self.entries
            .iter()
            .find(|(key, _)| &*key.value == name)
            .map(|(key, node)| (key, node))
    }

    /// Whether a field is written.
    pub fn has(&self, name: &str) -> bool {
        self.node(name).is_some()
    }

    /// The node of a field that must be written; reports it if it is not.
    pub fn required_node(&self, name: &str, problems: &mut Problems) -> Option<&'n Node> {
        let node = self.node(name);
        if node.is_none() && !self.is_misspelt(name) {
            problems.push(
                Diagnostic::error(
                    Code::MissingField,
                    self.head(),
                    format!("{} needs the field `{name}`", self.what),
                )
                .label(format!("`{name}` is missing")),
            );
        }
        node
    }

    /// Whether an unknown field, which was reported, is this one with a typing mistake.
    fn is_misspelt(&self, name: &str) -> bool {
        let known: Vec<&str> = self.known.iter().map(|field| field.name).collect();
        self.entries.iter().any(|(key, _)| {
            !known.contains(&&*key.value) && suggest(&key.value, &known) == Some(name)
        })
    }

    /// Reads a field; `None` when it is not written, or was reported.
    pub fn optional<T: FromNode>(&self, name: &str, problems: &mut Problems) -> Option<T> {
        T::from_node(self.node(name)?, problems)
    }

    /// Reads a field that must be written; reports it if it is not.
    pub fn required<T: FromNode>(&self, name: &str, problems: &mut Problems) -> Option<T> {
        T::from_node(self.required_node(name, problems)?, problems)
    }

    /// Reads a field with a unit (`30s`, `64KiB`); `None` when not written, or reported.
    pub fn quantity<T>(&self, name: &str, problems: &mut Problems) -> Option<T>
    where
        T: FromStr,
        T::Err: Display,
    {
        quantity(self.node(name)?, problems)
    }

    /// Reads a field that is one of a few words; `None` when not written, or reported.
    pub fn keyword<K: Keyword>(&self, name: &str, problems: &mut Problems) -> Option<K> {
        keyword(self.node(name)?, problems)
    }

    /// Reports if more than one of the fields is written, at the second one.
    pub fn at_most_one_of(&self, names: &[&str], problems: &mut Problems) {
        let mut written = names.iter().filter_map(|name| self.entry(name));
        let (Some((first, _)), Some((second, _))) = (written.next(), written.next()) else {
            return;
        };
        let (first, second) = if first.span.start <= second.span.start {
            (first, second)
        } else {
            (second, first)
        };
        problems.push(
            Diagnostic::error(
                Code::Combination,
                second.span,
                format!(
                    "{} has both `{}` and `{}`",
                    self.what, first.value, second.value
                ),
            )
            .label(format!("excludes `{}`", first.value))
            .help(format!("keep one of {}", list_of(names))),
        );
    }
}

fn unknown_field(key: &Key, shape: &Shape) -> Diagnostic {
    let name = &*key.value;
    let valid = format!("the fields of {} are {}", shape.what, list_of(shape.fields));
    let diagnostic = if shape.later.contains(&name) {
        Diagnostic::error(
            Code::NotSupported,
            key.span,
            format!("`{name}` is not supported yet in {}", shape.what),
        )
        .label("not supported yet")
        .help(format!(
            "this version of sandbench has {}",
            list_of(shape.fields)
        ))
    } else {
        let later = || suggest(name, shape.later);
        let label = match suggest(name, &shape.names()) {
            Some(word) => format!("did you mean `{word}`?"),
            None => later().map_or_else(
                || "unknown".to_owned(),
                |word| format!("did you mean `{word}`? it is not supported yet"),
            ),
        };
        Diagnostic::error(
            Code::UnknownField,
            key.span,
            format!("unknown field `{name}` in {}", shape.what),
        )
        .label(label)
        .help(valid)
    };
    match shape.help {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }
}

#[cfg(test)]
#[path = "decode_tests.rs"]
mod tests;
