//! `expect` and `capture`: checks of a step's outputs, and values taken out of them.
//!
//! An unmet expectation is data, never an `Err`. Its texts are excerpts: what a file or a command
//! gave is never shown in full.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Action, Step, StepError, StepOutcome};
use crate::expr::{Bindings, EvalError, Expression, Matcher, Output, Value, ValueKind};
use crate::source::yaml::{Key, Node};
use crate::source::{
    Code, Diagnostic, FromNode, Problems, Span, did_you_mean, list_of, read_map, wrong_type,
};

/// Checks a failure of the action itself.
const ERROR: &str = "error";
/// Checks an expression over all outputs.
const THAT: &str = "that";
const EXIT_CODE: &str = "exitCode";
const STATUS: &str = "status";
/// The most characters of a value that a mismatch shows.
const SHOWN: usize = 200;

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

impl StepMismatch {
    /// A mismatch of (expected, actual).
    fn new(output: &'static str, (expected, actual): (&str, &str), span: Span) -> Self {
        Self {
            output,
            expected: excerpt(expected),
            actual: excerpt(actual),
            span,
        }
    }
}

/// At most 200 characters of a text, on one line.
fn excerpt(text: &str) -> String {
    let mut short = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == SHOWN {
            short.push('…');
            break;
        }
        if character.is_control() {
            short.extend(character.escape_default());
        } else {
            short.push(character);
        }
    }
    short
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
                ERROR if matches!(kind, "group" | "parallel" | "use") => problems.push(
                    Diagnostic::error(
                        Code::Combination,
                        key.span,
                        format!("`{kind}` does not fail by itself"),
                    )
                    .label("no failure of its own")
                    .help("expect the `error` of a step in it"),
                ),
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
    let label = did_you_mean(&key.value, &names);
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
            let unmet = ("the step to fail", "it succeeded");
            mismatches.push(StepMismatch::new(ERROR, unmet, matcher.span()));
        }
        for (name, matcher) in &self.expect.outputs {
            if let Err(mismatch) = matcher.check(&outcome.output(name), bindings) {
                let unmet = (&*mismatch.expected, &*mismatch.actual);
                mismatches.push(StepMismatch::new(name, unmet, mismatch.span));
            }
        }
        mismatches.extend(self.judge_that(outcome, bindings));
        mismatches.extend(self.judge_exit_code(outcome));
        mismatches.extend(self.judge_status(outcome));
        mismatches
    }

    fn judge_that(&self, outcome: &StepOutcome, bindings: &Bindings) -> Option<StepMismatch> {
        let that = self.expect.that.as_ref()?;
        let actual = match that.evaluate(&self.scope([that], outcome, bindings)) {
            Ok(Value::Bool(true)) => return None,
            Ok(value) => value.to_string(),
            Err(error) => error.to_string(),
        };
        let expected = format!("`{}` to be true", that.source());
        Some(StepMismatch::new(THAT, (&expected, &actual), that.span()))
    }

    /// A command is expected to end with 0 unless the step says something else.
    fn judge_exit_code(&self, outcome: &StepOutcome) -> Option<StepMismatch> {
        if !matches!(self.action, Action::Exec(_) | Action::Script(_)) {
            return None;
        }
        if self.expect.names(EXIT_CODE) || self.expect.expects_error() {
            return None;
        }
        let code = outcome.output(EXIT_CODE);
        if code == Value::Int(0) {
            return None;
        }
        let stderr = outcome.output("stderr");
        let last = stderr.as_text().and_then(|text| text.lines().last());
        let actual = match last {
            Some(last) if !last.is_empty() => format!("{code}, stderr: {}", Value::from(last)),
            _ => code.to_string(),
        };
        Some(StepMismatch::new(EXIT_CODE, ("0", &actual), self.span))
    }

    /// A server is expected to answer with a status below 400 unless the step says something else.
    fn judge_status(&self, outcome: &StepOutcome) -> Option<StepMismatch> {
        if !matches!(self.action, Action::Http(_)) || self.expect.names(STATUS) {
            return None;
        }
        let Value::Int(status @ 400..) = outcome.output(STATUS) else {
            return None;
        };
        let actual = format!("{status}, body: {}", outcome.output("body"));
        Some(StepMismatch::new(STATUS, ("below 400", &actual), self.span))
    }

    /// What an error means: `Ok` when the step expects it, else the mismatch, if it expects
    /// another one.
    pub fn judge_error(&self, error: &StepError, bindings: &Bindings) -> ErrorVerdict {
        let Some(matcher) = &self.expect.error else {
            return ErrorVerdict::Unexpected;
        };
        match matcher.check(&Value::text(error.code()), bindings) {
            Ok(()) => ErrorVerdict::Expected,
            Err(mismatch) => {
                let actual = format!("{} ({error})", mismatch.actual);
                let unmet = (&*mismatch.expected, &*actual);
                ErrorVerdict::Another(StepMismatch::new(ERROR, unmet, mismatch.span))
            }
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
            let outputs: BTreeMap<String, Value> = Action::outputs_of(self.action.kind())
                .iter()
                .map(|output| (output.name.to_owned(), outcome.output(output.name)))
                .collect();
            bindings.set("steps", Arc::clone(&id.value), Value::Map(outputs));
        }
        if self.capture.is_empty() {
            return Ok(());
        }
        let wanted = self.capture.iter().map(|capture| &capture.value);
        let scope = self.scope(wanted, outcome, bindings);
        for capture in &self.capture {
            let value = capture
                .value
                .evaluate(&scope)
                .map_err(|error| (capture.value.span(), error))?;
            bindings.set("vars", Arc::clone(&capture.name.value), value);
        }
        Ok(())
    }

    /// The bindings with those outputs as bare names that the expressions use.
    fn scope<'e>(
        &self,
        expressions: impl IntoIterator<Item = &'e Expression>,
        outcome: &StepOutcome,
        bindings: &Bindings,
    ) -> Bindings {
        let outputs = Action::outputs_of(self.action.kind());
        let mut scope = Arc::new(bindings.clone()).child();
        for reference in expressions.into_iter().flat_map(Expression::references) {
            let root = reference.root();
            if let Some(output) = outputs.iter().find(|output| output.name == root) {
                scope.set_bare(output.name, outcome.output(output.name));
            }
        }
        scope
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
