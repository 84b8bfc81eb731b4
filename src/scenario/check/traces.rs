//! The step that a span is expected under exists, in an iteration.

use crate::scenario::document::{Scenario, ScenarioFile};
use crate::scenario::traces::DeclaredExpectation;
use crate::source::{Code, Diagnostic, Problems, Spanned, did_you_mean, list_of};
use crate::step::Step;

pub(super) fn check(file: &ScenarioFile, problems: &mut Problems) {
    let all: Vec<&Scenario> = file.scenarios.iter().collect();
    let of_file = file.traces.iter().map(|expected| (expected, all.clone()));
    let own = file.scenarios.iter().flat_map(|scenario| {
        let expected = scenario.traces.iter();
        expected.map(move |expected| (expected, vec![scenario]))
    });
    for (expected, scenarios) in of_file.chain(own) {
        let Some(under) = expected.under() else {
            continue;
        };
        if !scenarios.iter().any(|scenario| has(scenario, expected)) {
            problems.push(unknown(under, &scenarios));
        }
    }
}

fn has(scenario: &Scenario, expected: &DeclaredExpectation) -> bool {
    expected.about(scenario.steps_of_iteration()).is_some()
}

fn unknown(under: &Spanned<String>, scenarios: &[&Scenario]) -> Diagnostic {
    let name = &under.value;
    let beside = scenarios
        .iter()
        .flat_map(|scenario| scenario.setup.iter().chain(&scenario.teardown));
    if names(beside).contains(&name.as_str()) {
        return Diagnostic::error(
            Code::UnknownReference,
            under.span,
            format!("the step `{name}` is in no iteration"),
        )
        .label("not traced")
        .help("a trace is an iteration: `setup` and `teardown`, which run once, are in none");
    }
    let known = names(
        scenarios
            .iter()
            .flat_map(|scenario| scenario.steps_of_iteration()),
    );
    Diagnostic::error(
        Code::UnknownReference,
        under.span,
        format!("no step has the id or the action `{name}`"),
    )
    .label(did_you_mean(name, &known))
    .help(format!("there are {}", list_of(&known)))
}

/// The ids and the actions of steps and of those in them, each once.
fn names<'s>(steps: impl Iterator<Item = &'s Step>) -> Vec<&'s str> {
    let mut names: Vec<&str> = Vec::new();
    for step in steps {
        step.walk(&mut |step| {
            let id = step.id.as_ref().map(|id| &*id.value);
            for name in id.into_iter().chain([step.action.kind()]) {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        });
    }
    names
}
