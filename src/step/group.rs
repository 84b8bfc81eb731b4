//! `group`: steps that belong together; their time together is a metric.
//!
//! Only fields and checks are here. Whoever runs the iteration also runs the steps of a group: each
//! has samples, expectations and captures of its own, which must not be lost when a group is
//! cancelled half-way.

use super::Step;
use crate::expr::{Output, Template};
use crate::source::yaml::Node;
use crate::source::{Code, Diagnostic, FromNode, Problems, Takes, wrong_type};

/// Steps that belong together.
#[derive(Debug, Clone)]
pub struct Group {
    /// Its name in reports.
    pub name: Template,
    /// At least one.
    pub steps: Vec<Step>,
}

impl Group {
    /// What it takes.
    pub(super) const TAKES: Takes = Takes::Text;

    /// What `group` gives: nothing of its own.
    pub const OUTPUTS: &'static [Output] = &[];

    pub(super) fn decode(node: &Node, step: &Node, problems: &mut Problems) -> Option<Self> {
        let (name, steps) = members(node, step, ("a group", "group"), problems)?;
        Some(Self { name, steps })
    }
}

/// The name of an action with steps in it, and these, which stand beside it.
pub(super) fn members(
    node: &Node,
    step: &Node,
    (what, kind): (&str, &str),
    problems: &mut Problems,
) -> Option<(Template, Vec<Step>)> {
    let Some(list) = step.get("steps") else {
        let message = format!("{what} needs `steps`");
        let missing =
            Diagnostic::error(Code::MissingField, node.span, message).label("no `steps` beside it");
        problems.push(if node.as_sequence().is_some() {
            missing.help(format!(
                "write `- {kind}: NAME` and below it `steps: [ … ]`"
            ))
        } else {
            missing
        });
        return None;
    };
    let name = Template::from_node(node, problems);
    let Some(items) = list.as_sequence() else {
        wrong_type(list, "a list of steps", problems);
        return None;
    };
    if items.is_empty() {
        problems.push(
            Diagnostic::error(Code::BadValue, list.span, format!("{what} without steps"))
                .label("empty"),
        );
    }
    let steps: Vec<Option<Step>> = items
        .iter()
        .map(|item| Step::decode(item, problems))
        .collect();
    Some((name?, steps.into_iter().collect::<Option<_>>()?))
}
