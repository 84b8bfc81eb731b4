//! `expect` and `capture`: checks of a step's outputs, and values taken out of them.
//!
//! An unmet expectation is data, never an `Err`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Step, StepError, StepOutcome};
use crate::expr::{Bindings, EvalError, Expression, Matcher, Output, Value, ValueKind};
use crate::source::yaml::{Key, Node};
use crate::source::{
    Code, Diagnostic, FromNode, Problems, Span, list_of, read_map, suggest, wrong_type,
};

/// Checks a failure of the action itself.
const ERROR: &str = "error";
/// Checks an expression over all outputs.
const THAT: &str = "that";

/// What the outputs of a step must be.
#[derive(Debug, Clone, Default)]
pub struct Expectations {
    outputs: Vec<(&'static str, Matcher)>,
    that: Option<Expression>,
    error: Option<Matcher>,
}

/// A value taken out of a step's outputs into `vars`.
#[derive(Debug, Clone)]
pub struct Capture {
    /// The variable.
    pub name: Key,
    /// Its value, over the step's outputs.
    pub value: Expression,
}

/// An expectation that was not met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepMismatch {
    /// The output, `that` or `error`.
    pub output: &'static str,
    /// What was expected.
    pub expected: String,
    /// What it was.
    pub actual: String,
    /// Where the expectation stands.
    pub span: Span,
}

impl Expectations {
    pub(super) fn decode(
        node: &Node,
        kind: &str,
        outputs: &'static [Output],
        problems: &mut Problems,
    ) -> Self {
        let mut expectations = Self::default();
        let Some(entries) = node.as_mapping() else {
            wrong_type(node, "a mapping of outputs to what they must be", problems);
            return expectations;
        };
        for (key, value) in entries {
            match &*key.value {
                THAT => expectations.that = Expression::from_node(value, problems),
                ERROR => {
                    expectations.error = Matcher::decode(value, ValueKind::Text, problems);
                }
                name => match outputs.iter().find(|output| output.name == name) {
                    Some(output) => {
                        let matcher = Matcher::decode(value, output.kind, problems);
                        expectations
                            .outputs
                            .extend(matcher.map(|matcher| (output.name, matcher)));
                    }
                    None => problems.push(unknown_output(key, kind, outputs)),
                },
            }
        }
        expectations
    }

    /// Whether an output is checked.
    pub fn names(&self, output: &str) -> bool {
        self.outputs.iter().any(|(name, _)| *name == output)
    }

    /// Whether the step expects to fail.
    pub fn expects_error(&self) -> bool {
        self.error.is_some()
    }

    /// Whether anything is checked.
    pub fn is_empty(&self) -> bool {
        self.outputs.is_empty() && self.that.is_none() && self.error.is_none()
    }
}

fn unknown_output(key: &Key, kind: &str, outputs: &'static [Output]) -> Diagnostic {
    let mut names: Vec<&str> = outputs.iter().map(|output| output.name).collect();
    names.extend([ERROR, THAT]);
    let label = suggest(&key.value, &names).map_or_else(
        || "unknown".to_owned(),
        |word| format!("did you mean `{word}`?"),
    );
    Diagnostic::error(
        Code::UnknownField,
        key.span,
        format!("`{kind}` has no output `{}`", key.value),
    )
    .label(label)
    .help(format!("the outputs of `{kind}` are {}", list_of(&names)))
}

impl Capture {
    pub(super) fn decode(node: &Node, problems: &mut Problems) -> Vec<Self> {
        let read = read_map::<Expression>(node, "variables to expressions", problems);
        let read = read.unwrap_or_default().into_iter();
        read.map(|(name, value)| Self { name, value }).collect()
    }
}

impl Step {
    /// Every expectation that the outcome does not meet.
    pub fn judge(&self, outcome: &StepOutcome, bindings: &Bindings) -> Vec<StepMismatch> {
        let mut mismatches = Vec::new();
        if let Some(matcher) = &self.expect.error {
            mismatches.push(StepMismatch {
                output: ERROR,
                expected: "the step to fail".to_owned(),
                actual: "it succeeded".to_owned(),
                span: matcher.span(),
            });
        }
        for (name, matcher) in &self.expect.outputs {
            if let Err(mismatch) = matcher.check(outcome.output(name), bindings) {
                mismatches.push(StepMismatch {
                    output: name,
                    expected: mismatch.expected,
                    actual: mismatch.actual,
                    span: mismatch.span,
                });
            }
        }
        if let Some(that) = &self.expect.that {
            let actual = match that.evaluate(&with_outputs(bindings, outcome)) {
                Ok(Value::Bool(true)) => None,
                Ok(value) => Some(
                    value
                        .to_text()
                        .unwrap_or_else(|| Arc::from(value.type_name())),
                ),
                Err(error) => Some(Arc::from(error.to_string())),
            };
            mismatches.extend(actual.map(|actual| StepMismatch {
                output: THAT,
                expected: format!("`{}` to be true", that.source()),
                actual: actual.to_string(),
                span: that.span(),
            }));
        }
        if let super::Action::Exec(_) = self.action
            && !self.expect.names("exitCode")
            && self.expect.error.is_none()
            && *outcome.output("exitCode") != Value::Int(0)
        {
            let text = |name: &str| outcome.output(name).to_text().unwrap_or_default();
            let stderr = text("stderr");
            let last = stderr.lines().last().unwrap_or_default();
            let said = if last.is_empty() {
                String::new()
            } else {
                format!(", stderr: {last:?}")
            };
            mismatches.push(StepMismatch {
                output: "exitCode",
                expected: "0".to_owned(),
                actual: format!("{}{said}", text("exitCode")),
                span: self.span,
            });
        }
        mismatches
    }

    /// What an error means: `Ok` when the step expects it, else the mismatch, if it expects
    /// another one.
    pub fn judge_error(&self, error: &StepError, bindings: &Bindings) -> ErrorVerdict {
        let Some(matcher) = &self.expect.error else {
            return ErrorVerdict::Unexpected;
        };
        match matcher.check(&Value::text(error.code()), bindings) {
            Ok(()) => ErrorVerdict::Expected,
            Err(mismatch) => ErrorVerdict::Another(StepMismatch {
                output: ERROR,
                expected: mismatch.expected,
                actual: format!("{} ({error})", mismatch.actual),
                span: mismatch.span,
            }),
        }
    }

    /// Binds the captured values and, if the step has an id, its outputs.
    ///
    /// # Errors
    /// When a captured expression has no value; with its place.
    pub fn bind(
        &self,
        outcome: &StepOutcome,
        bindings: &mut Bindings,
    ) -> Result<(), (Span, EvalError)> {
        if let Some(id) = &self.id {
            let outputs: BTreeMap<String, Value> = outcome
                .outputs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect();
            bindings.set("steps", Arc::clone(&id.value), Value::Map(outputs));
        }
        if self.capture.is_empty() {
            return Ok(());
        }
        let scope = with_outputs(bindings, outcome);
        for capture in &self.capture {
            let value = capture
                .value
                .evaluate(&scope)
                .map_err(|error| (capture.value.span(), error))?;
            bindings.set("vars", Arc::clone(&capture.name.value), value);
        }
        Ok(())
    }
}

/// What the failure of an action means for its step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorVerdict {
    /// The step expects just this.
    Expected,
    /// The step expects another failure.
    Another(StepMismatch),
    /// The step expects no failure.
    Unexpected,
}

fn with_outputs(bindings: &Bindings, outcome: &StepOutcome) -> Bindings {
    let mut scope = Arc::new(bindings.clone()).child();
    for (name, value) in &outcome.outputs {
        scope.set_bare(name, value.clone());
    }
    scope
}
