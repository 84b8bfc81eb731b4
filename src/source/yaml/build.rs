//! Builds the tree from the parser's events, without recursion and within budgets.

use std::collections::HashSet;
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle as EventStyle, Span as EventSpan};

use super::node::{Key, Node, NodeKind, Origin, Scalar, ScalarStyle};
use super::screen;
use crate::source::diagnostic::{Code, Diagnostic, Problems};
use crate::source::file::SourceFile;
use crate::source::span::{Span, Spanned};

/// The deepest nesting that is read: 64 levels. A real scenario has about 12.
pub const DEPTH_LIMIT: usize = 64;

/// The most nodes that are read: 100 000.
pub const NODE_LIMIT: usize = 100_000;

/// Reads a file as one YAML document.
///
/// `None` when there is no tree: broken syntax, an empty file, a limit. Everything else that is
/// wrong is reported and the tree has [`NodeKind::Invalid`] in its place.
pub fn parse(file: &SourceFile, problems: &mut Problems) -> Option<Node> {
    let errors = problems.error_count();
    screen::forbidden_characters(file, problems);
    if problems.error_count() > errors {
        return None;
    }
    let mut options = granit_parser::options! {
        disallow_directives: false,
        flow_nesting_limit: DEPTH_LIMIT * 2,
        block_nesting_limit: DEPTH_LIMIT * 2,
        emit_unresolved_aliases: true,
        emit_anchor_events: true,
    };
    options.set_emit_comments(false);
    let mut builder = Builder {
        file,
        problems,
        open: Vec::new(),
        root: None,
        nodes: 0,
        documents: 0,
        aliases: HashSet::new(),
    };
    for event in Parser::new_from_str_with_options(file.text(), options) {
        let flow = match event {
            Ok((event, span)) => builder.event(event, &span),
            Err(error) => {
                let diagnostic = screen::syntax_error(file, &error);
                builder.problems.push(diagnostic);
                return None;
            }
        };
        match flow {
            Flow::Continue => {}
            Flow::Enough => break,
            Flow::Abandon => return None,
        }
    }
    builder.finish()
}

enum Flow {
    Continue,
    Enough,
    Abandon,
}

/// A collection that is not closed yet.
struct Open {
    start: Span,
    kind: OpenKind,
}

enum OpenKind {
    Sequence(Vec<Node>),
    Mapping {
        entries: Vec<(Key, Node)>,
        seen: HashSet<Arc<str>>,
        pending: Pending,
    },
}

/// Which half of a mapping entry comes next.
enum Pending {
    Key,
    Value(Key),
    /// The value of a key that was already reported.
    IgnoredValue,
}

struct Builder<'f, 'p> {
    file: &'f SourceFile,
    problems: &'p mut Problems,
    open: Vec<Open>,
    root: Option<Node>,
    nodes: usize,
    documents: usize,
    aliases: HashSet<String>,
}

impl Builder<'_, '_> {
    fn event(&mut self, event: Event<'_>, span: &EventSpan) -> Flow {
        let place = bytes_of(self.file, span);
        if let Some(tag) = event.tag() {
            let tag_place = span
                .tag_span()
                .map_or(place, |tag| bytes_of(self.file, &tag));
            self.problems.push(
                Diagnostic::error(
                    Code::YamlFeature,
                    tag_place,
                    format!(
                        "the YAML tag `{}` is not part of the language",
                        tag.original()
                    ),
                )
                .label("not allowed")
                .help("leave the tag out; put text in quotes"),
            );
        }
        match event {
            Event::DocumentStart(..) => self.document(place),
            Event::Anchor(_, name) => {
                self.not_in_language(place, &format!("the anchor `&{name}`"));
                Flow::Continue
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                let name = self.file.slice(place).to_owned();
                // Each alias once: it is the same mistake wherever it stands.
                if self.aliases.insert(name.clone()) {
                    self.not_in_language(place, &format!("the alias `{name}`"));
                }
                self.add(Node {
                    span: place,
                    kind: NodeKind::Invalid,
                })
            }
            Event::Scalar(text, style, ..) => {
                let scalar = self.scalar(&text, style, place);
                self.add(Node {
                    span: scalar.span,
                    kind: NodeKind::Scalar(scalar),
                })
            }
            Event::SequenceStart(..) => self.start(place, OpenKind::Sequence(Vec::new())),
            Event::MappingStart(..) => self.start(
                place,
                OpenKind::Mapping {
                    entries: Vec::new(),
                    seen: HashSet::new(),
                    pending: Pending::Key,
                },
            ),
            Event::SequenceEnd | Event::MappingEnd => self.end(place),
            // Comments, which are switched off, and what a later parser may add beside the nodes.
            _ => Flow::Continue,
        }
    }

    fn document(&mut self, place: Span) -> Flow {
        self.documents += 1;
        if self.documents == 1 {
            return Flow::Continue;
        }
        self.problems.push(
            Diagnostic::error(
                Code::Document,
                place,
                "a scenario file has one YAML document, this one has more",
            )
            .label("the second document starts here")
            .help("put it into a file of its own, or make it another entry of `scenarios`"),
        );
        Flow::Enough
    }

    fn not_in_language(&mut self, place: Span, what: &str) {
        self.problems.push(
            Diagnostic::error(
                Code::YamlFeature,
                place,
                format!("{what}: YAML anchors and aliases are not part of the language"),
            )
            .label("not allowed")
            .help("write the value out, or give it a name in `vars` and use `${{ vars.NAME }}`"),
        );
    }

    fn scalar(&self, text: &str, style: EventStyle, place: Span) -> Scalar {
        let (style, quote) = match style {
            EventStyle::Plain => (ScalarStyle::Plain, 0),
            EventStyle::SingleQuoted | EventStyle::DoubleQuoted => (ScalarStyle::Quoted, 1),
            EventStyle::Literal | EventStyle::Folded => (ScalarStyle::Block, 0),
        };
        let raw = self.file.slice(place);
        let inner = raw.get(quote..raw.len().saturating_sub(quote));
        let origin = if inner == Some(text) {
            Origin::Verbatim(place.start + quote)
        } else {
            Origin::Changed(raw.into())
        };
        Scalar {
            text: text.into(),
            style,
            span: place,
            origin,
        }
    }

    fn start(&mut self, start: Span, kind: OpenKind) -> Flow {
        if self.open.len() >= DEPTH_LIMIT {
            self.problems.push(
                Diagnostic::error(
                    Code::Limit,
                    Span::new(start.start, start.start),
                    format!("nested deeper than {DEPTH_LIMIT} levels"),
                )
                .label("too deep"),
            );
            return Flow::Abandon;
        }
        self.open.push(Open { start, kind });
        self.count(start)
    }

    fn end(&mut self, end: Span) -> Flow {
        let Some(open) = self.open.pop() else {
            return Flow::Continue;
        };
        let (kind, last) = match open.kind {
            OpenKind::Sequence(items) => {
                let last = items.last().map(|node| node.span);
                (NodeKind::Sequence(items), last)
            }
            OpenKind::Mapping { entries, .. } => {
                let last = entries.last().map(|(key, node)| key.span.to(node.span));
                (NodeKind::Mapping(entries), last)
            }
        };
        // A block collection ends where its last entry ends; a flow one at its bracket.
        let flow = matches!(self.file.slice(end), "}" | "]");
        let span = match last {
            Some(last) if !flow => open.start.to(last),
            Some(_) | None => open.start.to(end),
        };
        self.attach(Node { span, kind });
        Flow::Continue
    }

    fn add(&mut self, node: Node) -> Flow {
        let place = node.span;
        self.attach(node);
        self.count(place)
    }

    fn count(&mut self, place: Span) -> Flow {
        self.nodes += 1;
        if self.nodes <= NODE_LIMIT {
            return Flow::Continue;
        }
        self.problems.push(
            Diagnostic::error(
                Code::Limit,
                Span::new(place.start, place.start),
                format!("the file has more than {NODE_LIMIT} values"),
            )
            .label("too many"),
        );
        Flow::Abandon
    }

    fn attach(&mut self, node: Node) {
        let Some(open) = self.open.last_mut() else {
            self.root.get_or_insert(node);
            return;
        };
        match &mut open.kind {
            OpenKind::Sequence(items) => items.push(node),
            OpenKind::Mapping {
                entries,
                seen,
                pending,
            } => match std::mem::replace(pending, Pending::Key) {
                Pending::Key => {
                    *pending = key_of(&node, seen, self.problems)
                        .map_or(Pending::IgnoredValue, Pending::Value);
                }
                Pending::Value(key) => entries.push((key, node)),
                Pending::IgnoredValue => {}
            },
        }
    }

    fn finish(self) -> Option<Node> {
        let empty = self.root.as_ref().is_none_or(Node::is_null);
        if empty {
            self.problems.push(
                Diagnostic::error(Code::Document, Span::default(), "the file is empty")
                    .help("a scenario file begins with `version: 1` and `name: …`"),
            );
            return None;
        }
        self.root
    }
}

/// The key of a mapping entry; `None` when it was reported.
fn key_of(node: &Node, seen: &mut HashSet<Arc<str>>, problems: &mut Problems) -> Option<Key> {
    if node.is_invalid() {
        return None;
    }
    let Some(scalar) = node.as_scalar() else {
        let message = format!("a key is text, found {}", node.found());
        problems.push(
            Diagnostic::error(Code::WrongType, node.span, message)
                .help("text with `${{ … }}` or beginning with `{` or `[` is put in quotes"),
        );
        return None;
    };
    if &*scalar.text == "<<" && scalar.style == ScalarStyle::Plain {
        problems.push(
            Diagnostic::error(
                Code::YamlFeature,
                node.span,
                "the merge key `<<` is not part of the language",
            )
            .label("not allowed")
            .help("write the fields out"),
        );
        return None;
    }
    if !seen.insert(Arc::clone(&scalar.text)) {
        problems.push(
            Diagnostic::error(
                Code::DuplicateKey,
                node.span,
                format!("the key `{}` is written twice", scalar.text),
            )
            .label("already written above")
            .help("keep one of them"),
        );
        return None;
    }
    Some(Spanned::new(Arc::clone(&scalar.text), node.span))
}

fn bytes_of(file: &SourceFile, span: &EventSpan) -> Span {
    let range = span.byte_range().unwrap_or_default();
    let size = file.text().len();
    Span::new(range.start.min(size), range.end.min(size))
}
