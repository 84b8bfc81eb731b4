//! [`Template`]: text with `${{ }}` in it, parsed once, rendered per iteration.

use super::bindings::Bindings;
use super::cel::{EvalError, Expression};
use super::value::Value;
use crate::source::{Diagnostic, Problems, Span};

/// Text with expressions.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    span: Span,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Expression(Expression, Span),
}

impl Template {
    /// Text without expressions.
    pub fn literal(text: impl Into<String>) -> Self {
        Self {
            span: Span::default(),
            parts: vec![Part::Text(text.into())],
        }
    }

    /// Reads text that stands at `span`; what is wrong with its expressions goes to `problems`.
    pub fn parse(text: &str, span: Span, problems: &mut Problems) -> Option<Self> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find("${{") {
            if at > 0 {
                parts.push(Part::Text(rest[..at].to_owned()));
            }
            let offset = text.len() - rest.len() + at + 3;
            let Some(length) = text[offset..].find("}}") else {
                problems.push(
                    Diagnostic::new(span.part(offset - 3, 3), "`${{` without `}}`")
                        .help("an expression is written `${{ vars.name }}`"),
                );
                return None;
            };
            let source = &text[offset..offset + length];
            match Expression::compile(source) {
                Ok(expression) => parts.push(Part::Expression(
                    expression,
                    span.part(offset, length.max(1)),
                )),
                Err(error) => {
                    problems.push(
                        Diagnostic::new(
                            span.part(offset + error.offset, 1),
                            format!("`{}` is not an expression", source.trim()),
                        )
                        .label(error.message)
                        .help("expressions are CEL: `vars.n + 1`, `matrix.mode == 'tunnel'`"),
                    );
                    return None;
                }
            }
            rest = &text[offset + length + 2..];
        }
        if !rest.is_empty() || parts.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Some(Self { span, parts })
    }

    /// Where it stands.
    pub fn span(&self) -> Span {
        self.span
    }

    /// The text, if there is no expression in it.
    pub fn constant(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Every path that its expressions read, and where.
    pub fn references(&self) -> Vec<(Vec<String>, Span)> {
        self.parts
            .iter()
            .filter_map(|part| match part {
                Part::Text(_) => None,
                Part::Expression(expression, span) => Some((expression, *span)),
            })
            .flat_map(|(expression, span)| {
                expression
                    .references()
                    .iter()
                    .map(move |path| (path.clone(), span))
            })
            .collect()
    }

    /// The text with every expression replaced by its value.
    ///
    /// # Errors
    /// When an expression has no value.
    pub fn render(&self, bindings: &Bindings) -> Result<String, EvalError> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Expression(expression, _) => {
                    text.push_str(&expression.evaluate(bindings)?.to_string());
                }
            }
        }
        Ok(text)
    }

    /// The value itself when the template is one expression and nothing else, else its text.
    ///
    /// # Errors
    /// When an expression has no value.
    pub fn evaluate(&self, bindings: &Bindings) -> Result<Value, EvalError> {
        match self.parts.as_slice() {
            [Part::Expression(expression, _)] => expression.evaluate(bindings),
            _ => self.render(bindings).map(Value::text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> (Option<Template>, usize) {
        let mut problems = Problems::new();
        let template = Template::parse(text, Span::new(0, text.len()), &mut problems);
        (template, problems.len())
    }

    #[test]
    fn expressions_are_replaced_by_their_values() {
        let mut bindings = Bindings::new();
        bindings.set("run", "id", Value::text("r1"));
        let render = |text: &str| parse(text).0.unwrap().render(&bindings).unwrap();
        assert_eq!(render("hello-${{ run.id }}!"), "hello-r1!");
        assert_eq!(render("plain $x {{ y }}"), "plain $x {{ y }}");
        assert_eq!(render(""), "");
        assert_eq!(
            parse("${{ 1 + 1 }}")
                .0
                .unwrap()
                .evaluate(&bindings)
                .unwrap(),
            Value::Int(2)
        );
    }

    #[test]
    fn broken_expressions_are_problems() {
        assert_eq!(parse("a ${{ run.id"), (None, 1));
        assert_eq!(parse("a ${{ }}"), (None, 1));
        assert_eq!(parse("a ${{ 1 + }}"), (None, 1));
    }
}
