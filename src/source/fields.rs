//! [`Fields`]: takes a mapping apart, key by key, and reports everything that is wrong with it.
//!
//! A decoder asks for the keys that it knows; [`Fields::finish`] reports the rest with a
//! did-you-mean and the list of valid keys. Nothing stops at the first problem.

use std::str::FromStr;

use super::diagnostic::{Diagnostic, Problems};
use super::span::{Span, Spanned};
use super::suggest::suggest;
use super::yaml::{Key, Kind, Node};

/// The keys of one mapping that nobody has asked for yet.
#[derive(Debug)]
pub struct Fields<'a> {
    what: &'static str,
    span: Span,
    entries: Vec<Option<&'a (Key, Node)>>,
    known: Vec<&'static str>,
    later: &'static [&'static str],
}

impl<'a> Fields<'a> {
    /// Takes apart `node`, which is `what` in messages (`load`, `exec`). Not a map: a problem.
    pub fn of(node: &'a Node, what: &'static str, problems: &mut Problems) -> Option<Self> {
        match &node.kind {
            Kind::Mapping(entries) => Some(Self {
                what,
                span: node.span,
                entries: entries.iter().map(Some).collect(),
                known: Vec::new(),
                later: &[],
            }),
            Kind::Scalar(_) | Kind::Sequence(_) => {
                problems.push(
                    Diagnostic::new(node.span, format!("`{what}` must be a map of keys"))
                        .label(format!("this is {}", node.describe())),
                );
                None
            }
        }
    }

    /// Keys of the language that this version cannot do yet: they are errors that say so.
    #[must_use]
    pub fn later(mut self, keys: &'static [&'static str]) -> Self {
        self.later = keys;
        self
    }

    /// Where the mapping stands.
    pub fn span(&self) -> Span {
        self.span
    }

    /// The value of a key, if it is there. An empty value counts as absent and is a problem.
    pub fn take(&mut self, key: &'static str, problems: &mut Problems) -> Option<&'a Node> {
        let (key, node) = self.take_entry(key)?;
        if node.is_null() {
            problems.push(
                Diagnostic::new(key.span, format!("`{}` has no value", key.name))
                    .help("write a value or remove the key"),
            );
            return None;
        }
        Some(node)
    }

    /// Key and value, if the key is there; the value may be empty.
    pub fn take_entry(&mut self, key: &'static str) -> Option<&'a (Key, Node)> {
        self.known.push(key);
        self.entries
            .iter_mut()
            .find(|entry| entry.is_some_and(|(found, _)| found.name == key))
            .and_then(Option::take)
    }

    /// The value of a key that must be there.
    pub fn require(&mut self, key: &'static str, problems: &mut Problems) -> Option<&'a Node> {
        let present = self
            .entries
            .iter()
            .flatten()
            .any(|(found, _)| found.name == key);
        let value = self.take(key, problems);
        if !present {
            problems.push(
                Diagnostic::new(self.span, format!("`{}` needs `{key}`", self.what))
                    .label("missing here"),
            );
        }
        value
    }

    /// Text under a key.
    pub fn text(&mut self, key: &'static str, problems: &mut Problems) -> Option<Spanned<String>> {
        let node = self.take(key, problems)?;
        text(node, key, problems)
    }

    /// A quantity or number under a key, read by its own `FromStr`.
    pub fn parse<T>(&mut self, key: &'static str, problems: &mut Problems) -> Option<Spanned<T>>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        let node = self.take(key, problems)?;
        parse(node, key, problems)
    }

    /// A whole number of at least `least` under a key.
    pub fn count(
        &mut self,
        key: &'static str,
        least: u64,
        problems: &mut Problems,
    ) -> Option<Spanned<u64>> {
        let node = self.take(key, problems)?;
        let number = node.text().and_then(|text| text.parse::<u64>().ok());
        match number {
            Some(value) if value >= least => Some(Spanned::new(value, node.span)),
            _ => {
                problems.push(
                    Diagnostic::new(
                        node.span,
                        format!("`{key}` must be a whole number of at least {least}"),
                    )
                    .label(format!("this is {}", found(node))),
                );
                None
            }
        }
    }

    /// `true` or `false` under a key; nothing else counts as a boolean.
    pub fn boolean(&mut self, key: &'static str, problems: &mut Problems) -> Option<Spanned<bool>> {
        let node = self.take(key, problems)?;
        match &node.kind {
            Kind::Scalar(scalar) if !scalar.quoted && scalar.text == "true" => {
                Some(Spanned::new(true, node.span))
            }
            Kind::Scalar(scalar) if !scalar.quoted && scalar.text == "false" => {
                Some(Spanned::new(false, node.span))
            }
            _ => {
                problems.push(
                    Diagnostic::new(node.span, format!("`{key}` must be `true` or `false`"))
                        .label(format!("this is {}", found(node))),
                );
                None
            }
        }
    }

    /// The first key that nobody has asked for: takes it.
    pub fn take_rest(&mut self) -> Vec<&'a (Key, Node)> {
        self.entries.iter_mut().filter_map(Option::take).collect()
    }

    /// Reports every key that nobody has asked for.
    pub fn finish(self, problems: &mut Problems) {
        for (key, _) in self.entries.into_iter().flatten() {
            let problem = if self.later.contains(&key.name.as_str()) {
                not_yet(key, self.what)
            } else {
                unknown(key, self.what, &self.known, self.later)
            };
            problems.push(problem);
        }
    }
}

/// The problem of a key that the language has but this version cannot do.
pub(super) fn not_yet(key: &Key, what: &str) -> Diagnostic {
    Diagnostic::new(
        key.span,
        format!("`{}` in {what} is not supported yet", key.name),
    )
    .label("a later version has it")
    .help("remove it: sandbench does not ignore what it cannot do")
}

fn unknown(key: &Key, what: &str, known: &[&str], later: &[&str]) -> Diagnostic {
    let problem = Diagnostic::new(key.span, format!("unknown field `{}` in {what}", key.name));
    let problem = match suggest(&key.name, known.iter().chain(later).copied()) {
        Some(near) => problem.label(format!("did you mean `{near}`?")),
        None => problem,
    };
    if known.is_empty() {
        problem.help(format!("{what} takes no fields"))
    } else {
        problem.help(format!("{what} takes {}", list(known)))
    }
}

/// `` `a`, `b`, `c` ``.
pub(crate) fn list(words: &[&str]) -> String {
    words
        .iter()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// What a node is, with its text if that is short.
pub(crate) fn found(node: &Node) -> String {
    match node.text() {
        Some(text) if text.chars().count() <= 30 && !text.contains('\n') => {
            format!("{} `{text}`", node.describe())
        }
        _ => node.describe().to_owned(),
    }
}

/// A scalar as text: words, quoted text and numbers alike.
pub(crate) fn text(node: &Node, key: &str, problems: &mut Problems) -> Option<Spanned<String>> {
    match node.text() {
        Some(text) => Some(Spanned::new(text.to_owned(), node.span)),
        None => {
            problems.push(
                Diagnostic::new(node.span, format!("`{key}` must be text"))
                    .label(format!("this is {}", node.describe())),
            );
            None
        }
    }
}

/// A scalar read by a type's own `FromStr`.
pub(crate) fn parse<T>(node: &Node, key: &str, problems: &mut Problems) -> Option<Spanned<T>>
where
    T: FromStr,
    T::Err: std::fmt::Display,
{
    let written = text(node, key, problems)?;
    match written.value.parse() {
        Ok(value) => Some(Spanned::new(value, node.span)),
        Err(error) => {
            problems.push(
                Diagnostic::new(node.span, format!("`{key}` cannot be read"))
                    .label(error.to_string()),
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::SourceFile;
    use super::super::yaml;
    use super::*;
    use crate::units::HumanDuration;

    fn problems_of(text: &str) -> Vec<String> {
        let file = SourceFile::from_text("t.yaml", text);
        let mut problems = Problems::new();
        let node = yaml::parse(&file, &mut problems).unwrap();
        if let Some(fields) = Fields::of(&node, "load", &mut problems) {
            let mut fields = fields.later(&["rate"]);
            fields.count("vus", 1, &mut problems);
            fields.parse::<HumanDuration>("duration", &mut problems);
            fields.boolean("strict", &mut problems);
            fields.require("name", &mut problems);
            fields.finish(&mut problems);
        }
        problems
            .sorted()
            .iter()
            .map(|p| format!("{}|{}", p.message, p.label))
            .collect()
    }

    #[test]
    fn every_problem_of_a_map_is_reported_at_once() {
        let text = "vus: none\nduration: 30\nstrict: yes\nrate: 1/s\nvuss: 3\nname:\n";
        assert_eq!(
            problems_of(text),
            [
                "`vus` must be a whole number of at least 1|this is text `none`",
                "`duration` cannot be read|`30` has no unit; write for example `30s`",
                "`strict` must be `true` or `false`|this is text `yes`",
                "`rate` in load is not supported yet|a later version has it",
                "unknown field `vuss` in load|did you mean `vus`?",
                "`name` has no value|",
            ]
        );
    }

    #[test]
    fn a_missing_key_and_a_wrong_shape_are_problems() {
        assert_eq!(problems_of("vus: 1"), ["`load` needs `name`|missing here"]);
        assert_eq!(
            problems_of("[1]"),
            ["`load` must be a map of keys|this is a list"]
        );
    }
}
