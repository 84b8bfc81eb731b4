//! Steps and entries of the YAML tree, with nothing in place of what has the wrong type: the
//! decoders reported that.

use crate::source::yaml::{Key, Node};
use crate::step::Action;

/// The lists of steps of a scenario, in their order.
pub(in crate::scenario) const STEP_LISTS: &[&str] = &["setup", "steps", "finally", "teardown"];

/// The entries of a node that is a mapping; none for anything else.
pub(super) fn entries(node: Option<&Node>) -> &[(Key, Node)] {
    node.and_then(Node::as_mapping).unwrap_or_default()
}

/// The items of a node that is a list; none for anything else.
pub(super) fn items(node: Option<&Node>) -> &[Node] {
    node.and_then(Node::as_sequence).unwrap_or_default()
}

/// The action of a step: its key and its value.
pub(super) fn action(step: &Node) -> Option<(&Key, &Node)> {
    step.as_mapping()?
        .iter()
        .find(|(key, _)| Action::KINDS.contains(&&*key.value))
        .map(|(key, node)| (key, node))
}

/// Whether the steps inside a step run at the same time.
pub(super) fn is_parallel(step: &Node) -> bool {
    action(step).is_some_and(|(kind, _)| &*kind.value == "parallel")
}

/// The steps inside a step: those of `group` and `parallel`, and those that `use` stands for.
pub(super) fn inner_steps(step: &Node) -> &[Node] {
    items(step.get("steps").or_else(|| step.get("use")?.get("steps")))
}
