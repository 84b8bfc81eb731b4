//! [`Flow`]: whether, how often and until when a step runs. The same for every action.
//!
//! Only fields and checks are here; whoever runs the iteration runs the turns and the tries.

use std::sync::Arc;
use std::time::Duration;

use super::fields::limit;
use crate::expr::{Bindings, EvalError, Expression, Operand, Value};
use crate::source::yaml::{Key, Node};
use crate::source::{
    Code, Diagnostic, Field, Fields, FromNode, Problems, Shape, Span, Spanned, Takes, read_map,
    wrong_type,
};

/// The most turns or tries: more is a typing mistake.
const MOST: i64 = 1_000_000;
/// How long `eventually` waits between two tries, where the step says nothing.
const INTERVAL: Duration = Duration::from_millis(500);
/// Actions that `eventually` is not for, and why.
const NOT_EVENTUALLY: &[(&str, &str)] = &[
    (
        "create",
        "`create` waits until the sandbox is ready by itself",
    ),
    ("suspend", "`suspend` waits until it is so by itself"),
    (
        "resume",
        "`resume` waits until the sandbox is ready by itself",
    ),
    ("sleep", "a `sleep` always ends"),
    ("wait", "`wait` waits by itself; give it a `timeout`"),
    ("delete", "`delete` is done once; use `wait: gone` after it"),
];

/// Whether, how often and until when a step runs.
#[derive(Debug, Clone, Default)]
pub struct Flow {
    /// `if`: the step, with all its turns, is left out when this is false.
    pub condition: Option<Expression>,
    /// `retries`: how often a failed step is tried again, 0 to 100.
    pub retries: u32,
    /// `eventually`: tried again until it does what is expected.
    pub eventually: Option<Eventually>,
    /// `repeat` or `forEach`.
    pub turns: Option<Turns>,
    /// `tags`: for filters of thresholds and for reports.
    pub tags: Vec<(Key, Arc<str>)>,
}

/// Tries until it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Eventually {
    /// After which no try begins.
    pub limit: Duration,
    /// Between the end of a try and the next one; default 500 ms.
    pub interval: Duration,
    /// Where the limit is written.
    pub span: Span,
}

/// The turns of a step; `${{ each.index }}` counts them from 1.
#[derive(Debug, Clone)]
pub enum Turns {
    /// A number of turns.
    Repeat(Operand, Span),
    /// One turn per item, which is `${{ each.item }}`.
    ForEach(Operand, Span),
}

/// Why the turns of a step are not known.
#[derive(Debug, thiserror::Error)]
pub enum TurnsError {
    /// The expression has no value.
    #[error(transparent)]
    Expression(#[from] EvalError),
    /// It has a value that is no number of turns.
    #[error("repeat: {value} is not a whole number from 0 to {MOST}")]
    Repeat {
        /// What it is.
        value: Value,
    },
    /// It has a value that is no list.
    #[error("forEach: {value} is not a list")]
    ForEach {
        /// What it is.
        value: Value,
    },
}

impl TurnsError {
    /// What is wrong, in a few words beside the place.
    pub fn label(&self) -> String {
        match self {
            Self::Expression(error) => error.label(),
            Self::Repeat { .. } => "not a number of turns".to_owned(),
            Self::ForEach { .. } => "not a list".to_owned(),
        }
    }

    /// The place of the expression, if that is what failed.
    pub fn place(&self) -> Option<Span> {
        match self {
            Self::Expression(error) => Some(error.span()),
            Self::Repeat { .. } | Self::ForEach { .. } => None,
        }
    }
}

impl Turns {
    /// Where they are written.
    pub fn span(&self) -> Span {
        match self {
            Self::Repeat(_, span) | Self::ForEach(_, span) => *span,
        }
    }

    /// The item of each turn; null for `repeat`.
    ///
    /// # Errors
    /// [`TurnsError`]: the value is no number of turns, or no list.
    pub fn items(&self, bindings: &Bindings) -> Result<Vec<Value>, TurnsError> {
        match self {
            Self::Repeat(count, _) => {
                let value = count.evaluate(bindings)?;
                if let Value::Int(count @ 0..=MOST) = value {
                    return Ok(vec![Value::Null; usize::try_from(count).unwrap_or(0)]);
                }
                Err(TurnsError::Repeat { value })
            }
            Self::ForEach(list, _) => {
                let value = list.evaluate(bindings)?;
                if let Value::List(items) = value {
                    return Ok(items);
                }
                Err(TurnsError::ForEach { value })
            }
        }
    }
}

pub(super) const EVENTUALLY: Shape = Shape {
    what: "`eventually`",
    fields: &[
        Field::required("timeout", Takes::Duration, "after which no try begins"),
        Field::new(
            "interval",
            Takes::Duration,
            "between the end of a try and the next one; default: 500ms",
        ),
    ],
    later: &[],
    help: Some("the short form is the time alone: `eventually: 30s`"),
};

impl Flow {
    pub(super) fn decode(step: &Node, action: &Key, problems: &mut Problems) -> Self {
        exclusive(step, "repeat", "forEach", problems);
        exclusive(step, "retries", "eventually", problems);
        let repeat = step.get("repeat").and_then(|node| repeat(node, problems));
        let for_each = step
            .get("forEach")
            .and_then(|node| for_each(node, problems));
        Self {
            condition: step
                .get("if")
                .and_then(|node| Expression::from_node(node, problems)),
            retries: step
                .get("retries")
                .map_or(0, |node| retries(node, problems)),
            eventually: step
                .get("eventually")
                .and_then(|node| eventually(node, action, problems)),
            turns: repeat.or(for_each),
            tags: step
                .get("tags")
                .map(|node| tags(node, problems))
                .unwrap_or_default(),
        }
    }
}

fn exclusive(step: &Node, first: &str, second: &str, problems: &mut Problems) {
    let (Some(_), Some(node)) = (step.get(first), step.get(second)) else {
        return;
    };
    problems.push(
        Diagnostic::error(
            Code::Combination,
            node.span,
            format!("a step has both `{first}` and `{second}`"),
        )
        .label(format!("excludes `{first}`"))
        .help("put the one into a `group` around the other"),
    );
}

/// `retries` of a step or a scenario: 0 to 100.
pub(crate) fn retries(node: &Node, problems: &mut Problems) -> u32 {
    let Some(count) = Spanned::<u32>::from_node(node, problems) else {
        return 0;
    };
    if count.value > 100 {
        problems.push(
            Diagnostic::error(
                Code::BadValue,
                node.span,
                format!("{} retries hide a failure", count.value),
            )
            .label("at most 100")
            .help("to wait until something holds, use `eventually: 30s`"),
        );
    }
    count.value
}

fn eventually(node: &Node, action: &Key, problems: &mut Problems) -> Option<Eventually> {
    if let Some((_, why)) = NOT_EVENTUALLY
        .iter()
        .find(|(kind, _)| *kind == &*action.value)
    {
        problems.push(
            Diagnostic::error(
                Code::Combination,
                node.span,
                format!("`eventually` is not for `{}`", action.value),
            )
            .label("of no use here")
            .help(*why),
        );
        return None;
    }
    if node.as_mapping().is_none() {
        let limit = limit(node, problems)?;
        return Some(Eventually {
            limit: limit.value,
            interval: INTERVAL.min(limit.value),
            span: limit.span,
        });
    }
    let fields = Fields::of(node, &EVENTUALLY, problems)?;
    let interval = fields.node("interval").map(|node| limit(node, problems));
    let timeout = limit(fields.required_node("timeout", problems)?, problems)?;
    let interval = match interval {
        Some(read) => read?.value,
        None => INTERVAL.min(timeout.value),
    };
    if interval > timeout.value {
        problems.push(
            Diagnostic::error(
                Code::BadValue,
                timeout.span,
                "`timeout` is shorter than `interval`",
            )
            .label("there would be one try"),
        );
        return None;
    }
    Some(Eventually {
        limit: timeout.value,
        interval,
        span: timeout.span,
    })
}

fn repeat(node: &Node, problems: &mut Problems) -> Option<Turns> {
    let count = Operand::from_node(node, problems)?;
    match count.fixed() {
        None if count.template_span().is_some() => {}
        Some(Value::Int(1..=MOST)) => {}
        Some(Value::Int(count)) => {
            problems.push(
                Diagnostic::error(
                    Code::BadValue,
                    node.span,
                    format!("`repeat: {count}` is not a number of turns"),
                )
                .label(format!("1 to {MOST}")),
            );
            return None;
        }
        _ => {
            wrong_type(node, "a whole number", problems);
            return None;
        }
    }
    Some(Turns::Repeat(count, node.span))
}

fn for_each(node: &Node, problems: &mut Problems) -> Option<Turns> {
    let list = Operand::from_node(node, problems)?;
    match (&list, list.fixed()) {
        (_, Some(Value::List(items))) if items.is_empty() => {
            problems.push(
                Diagnostic::error(Code::BadValue, node.span, "`forEach` has no item")
                    .label("empty"),
            );
            return None;
        }
        (_, Some(Value::List(_))) | (Operand::List(_) | Operand::Template(_), None) => {}
        _ => {
            wrong_type(node, "a list", problems);
            return None;
        }
    }
    Some(Turns::ForEach(list, node.span))
}

/// `tags` of a step or a scenario: fixed texts.
pub(crate) fn tags(node: &Node, problems: &mut Problems) -> Vec<(Key, Arc<str>)> {
    let read = read_map::<Operand>(node, "tags to texts", problems).unwrap_or_default();
    let mut tags = Vec::new();
    for (key, value) in read {
        let reserved = matches!(&*key.value, "step" | "scenario" | "cell");
        if reserved {
            problems.push(
                Diagnostic::error(
                    Code::BadName,
                    key.span,
                    format!("the tag `{}` is set by sandbench", key.value),
                )
                .label("choose another name"),
            );
        }
        match value.fixed().and_then(Value::to_text) {
            Some(text) => tags.push((key, text)),
            None => problems.push(
                Diagnostic::error(
                    Code::BadValue,
                    key.span,
                    format!("the tag `{}` is not a fixed text", key.value),
                )
                .label("text, a number or a boolean")
                .help("a tag divides figures into series, so its values are few and known"),
            ),
        }
    }
    tags
}
