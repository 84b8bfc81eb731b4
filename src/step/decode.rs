//! Reads one step: exactly one action, and the fields that all steps have.

use super::expectation::{Capture, Expectations};
use super::fields::limit;
use super::{Action, Flow, Step, retry};
use crate::source::yaml::{Key, Node};
use crate::source::{Code, Diagnostic, FromNode, Problems, list_of, suggest, wrong_type};

/// Fields that stand beside the action.
const COMMON: &[&str] = &[
    "id",
    "name",
    "timeout",
    "retry",
    "expect",
    "capture",
    "if",
    "retries",
    "eventually",
    "repeat",
    "forEach",
    "tags",
];

pub(super) fn step(node: &Node, problems: &mut Problems) -> Option<Step> {
    let Some(entries) = node.as_mapping() else {
        wrong_type(node, "a step, which is a mapping with one action", problems);
        return None;
    };
    let actions: Vec<&(Key, Node)> = entries
        .iter()
        .filter(|(key, _)| Action::KINDS.contains(&&*key.value))
        .collect();
    let kind = actions.first().map(|(key, _)| &*key.value);
    for (key, _) in entries {
        unknown_field(key, kind, problems);
    }
    let (key, value) = match actions.as_slice() {
        [one] => one,
        [] => {
            missing_action(node, entries, problems);
            return None;
        }
        [(first, _), (second, _), ..] => {
            problems.push(
                Diagnostic::error(
                    Code::Combination,
                    second.span,
                    format!(
                        "a step has one action, this one has `{}` and `{}`",
                        first.value, second.value
                    ),
                )
                .label("a second action")
                .help("make it a step of its own: begin the line with `- `"),
            );
            return None;
        }
    };
    let outputs = Action::outputs_of(&key.value);
    let field = |name: &str| node.get(name);
    let id = field("id").and_then(|node| FromNode::from_node(node, problems));
    let name = field("name").and_then(|node| FromNode::from_node(node, problems));
    let timeout = field("timeout").and_then(|node| limit(node, problems));
    let expect = field("expect")
        .map(|node| Expectations::decode(node, &key.value, outputs, problems))
        .unwrap_or_default();
    let capture = field("capture")
        .map(|node| Capture::decode(node, problems))
        .unwrap_or_default();
    let retry = field("retry").and_then(|node| retry::decode(node, key, problems));
    let flow = Flow::decode(node, key, problems);
    let action = Action::decode(key, value, node, problems)?;
    Some(Step {
        id,
        name,
        timeout: timeout.map(|timeout| timeout.value),
        timeout_span: timeout.map_or(key.span, |timeout| timeout.span),
        retry,
        flow,
        expect,
        capture,
        action,
        span: key.span,
    })
}

fn unknown_field(key: &Key, kind: Option<&str>, problems: &mut Problems) {
    let name = &*key.value;
    let own = matches!(kind, Some("group" | "parallel")) && name == "steps";
    if own || COMMON.contains(&name) || Action::KINDS.contains(&name) {
        return;
    }
    if Action::LATER.contains(&name) {
        problems.push(
            Diagnostic::error(
                Code::NotSupported,
                key.span,
                format!("`{name}` is not supported yet in a step"),
            )
            .label("not supported yet")
            .help(format!(
                "this version of sandbench has the actions {}",
                list_of(Action::KINDS)
            )),
        );
        return;
    }
    let Some(kind) = kind else { return };
    let label = suggest(name, COMMON).map_or_else(
        || "unknown".to_owned(),
        |word| format!("did you mean `{word}`?"),
    );
    problems.push(
        Diagnostic::error(
            Code::UnknownField,
            key.span,
            format!("unknown field `{name}` in a step"),
        )
        .label(label)
        .help(format!(
            "beside its action a step has {}; the fields of `{kind}` go below it: \
                 `{kind}: {{ … }}`",
            list_of(COMMON)
        )),
    );
}

fn missing_action(node: &Node, entries: &[(Key, Node)], problems: &mut Problems) {
    let later = entries
        .iter()
        .any(|(key, _)| Action::LATER.contains(&&*key.value));
    if later {
        return;
    }
    let stranger = entries
        .iter()
        .find(|(key, _)| !COMMON.contains(&&*key.value) && &*key.value != "steps");
    let help = format!("the actions are {}", list_of(Action::KINDS));
    let Some((key, _)) = stranger else {
        let place = entries.first().map_or(node.span, |(key, _)| key.span);
        problems.push(
            Diagnostic::error(Code::MissingField, place, "a step without an action")
                .label("no action")
                .help(help),
        );
        return;
    };
    let label = suggest(&key.value, Action::KINDS).map_or_else(
        || "unknown".to_owned(),
        |word| format!("did you mean `{word}`?"),
    );
    let message = format!("unknown action `{}`", key.value);
    problems.push(
        Diagnostic::error(Code::UnknownField, key.span, message)
            .label(label)
            .help(help),
    );
}
