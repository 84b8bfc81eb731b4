//! What a file means as a whole: names, references, order of steps, modes and their targets.
//!
//! The checks walk the YAML tree and not the decoded steps, so that a new step kind is checked
//! without a line here: every text is a template, `capture` and `expect: { that: … }` are
//! expressions, and a step's kind says which outputs it has. Checking changes nothing.

mod names;
mod references;
mod sandbox;
mod target;
mod unknown;

use super::document::ScenarioFile;
use super::vocabulary;
use crate::source::Problems;
use crate::source::yaml::{Key, Node};

/// Reports everything that is wrong with the file as a whole.
pub(super) fn check(root: &Node, file: &ScenarioFile, problems: &mut Problems) {
    names::check(root, problems);
    references::check(root, problems);
    target::check(root, file, problems);
    for (_, scenario) in entries(root.get("scenarios")) {
        sandbox::check(scenario, file, problems);
    }
}

/// The entries of a node that is a mapping; none for anything else.
fn entries(node: Option<&Node>) -> &[(Key, Node)] {
    node.and_then(Node::as_mapping).unwrap_or_default()
}

/// The items of a node that is a list; none for anything else.
fn items(node: Option<&Node>) -> &[Node] {
    node.and_then(Node::as_sequence).unwrap_or_default()
}

/// The action of a step: its key and its value.
fn action(step: &Node) -> Option<(&Key, &Node)> {
    step.as_mapping()?
        .iter()
        .find(|(key, _)| vocabulary::kinds().contains(&&*key.value))
        .map(|(key, node)| (key, node))
}

/// The steps inside a step: those of `group`.
fn inner_steps(step: &Node) -> &[Node] {
    items(step.get("steps"))
}
