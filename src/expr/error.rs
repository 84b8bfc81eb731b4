//! [`EvalError`]: why an expression gave no value.

use std::sync::Arc;

use crate::source::{Code, Diagnostic, Span};

/// Why an expression or template could not be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// A name or field that has no value (yet).
    #[error("evaluate `{expression}`: `{name}` has no value")]
    NoValue {
        /// The expression.
        expression: Arc<str>,
        /// The name that has none.
        name: String,
        /// Where it is written.
        span: Span,
    },
    /// A function or operator refused its arguments.
    #[error("evaluate `{expression}`: {reason}")]
    Failed {
        /// The expression.
        expression: Arc<str>,
        /// What was refused.
        reason: String,
        /// Where the expression is written.
        span: Span,
    },
    /// The value cannot stand inside text.
    #[error("write `{expression}` as text: it is {found}")]
    NotText {
        /// The expression.
        expression: Arc<str>,
        /// What the value is.
        found: &'static str,
        /// Where the expression is written.
        span: Span,
    },
}

impl EvalError {
    /// Where in the scenario file the expression, or the name without a value, is written.
    pub fn span(&self) -> Span {
        match self {
            Self::NoValue { span, .. } | Self::Failed { span, .. } | Self::NotText { span, .. } => {
                *span
            }
        }
    }

    /// What is wrong, in a few words beside its place.
    pub fn label(&self) -> String {
        match self {
            Self::NoValue { .. } => "no value".to_owned(),
            Self::Failed { reason, .. } => reason.clone(),
            Self::NotText { found, .. } => format!("{found} cannot stand in text"),
        }
    }

    /// It as a problem of the file, at its place.
    pub fn diagnostic(&self) -> Diagnostic {
        let problem = Diagnostic::error(Code::Expression, self.span(), self.to_string());
        let problem = problem.label(self.label());
        match self.help() {
            Some(help) => problem.help(help),
            None => problem,
        }
    }

    /// What the user can do about it.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::NoValue { .. } => Some(
                "a captured value exists only after its step; `has(x.y)` asks whether there is one"
                    .to_owned(),
            ),
            Self::Failed { .. } => None,
            Self::NotText { .. } => Some("use a field of it, or `string(…)`, `size(…)`".to_owned()),
        }
    }
}
