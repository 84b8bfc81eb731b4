//! `load` with expressions in it: `rate: ${{ vars.rate }}`.
//!
//! The expressions are replaced by their values, each at its place in the file, and what comes out is
//! read like any other `load`. So a value of the wrong type is reported where its expression stands.

use std::sync::Arc;

use super::document::Scenario;
use crate::expr::{Bindings, Operand, Template, Value};
use crate::load::Load;
use crate::source::yaml::{Key, Node, NodeKind, Scalar, ScalarStyle};
use crate::source::{Code, Diagnostic, FromNode as _, Problems};

/// A `load` whose values are known when the variables and the combination of the matrix are.
#[derive(Debug, Clone)]
pub struct LoadTemplate(Node);

impl LoadTemplate {
    /// The template, if there is an expression in the `load`.
    pub(super) fn of(node: &Node) -> Option<Self> {
        has_expression(node).then(|| Self(node.clone()))
    }

    /// The load for these values. Reports what is wrong with it and gives `None` then.
    pub fn load(&self, bindings: &Bindings, problems: &mut Problems) -> Option<Load> {
        let mut own = Problems::new();
        let filled = filled(&self.0, bindings, &mut own);
        // What is read of a load that lacks a value would be a second complaint about the same.
        let load = if own.has_errors() {
            None
        } else {
            Load::decode(&filled, &mut own)
        };
        problems.extend(own.iter().cloned());
        load
    }

    /// Whether every expression has a value; nothing is reported.
    fn is_known(&self, bindings: &Bindings) -> bool {
        let mut problems = Problems::new();
        filled(&self.0, bindings, &mut problems);
        !problems.has_errors()
    }
}

fn has_expression(node: &Node) -> bool {
    match &node.kind {
        NodeKind::Scalar(scalar) => scalar.text.contains("${{"),
        NodeKind::Sequence(items) => items.iter().any(has_expression),
        NodeKind::Mapping(entries) => entries.iter().any(|(_, value)| has_expression(value)),
        NodeKind::Invalid => false,
    }
}

/// The node with values in place of its expressions; one without a value is reported.
fn filled(node: &Node, bindings: &Bindings, problems: &mut Problems) -> Node {
    let kind = match &node.kind {
        NodeKind::Scalar(scalar) if scalar.text.contains("${{") => {
            value(node, bindings, problems).map_or(NodeKind::Invalid, NodeKind::Scalar)
        }
        NodeKind::Sequence(items) => {
            let items = items.iter();
            NodeKind::Sequence(items.map(|item| filled(item, bindings, problems)).collect())
        }
        NodeKind::Mapping(entries) => {
            let entries = entries.iter();
            let filled = entries.map(|(key, node)| (key.clone(), filled(node, bindings, problems)));
            NodeKind::Mapping(filled.collect())
        }
        NodeKind::Scalar(_) | NodeKind::Invalid => node.kind.clone(),
    };
    Node {
        span: node.span,
        kind,
    }
}

/// The value of an expression as a scalar: a number stays a number, text reads as in quotes.
fn value(node: &Node, bindings: &Bindings, problems: &mut Problems) -> Option<Scalar> {
    let template = Template::from_node(node, problems)?;
    let value = match template.evaluate(bindings) {
        Ok(value) => value,
        Err(error) => {
            problems.push(error.diagnostic());
            return None;
        }
    };
    let Some(text) = value.to_text() else {
        let found = value.type_name();
        problems.push(
            Diagnostic::error(
                Code::WrongType,
                node.span,
                format!("`{}` is {found}, no number and no text", template.source()),
            )
            .label(format!("{found} here")),
        );
        return None;
    };
    let mut scalar = Scalar::synthetic(text, node.span);
    if matches!(value, Value::Int(_) | Value::Float(_) | Value::Bool(_)) {
        scalar.style = ScalarStyle::Plain;
    }
    Some(scalar)
}

/// Reads the load with the variables as the file has them, so that a mistake is found without a run.
/// Where the environment or the run has a part in a value, the plan is the first to read it.
pub(super) fn with_defaults(
    scenario: &mut Scenario,
    vars: &[(Key, Operand)],
    problems: &mut Problems,
) {
    let Some(template) = &scenario.load_template else {
        return;
    };
    let mut bindings = Bindings::new();
    for (name, operand) in vars {
        if let Ok(value) = operand.evaluate(&bindings) {
            bindings.set("vars", Arc::clone(&name.value), value);
        }
    }
    bindings.set("scenario", "name", &*scenario.id.value);
    let bindings = Arc::new(bindings);
    for combination in scenario.matrix.combinations() {
        let mut bindings = bindings.child();
        for (name, value) in combination {
            bindings.set("matrix", name, value);
        }
        if !template.is_known(&bindings) {
            continue;
        }
        match template.load(&bindings, problems) {
            Some(load) => drop(scenario.load.get_or_insert(load)),
            // The other combinations would say the same.
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{SourceFile, yaml};

    const LOAD: &str = "{ rate: '${{ vars.rate }}', duration: '${{ vars.seconds }}s', \
        maxInFlight: '${{ vars.most }}' }";

    fn load(rate: Value, most: Value) -> Result<String, Vec<String>> {
        let file = SourceFile::from_text("t.yaml", LOAD);
        let mut problems = Problems::new();
        let node = yaml::parse(&file, &mut problems).unwrap();
        let mut bindings = Bindings::new();
        bindings.set("vars", "rate", rate);
        bindings.set("vars", "seconds", 3_i64);
        bindings.set("vars", "most", most);
        let template = LoadTemplate::of(&node).unwrap();
        match template.load(&bindings, &mut problems) {
            Some(load) => Ok(format!("{} {:?}", load.model, load.planned())),
            None => Err(problems.iter().map(told).collect()),
        }
    }

    fn told(problem: &Diagnostic) -> String {
        let span = problem.span;
        format!("{}: {}", &LOAD[span.start..span.end], problem.message)
    }

    #[test]
    fn expressions_in_a_load_have_their_values() {
        let read = load(Value::text("20/s"), Value::Int(7));
        assert_eq!(read, Ok("20/s Some(60)".to_owned()));
    }

    #[test]
    fn a_value_of_the_wrong_type_is_told_at_its_expression() {
        let refused = load(Value::text("many"), Value::Int(7)).unwrap_err();
        assert!(
            refused[0].starts_with("'${{ vars.rate }}': "),
            "{refused:?}"
        );
        let refused = load(Value::text("20/s"), Value::text("7")).unwrap_err();
        assert_eq!(
            refused,
            ["'${{ vars.most }}': expected a whole number, found the text `7`"]
        );
        let refused = load(Value::text("20/s"), Value::List(Vec::new())).unwrap_err();
        assert!(refused[0].contains("no number and no text"), "{refused:?}");
    }

    #[test]
    fn a_load_without_expressions_is_no_template() {
        let file = SourceFile::from_text("t.yaml", "{ vus: 3 }");
        let node = yaml::parse(&file, &mut Problems::new()).unwrap();
        assert!(LoadTemplate::of(&node).is_none());
    }
}
