//! [`Operand`]: a YAML value whose texts are templates. The values of `vars`, of `expect` and of
//! free-form fields.

use std::collections::BTreeMap;

use super::bindings::Bindings;
use super::error::EvalError;
use super::references::Reference;
use super::template::Template;
use super::value::{Value, of_scalar};
use crate::source::yaml::{Node, NodeKind};
use crate::source::{FromNode, Problems, Span, wrong_type};

/// A value that may have to be computed.
#[derive(Debug, Clone)]
pub enum Operand {
    /// It is known.
    Fixed(Value),
    /// Text with an expression in it.
    Template(Template),
    /// A list, at least one item of which is not known.
    List(Vec<Self>),
    /// A map, at least one value of which is not known.
    Map(Vec<(String, Self)>),
}

impl Operand {
    /// The value for these bindings.
    ///
    /// # Errors
    /// [`EvalError`] of the first template that fails.
    pub fn evaluate(&self, bindings: &Bindings) -> Result<Value, EvalError> {
        match self {
            Self::Fixed(value) => Ok(value.clone()),
            Self::Template(template) => template.evaluate(bindings),
            Self::List(items) => items
                .iter()
                .map(|item| item.evaluate(bindings))
                .collect::<Result<_, _>>()
                .map(Value::List),
            Self::Map(entries) => entries
                .iter()
                .map(|(key, value)| Ok((key.clone(), value.evaluate(bindings)?)))
                .collect::<Result<BTreeMap<_, _>, _>>()
                .map(Value::Map),
        }
    }

    /// The value, if it is known.
    pub fn fixed(&self) -> Option<&Value> {
        match self {
            Self::Fixed(value) => Some(value),
            Self::Template(_) | Self::List(_) | Self::Map(_) => None,
        }
    }

    /// The names that its templates use.
    pub fn references(&self) -> Vec<&Reference> {
        match self {
            Self::Fixed(_) => Vec::new(),
            Self::Template(template) => template.references().collect(),
            Self::List(items) => items.iter().flat_map(Self::references).collect(),
            Self::Map(entries) => entries
                .iter()
                .flat_map(|(_, value)| value.references())
                .collect(),
        }
    }

    /// Where the template is written, for a single template.
    pub fn template_span(&self) -> Option<Span> {
        match self {
            Self::Template(template) => Some(template.span()),
            Self::Fixed(_) | Self::List(_) | Self::Map(_) => None,
        }
    }

    /// A list or a map whose parts are all known becomes a known value.
    fn simplified(self) -> Self {
        match self {
            Self::List(items) if items.iter().all(|item| item.fixed().is_some()) => {
                Self::Fixed(Value::List(
                    items
                        .iter()
                        .filter_map(|item| item.fixed().cloned())
                        .collect(),
                ))
            }
            Self::Map(entries) if entries.iter().all(|(_, value)| value.fixed().is_some()) => {
                Self::Fixed(Value::Map(
                    entries
                        .into_iter()
                        .filter_map(|(key, value)| Some((key, value.fixed()?.clone())))
                        .collect(),
                ))
            }
            other => other,
        }
    }
}

impl FromNode for Operand {
    fn from_node(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.kind {
            NodeKind::Scalar(scalar) if scalar.is_text() => {
                let template = Template::from_scalar(scalar, problems)?;
                Some(match template.constant() {
                    Some(text) => Self::Fixed(Value::Text(text.clone())),
                    None => Self::Template(template),
                })
            }
            NodeKind::Scalar(scalar) => Some(Self::Fixed(of_scalar(scalar))),
            NodeKind::Sequence(_) => {
                Vec::from_node(node, problems).map(|items| Self::List(items).simplified())
            }
            NodeKind::Mapping(entries) => {
                let read: Vec<Option<(String, Self)>> = entries
                    .iter()
                    .map(|(key, value)| {
                        Some((key.value.to_string(), Self::from_node(value, problems)?))
                    })
                    .collect();
                let entries: Option<Vec<_>> = read.into_iter().collect();
                entries.map(|entries| Self::Map(entries).simplified())
            }
            NodeKind::Invalid => {
                wrong_type(node, "a value", problems);
                None
            }
        }
    }
}
