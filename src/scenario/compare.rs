//! `compare`: which cells are compared, with what, over how many rounds.
//!
//! ```yaml
//! compare:
//!   across: mode                # the axis that is the question; the other axes become rows
//!   baseline: in-cluster-pod-ip # one of its values
//!   rounds: 12                  # in each every cell runs once, in shuffled order
//!   metrics: [time_to_first_exec, exec_duration{step:hash} p95]
//!   alpha: 0.05
//!   minEffect: 5%
//! ```

use std::sync::Arc;

use crate::compare::{ALPHA, MIN_EFFECT, MOST_ROUNDS, Question};
use crate::expr::Value;
use crate::metrics::ComparedMetric;
use crate::source::yaml::{Key, Node, Scalar};
use crate::source::{
    Code, Diagnostic, Field, Fields, FromNode, Problems, Shape, Span, Spanned, Takes, list_of,
    suggest, wrong_type,
};
use crate::units::Ratio;

/// The fields of `compare`.
pub(super) const SHAPE: Shape = Shape {
    what: "compare",
    fields: &[
        Field::required(
            "across",
            Takes::Text,
            "the axis of the matrix that is the question; the other axes become rows",
        ),
        Field::required(
            "baseline",
            Takes::Value,
            "the value of the axis that the others are compared with",
        ),
        Field::new(
            "rounds",
            Takes::Whole(2, MOST_ROUNDS as i64),
            "how often every cell runs, in shuffled order; default: 12",
        ),
        Field::required(
            "metrics",
            Takes::List(&Takes::Text),
            "what is compared: `metric`, `metric p95` or `metric{step:name} p95`",
        ),
        Field::new(
            "alpha",
            Takes::Value,
            "a difference is shown when its corrected p is below this, between 0 and 1; default: 0.05",
        ),
        Field::new(
            "minEffect",
            Takes::Ratio,
            "the least difference that is shown; default: 1%",
        ),
    ],
    later: &[],
    help: None,
};

/// Rounds where the file says nothing: the first number at which a hundred tests can still show a
/// difference at `alpha` 0.05.
const ROUNDS: u32 = 12;

/// What a scenario's `compare` says.
#[derive(Debug, Clone)]
pub struct Compare {
    /// The axis of the matrix that is the question.
    pub across: Spanned<Arc<str>>,
    /// The value of the axis that the others are compared with.
    pub baseline: Spanned<Value>,
    /// How often every cell runs, 2 to 200. Default: 12.
    pub rounds: Spanned<u32>,
    /// What is compared; none twice.
    pub metrics: Vec<Spanned<ComparedMetric>>,
    /// A difference is shown when its corrected p is below this. Default: 0.05.
    pub alpha: f64,
    /// The least difference that is shown: 0.05 is 5 %. Default: 1 %.
    pub min_effect: f64,
    /// Where `compare` is written.
    pub span: Span,
}

impl Compare {
    /// Reads `compare`.
    pub(super) fn decode(key: &Key, node: &Node, problems: &mut Problems) -> Option<Self> {
        let fields = Fields::of(node, &SHAPE, problems)?;
        let across = fields.required("across", problems);
        let baseline = fields.required_node("baseline", problems);
        let baseline = baseline.and_then(|node| scalar(node, problems));
        let rounds = rounds(&fields, problems);
        let metrics = fields.required_node("metrics", problems);
        let metrics = metrics.and_then(|node| metrics_of(node, problems));
        let alpha = alpha(&fields, problems);
        let min_effect = match fields.node("minEffect") {
            None => Some(MIN_EFFECT),
            Some(_) => fields
                .quantity::<Ratio>("minEffect", problems)
                .map(Ratio::as_f64),
        };
        Some(Self {
            across: across?,
            baseline: baseline?,
            rounds: rounds?,
            metrics: metrics?,
            alpha: alpha?,
            min_effect: min_effect?,
            span: key.span,
        })
    }

    /// What it asks of a scenario.
    pub(crate) fn question(&self, scenario: &str) -> Question {
        let baseline = self.baseline.value.to_text();
        Question {
            scenario: scenario.to_owned(),
            across: self.across.value.to_string(),
            baseline: baseline.map_or_else(String::new, |text| text.to_string()),
            rounds: self.rounds.value,
            metrics: self
                .metrics
                .iter()
                .map(|metric| metric.value.clone())
                .collect(),
            alpha: self.alpha,
            min_effect: self.min_effect,
        }
    }
}

fn scalar(node: &Node, problems: &mut Problems) -> Option<Spanned<Value>> {
    if node.as_scalar().is_none_or(Scalar::is_null) {
        wrong_type(node, "a value of the axis", problems);
        return None;
    }
    Spanned::from_node(node, problems)
}

fn rounds(fields: &Fields<'_>, problems: &mut Problems) -> Option<Spanned<u32>> {
    let Some(node) = fields.node("rounds") else {
        return Some(Spanned::new(ROUNDS, fields.head()));
    };
    let rounds = Spanned::<u32>::from_node(node, problems)?;
    if (2..=MOST_ROUNDS).contains(&rounds.value) {
        return Some(rounds);
    }
    problems.push(
        Diagnostic::error(
            Code::BadValue,
            node.span,
            format!("`rounds: {}` is out of range", rounds.value),
        )
        .label(format!("2 to {MOST_ROUNDS}"))
        .help("the round is the unit of the statistics: one alone says nothing about the next"),
    );
    None
}

fn alpha(fields: &Fields<'_>, problems: &mut Problems) -> Option<f64> {
    let Some(node) = fields.node("alpha") else {
        return Some(ALPHA);
    };
    let scalar = node.as_scalar().filter(|scalar| scalar.is_number());
    let alpha = scalar.and_then(|scalar| scalar.text.parse::<f64>().ok());
    if scalar.is_none() {
        wrong_type(node, "a number between 0 and 1", problems);
        return None;
    }
    if let Some(alpha) = alpha.filter(|alpha| 0.0 < *alpha && *alpha < 1.0) {
        return Some(alpha);
    }
    let text = scalar.map_or("", |scalar| &scalar.text);
    problems.push(
        Diagnostic::error(
            Code::BadValue,
            node.span,
            format!("`alpha: {text}` is out of range"),
        )
        .label("more than 0, less than 1"),
    );
    None
}

fn metrics_of(node: &Node, problems: &mut Problems) -> Option<Vec<Spanned<ComparedMetric>>> {
    let Some(items) = node.as_sequence() else {
        wrong_type(node, "a list of metrics", problems);
        return None;
    };
    if items.is_empty() {
        problems.push(
            Diagnostic::error(Code::BadValue, node.span, "`metrics` has no metric")
                .label("empty")
                .help("name what is to be compared, for example `exec_duration p95`"),
        );
        return None;
    }
    let mut metrics: Vec<Spanned<ComparedMetric>> = Vec::new();
    let mut all_read = true;
    for item in items {
        let Some(text) = String::from_node(item, problems) else {
            all_read = false;
            continue;
        };
        match text.parse::<ComparedMetric>() {
            Ok(metric) if metrics.iter().any(|known| known.value == metric) => problems.push(
                Diagnostic::error(
                    Code::DuplicateName,
                    item.span,
                    format!("`{metric}` is compared twice"),
                )
                .label("already in the list"),
            ),
            Ok(metric) => metrics.push(Spanned::new(metric, item.span)),
            Err(error) => {
                all_read = false;
                let words: Vec<&str> = error.words.iter().map(String::as_str).collect();
                let unknown = error.message.split('`').nth(1).unwrap_or_default();
                let label = suggest(unknown, &words).map_or_else(
                    || "not understood".to_owned(),
                    |word| format!("did you mean `{word}`?"),
                );
                let problem = Diagnostic::error(Code::BadValue, item.span, error.message.clone());
                let help = if words.is_empty() {
                    "write `metric`, `metric p95` or `metric{step:name} p95`".to_owned()
                } else {
                    format!("one of {}", list_of(&words))
                };
                problems.push(problem.label(label).help(help));
            }
        }
    }
    all_read.then_some(metrics)
}
