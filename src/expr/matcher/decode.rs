//! Reads a [`Matcher`] from YAML and checks it against the declared kind of the output.

use super::judge::{Matcher, Pattern, Presence, Relation, Test};
use super::pattern;
use crate::expr::kind::ValueKind;
use crate::expr::operand::Operand;
use crate::expr::template::Template;
use crate::expr::value::Value;
use crate::source::yaml::{Key, Node};
use crate::source::{Code, Diagnostic, FromNode, Problems, did_you_mean, list_of, wrong_type};

/// The operators, in the order in which they are listed.
const OPERATORS: &[&str] = &[
    "equals", "contains", "matches", "lt", "lte", "gt", "gte", "in", "not", "exists",
];

impl Matcher {
    /// Reads what `expect` says about an output of this kind. What does not fit the kind is
    /// reported.
    pub fn decode(node: &Node, kind: ValueKind, problems: &mut Problems) -> Option<Self> {
        let operators = node.as_mapping().filter(|entries| {
            kind != ValueKind::Map
                || entries
                    .iter()
                    .any(|(key, _)| OPERATORS.contains(&&*key.value))
        });
        let test = match operators {
            None => Test::Equals(operand(node, kind, problems)?),
            Some([]) => {
                wrong_type(node, "a value or an operator", problems);
                return None;
            }
            Some([(key, value)]) => {
                return operator(key, value, kind, problems).map(|test| Self {
                    span: value.span,
                    kind,
                    test,
                });
            }
            Some(entries) => {
                // Every operator is read before the first `None` decides.
                let all: Vec<Option<Self>> = entries
                    .iter()
                    .map(|(key, value)| {
                        operator(key, value, kind, problems).map(|test| Self {
                            span: value.span,
                            kind,
                            test,
                        })
                    })
                    .collect();
                Test::All(all.into_iter().collect::<Option<_>>()?)
            }
        };
        Some(Self {
            span: node.span,
            kind,
            test,
        })
    }
}

fn operator(key: &Key, node: &Node, kind: ValueKind, problems: &mut Problems) -> Option<Test> {
    let name = &*key.value;
    match name {
        "equals" => operand(node, kind, problems).map(Test::Equals),
        "contains" => {
            let Some(item) = kind.item() else {
                problems.push(does_not_fit(key, kind));
                return None;
            };
            many(node, item, problems).map(Test::Contains)
        }
        "matches" if kind.is_text() => read_pattern(node, problems).map(Test::Matches),
        "lt" | "lte" | "gt" | "gte" if kind.is_ordered() => {
            let relation = match name {
                "lt" => Relation::Less,
                "lte" => Relation::AtMost,
                "gt" => Relation::Greater,
                _ => Relation::AtLeast,
            };
            operand(node, kind, problems).map(|operand| Test::Order(relation, operand))
        }
        "in" => {
            if node.as_sequence().is_none() {
                wrong_type(node, "a list of values", problems);
                return None;
            }
            many(node, kind, problems).map(Test::In)
        }
        "not" => Matcher::decode(node, kind, problems).map(|inner| Test::Not(Box::new(inner))),
        "exists" => bool::from_node(node, problems).map(|wanted| {
            Test::Exists(if wanted {
                Presence::Present
            } else {
                Presence::Absent
            })
        }),
        "matches" | "lt" | "lte" | "gt" | "gte" => {
            problems.push(does_not_fit(key, kind));
            None
        }
        _ => {
            problems.push(unknown_operator(key));
            None
        }
    }
}

fn unknown_operator(key: &Key) -> Diagnostic {
    let label = did_you_mean(&key.value, OPERATORS);
    Diagnostic::error(
        Code::UnknownField,
        key.span,
        format!("unknown operator `{}`", key.value),
    )
    .label(label)
    .help(format!("the operators are {}", list_of(OPERATORS)))
}

fn does_not_fit(key: &Key, kind: ValueKind) -> Diagnostic {
    let fitting: Vec<&str> = OPERATORS
        .iter()
        .copied()
        .filter(|operator| match *operator {
            "contains" => kind.item().is_some(),
            "matches" => kind.is_text(),
            "lt" | "lte" | "gt" | "gte" => kind.is_ordered(),
            _ => true,
        })
        .collect();
    Diagnostic::error(
        Code::TypeMismatch,
        key.span,
        format!(
            "`{}` does not fit: the output is {}",
            key.value,
            kind.name()
        ),
    )
    .label("does not fit")
    .help(format!("operators that fit are {}", list_of(&fitting)))
}

/// A value of a kind; what is known is checked and read as the kind now.
fn operand(node: &Node, kind: ValueKind, problems: &mut Problems) -> Option<Operand> {
    let operand = Operand::from_node(node, problems)?;
    let Operand::Fixed(value) = operand else {
        return Some(operand);
    };
    let read = if is_misquoted(kind, &value) {
        Err(format!("expected {}, found {}", kind.name(), node.found()))
    } else {
        kind.coerce(value)
    };
    match read {
        Ok(value) => Some(Operand::Fixed(value)),
        Err(reason) => {
            problems.push(wrong_operand(node, kind, &reason));
            None
        }
    }
}

fn wrong_operand(node: &Node, kind: ValueKind, reason: &str) -> Diagnostic {
    let (message, hint) = reason.split_once("; ").unwrap_or((reason, ""));
    let diagnostic = Diagnostic::error(Code::TypeMismatch, node.span, message);
    match (kind, node.as_scalar()) {
        (ValueKind::Word(words), Some(scalar)) => diagnostic
            .label(did_you_mean(&scalar.text, words))
            .help(format!("the words are {}", list_of(words))),
        (ValueKind::Text | ValueKind::Bytes, Some(scalar)) if !scalar.is_null() => diagnostic
            .label("expected text")
            .help(format!("put it in quotes: \"{}\"", scalar.text)),
        _ if !hint.is_empty() => diagnostic.label(hint),
        _ => diagnostic.label(format!("expected {}", kind.name())),
    }
}

/// Whether a value as it is written cannot be of the kind: `exitCode: "7"` and `stdout: 42` are
/// mistakes, though the text of a template may turn out to be a number.
fn is_misquoted(kind: ValueKind, value: &Value) -> bool {
    let is_text = matches!(value, Value::Text(_));
    let is_plain = matches!(value, Value::Int(_) | Value::Float(_) | Value::Bool(_));
    match kind {
        ValueKind::Int | ValueKind::Float | ValueKind::Bool => is_text,
        ValueKind::Text | ValueKind::Bytes | ValueKind::Word(_) => is_plain,
        ValueKind::Texts => match value {
            Value::List(items) => items.iter().any(|item| is_misquoted(ValueKind::Text, item)),
            _ => false,
        },
        ValueKind::Any | ValueKind::Map | ValueKind::Duration | ValueKind::Size => false,
    }
}

fn many(node: &Node, kind: ValueKind, problems: &mut Problems) -> Option<Vec<Operand>> {
    let Some(items) = node.as_sequence() else {
        return operand(node, kind, problems).map(|operand| vec![operand]);
    };
    let read: Vec<Option<Operand>> = items
        .iter()
        .map(|item| operand(item, kind, problems))
        .collect();
    read.into_iter().collect()
}

fn read_pattern(node: &Node, problems: &mut Problems) -> Option<Pattern> {
    let template = Template::from_node(node, problems)?;
    let Some(text) = template.constant() else {
        return Some(Pattern::Template(template));
    };
    match pattern::compile(text) {
        Ok(regex) => Some(Pattern::Compiled(regex)),
        Err(error) => {
            let span = match (node.as_scalar(), error.at) {
                (Some(scalar), Some(at)) => scalar.span_of(at),
                _ => node.span,
            };
            problems.push(
                Diagnostic::error(
                    Code::Expression,
                    span,
                    format!("the regular expression does not compile: {}", error.message),
                )
                .label("here")
                .help("put it in single quotes, so that `\\` stays as it is"),
            );
            None
        }
    }
}
