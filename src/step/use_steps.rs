//! `use`: the steps of another scenario, with values for the variables of its file.
//!
//! Whoever parses the file has put the steps in: after `use` stands a mapping with them. Only their
//! names are apart from those around them; the sandboxes are the same.

use std::sync::Arc;

use super::{Step, StepContext};
use crate::expr::{EvalError, Operand, Output};
use crate::source::yaml::{Key, Node};
use crate::source::{Code, Diagnostic, Field, Problems, Takes, read_map, wrong_type};

/// Steps of another scenario.
#[derive(Debug, Clone)]
pub struct Use {
    /// The variables of the file that the steps are from, in its order.
    pub vars: Vec<(Key, Operand)>,
    /// The values that go before those of the file.
    pub with: Vec<(Key, Operand)>,
    /// At least one.
    pub steps: Vec<Step>,
}

impl Use {
    /// What it takes.
    pub(super) const TAKES: Takes = Takes::Text;

    /// What stands beside it.
    pub(super) const BESIDE: &'static [Field] = &[Field::new(
        "with",
        Takes::Map(&Takes::Value),
        "values for the `vars` of the used file, before those that it has",
    )];

    /// What `use` gives: what its `capture` takes out of the used steps, which sees their `vars`.
    pub const OUTPUTS: &'static [Output] = &[];

    pub(super) fn decode(node: &Node, step: &Node, problems: &mut Problems) -> Option<Self> {
        let with = step.get("with");
        let with = with.and_then(|node| read_map(node, "variables to values", problems));
        let Some(list) = node.get("steps") else {
            // Where it cannot be used, that was reported and the node is invalid.
            wrong_type(node, "`file.yaml#scenario`", problems);
            return None;
        };
        let vars = node.get("vars");
        let vars = vars.and_then(|node| read_map(node, "variables", problems));
        let Some(items) = list.as_sequence() else {
            wrong_type(list, "a list of steps", problems);
            return None;
        };
        if items.is_empty() {
            problems.push(
                Diagnostic::error(Code::BadValue, node.span, "the used scenario has no steps")
                    .label("nothing to use"),
            );
        }
        let steps: Vec<Option<Step>> = items
            .iter()
            .map(|item| Step::decode(item, problems))
            .collect();
        Some(Self {
            vars: vars.unwrap_or_default(),
            with: with.unwrap_or_default(),
            steps: steps.into_iter().collect::<Option<_>>()?,
        })
    }

    /// Begins the scope of the steps; [`StepContext::leave_to`] ends it.
    ///
    /// # Errors
    /// [`EvalError`]: a variable has no value. Then no scope has begun.
    pub fn enter(&self, context: &mut StepContext) -> Result<(), EvalError> {
        let given: Result<Vec<_>, EvalError> = self
            .with
            .iter()
            .map(|(name, value)| Ok((&name.value, value.evaluate(&context.bindings)?)))
            .collect();
        let given = given?;
        let depth = context.depth();
        context.enter();
        for (name, written) in &self.vars {
            let found = given.iter().find(|(known, _)| **known == name.value);
            let value = match found {
                Some((_, value)) => Ok(value.clone()),
                None => written.evaluate(&context.bindings),
            };
            match value {
                Ok(value) => context.bindings.set("vars", Arc::clone(&name.value), value),
                Err(error) => {
                    context.leave_to(depth);
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}
