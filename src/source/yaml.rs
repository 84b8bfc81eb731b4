//! A YAML document as a tree in which every node knows its place.
//!
//! Built from parser events, so that decoders can go on after the first problem and no value is
//! reinterpreted on the way (`010` stays text until somebody asks for a number). Limits: nesting,
//! number of nodes after aliases are expanded, one document per file.

use std::collections::HashMap;
use std::collections::HashSet;

use granit_parser::{Event, Parser, ScalarStyle};

use super::diagnostic::{Diagnostic, Problems};
use super::file::SourceFile;
use super::span::Span;

/// How deep a scenario may nest. The deepest sensible one has about a dozen levels.
const DEPTH_LIMIT: usize = 64;
/// How many nodes a scenario may have, aliases expanded.
const NODE_LIMIT: usize = 100_000;

/// A node of the tree.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it stands.
    pub span: Span,
    /// What it is.
    pub kind: Kind,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// Text, a number, a boolean or nothing; which of them is the reader's choice.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys with values, in the order of the file; keys are unique.
    Mapping(Vec<(Key, Node)>),
}

/// A scalar as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar {
    /// The text without quotes and escapes.
    pub text: String,
    /// Whether it was quoted or a block: then it is always text.
    pub quoted: bool,
}

/// A key of a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The key's text.
    pub name: String,
    /// Where it stands.
    pub span: Span,
}

impl Node {
    /// What the node is, for messages.
    pub fn describe(&self) -> &'static str {
        match &self.kind {
            Kind::Sequence(_) => "a list",
            Kind::Mapping(_) => "a map",
            Kind::Scalar(scalar) if scalar.quoted => "text",
            Kind::Scalar(scalar) => match scalar.text.as_str() {
                "" | "~" | "null" => "nothing",
                "true" | "false" => "a boolean",
                text if text.parse::<f64>().is_ok() => "a number",
                _ => "text",
            },
        }
    }

    /// Whether it is an empty scalar or `null`.
    pub fn is_null(&self) -> bool {
        self.describe() == "nothing"
    }

    /// The scalar's text, whatever it looks like; `None` for lists, maps and nothing.
    pub fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(scalar) if !self.is_null() => Some(&scalar.text),
            Kind::Scalar(_) | Kind::Sequence(_) | Kind::Mapping(_) => None,
        }
    }
}

/// Reads the one document of a file. Problems of the syntax stop the reading; duplicate keys do not.
pub fn parse(file: &SourceFile, problems: &mut Problems) -> Option<Node> {
    let mut builder = Builder {
        length: file.text().len(),
        parser: Parser::new_from_str(file.text()),
        problems,
        anchors: HashMap::new(),
        nodes: 0,
    };
    builder.document()
}

struct Builder<'a> {
    length: usize,
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    problems: &'a mut Problems,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

impl<'a> Builder<'a> {
    fn document(&mut self) -> Option<Node> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentEnd => {}
                Event::DocumentStart(..) if root.is_some() => {
                    self.problem(span, "a scenario file holds one document")
                        .help("put the second document into a file of its own");
                    return None;
                }
                Event::DocumentStart(..) => {}
                event => root = Some(self.node(event, span, 0)?),
            }
        }
        if root.as_ref().is_none_or(Node::is_null) {
            let end = Span::new(0, 0);
            self.problem(end, "the file is empty")
                .help("a scenario starts with `version: 1`");
            return None;
        }
        root
    }

    /// The next event that is not a comment; `None` after a problem.
    fn next(&mut self) -> Option<(Event<'a>, Span)> {
        loop {
            match self.parser.next() {
                None => return Some((Event::StreamEnd, Span::new(self.length, self.length))),
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok((event, span))) => {
                    let start = span.start.byte_offset().unwrap_or(self.length);
                    let end = span.end.byte_offset().unwrap_or(self.length);
                    return Some((event, Span::new(start, end)));
                }
                Some(Err(error)) => {
                    let at = error.marker().byte_offset().unwrap_or(self.length);
                    let message = format!("not YAML: {}", error.info());
                    self.problem(Span::new(at, (at + 1).min(self.length)), message);
                    return None;
                }
            }
        }
    }

    fn problem(&mut self, span: Span, message: impl Into<String>) -> Pending<'_> {
        Pending {
            problems: self.problems,
            diagnostic: Some(Diagnostic::new(span, message)),
        }
    }

    fn count(&mut self, nodes: usize, span: Span) -> Option<()> {
        self.nodes += nodes;
        if self.nodes > NODE_LIMIT {
            self.problem(span, format!("the file has more than {NODE_LIMIT} values"))
                .help("aliases count as often as they are used");
            return None;
        }
        Some(())
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Option<Node> {
        if depth > DEPTH_LIMIT {
            self.problem(span, format!("nested deeper than {DEPTH_LIMIT} levels"));
            return None;
        }
        self.count(1, span)?;
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => {
                let quoted = style != ScalarStyle::Plain;
                let scalar = Scalar {
                    text: text.into_owned(),
                    quoted,
                };
                (
                    Node {
                        span,
                        kind: Kind::Scalar(scalar),
                    },
                    anchor,
                )
            }
            Event::SequenceStart(_, anchor, _) => (self.sequence(span, depth)?, anchor),
            Event::MappingStart(_, anchor, _) => (self.mapping(span, depth)?, anchor),
            Event::Alias(id) => {
                let Some(node) = self.anchors.get(&id).cloned() else {
                    self.problem(span, "an alias inside its own anchor");
                    return None;
                };
                self.count(size(&node), span)?;
                return Some(Node { span, ..node });
            }
            _ => {
                self.problem(span, "not YAML: a value is missing here");
                return None;
            }
        };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Some(node)
    }

    fn sequence(&mut self, start: Span, depth: usize) -> Option<Node> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                let end = items
                    .last()
                    .map_or(span.end, |last: &Node| last.span.end.max(start.end));
                return Some(Node {
                    span: Span::new(start.start, end),
                    kind: Kind::Sequence(items),
                });
            }
            items.push(self.node(event, span, depth + 1)?);
        }
    }

    fn mapping(&mut self, start: Span, depth: usize) -> Option<Node> {
        let mut entries: Vec<(Key, Node)> = Vec::new();
        let mut names = HashSet::new();
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                let end = entries.last().map_or(span.end, |(_, value)| value.span.end);
                let end = end.max(start.end);
                return Some(Node {
                    span: Span::new(start.start, end),
                    kind: Kind::Mapping(entries),
                });
            }
            let key = self.node(event, span, depth + 1)?;
            let (event, span) = self.next()?;
            let value = self.node(event, span, depth + 1)?;
            let Kind::Scalar(scalar) = key.kind else {
                self.problem(key.span, "a key must be a word").help(
                    "a value that starts with `{` is a map: put it in quotes if text is meant",
                );
                continue;
            };
            if names.insert(scalar.text.clone()) {
                entries.push((
                    Key {
                        name: scalar.text,
                        span: key.span,
                    },
                    value,
                ));
            } else {
                self.problem(
                    key.span,
                    format!("the key `{}` stands twice here", scalar.text),
                );
            }
        }
    }
}

fn size(node: &Node) -> usize {
    match &node.kind {
        Kind::Scalar(_) => 1,
        Kind::Sequence(items) => 1 + items.iter().map(size).sum::<usize>(),
        Kind::Mapping(entries) => {
            1 + entries
                .iter()
                .map(|(_, value)| 1 + size(value))
                .sum::<usize>()
        }
    }
}

/// A problem that is recorded when this goes out of scope, so that help can be added to it.
struct Pending<'a> {
    problems: &'a mut Problems,
    diagnostic: Option<Diagnostic>,
}

impl Pending<'_> {
    fn help(mut self, help: &str) {
        self.diagnostic = self
            .diagnostic
            .take()
            .map(|diagnostic| diagnostic.help(help));
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if let Some(diagnostic) = self.diagnostic.take() {
            self.problems.push(diagnostic);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn tree(text: &str) -> (Option<Node>, Vec<String>) {
        let file = SourceFile::from_text("t.yaml", text);
        let mut problems = Problems::new();
        let node = parse(&file, &mut problems);
        let messages = problems
            .sorted()
            .iter()
            .map(|p| p.message.clone())
            .collect();
        (node, messages)
    }

    #[test]
    fn every_node_knows_its_place_and_its_text_as_written() {
        let text = "a: 010\nb: [yes, 'x']\n";
        let (node, problems) = tree(text);
        assert!(problems.is_empty(), "{problems:?}");
        let Some(Kind::Mapping(entries)) = node.map(|node| node.kind) else {
            panic!("no map")
        };
        assert_eq!(entries[0].1.text(), Some("010"));
        assert_eq!(&text[entries[0].1.span.start..entries[0].1.span.end], "010");
        let Kind::Sequence(items) = &entries[1].1.kind else {
            panic!("no list")
        };
        assert_eq!(items[0].text(), Some("yes"));
        assert_eq!(items[1].describe(), "text");
    }

    #[test]
    fn duplicate_keys_are_told_and_reading_goes_on() {
        let (node, problems) = tree("a: 1\na: 2\nb: 3\n");
        assert!(node.is_some());
        assert_eq!(problems, ["the key `a` stands twice here"]);
    }

    #[test]
    fn hostile_files_are_refused() {
        let mut bomb = String::from("a: &a [x, x, x, x, x, x, x, x, x, x]\n");
        for (name, of) in ('b'..='j').zip('a'..='i') {
            writeln!(
                bomb,
                "{name}: &{name} [*{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}, *{of}]"
            )
            .unwrap();
        }
        for text in [
            bomb.as_str(),
            &"[".repeat(10_000),
            &"- ".repeat(10_000),
            "a: b: c: d",
            "a: [1, 2",
            "a: *nowhere",
            "a: &x [*x]",
            "{a: 1}: 2",
            "--- 1\n--- 2",
            "",
            "# only a comment",
            "\0",
            "a: \"unclosed",
        ] {
            let (_, problems) = tree(text);
            assert!(!problems.is_empty(), "{}", &text[..text.len().min(40)]);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "\\PC{0,200}") {
            tree(&text);
        }

        #[test]
        fn no_yaml_like_text_makes_the_reader_panic(text in "[-a-c:&*!|>\\[\\]{},#'\" \n\t]{0,120}") {
            tree(&text);
        }
    }
}
