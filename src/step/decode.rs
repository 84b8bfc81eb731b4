//! Reads one step: exactly one action, and the fields that all steps have.

use super::expectation::{Capture, Expectations};
use super::fields::limit;
use super::flow::EVENTUALLY;
use super::{Action, Flow, Step, retry};
use crate::source::yaml::{Key, Node};
use crate::source::{
    Code, Diagnostic, Field, FromNode, Problems, Takes, did_you_mean, list_of, wrong_type,
};

/// Fields that stand beside the action.
pub(crate) const COMMON: &[Field] = &[
    Field::new(
        "id",
        Takes::Text,
        "by which `${{ steps.ID.OUTPUT }}`, tags and reports refer to it; unique in the scenario",
    ),
    Field::new(
        "name",
        Takes::Text,
        "for people: its name in reports where it has no `id`",
    ),
    Field::new(
        "timeout",
        Takes::Duration,
        "the longest that the action may take, each try on its own",
    ),
    Field::new(
        "retry",
        retry::TAKES,
        "how often the client sends its requests and calls again, where that can do no harm; each attempt is a sample",
    ),
    Field::new(
        "expect",
        Takes::Expect,
        "what the outputs must be: a value, or one of `equals contains matches lt lte gt gte in not exists`; `error` for a failure, `that` for an expression",
    ),
    Field::new(
        "capture",
        Takes::Map(&Takes::Expression),
        "values taken out of the outputs: `NAME: EXPRESSION` gives `${{ vars.NAME }}` to the steps after it",
    ),
    Field::new(
        "if",
        Takes::Expression,
        "the step, with all its turns, is left out when this is false",
    ),
    Field::new(
        "retries",
        Takes::Whole(0, 100),
        "how often the step is tried again when it fails; a pass is then FLAKY; default: 0",
    ),
    Field::new(
        "eventually",
        Takes::Either(&[Takes::Duration, Takes::Fields(&EVENTUALLY)]),
        "the step is tried again until it holds, for so long",
    ),
    Field::new(
        "repeat",
        Takes::Either(&[Takes::Whole(1, 1_000_000), Takes::Text]),
        "how many turns the step has; `${{ each.index }}` counts them from 1",
    ),
    Field::new(
        "forEach",
        Takes::Either(&[Takes::List(&Takes::Value), Takes::Text]),
        "one turn per item, which is `${{ each.item }}`",
    ),
    Field::new(
        "tags",
        Takes::Map(&Takes::Value),
        "fixed texts for filters of thresholds and for reports",
    ),
];

fn is_common(name: &str) -> bool {
    COMMON.iter().any(|field| field.name == name)
}

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
    let about = kind.and_then(Action::about);
    let own = about.is_some_and(|about| about.beside.iter().any(|field| field.name == name));
    if own || is_common(name) || Action::KINDS.contains(&name) {
        return;
    }
    let Some(kind) = kind else { return };
    let beside = about.map_or(&[][..], |about| about.beside);
    let fields: Vec<&str> = COMMON
        .iter()
        .chain(beside)
        .map(|field| field.name)
        .collect();
    let label = did_you_mean(name, &fields);
    let below = if about.is_some_and(|about| about.takes.shape().is_some()) {
        format!("; the fields of `{kind}` go below it: `{kind}: {{ … }}`")
    } else {
        String::new()
    };
    problems.push(
        Diagnostic::error(
            Code::UnknownField,
            key.span,
            format!("unknown field `{name}` in a step"),
        )
        .label(label)
        .help(format!(
            "beside its action a step has {}{below}",
            list_of(&fields)
        )),
    );
}

/// Whether a step can have it beside its action.
fn is_field(name: &str) -> bool {
    let beside = Action::ALL.iter().flat_map(|about| about.beside);
    COMMON.iter().chain(beside).any(|field| field.name == name)
}

fn missing_action(node: &Node, entries: &[(Key, Node)], problems: &mut Problems) {
    let stranger = entries.iter().find(|(key, _)| !is_field(&key.value));
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
    let label = did_you_mean(&key.value, Action::KINDS);
    let message = format!("unknown action `{}`", key.value);
    problems.push(
        Diagnostic::error(Code::UnknownField, key.span, message)
            .label(label)
            .help(help),
    );
}
