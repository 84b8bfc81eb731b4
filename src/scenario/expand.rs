//! Puts the steps of another scenario in the place of `use: file.yaml#scenario`.
//!
//! The tree is changed before anything is decoded or checked: the text after `use` becomes a mapping
//! with the `steps` of that scenario and the `vars` of its file, each node at its own place. So the
//! decoders and checks see those steps like any others.

use std::collections::HashMap;
use std::sync::Arc;

use super::check::STEP_LISTS;
use super::used_files::{key_of, split};
use crate::source::yaml::{self, Key, NODE_LIMIT, Node, NodeKind, Scalar};
use crate::source::{Code, Diagnostic, Problems, SourceFile, Span, Spanned, did_you_mean, list_of};

/// How deep uses in used steps go.
const DEEPEST: usize = 8;

/// The tree with all used steps in their places; what cannot be used is reported.
pub(super) fn expand(root: Node, file: &SourceFile, problems: &mut Problems) -> Node {
    let mut expansion = Expansion {
        first: file,
        own: Arc::new(root.clone()),
        trees: HashMap::new(),
        under_way: Vec::new(),
        values: 0,
        problems,
    };
    let NodeKind::Mapping(mut entries) = root.kind else {
        return root;
    };
    for (key, node) in &mut entries {
        if &*key.value == "scenarios"
            && let NodeKind::Mapping(scenarios) = &mut node.kind
        {
            for (id, scenario) in scenarios {
                expansion.scenario(id, scenario);
            }
        }
    }
    Node {
        span: root.span,
        kind: NodeKind::Mapping(entries),
    }
}

/// A scenario that is being put in: the key of its file (none: the first one) and its id.
type Place = (Option<String>, Arc<str>);

struct Expansion<'f, 'p> {
    first: &'f SourceFile,
    /// The tree of the first file as it is written.
    own: Arc<Node>,
    /// The trees of the others, by key; `None`: it was reported.
    trees: HashMap<String, Option<Arc<Node>>>,
    /// From the outermost scenario inwards.
    under_way: Vec<Place>,
    /// How many values were put in.
    values: usize,
    problems: &'p mut Problems,
}

impl Expansion<'_, '_> {
    fn scenario(&mut self, id: &Key, scenario: &mut Node) {
        let NodeKind::Mapping(fields) = &mut scenario.kind else {
            return;
        };
        self.under_way.push((None, Arc::clone(&id.value)));
        for (key, list) in fields {
            if STEP_LISTS.contains(&&*key.value) {
                self.steps(list, None);
            }
        }
        self.under_way.pop();
    }

    /// Puts the used steps into a list of steps of a file.
    fn steps(&mut self, list: &mut Node, file: Option<&str>) {
        let NodeKind::Sequence(steps) = &mut list.kind else {
            return;
        };
        for step in steps {
            let NodeKind::Mapping(fields) = &mut step.kind else {
                continue;
            };
            for (key, node) in fields {
                match &*key.value {
                    "steps" => self.steps(node, file),
                    "use" => {
                        let used = self.used(node, file);
                        let span = node.span;
                        *node = used.unwrap_or(Node {
                            span,
                            kind: NodeKind::Invalid,
                        });
                    }
                    _ => {}
                }
            }
        }
    }

    /// What stands for a text after `use`.
    fn used(&mut self, node: &Node, user: Option<&str>) -> Option<Node> {
        let (path, id) = self.reference(node)?;
        let file = match &path {
            None => user.map(str::to_owned),
            Some(path) => Some(key_of(self.file(user), path)),
        };
        let place: Place = (file.clone(), Arc::clone(&id.value));
        self.may_be_used(node, &place)?;
        let root = self.tree(file.as_deref(), node, path.as_deref())?;
        let scenario = self.find(&root, &id, path.as_deref())?;
        let Some(steps) = scenario.get("steps").cloned() else {
            let message = format!("the scenario `{}` has no steps", id.value);
            self.problems.push(
                Diagnostic::error(Code::MissingField, id.span, message).label("nothing to use"),
            );
            return None;
        };
        let vars = root.get("vars").cloned();
        let size = steps.size() + vars.as_ref().map_or(0, Node::size);
        self.values = self.values.saturating_add(size);
        if self.values > NODE_LIMIT {
            let message = format!("`use` brings more than {NODE_LIMIT} values into the file");
            self.problems
                .push(Diagnostic::error(Code::Limit, node.span, message).label("too many"));
            return None;
        }
        let mut steps = steps;
        self.under_way.push(place);
        self.steps(&mut steps, file.as_deref());
        self.under_way.pop();
        let entry = |name: &str, node: Node| (Spanned::new(Arc::from(name), node.span), node);
        let mut entries = vec![entry("steps", steps)];
        entries.extend(vars.map(|vars| entry("vars", vars)));
        Some(Node {
            span: node.span,
            kind: NodeKind::Mapping(entries),
        })
    }

    /// The path, if one is written, and the id in `path#id`.
    fn reference(&mut self, node: &Node) -> Option<(Option<String>, Key)> {
        const HELP: &str = "write `use: file.yaml#scenario`, or `use: \"#scenario\"` for one of this \
                            file (in quotes: ` #` begins a comment)";
        let Some(scalar) = node.as_scalar().filter(|scalar| scalar.is_text()) else {
            if !node.is_invalid() {
                let message = format!(
                    "expected a file and a scenario in it, found {}",
                    node.found()
                );
                self.problems.push(
                    Diagnostic::error(Code::WrongType, node.span, message)
                        .label("expected `file.yaml#scenario`")
                        .help(HELP),
                );
            }
            return None;
        };
        let Some((path, id)) = split(&scalar.text) else {
            let message = format!("`{}` does not name a scenario of a file", scalar.text);
            self.problems.push(
                Diagnostic::error(Code::BadValue, node.span, message)
                    .label("expected `file.yaml#scenario`")
                    .help(HELP),
            );
            return None;
        };
        Some((
            (!path.is_empty()).then(|| path.to_owned()),
            id_in(scalar, id),
        ))
    }

    fn may_be_used(&mut self, node: &Node, place: &Place) -> Option<()> {
        let (message, label) = if self.under_way.contains(place) {
            let ids = self.under_way.iter().chain([place]).map(|(_, id)| &**id);
            let chain = ids.collect::<Vec<_>>().join("` → `");
            (
                format!("the scenario `{}` uses itself: `{chain}`", place.1),
                "would never end",
            )
        } else if self.under_way.len() > DEEPEST {
            let message = format!("used steps use others more than {DEEPEST} levels deep");
            (message, "too deep")
        } else {
            return Some(());
        };
        self.problems
            .push(Diagnostic::error(Code::Limit, node.span, message).label(label));
        None
    }

    fn file(&self, key: Option<&str>) -> &SourceFile {
        key.and_then(|key| self.first.other(key)?.file().ok())
            .unwrap_or(self.first)
    }

    /// The tree of a file with its places in the line of all files.
    fn tree(&mut self, key: Option<&str>, node: &Node, written: Option<&str>) -> Option<Arc<Node>> {
        let Some(key) = key else {
            return Some(Arc::clone(&self.own));
        };
        if let Some(known) = self.trees.get(key) {
            return known.clone();
        }
        let reason = match self.first.other(key) {
            None => "it was not read",
            Some(other) => match other.file() {
                Err(reason) => reason,
                Ok(file) => {
                    let mut found = Problems::new();
                    let base = other.base();
                    let tree = yaml::parse(file, &mut found).map(|tree| tree.after(base));
                    let tree = tree.filter(|_| !found.has_errors()).map(Arc::new);
                    self.problems
                        .extend(found.into_iter().map(|problem| Diagnostic {
                            span: problem.span.after(base),
                            ..problem
                        }));
                    self.trees.insert(key.to_owned(), tree.clone());
                    return tree;
                }
            },
        };
        let path = written.unwrap_or(key);
        self.problems.push(
            Diagnostic::error(
                Code::Data,
                node.span,
                format!("the file `{path}` cannot be used: {reason}"),
            )
            .label("named here")
            .help(format!(
                "the path is relative to the file that it stands in: `{key}`"
            )),
        );
        None
    }

    fn find<'t>(&mut self, root: &'t Node, id: &Key, path: Option<&str>) -> Option<&'t Node> {
        let scenarios = root.get("scenarios").and_then(Node::as_mapping);
        let scenarios = scenarios.unwrap_or_default();
        let mut entries = scenarios.iter();
        if let Some((_, found)) = entries.find(|(known, _)| known.value == id.value) {
            return Some(found);
        }
        let known: Vec<&str> = scenarios.iter().map(|(id, _)| &*id.value).collect();
        let place = path.map_or_else(|| "this file".to_owned(), |path| format!("`{path}`"));
        let label = did_you_mean(&id.value, &known);
        let problem = Diagnostic::error(
            Code::UnknownReference,
            id.span,
            format!("{place} has no scenario `{}`", id.value),
        )
        .label(label);
        self.problems.push(if known.is_empty() {
            problem.help("it has no `scenarios`")
        } else {
            problem.help(format!("its scenarios are {}", list_of(&known)))
        });
        None
    }
}

/// The id at the end of the text, with its place.
fn id_in(scalar: &Scalar, id: &str) -> Key {
    let start = scalar.text.len() - id.len();
    let lead = id.len() - id.trim_start().len();
    let id = id.trim();
    let span: Span = scalar.span_of(start + lead..start + lead + id.len());
    Spanned::new(Arc::from(id), span)
}
