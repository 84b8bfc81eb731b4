//! What `${{ … }}` and expressions refer to exists, and what is declared is used.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::names;
use super::place::Place;
use super::tree::{STEP_LISTS, action, entries, inner_steps, is_parallel, items};
use crate::expr::{Expression, Output, ROOTS, Reference, Template};
use crate::source::yaml::{Key, Node, NodeKind, Scalar};
use crate::source::{Code, Diagnostic, Problems, list_of};
use crate::step::Action;

/// What a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Text {
    Template,
    Expression,
}

/// What the expressions of a file use of what is outside of it.
pub(super) struct UsedNames {
    /// The columns of data, by scenario.
    pub(super) data: Vec<(Arc<str>, Vec<Reference>)>,
    /// The environment variables.
    pub(super) environment: Vec<Arc<str>>,
}

/// Checks all references of a file.
pub(super) fn check(root: &Node, problems: &mut Problems) -> UsedNames {
    let mut data = Vec::new();
    let mut walk = Walk {
        vars: BTreeSet::new(),
        captured: BTreeSet::new(),
        matrix: BTreeSet::new(),
        later: BTreeSet::new(),
        ids: HashMap::new(),
        outputs: &[],
        loops: 0,
        place: Place::Vars,
        used: BTreeSet::new(),
        in_target: BTreeSet::new(),
        data: None,
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
    walk.in_target = std::mem::take(&mut walk.used);
    let mut used_vars = walk.in_target.clone();
    for (id, scenario) in scenarios {
        walk.scenario(scenario);
        data.push((Arc::clone(&id.value), walk.data.take().unwrap_or_default()));
        used_vars.append(&mut walk.used);
    }
    for (name, _) in entries(root.get("vars")) {
        if !is_used(&used_vars, "vars", &name.value) {
            walk.problems.push(unused("variable", name, "vars"));
        }
    }
    let environment = used_vars.iter().filter(|(root, _)| *root == "env");
    let environment = environment.map(|(_, name)| Arc::clone(name)).collect();
    UsedNames { data, environment }
}

fn axes(scenario: &Node) -> impl Iterator<Item = Arc<str>> {
    entries(scenario.get("matrix"))
        .iter()
        .filter(|(name, _)| !matches!(&*name.value, "include" | "exclude"))
        .map(|(name, _)| Arc::clone(&name.value))
}

/// Root and name of what was referred to.
pub(super) type Used = BTreeSet<(&'static str, Arc<str>)>;

/// Whether a name was used; the whole root counts as all its names. A name that cannot be used was
/// reported as that.
pub(super) fn is_used(used: &Used, root: &'static str, name: &Arc<str>) -> bool {
    if names::is_identifier(name).is_err() {
        return true;
    }
    [Arc::clone(name), Arc::from("")]
        .into_iter()
        .any(|name| used.contains(&(root, name)))
}

pub(super) struct Walk<'n, 'p> {
    pub(super) vars: BTreeSet<Arc<str>>,
    pub(super) captured: BTreeSet<Arc<str>>,
    pub(super) matrix: BTreeSet<Arc<str>>,
    /// Names that a later step captures.
    pub(super) later: BTreeSet<Arc<str>>,
    /// Step ids so far and the outputs of the step.
    pub(super) ids: HashMap<&'n str, &'static [Output]>,
    /// The outputs of the current step: bare names in its expressions.
    pub(super) outputs: &'static [Output],
    /// How many steps with turns (`repeat`, `forEach`) are around this place.
    pub(super) loops: usize,
    pub(super) place: Place,
    /// Root and name of everything that was referred to; an empty name for a whole root.
    pub(super) used: Used,
    /// The same for the target of the file, which every scenario uses.
    in_target: Used,
    /// The columns of data that the scenario uses, if it has data.
    pub(super) data: Option<Vec<Reference>>,
    pub(super) problems: &'p mut Problems,
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
        if let Some(load) = scenario.get("load") {
            self.place = Place::Load;
            self.texts(load, Text::Template);
            self.place = Place::Target;
        }
        if let Some(condition) = scenario.get("if") {
            self.texts(condition, Text::Expression);
        }
        self.data = scenario.get("data").map(|_| Vec::new());
        let all = || STEP_LISTS.iter().flat_map(|list| items(scenario.get(list)));
        let mut of_setup = (self.captured.clone(), self.ids.clone());
        let mut captures = Vec::new();
        for step in all() {
            collect_captures(step, &mut captures);
        }
        self.later = captures
            .iter()
            .map(|name| Arc::clone(&name.value))
            .collect();
        for list in STEP_LISTS.iter().copied() {
            self.place = match list {
                "steps" | "finally" => Place::Step,
                _ => Place::Fixture,
            };
            if list == "teardown" {
                // Many iterations ran in between: only what `setup` left is known here.
                self.captured.clone_from(&of_setup.0);
                self.ids.clone_from(&of_setup.1);
            }
            for step in items(scenario.get(list)) {
                self.step(step);
            }
            if list == "setup" {
                of_setup = (self.captured.clone(), self.ids.clone());
            }
        }
        for (name, _) in entries(scenario.get("matrix")) {
            let known = matches!(&*name.value, "mode" | "include" | "exclude");
            if !known && !self.is_used("matrix", &name.value) {
                self.problems.push(unused("axis", name, "matrix"));
            }
        }
        self.unused_data(scenario);
        for name in captures {
            if !self.vars.contains(&name.value) && !self.is_used("vars", &name.value) {
                self.problems.push(unused("capture", name, "vars"));
            }
        }
    }

    pub(super) fn step(&mut self, step: &'n Node) {
        let outputs = action(step).map_or(&[][..], |(kind, _)| Action::outputs_of(&kind.value));
        // Whether a step runs, and for which items, is decided outside of its turns.
        for (key, value) in entries(Some(step)) {
            match &*key.value {
                "if" => self.texts(value, Text::Expression),
                "forEach" | "repeat" => self.texts(value, Text::Template),
                _ => {}
            }
        }
        let turns = step.get("forEach").is_some() || step.get("repeat").is_some();
        self.loops += usize::from(turns);
        for (key, value) in entries(Some(step)) {
            match &*key.value {
                "capture" | "expect" | "steps" | "use" | "id" | "if" | "forEach" | "repeat" => {}
                _ => self.texts(value, Text::Template),
            }
        }
        if let Some(used) = step.get("use") {
            self.used(step, used);
        } else {
            self.inner(step);
            self.judged(step, outputs);
        }
        // The name of a capture exists from the next step on.
        for (name, _) in entries(step.get("capture")) {
            self.captured.insert(Arc::clone(&name.value));
        }
        self.loops -= usize::from(turns);
        if let Some(id) = step.get("id").and_then(Node::as_scalar) {
            self.ids.insert(&id.text, outputs);
        }
    }

    /// What steps at the same time leave is known after all of them, not to each other.
    fn inner(&mut self, step: &'n Node) {
        let before = is_parallel(step).then(|| (self.captured.clone(), self.ids.clone()));
        let mut left = before.clone().unwrap_or_default();
        for inner in inner_steps(step) {
            if let Some((captured, ids)) = &before {
                self.captured.clone_from(captured);
                self.ids.clone_from(ids);
            }
            self.step(inner);
            left.0.extend(self.captured.iter().cloned());
            left.1.extend(&self.ids);
        }
        if before.is_some() {
            (self.captured, self.ids) = left;
        }
    }

    /// `expect` and `capture`, which see the outputs, and what the steps in the step left.
    pub(super) fn judged(&mut self, step: &Node, outputs: &'static [Output]) {
        if let Some(expect) = step.get("expect") {
            self.expect(expect, outputs);
        }
        self.outputs = outputs;
        for (_, expression) in entries(step.get("capture")) {
            self.texts(expression, Text::Expression);
        }
        self.outputs = &[];
    }

    fn expect(&mut self, expect: &Node, outputs: &'static [Output]) {
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

    pub(super) fn texts(&mut self, node: &Node, text: Text) {
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

    fn is_used(&self, root: &'static str, name: &Arc<str>) -> bool {
        is_used(&self.used, root, name) || is_used(&self.in_target, root, name)
    }

    /// Names in a text that does not compile count as used, so that one mistake is not two.
    fn assume_used(&mut self, text: &str) {
        for word in text.split(|c: char| !(c.is_alphanumeric() || c == '_')) {
            let name: Arc<str> = word.into();
            self.used.insert(("vars", Arc::clone(&name)));
            self.used.insert(("matrix", name));
        }
    }

    fn reference(&mut self, reference: &Reference) {
        let root = reference.root();
        if self.outputs.iter().any(|output| output.name == root) {
            return;
        }
        let Some(root) = ROOTS.iter().copied().find(|known| *known == root) else {
            self.unknown_root(reference);
            return;
        };
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
        if root == "each" && self.loops == 0 {
            self.problems.push(
                Diagnostic::error(
                    Code::UnknownReference,
                    reference.span,
                    "`each` has a value in a step with `forEach` or `repeat` only",
                )
                .label("no value here"),
            );
            return;
        }
        let name: Arc<str> = reference.path.get(1).cloned().unwrap_or_default();
        self.used.insert((root, Arc::clone(&name)));
        if root == "data" {
            self.column(reference);
            return;
        }
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
}

pub(super) fn collect_captures<'n>(step: &'n Node, captures: &mut Vec<&'n Key>) {
    // Used steps have names of their own.
    if step.get("use").is_none() {
        for inner in inner_steps(step) {
            collect_captures(inner, captures);
        }
    }
    captures.extend(entries(step.get("capture")).iter().map(|(name, _)| name));
}

pub(super) fn unused(what: &str, name: &Key, root: &str) -> Diagnostic {
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
