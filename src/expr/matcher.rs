//! [`Matcher`]: what a step's output must be.
//!
//! Typed: `lt: 5` on a duration is refused when the file is read, because it has no unit. A bare
//! value means `equals`.

use std::time::Duration;

use regex::Regex;

use super::bindings::Bindings;
use super::cel::EvalError;
use super::template::Template;
use super::value::Value;
use crate::source::yaml::{Kind, Node};
use crate::source::{Diagnostic, Problems, Span, suggest};
use crate::units::HumanDuration;

/// The type of a step's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputType {
    /// Text.
    Text,
    /// A whole number.
    Int,
    /// `true` or `false`.
    Bool,
    /// A span of time, written with a unit.
    Duration,
    /// A list of texts.
    Texts,
    /// A list of maps; only for expressions.
    Maps,
}

impl OutputType {
    fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Int => "a whole number",
            Self::Bool => "`true` or `false`",
            Self::Duration => "a duration",
            Self::Texts => "a list of texts",
            Self::Maps => "a list of maps",
        }
    }

    /// The type of one element, for `contains` and `in`.
    fn element(self) -> Self {
        match self {
            Self::Texts | Self::Maps => Self::Text,
            other => other,
        }
    }

    fn operators(self) -> &'static [&'static str] {
        match self {
            Self::Text => &["equals", "contains", "matches", "in", "not", "exists"],
            Self::Int | Self::Duration => {
                &["equals", "lt", "lte", "gt", "gte", "in", "not", "exists"]
            }
            Self::Bool => &["equals", "not", "exists"],
            Self::Texts | Self::Maps => &["equals", "contains", "not", "exists"],
        }
    }

    /// Reads text as a value of this type.
    fn read(self, text: &str) -> Result<Value, String> {
        match self {
            Self::Text | Self::Texts | Self::Maps => Ok(Value::text(text)),
            Self::Int => text
                .trim()
                .parse()
                .map(Value::Int)
                .map_err(|_| self.name().to_owned()),
            Self::Bool => text
                .parse()
                .map(Value::Bool)
                .map_err(|_| self.name().to_owned()),
            Self::Duration => text
                .parse::<HumanDuration>()
                .map(|duration| Value::Duration(duration.0))
                .map_err(|error| error.to_string()),
        }
    }
}

/// A check of one output.
#[derive(Debug, Clone)]
pub struct Matcher {
    operator: Operator,
    kind: OutputType,
    /// Where the expected value stands.
    pub span: Span,
}

#[derive(Debug, Clone)]
enum Operator {
    Equals(Operand),
    Contains(Vec<Operand>),
    Matches(Box<Regex>),
    Compare(Ordering, Operand),
    In(Vec<Operand>),
    Not(Box<Matcher>),
    Exists(bool),
}

#[derive(Debug, Clone, Copy)]
enum Ordering {
    Lt,
    Lte,
    Gt,
    Gte,
}

#[derive(Debug, Clone)]
enum Operand {
    Value(Value),
    Template(Template),
    List(Vec<Self>),
}

/// An output that is not what was expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Where the expectation stands in the file.
    pub span: Span,
    /// What was expected, in words.
    pub expected: String,
    /// What it was.
    pub actual: String,
}

impl Matcher {
    /// Reads the expectations of one output: a value, a list, or a map of operators.
    pub fn decode(node: &Node, kind: OutputType, problems: &mut Problems) -> Vec<Self> {
        let Kind::Mapping(entries) = &node.kind else {
            let operand = Operand::decode(node, kind, problems);
            return operand
                .map(|operand| Self {
                    operator: Operator::Equals(operand),
                    kind,
                    span: node.span,
                })
                .into_iter()
                .collect();
        };
        let known = kind.operators();
        let mut matchers = Vec::new();
        for (key, value) in entries {
            if !known.contains(&key.name.as_str()) {
                let problem = Diagnostic::new(
                    key.span,
                    format!("`{}` cannot check {}", key.name, kind.name()),
                );
                let near = suggest(&key.name, known.iter().copied());
                let near = near
                    .map(|near| format!("did you mean `{near}`?"))
                    .unwrap_or_default();
                let list: Vec<String> = known.iter().map(|word| format!("`{word}`")).collect();
                problems.push(
                    problem
                        .label(near)
                        .help(format!("use one of {}", list.join(", "))),
                );
                continue;
            }
            let operator = Operator::decode(&key.name, value, kind, problems);
            matchers.extend(operator.map(|operator| Self {
                operator,
                kind,
                span: value.span,
            }));
        }
        matchers
    }

    /// Every path that its templates read, and where.
    pub fn references(&self) -> Vec<(Vec<String>, Span)> {
        match &self.operator {
            Operator::Equals(operand) | Operator::Compare(_, operand) => operand.references(),
            Operator::Contains(operands) | Operator::In(operands) => {
                operands.iter().flat_map(Operand::references).collect()
            }
            Operator::Not(matcher) => matcher.references(),
            Operator::Matches(_) | Operator::Exists(_) => Vec::new(),
        }
    }

    /// Checks a value; `None` when it is as expected.
    ///
    /// # Errors
    /// When an expression in the expectation has no value.
    pub fn check(
        &self,
        actual: &Value,
        bindings: &Bindings,
    ) -> Result<Option<Mismatch>, EvalError> {
        let (holds, expected) = self.judge(actual, bindings)?;
        Ok((!holds).then(|| Mismatch {
            span: self.span,
            expected,
            actual: show(actual),
        }))
    }

    fn judge(&self, actual: &Value, bindings: &Bindings) -> Result<(bool, String), EvalError> {
        Ok(match &self.operator {
            Operator::Equals(operand) => {
                let wanted = operand.value(self.kind, bindings)?;
                (equal(actual, &wanted), show(&wanted))
            }
            Operator::Contains(operands) => {
                let wanted = operands
                    .iter()
                    .map(|operand| operand.value(self.kind.element(), bindings))
                    .collect::<Result<Vec<_>, _>>()?;
                let missing: Vec<String> = wanted
                    .iter()
                    .filter(|wanted| !contains(actual, wanted))
                    .map(show)
                    .collect();
                (
                    missing.is_empty(),
                    format!("to contain {}", missing.join(" and ")),
                )
            }
            Operator::Matches(regex) => {
                let text = actual.to_string();
                (regex.is_match(&text), format!("to match `{regex}`"))
            }
            Operator::Compare(ordering, operand) => {
                let wanted = operand.value(self.kind, bindings)?;
                let words = ordering.words();
                (
                    ordering.holds(actual, &wanted),
                    format!("{words} {}", show(&wanted)),
                )
            }
            Operator::In(operands) => {
                let wanted = operands
                    .iter()
                    .map(|operand| operand.value(self.kind, bindings))
                    .collect::<Result<Vec<_>, _>>()?;
                let shown: Vec<String> = wanted.iter().map(show).collect();
                let holds = wanted.iter().any(|wanted| equal(actual, wanted));
                (holds, format!("one of {}", shown.join(", ")))
            }
            Operator::Not(matcher) => {
                let (holds, expected) = matcher.judge(actual, bindings)?;
                (!holds, format!("not {expected}"))
            }
            Operator::Exists(wanted) => {
                let expected = if *wanted { "a value" } else { "no value" };
                ((*actual != Value::Null) == *wanted, expected.to_owned())
            }
        })
    }
}

impl Operator {
    fn decode(name: &str, node: &Node, kind: OutputType, problems: &mut Problems) -> Option<Self> {
        let compare = |ordering, problems: &mut Problems| {
            Operand::decode(node, kind, problems).map(|operand| Self::Compare(ordering, operand))
        };
        match name {
            "equals" => Operand::decode(node, kind, problems).map(Self::Equals),
            "lt" => compare(Ordering::Lt, problems),
            "lte" => compare(Ordering::Lte, problems),
            "gt" => compare(Ordering::Gt, problems),
            "gte" => compare(Ordering::Gte, problems),
            "contains" => Operand::decode_all(node, kind.element(), problems).map(Self::Contains),
            "in" => Operand::decode_all(node, kind, problems).map(Self::In),
            "matches" => {
                let text = node.text().unwrap_or_default();
                match Regex::new(text) {
                    Ok(regex) => Some(Self::Matches(Box::new(regex))),
                    Err(error) => {
                        let reason = error.to_string();
                        let reason = reason.lines().last().unwrap_or_default().to_owned();
                        problems.push(
                            Diagnostic::new(node.span, "not a regular expression").label(reason),
                        );
                        None
                    }
                }
            }
            "not" => match Matcher::decode(node, kind, problems).pop() {
                Some(matcher) => Some(Self::Not(Box::new(matcher))),
                None => None,
            },
            _ => match OutputType::Bool.read(node.text().unwrap_or_default()) {
                Ok(value) => Some(Self::Exists(value == Value::Bool(true))),
                Err(expected) => {
                    problems.push(Diagnostic::new(
                        node.span,
                        format!("`exists` takes {expected}"),
                    ));
                    None
                }
            },
        }
    }
}

impl Ordering {
    fn words(self) -> &'static str {
        match self {
            Self::Lt => "less than",
            Self::Lte => "at most",
            Self::Gt => "more than",
            Self::Gte => "at least",
        }
    }

    fn holds(self, actual: &Value, wanted: &Value) -> bool {
        let ordering = match (actual, wanted) {
            (Value::Duration(a), Value::Duration(b)) => a.partial_cmp(b),
            (Value::Int(a), Value::Int(b)) => a.partial_cmp(b),
            _ => None,
        };
        ordering.is_some_and(|ordering| match self {
            Self::Lt => ordering.is_lt(),
            Self::Lte => ordering.is_le(),
            Self::Gt => ordering.is_gt(),
            Self::Gte => ordering.is_ge(),
        })
    }
}

impl Operand {
    fn decode(node: &Node, kind: OutputType, problems: &mut Problems) -> Option<Self> {
        match &node.kind {
            Kind::Sequence(items) if kind == OutputType::Texts => items
                .iter()
                .map(|item| Self::decode(item, OutputType::Text, problems))
                .collect::<Option<Vec<_>>>()
                .map(Self::List),
            Kind::Scalar(scalar) if scalar.text.contains("${{") => {
                Template::parse(&scalar.text, content(node), problems).map(Self::Template)
            }
            Kind::Scalar(scalar) => match kind.read(&scalar.text) {
                Ok(value) => Some(Self::Value(value)),
                Err(reason) => {
                    problems.push(
                        Diagnostic::new(node.span, format!("this must be {}", kind.name()))
                            .label(reason),
                    );
                    None
                }
            },
            Kind::Sequence(_) | Kind::Mapping(_) => {
                problems.push(
                    Diagnostic::new(node.span, format!("this must be {}", kind.name()))
                        .label(format!("this is {}", node.describe())),
                );
                None
            }
        }
    }

    fn decode_all(node: &Node, kind: OutputType, problems: &mut Problems) -> Option<Vec<Self>> {
        match &node.kind {
            Kind::Sequence(items) => items
                .iter()
                .map(|item| Self::decode(item, kind, problems))
                .collect(),
            Kind::Scalar(_) | Kind::Mapping(_) => {
                Self::decode(node, kind, problems).map(|operand| vec![operand])
            }
        }
    }

    fn references(&self) -> Vec<(Vec<String>, Span)> {
        match self {
            Self::Value(_) => Vec::new(),
            Self::Template(template) => template.references(),
            Self::List(items) => items.iter().flat_map(Self::references).collect(),
        }
    }

    fn value(&self, kind: OutputType, bindings: &Bindings) -> Result<Value, EvalError> {
        Ok(match self {
            Self::Value(value) => value.clone(),
            Self::List(items) => Value::List(
                items
                    .iter()
                    .map(|item| item.value(kind.element(), bindings))
                    .collect::<Result<_, _>>()?,
            ),
            Self::Template(template) => {
                let value = template.evaluate(bindings)?;
                match value {
                    Value::List(_) | Value::Map(_) | Value::Duration(_) => value,
                    other => {
                        let text = other.to_string();
                        kind.read(&text).map_err(|expected| EvalError {
                            expression: text.clone(),
                            reason: format!("this must be {expected}"),
                        })?
                    }
                }
            }
        })
    }
}

/// Where the content of a scalar starts: after its quote, if it has one.
fn content(node: &Node) -> Span {
    match &node.kind {
        Kind::Scalar(scalar) if scalar.quoted && node.span.end > node.span.start + 1 => {
            Span::new(node.span.start + 1, node.span.end)
        }
        _ => node.span,
    }
}

fn equal(actual: &Value, wanted: &Value) -> bool {
    match (actual, wanted) {
        (Value::List(a), Value::List(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| equal(a, b))
        }
        (Value::Int(a), Value::Text(b)) => b.trim() == a.to_string(),
        _ => actual == wanted,
    }
}

fn contains(actual: &Value, wanted: &Value) -> bool {
    match (actual, wanted) {
        (Value::Text(text), Value::Text(part)) => text.contains(&**part),
        (Value::List(items), wanted) => items.iter().any(|item| equal(item, wanted)),
        _ => false,
    }
}

/// The longest excerpt of a value in a message, in characters.
const EXCERPT: usize = 200;

/// A value as it stands in a message: text in quotes, escaped, cut.
fn show(value: &Value) -> String {
    let cut = |text: String| {
        if text.chars().count() > EXCERPT {
            let excerpt: String = text.chars().take(EXCERPT).collect();
            format!("{excerpt}… ({} characters)", text.chars().count())
        } else {
            text
        }
    };
    match value {
        Value::Text(text) => format!("{:?}", cut(text.to_string())),
        Value::Duration(duration) => HumanDuration(round(*duration)).to_string(),
        other => cut(other.to_string()),
    }
}

fn round(duration: Duration) -> Duration {
    if duration > Duration::from_millis(10) {
        Duration::from_micros(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
    } else {
        duration
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{SourceFile, yaml};

    fn decode(text: &str, kind: OutputType) -> (Vec<Matcher>, Vec<String>) {
        let file = SourceFile::from_text("t.yaml", text);
        let mut problems = Problems::new();
        let node = yaml::parse(&file, &mut problems).unwrap();
        let matchers = Matcher::decode(&node, kind, &mut problems);
        (
            matchers,
            problems
                .sorted()
                .iter()
                .map(|p| format!("{}|{}", p.message, p.label))
                .collect(),
        )
    }

    fn mismatch(text: &str, kind: OutputType, actual: &Value) -> Option<String> {
        let (matchers, problems) = decode(text, kind);
        assert_eq!(problems, Vec::<String>::new(), "{text}");
        matchers
            .iter()
            .find_map(|matcher| matcher.check(actual, &Bindings::new()).unwrap())
            .map(|mismatch| format!("{} but {}", mismatch.expected, mismatch.actual))
    }

    #[test]
    fn a_bare_value_means_equals() {
        let hello = Value::text("hello\n");
        assert_eq!(mismatch("\"hello\\n\"", OutputType::Text, &hello), None);
        assert_eq!(
            mismatch("hello", OutputType::Text, &hello),
            Some("\"hello\" but \"hello\\n\"".to_owned())
        );
        assert_eq!(mismatch("7", OutputType::Int, &Value::Int(7)), None);
        assert_eq!(mismatch("true", OutputType::Bool, &Value::Bool(true)), None);
        assert_eq!(
            mismatch("[a, b]", OutputType::Texts, &Value::texts(["a", "b"])),
            None
        );
    }

    #[test]
    fn every_operator_can_hold_and_fail() {
        let names = Value::texts(["a", "b"]);
        let second = Value::Duration(Duration::from_secs(1));
        for (text, kind, holds, fails) in [
            (
                "{contains: ell}",
                OutputType::Text,
                Value::text("hello"),
                Value::text("bye"),
            ),
            (
                "{contains: [a, b]}",
                OutputType::Texts,
                names.clone(),
                Value::texts(["a"]),
            ),
            (
                "{matches: '^h.*o$'}",
                OutputType::Text,
                Value::text("hello"),
                Value::text("bye"),
            ),
            (
                "{lt: 5s}",
                OutputType::Duration,
                second.clone(),
                Value::Duration(Duration::from_secs(9)),
            ),
            (
                "{gte: 1s}",
                OutputType::Duration,
                second,
                Value::Duration(Duration::ZERO),
            ),
            (
                "{gt: 3, lte: 5}",
                OutputType::Int,
                Value::Int(5),
                Value::Int(6),
            ),
            (
                "{in: [1, 2]}",
                OutputType::Int,
                Value::Int(2),
                Value::Int(3),
            ),
            (
                "{not: {contains: x}}",
                OutputType::Text,
                Value::text("a"),
                Value::text("x"),
            ),
            ("{not: 7}", OutputType::Int, Value::Int(1), Value::Int(7)),
            (
                "{exists: true}",
                OutputType::Text,
                Value::text("a"),
                Value::Null,
            ),
        ] {
            assert_eq!(mismatch(text, kind, &holds), None, "{text}");
            assert!(mismatch(text, kind, &fails).is_some(), "{text}");
        }
    }

    #[test]
    fn wrong_types_and_operators_are_refused_when_read() {
        let problem = |text, kind| decode(text, kind).1.join(";");
        assert_eq!(
            problem("{lt: 5}", OutputType::Duration),
            "this must be a duration|`5` has no unit; write for example `5s`"
        );
        assert_eq!(
            problem("{contain: x}", OutputType::Text),
            "`contain` cannot check text|did you mean `contains`?"
        );
        assert!(problem("{lt: 5}", OutputType::Text).contains("cannot check text"));
        assert!(problem("{matches: '('}", OutputType::Text).contains("regular expression"));
        assert!(problem("seven", OutputType::Int).contains("a whole number"));
        assert!(problem("[1]", OutputType::Int).contains("a list"));
    }
}
