//! `thresholds`: limits for metrics, of the file or of a scenario, and which series they mean.
//!
//! ```yaml
//! thresholds:
//!   failures: rate < 1%
//!   exec_duration{step:hash}: [p95 < 250ms, p99 < 1s]
//!   failures{role:background}: { threshold: rate < 5%, window: 60s, abortOnFail: true }
//! ```

use std::time::Duration;

use crate::metrics::{Metric, OnFail, Selector, Series, Threshold, ThresholdError};
use crate::source::yaml::{Key, Node};
use crate::source::{
    Code, Diagnostic, Field, Fields, FromNode, Problems, Shape, Span, Takes, list_of, suggest,
    wrong_type,
};
use crate::step::Step;
use crate::units::HumanDuration;

/// A threshold and its place.
#[derive(Debug, Clone)]
pub struct DeclaredThreshold {
    /// What must hold.
    pub threshold: Threshold,
    /// Where its selector is written.
    pub span: Span,
}

/// The fields of a threshold in its long form.
pub(super) const LONG: Shape = Shape {
    what: "a threshold",
    fields: &[
        Field::required(
            "threshold",
            Takes::Text,
            "what must hold: `p95 < 250ms`, `rate < 1%`, `count == 0`",
        ),
        Field::new(
            "window",
            Takes::Duration,
            "judge every stretch of this length, and not the whole run",
        ),
        Field::new(
            "abortOnFail",
            Takes::Bool,
            "stop the run as soon as it does not hold; default: false",
        ),
        Field::new(
            "delayAbortEval",
            Takes::Duration,
            "do not stop before this much of the run; default: 0s",
        ),
    ],
    later: &[],
    help: Some("the short form is the condition alone: `p95 < 250ms`"),
};

/// How a threshold is written.
const FORM: &str = "a threshold is `metric{tag:value}: statistic < limit`";

/// Reads `thresholds`.
pub(super) fn decode(node: &Node, problems: &mut Problems) -> Vec<DeclaredThreshold> {
    let Some(entries) = node.as_mapping() else {
        wrong_type(node, "a mapping of metrics to conditions", problems);
        return Vec::new();
    };
    let mut thresholds = Vec::new();
    for (key, value) in entries {
        let selector = match key.value.parse::<Selector>() {
            Ok(selector) => selector,
            Err(error) => {
                problems.push(refused(key.span, &error, FORM));
                continue;
            }
        };
        let items = value.as_sequence().unwrap_or(std::slice::from_ref(value));
        if items.is_empty() {
            problems.push(
                Diagnostic::error(Code::BadValue, value.span, "a metric without a condition")
                    .label("empty"),
            );
        }
        for item in items {
            let threshold = threshold(key, &selector, item, problems);
            thresholds.extend(threshold.map(|threshold| DeclaredThreshold {
                threshold,
                span: key.span,
            }));
        }
    }
    thresholds
}

/// Reads `holdsWhile` in the `breakpoint` of a load: conditions alone, since a level's hold is the
/// window, and a level that breaks is what is looked for.
pub(super) fn decode_levels(load: &Node, problems: &mut Problems) -> Vec<DeclaredThreshold> {
    let node = load
        .get("breakpoint")
        .and_then(|node| node.get("holdsWhile"));
    let Some(node) = node else { return Vec::new() };
    if node.as_mapping().is_some_and(<[_]>::is_empty) {
        let problem = Diagnostic::error(Code::BadValue, node.span, "`holdsWhile` has no condition");
        problems.push(problem.label("every level would hold"));
    }
    let limits = decode(node, problems);
    for limit in &limits {
        let Threshold {
            selector,
            window,
            on_fail,
            ..
        } = &limit.threshold;
        let message = if selector.metric == Metric::BreakpointRate {
            "`breakpoint_rate` is what is looked for, it has no value in a level"
        } else if window.is_some() || *on_fail != OnFail::GoOn {
            "a condition of `holdsWhile` has neither `window` nor `abortOnFail`"
        } else {
            continue;
        };
        let problem = Diagnostic::error(Code::Combination, limit.span, message);
        problems.push(problem.help("each level is judged by the whole of its `hold`"));
    }
    limits
}

fn threshold(
    key: &Key,
    selector: &Selector,
    node: &Node,
    problems: &mut Problems,
) -> Option<Threshold> {
    let mut window = None;
    let mut on_fail = OnFail::GoOn;
    let mut condition = node;
    if node.as_mapping().is_some() {
        let fields = Fields::of(node, &LONG, problems)?;
        window = time(&fields, "window", problems);
        let delay = time(&fields, "delayAbortEval", problems);
        let abort = fields.optional("abortOnFail", problems).unwrap_or(false);
        if abort {
            on_fail = OnFail::Abort {
                not_before: delay.unwrap_or(Duration::ZERO),
            };
        } else if let Some((field, _)) = fields.entry("delayAbortEval") {
            problems.push(
                Diagnostic::error(
                    Code::Combination,
                    field.span,
                    "`delayAbortEval` without `abortOnFail: true`",
                )
                .label("delays nothing"),
            );
        }
        condition = fields.required_node("threshold", problems)?;
    }
    let text = String::from_node(condition, problems)?;
    let parsed = match text.parse::<crate::metrics::Condition>() {
        Ok(parsed) => parsed,
        Err(error) => {
            problems.push(refused(condition.span, &error, FORM));
            return None;
        }
    };
    if let Err(error) = parsed.fits(selector.metric) {
        problems.push(
            Diagnostic::error(
                Code::TypeMismatch,
                condition.span,
                format!("`{text}` does not fit `{}`", key.value),
            )
            .label("does not fit the metric")
            .help(error.message),
        );
        return None;
    }
    Some(Threshold {
        selector: selector.clone(),
        condition: parsed,
        window,
        on_fail,
    })
}

fn time(fields: &Fields<'_>, name: &str, problems: &mut Problems) -> Option<Duration> {
    let HumanDuration(time) = fields.quantity(name, problems)?;
    if name == "window" && time.is_zero() {
        let (key, _) = fields.entry(name)?;
        problems.push(
            Diagnostic::error(Code::BadValue, key.span, "a window of no time")
                .label("more than 0s"),
        );
        return None;
    }
    Some(time)
}

/// Why a text is no limit; `form` says how one is written.
pub(super) fn refused(span: Span, error: &ThresholdError, form: &str) -> Diagnostic {
    let words: Vec<&str> = error.words.iter().map(String::as_str).collect();
    let unknown = error.message.split('`').nth(1).unwrap_or_default();
    let label = suggest(unknown, &words).map_or_else(
        || "not understood".to_owned(),
        |word| format!("did you mean `{word}`?"),
    );
    let diagnostic = Diagnostic::error(Code::BadValue, span, error.message.clone()).label(label);
    if words.is_empty() {
        diagnostic.help(form)
    } else {
        diagnostic.help(format!("one of {}", list_of(&words)))
    }
}

/// The series that a selector means, where `is_tagged` says which tags the cell as a whole has;
/// `None`: it means none.
pub(crate) fn series<'s>(
    selector: &Selector,
    is_tagged: impl Fn(&str, &str) -> bool,
    steps: impl Iterator<Item = &'s Step>,
) -> Option<Series> {
    let rest: Vec<&(String, String)> = selector
        .tags
        .iter()
        .filter(|(tag, value)| !is_tagged(tag, value) && !selector.is_label(tag, value))
        .collect();
    if rest.is_empty() {
        return Some(Series::All);
    }
    let mut names = Vec::new();
    for step in steps {
        chosen(step, &rest, &mut names);
    }
    names.dedup();
    (!names.is_empty()).then_some(Series::Steps(names))
}

/// Adds the names of a step and of those in it that have all tags; the tags of a step are also those
/// of the steps in it.
fn chosen(step: &Step, tags: &[&(String, String)], names: &mut Vec<String>) {
    let left: Vec<&(String, String)> = tags
        .iter()
        .copied()
        .filter(|(tag, value)| {
            let own = step
                .flow
                .tags
                .iter()
                .any(|(name, text)| &*name.value == tag && **text == **value);
            !(own || (tag == "step" && step.label() == *value))
        })
        .collect();
    if left.is_empty() {
        names.push(step.label());
    }
    for step in step.action.steps() {
        chosen(step, &left, names);
    }
}
