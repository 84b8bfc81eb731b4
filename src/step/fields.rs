//! Fields that several actions have: limits of time, the sandbox, and the path in it.

use std::time::Duration;

use crate::expr::Template;
use crate::source::yaml::Node;
use crate::source::{
    Code, Diagnostic, Field, Fields, FromNode, Problems, Shape, Spanned, Takes, quantity,
};
use crate::units::HumanDuration;

/// The field that names a sandbox, of every action that works on one.
pub(super) const SANDBOX: Field = Field::new(
    "sandbox",
    Takes::Text,
    "id of the `create` step whose sandbox it is; default: the last one",
);

/// The longest time that can be written: more is a mistake, and clocks do not reach that far.
pub(super) const LONGEST: Duration = Duration::from_hours(8760);

/// A time to wait: up to a year.
pub(super) fn time(node: &Node, problems: &mut Problems) -> Option<Duration> {
    let HumanDuration(time) = quantity(node, problems)?;
    if time > LONGEST {
        problems.push(
            Diagnostic::error(Code::BadValue, node.span, "this is more than a year")
                .label("at most `365d`"),
        );
        return None;
    }
    Some(time)
}

/// A limit: a time that is more than nothing.
pub(super) fn limit(node: &Node, problems: &mut Problems) -> Option<Spanned<Duration>> {
    let time = time(node, problems)?;
    if time.is_zero() {
        problems.push(
            Diagnostic::error(Code::BadValue, node.span, "nothing can be done in no time")
                .label("more than `0s`")
                .help("leave the field out for the default"),
        );
        return None;
    }
    Some(Spanned::new(time, node.span))
}

/// A text that must not be empty, as far as can be seen before the run.
pub(super) fn filled(what: &str, template: Template, problems: &mut Problems) -> Option<Template> {
    if template
        .constant()
        .is_some_and(|text| text.trim().is_empty())
    {
        problems.push(
            Diagnostic::error(
                Code::BadValue,
                template.span(),
                format!("the {what} is empty"),
            )
            .label("empty"),
        );
        return None;
    }
    Some(template)
}

/// A path in a sandbox, and which sandbox.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) path: Template,
    pub(super) sandbox: Option<Template>,
}

impl Place {
    /// The short form, which is the path alone, or the fields `path` and `sandbox`.
    pub(super) fn decode(node: &Node, shape: &Shape, problems: &mut Problems) -> Option<Self> {
        if node.as_mapping().is_none() {
            let path = Template::from_node(node, problems)?;
            return Some(Self {
                path,
                sandbox: None,
            });
        }
        let fields = Fields::of(node, shape, problems)?;
        let sandbox = fields.optional("sandbox", problems);
        Some(Self {
            path: fields.required("path", problems)?,
            sandbox,
        })
    }

    /// The same, where the path must not be empty.
    pub(super) fn of_file(node: &Node, shape: &Shape, problems: &mut Problems) -> Option<Self> {
        let Self { path, sandbox } = Self::decode(node, shape, problems)?;
        Some(Self {
            path: filled("path", path, problems)?,
            sandbox,
        })
    }
}
