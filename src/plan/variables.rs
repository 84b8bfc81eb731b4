//! The variables at the start of a run: those of the file, with the values that the command line and
//! the environment give instead. Such a value has the type that the file has.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::resolve::{Overrides, not_evaluated};
use crate::expr::{Bindings, Operand, Value};
use crate::scenario::ScenarioFile;
use crate::source::yaml::Key;
use crate::source::{Code, Diagnostic, Problems, Span};
use crate::step::{Action, Step};

pub(super) fn variables(
    document: &ScenarioFile,
    overrides: &Overrides,
    bindings: &mut Bindings,
    problems: &mut Problems,
) -> BTreeMap<String, String> {
    let names: Vec<&str> = document.vars.iter().map(|(name, _)| &*name.value).collect();
    for unknown in overrides
        .vars
        .keys()
        .filter(|name| !names.contains(&name.as_str()))
    {
        let near = crate::source::suggest(unknown, &names);
        let label = near.map_or_else(String::new, |near| format!("did you mean `{near}`?"));
        problems.push(
            Diagnostic::error(
                Code::UnknownReference,
                document.name.span,
                format!("`--var {unknown}=…`: the file has no variable `{unknown}`"),
            )
            .label(label)
            .help("a variable is declared under `vars`"),
        );
    }
    let mut shown = BTreeMap::new();
    for (name, operand) in &document.vars {
        let written = operand.evaluate(bindings);
        let value = match (given(name, overrides), written) {
            (Some(given), written) => given.value(name, written.ok().as_ref(), problems),
            (None, Ok(value)) => Some(value),
            (None, Err(error)) => {
                problems.push(not_evaluated(&error));
                None
            }
        };
        let Some(value) = value else { continue };
        let text = value
            .to_text()
            .unwrap_or_else(|| Arc::from(value.type_name()));
        shown.insert(name.value.to_string(), text.to_string());
        bindings.set("vars", Arc::clone(&name.value), value);
    }
    shown
}

/// The values from outside of the file, each with the place of its variable.
pub(super) fn given_values(
    document: &ScenarioFile,
    overrides: &Overrides,
    bindings: &Bindings,
) -> Vec<(Span, Value)> {
    let names = document.vars.iter().map(|(name, _)| name);
    let given = names.filter(|name| given(name, overrides).is_some());
    let value = |name: &Key| bindings.get(&["vars", &*name.value]).cloned();
    given
        .filter_map(|name| Some((name.span, value(name)?)))
        .collect()
}

/// The steps, in which scenarios of the same file that are used have these values too.
pub(super) fn with_given(steps: &[Step], given: &[(Span, Value)]) -> Vec<Step> {
    let mut steps = steps.to_vec();
    give(&mut steps, given);
    steps
}

fn give(steps: &mut [Step], given: &[(Span, Value)]) {
    if given.is_empty() {
        return;
    }
    for step in steps {
        if let Action::Use(used) = &mut step.action {
            for (name, operand) in &mut used.vars {
                let here = given.iter().find(|(declared, _)| *declared == name.span);
                if let Some((_, value)) = here {
                    *operand = Operand::Fixed(value.clone());
                }
            }
        }
        give(step.action.steps_mut(), given);
    }
}

/// A value from outside of the file.
struct Given<'a> {
    /// `--var NAME` or `SANDBENCH_VAR_NAME`.
    source: String,
    text: &'a str,
}

fn given<'a>(name: &Key, overrides: &'a Overrides) -> Option<Given<'a>> {
    if let Some(text) = overrides.vars.get(&*name.value) {
        let source = format!("--var {}", name.value);
        return Some(Given { source, text });
    }
    let source = format!("SANDBENCH_VAR_{}", name.value);
    let text = overrides.environment.get(&source)?;
    Some(Given { source, text })
}

impl Given<'_> {
    /// The text as a value of the type that the file has; reports what is of another type.
    fn value(&self, name: &Key, written: Option<&Value>, problems: &mut Problems) -> Option<Value> {
        let text = self.text;
        let read = match written {
            Some(Value::Text(_)) => Some(Value::text(text)),
            Some(Value::Bool(_)) => text.parse().ok().map(Value::Bool),
            Some(Value::Int(_)) => text.parse().ok().map(Value::Int),
            Some(Value::Float(_)) => {
                let number: Option<f64> = text.parse().ok();
                number.filter(|number| number.is_finite()).map(Value::Float)
            }
            Some(written @ (Value::List(_) | Value::Map(_))) => {
                let json: Option<serde_json::Value> = serde_json::from_str(text).ok();
                let same = |read: &Value| read.type_name() == written.type_name();
                json.map(Value::from).filter(same)
            }
            Some(Value::Null | Value::Bytes(_) | Value::Duration(_)) | None => Some(typed(text)),
        };
        if let (None, Some(written)) = (&read, written) {
            let wanted = match written {
                Value::Bool(_) => "`true` or `false`",
                Value::List(_) => "a list, written as JSON",
                Value::Map(_) => "a map, written as JSON",
                other => other.type_name(),
            };
            problems.push(
                Diagnostic::error(
                    Code::WrongType,
                    name.span,
                    format!(
                        "`{}={text}`: the variable `{}` is {wanted}",
                        self.source, name.value
                    ),
                )
                .label(format!("{written} here")),
            );
        }
        read
    }
}

/// A value of a variable that has no type: read as YAML reads a plain scalar.
fn typed(text: &str) -> Value {
    match (text, text.parse::<i64>(), text.parse::<f64>()) {
        ("true", ..) => Value::Bool(true),
        ("false", ..) => Value::Bool(false),
        (_, Ok(number), _) if number.to_string() == text => Value::Int(number),
        (_, _, Ok(number)) if number.is_finite() && text.contains('.') => Value::Float(number),
        _ => Value::text(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::parse;
    use crate::source::SourceFile;

    const FILE: &str = "version: 1\nname: t\nvars: { n: 1, share: 0.5, on: true, text: '1', list: [1], \
        map: { a: 1 }, any: null, made: '${{ vars.n + 1 }}' }\n\
        target: { warmPool: p, mode: in-cluster-pod-ip }\n\
        scenarios:\n  a:\n    steps:\n      - create: {}\n\
        \x20     - exec: echo ${{ vars.n }} ${{ vars.share }} ${{ vars.on }} ${{ vars.text }} \
        ${{ size(vars.list) }} ${{ vars.map.a }} ${{ vars.any }} ${{ vars.made }}\n";

    fn with(name: &str, text: &str) -> Result<Value, String> {
        let file = SourceFile::from_text("t.yaml", FILE);
        let (document, problems) = parse(&file);
        let document = document.ok_or_else(|| format!("{problems:?}"))?;
        let mut overrides = Overrides::default();
        overrides.vars.insert(name.to_owned(), text.to_owned());
        let (mut bindings, mut problems) = (Bindings::new(), Problems::new());
        variables(&document, &overrides, &mut bindings, &mut problems);
        match problems.iter().next() {
            Some(problem) => Err(format!("{}|{}", problem.message, problem.label)),
            None => Ok(bindings.get(&["vars", name]).cloned().unwrap_or_default()),
        }
    }

    #[test]
    fn a_value_from_outside_has_the_type_that_the_file_has() {
        assert_eq!(with("n", "7"), Ok(Value::Int(7)));
        assert_eq!(with("share", "7"), Ok(Value::Float(7.0)));
        assert_eq!(with("on", "false"), Ok(Value::Bool(false)));
        assert_eq!(with("text", "7"), Ok(Value::text("7")));
        assert_eq!(with("list", "[2]"), Ok(Value::List(vec![Value::Int(2)])));
        assert_eq!(with("any", "7"), Ok(Value::Int(7)));
        assert_eq!(with("made", "9"), Ok(Value::Int(9)));
    }

    #[test]
    fn a_value_of_another_type_is_refused() {
        let refused = |name, text, told: &str| assert_eq!(with(name, text), Err(told.to_owned()));
        refused(
            "n",
            "many",
            "`--var n=many`: the variable `n` is a whole number|1 here",
        );
        refused(
            "made",
            "x",
            "`--var made=x`: the variable `made` is a whole number|2 here",
        );
        refused(
            "share",
            "inf",
            "`--var share=inf`: the variable `share` is a number|0.5 here",
        );
        refused(
            "on",
            "yes",
            "`--var on=yes`: the variable `on` is `true` or `false`|true here",
        );
        refused(
            "list",
            "{}",
            "`--var list={}`: the variable `list` is a list, written as JSON|[1] here",
        );
    }
}
