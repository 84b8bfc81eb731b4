//! [`Template`]: text with `${{ expression }}` in it, parsed when the file is read.
//!
//! `$${{` stands for a literal `${{`.

use std::sync::Arc;

use super::bindings::Bindings;
use super::cel::Expression;
use super::error::EvalError;
use super::references::Reference;
use super::value::Value;
use crate::source::yaml::{Node, Scalar};
use crate::source::{Code, Diagnostic, FromNode, Problems, Span, wrong_type};

/// The most expressions in one text.
const MOST_EXPRESSIONS: usize = 100;

/// Text whose `${{ … }}` parts are evaluated per iteration.
#[derive(Debug, Clone)]
pub struct Template {
    source: Arc<str>,
    span: Span,
    parts: Arc<[Part]>,
}

#[derive(Debug, Clone)]
enum Part {
    Literal(Arc<str>),
    Expression(Expression),
}

impl Template {
    /// Parses the text of a scalar; everything that is wrong is reported at its exact place.
    pub fn from_scalar(scalar: &Scalar, problems: &mut Problems) -> Option<Self> {
        let text = &scalar.text;
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut at = 0;
        let mut expressions = 0;
        let errors = problems.error_count();
        while let Some(found) = text[at..].find("${{") {
            let open = at + found;
            if let Some(before) = text[at..open].strip_suffix('$') {
                literal.push_str(before);
                literal.push_str("${{");
                at = open + 3;
                continue;
            }
            literal.push_str(&text[at..open]);
            let start = open + 3;
            let Some(length) = end_of_expression(&text[start..]) else {
                problems.push(unclosed(scalar.span_of(open..start)));
                return None;
            };
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal).into()));
            }
            expressions += 1;
            if expressions > MOST_EXPRESSIONS {
                problems.push(too_many(scalar.span));
                return None;
            }
            let inner = &text[start..start + length];
            let lead = start + inner.len() - inner.trim_start().len();
            let inner = inner.trim();
            let place =
                |part: std::ops::Range<usize>| scalar.span_of(lead + part.start..lead + part.end);
            match Expression::compile_at(inner, place(0..inner.len()), place) {
                Ok(expression) => parts.push(Part::Expression(expression)),
                Err(error) => {
                    let part = error.part.clone();
                    let span = if inner.is_empty() {
                        scalar.span_of(open..start)
                    } else {
                        place(part)
                    };
                    problems.push(error.diagnostic(span));
                }
            }
            at = start + length + 2;
        }
        literal.push_str(&text[at..]);
        if !literal.is_empty() || parts.is_empty() {
            parts.push(Part::Literal(literal.into()));
        }
        (problems.error_count() == errors).then(|| Self {
            source: Arc::clone(text),
            span: scalar.span,
            parts: parts.into(),
        })
    }

    /// Parses text that stands in no file; every place is `span`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(text: &str, span: Span) -> Result<Self, Problems> {
        let mut problems = Problems::new();
        Self::from_scalar(&Scalar::synthetic(text, span), &mut problems).ok_or(problems)
    }

    /// A template that is only this text, from no file; `${{` in it means nothing.
    pub fn constant_text(text: impl Into<Arc<str>>, span: Span) -> Self {
        let text = text.into();
        Self {
            parts: Arc::new([Part::Literal(Arc::clone(&text))]),
            source: text,
            span,
        }
    }

    /// The text as written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Where it is written.
    pub fn span(&self) -> Span {
        self.span
    }

    /// The text, if there is no expression in it.
    pub fn constant(&self) -> Option<&Arc<str>> {
        match &*self.parts {
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// The names its expressions use.
    pub fn references(&self) -> impl Iterator<Item = &Reference> {
        self.parts.iter().flat_map(|part| match part {
            Part::Literal(_) => &[],
            Part::Expression(expression) => expression.references(),
        })
    }

    /// The text for these bindings.
    ///
    /// # Errors
    /// [`EvalError`]: an expression gives no value, or one that cannot stand in text.
    pub fn render(&self, bindings: &Bindings) -> Result<Arc<str>, EvalError> {
        if let Some(text) = self.constant() {
            return Ok(Arc::clone(text));
        }
        let mut out = String::new();
        for part in &*self.parts {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Expression(expression) => {
                    let value = expression.evaluate(bindings)?;
                    let text = value.to_text().ok_or_else(|| EvalError::NotText {
                        expression: expression.source().into(),
                        found: value.type_name(),
                        span: expression.span(),
                    })?;
                    out.push_str(&text);
                }
            }
        }
        Ok(out.into())
    }

    /// The value for these bindings: that of the expression when there is nothing but one
    /// `${{ … }}`, else the text.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn evaluate(&self, bindings: &Bindings) -> Result<Value, EvalError> {
        match &*self.parts {
            [Part::Expression(expression)] => expression.evaluate(bindings),
            _ => self.render(bindings).map(Value::Text),
        }
    }
}

/// How long the expression is up to its `}}`: text in quotes and nested braces do not end it.
fn end_of_expression(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    let mut quote = None;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match (quote, byte) {
            (Some(_), b'\\') => at += 1,
            (Some(open), byte) if open == *byte => quote = None,
            (None, b'\'' | b'"') => quote = Some(*byte),
            (None, b'{') => depth += 1,
            (None, b'}') if depth > 0 => depth -= 1,
            (None, b'}') if bytes.get(at + 1) == Some(&b'}') => return Some(at),
            (_, _) => {}
        }
        at += 1;
    }
    // Quotes that are not closed are for the expression's own compiler to report.
    text.find("}}")
}

fn too_many(span: Span) -> Diagnostic {
    Diagnostic::error(
        Code::Limit,
        span,
        format!("the text has more than {MOST_EXPRESSIONS} expressions"),
    )
    .help("let the program in the sandbox put it together, or split the text")
}

fn unclosed(span: Span) -> Diagnostic {
    Diagnostic::error(Code::Expression, span, "`${{` is not closed")
        .label("needs `}}`")
        .help("write `$${{` for a literal `${{`")
}

impl FromNode for Template {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        match node.as_scalar() {
            Some(scalar) if scalar.is_text() => Self::from_scalar(scalar, problems),
            _ => {
                // Reports numbers and booleans with "put it in quotes".
                if String::from_node(node, problems).is_some() {
                    wrong_type(node, "text", problems);
                }
                None
            }
        }
    }
}
