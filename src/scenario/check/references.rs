//! What `${{ … }}` and expressions refer to exists, and what is declared is used.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::{action, entries, items};
use crate::expr::{CONTEXTS, Expression, Output, ROOTS, Reference, Template};
use crate::scenario::vocabulary;
use crate::source::yaml::{Key, Node, NodeKind, Scalar};
use crate::source::{Code, Diagnostic, Problems, list_of, suggest};

/// What a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Text {
    Template,
    Expression,
}

pub(super) fn check(root: &Node, problems: &mut Problems) {
    let mut walk = Walk {
        vars: BTreeSet::new(),
        captured: BTreeSet::new(),
        matrix: BTreeSet::new(),
        later: BTreeSet::new(),
        ids: HashMap::new(),
        outputs: &[],
        place: Place::Vars,
        used: BTreeSet::new(),
        problems,
    };
    for (name, value) in entries(root.get("vars")) {
        walk.texts(value, Text::Template);
        walk.vars.insert(Arc::clone(&name.value));
    }
    let scenarios = entries(root.get("scenarios"));
    if let Some(target) = root.get("target") {
        walk.place = Place::Target;
        // The target of the file is resolved per cell: any scenario's axis may stand in it.
        walk.matrix = scenarios.iter().flat_map(|(_, node)| axes(node)).collect();
        walk.texts(target, Text::Template);
    }
    let in_target = std::mem::take(&mut walk.used);
    let mut used_vars: BTreeSet<(String, Arc<str>)> = in_target
        .iter()
        .filter(|(root, _)| root == "vars")
        .cloned()
        .collect();
    for (_, scenario) in scenarios {
        walk.used.clone_from(&in_target);
        walk.scenario(scenario);
        used_vars.extend(walk.used.iter().filter(|(root, _)| root == "vars").cloned());
    }
    for (name, _) in entries(root.get("vars")) {
        if !is_used(&used_vars, "vars", &name.value) {
            walk.problems.push(unused("variable", name, "vars"));
        }
    }
}

/// Where in the file a text stands: that decides which names have a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Vars,
    Target,
    Step,
}

impl Place {
    fn roots(self) -> &'static [&'static str] {
        match self {
            Self::Vars => &["vars", "env", "run"],
            Self::Target => &["vars", "env", "run", "matrix", "scenario"],
            Self::Step => ROOTS,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Vars => "`vars`",
            Self::Target => "`target`",
            Self::Step => "a step",
        }
    }
}

fn axes(scenario: &Node) -> impl Iterator<Item = Arc<str>> {
    entries(scenario.get("matrix"))
        .iter()
        .map(|(name, _)| Arc::clone(&name.value))
}

/// Whether a name was used; the whole root counts as all its names.
fn is_used(used: &BTreeSet<(String, Arc<str>)>, root: &str, name: &Arc<str>) -> bool {
    [Arc::clone(name), Arc::from("")]
        .into_iter()
        .any(|name| used.contains(&(root.to_owned(), name)))
}

struct Walk<'n, 'p> {
    vars: BTreeSet<Arc<str>>,
    captured: BTreeSet<Arc<str>>,
    matrix: BTreeSet<Arc<str>>,
    /// Names that a later step captures.
    later: BTreeSet<Arc<str>>,
    /// Step ids so far and the outputs of the step.
    ids: HashMap<&'n str, &'static [Output]>,
    /// The outputs of the current step: bare names in its expressions.
    outputs: &'static [Output],
    place: Place,
    /// Root and name of everything that was referred to; an empty name for a whole root.
    used: BTreeSet<(String, Arc<str>)>,
    problems: &'p mut Problems,
}

impl<'n> Walk<'n, '_> {
    fn scenario(&mut self, scenario: &'n Node) {
        self.matrix = axes(scenario).collect();
        self.captured.clear();
        self.ids.clear();
        self.place = Place::Target;
        if let Some(target) = scenario.get("target") {
            self.texts(target, Text::Template);
        }
        self.place = Place::Step;
        let steps = items(scenario.get("steps"));
        let finally = items(scenario.get("finally"));
        let mut captures = Vec::new();
        for step in steps.iter().chain(finally) {
            collect_captures(step, &mut captures);
        }
        self.later = captures
            .iter()
            .map(|name| Arc::clone(&name.value))
            .collect();
        for step in steps.iter().chain(finally) {
            self.step(step);
        }
        for (name, _) in entries(scenario.get("matrix")) {
            let known = matches!(&*name.value, "mode" | "include" | "exclude");
            if !known && !is_used(&self.used, "matrix", &name.value) {
                self.problems.push(unused("axis", name, "matrix"));
            }
        }
        for name in captures {
            if !self.vars.contains(&name.value) && !is_used(&self.used, "vars", &name.value) {
                self.problems.push(unused("capture", name, "vars"));
            }
        }
    }

    fn step(&mut self, step: &'n Node) {
        let outputs = action(step).map_or(&[][..], |(kind, _)| vocabulary::outputs(&kind.value));
        for (key, value) in entries(Some(step)) {
            match &*key.value {
                "capture" | "steps" | "id" => {}
                "expect" => self.expect(value, outputs),
                _ => self.texts(value, Text::Template),
            }
        }
        for inner in super::inner_steps(step) {
            self.step(inner);
        }
        // A capture sees the outputs, and its name exists from the next step on.
        self.outputs = outputs;
        for (name, expression) in entries(step.get("capture")) {
            self.texts(expression, Text::Expression);
            self.captured.insert(Arc::clone(&name.value));
        }
        self.outputs = &[];
        if let Some(id) = step.get("id").and_then(Node::as_scalar) {
            self.ids.insert(&id.text, outputs);
        }
    }

    fn expect(&mut self, expect: &'n Node, outputs: &'static [Output]) {
        for (key, value) in entries(Some(expect)) {
            if &*key.value == "that" {
                self.outputs = outputs;
                self.texts(value, Text::Expression);
                self.outputs = &[];
            } else {
                self.texts(value, Text::Template);
            }
        }
    }

    fn texts(&mut self, node: &Node, text: Text) {
        match &node.kind {
            NodeKind::Scalar(scalar) => self.scalar(scalar, text),
            NodeKind::Sequence(items) => {
                for item in items {
                    self.texts(item, text);
                }
            }
            NodeKind::Mapping(entries) => {
                for (_, value) in entries {
                    self.texts(value, text);
                }
            }
            NodeKind::Invalid => {}
        }
    }

    fn scalar(&mut self, scalar: &Scalar, text: Text) {
        // What does not compile was reported by the decoder of the field.
        let mut reported = Problems::new();
        let references: Option<Vec<Reference>> = match text {
            Text::Template if !scalar.text.contains("${{") => return,
            Text::Template => Template::from_scalar(scalar, &mut reported)
                .map(|template| template.references().cloned().collect()),
            Text::Expression => Expression::from_scalar(scalar, &mut reported)
                .map(|expression| expression.references().to_vec()),
        };
        match references {
            Some(references) => references
                .iter()
                .for_each(|reference| self.reference(reference)),
            None => self.assume_used(&scalar.text),
        }
    }

    /// Names in a text that does not compile count as used, so that one mistake is not two.
    fn assume_used(&mut self, text: &str) {
        let names: Vec<Arc<str>> = self.vars.iter().chain(&self.later).cloned().collect();
        for (root, names) in [
            ("vars", names),
            ("matrix", self.matrix.iter().cloned().collect()),
        ] {
            for name in names.into_iter().filter(|name| text.contains(&**name)) {
                self.used.insert((root.to_owned(), name));
            }
        }
    }

    fn reference(&mut self, reference: &Reference) {
        let root = reference.root();
        if self.outputs.iter().any(|output| output.name == root) {
            return;
        }
        if root == "data" {
            self.problems.push(
                Diagnostic::error(
                    Code::NotSupported,
                    reference.span,
                    "`data` is not supported yet",
                )
                .label("not supported yet")
                .help("use `vars` or `matrix`"),
            );
            return;
        }
        if !ROOTS.contains(&root) {
            self.unknown_root(reference);
            return;
        }
        if !self.place.roots().contains(&root) {
            self.problems.push(
                Diagnostic::error(
                    Code::UnknownReference,
                    reference.span,
                    format!("`{root}` has no value in {}", self.place.name()),
                )
                .label("no value here")
                .help(format!(
                    "names that have one here begin with {}",
                    list_of(self.place.roots())
                )),
            );
            return;
        }
        let name: Arc<str> = reference.path.get(1).cloned().unwrap_or_default();
        self.used.insert((root.to_owned(), Arc::clone(&name)));
        if name.is_empty() {
            return;
        }
        match root {
            "vars" => self.variable(reference, &name),
            "matrix" => self.axis(reference, &name),
            "steps" => self.step_output(reference, &name),
            "env" => {}
            _ => self.context(reference, root, &name),
        }
    }

    fn unknown_root(&mut self, reference: &Reference) {
        let root = reference.root();
        let outputs: Vec<&str> = self.outputs.iter().map(|output| output.name).collect();
        let known: Vec<&str> = outputs.iter().chain(ROOTS).copied().collect();
        let declared = self
            .vars
            .iter()
            .chain(&self.captured)
            .find(|name| &***name == root);
        let label = match declared {
            Some(name) => format!("did you mean `vars.{name}`?"),
            None => did_you_mean(root, &known),
        };
        let diagnostic = Diagnostic::error(
            Code::UnknownReference,
            reference.span,
            format!("unknown name `{root}`"),
        )
        .label(label)
        .help(format!("names begin with {}", list_of(self.place.roots())));
        self.problems.push(if outputs.is_empty() {
            diagnostic
        } else {
            diagnostic.help(format!(
                "the outputs of this step are {}",
                list_of(&outputs)
            ))
        });
    }

    fn variable(&mut self, reference: &Reference, name: &Arc<str>) {
        if self.vars.contains(name) || self.captured.contains(name) {
            return;
        }
        let (message, label) = if self.place == Place::Step && self.later.contains(name) {
            (
                format!("`vars.{name}` is used before it is captured"),
                "captured by a later step".to_owned(),
            )
        } else {
            let known: Vec<&str> = self
                .vars
                .iter()
                .chain(&self.captured)
                .map(|name| &**name)
                .collect();
            (
                format!("unknown variable `{name}`"),
                did_you_mean(name, &known),
            )
        };
        let known: Vec<&Arc<str>> = self.vars.iter().chain(&self.captured).collect();
        let help = if known.is_empty() {
            format!("declare it: `vars: {{ {name}: … }}`")
        } else {
            format!("the variables here are {}", list_of(&known))
        };
        self.unknown(reference, message, label, help);
    }

    fn axis(&mut self, reference: &Reference, name: &Arc<str>) {
        if self.matrix.contains(name) {
            return;
        }
        let known: Vec<&str> = self.matrix.iter().map(|name| &**name).collect();
        let label = did_you_mean(name, &known);
        let help = if known.is_empty() {
            format!("declare it: `matrix: {{ {name}: [ … ] }}`")
        } else {
            format!("the axes are {}", list_of(&known))
        };
        self.unknown(reference, format!("unknown axis `{name}`"), label, help);
    }

    fn step_output(&mut self, reference: &Reference, id: &Arc<str>) {
        let Some(outputs) = self.ids.get(&**id) else {
            let mut known: Vec<&str> = self.ids.keys().copied().collect();
            known.sort_unstable();
            let label = did_you_mean(id, &known);
            let help = if known.is_empty() {
                "give a step above an `id`".to_owned()
            } else {
                format!("the ids of the steps above are {}", list_of(&known))
            };
            self.unknown(
                reference,
                format!("no step above has the id `{id}`"),
                label,
                help,
            );
            return;
        };
        let Some(output) = reference.path.get(2) else {
            return;
        };
        let known: Vec<&str> = outputs.iter().map(|output| output.name).collect();
        if !known.contains(&&**output) {
            let message = format!("the step `{id}` has no output `{output}`");
            let help = if known.is_empty() {
                "this kind of step has no outputs".to_owned()
            } else {
                format!("its outputs are {}", list_of(&known))
            };
            self.unknown(reference, message, did_you_mean(output, &known), help);
        }
    }

    fn context(&mut self, reference: &Reference, root: &str, name: &str) {
        let fields = CONTEXTS
            .iter()
            .find(|(known, _)| *known == root)
            .map_or(&[][..], |(_, fields)| fields);
        if !fields.contains(&name) {
            self.unknown(
                reference,
                format!("`{root}` has no `{name}`"),
                did_you_mean(name, fields),
                format!("it has {}", list_of(fields)),
            );
        }
    }

    fn unknown(&mut self, reference: &Reference, message: String, label: String, help: String) {
        self.problems.push(
            Diagnostic::error(Code::UnknownReference, reference.span, message)
                .label(label)
                .help(help),
        );
    }
}

fn collect_captures<'n>(step: &'n Node, captures: &mut Vec<&'n Key>) {
    for inner in super::inner_steps(step) {
        collect_captures(inner, captures);
    }
    captures.extend(entries(step.get("capture")).iter().map(|(name, _)| name));
}

fn did_you_mean(unknown: &str, known: &[&str]) -> String {
    suggest(unknown, known).map_or_else(
        || "unknown".to_owned(),
        |word| format!("did you mean `{word}`?"),
    )
}

fn unused(what: &str, name: &Key, root: &str) -> Diagnostic {
    Diagnostic::error(
        Code::Unused,
        name.span,
        format!("unused {what} `{}`", name.value),
    )
    .label("never used")
    .help(format!(
        "use it as `${{{{ {root}.{} }}}}`, or delete it",
        name.value
    ))
}
