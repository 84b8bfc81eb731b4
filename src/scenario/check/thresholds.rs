//! A threshold is about something: a scenario, cell or step that has its tags.

use crate::load::LoadModel;
use crate::metrics::{Label, Metric, Selector};
use crate::scenario::document::{Scenario, ScenarioFile};
use crate::scenario::threshold::{DeclaredThreshold, series};
use crate::source::{Code, Diagnostic, Problems};

pub(super) fn check(file: &ScenarioFile, problems: &mut Problems) {
    let of_file = file.thresholds.iter();
    let unmatched = of_file.filter(|declared| {
        let selector = &declared.threshold.selector;
        !file
            .scenarios
            .iter()
            .any(|scenario| means(selector, scenario))
    });
    let in_scenarios = file.scenarios.iter().flat_map(|scenario| {
        let own = scenario.thresholds.iter().chain(&scenario.holds_while);
        own.filter(|declared| !means(&declared.threshold.selector, scenario))
    });
    let all: Vec<&DeclaredThreshold> = unmatched.chain(in_scenarios).collect();
    let mut last = None;
    for declared in all {
        // Several conditions of one selector have one place.
        if last.replace(declared.span) == Some(declared.span) {
            continue;
        }
        let selector = &declared.threshold.selector;
        let selected = file
            .scenarios
            .iter()
            .any(|scenario| selects(selector, scenario));
        problems.push(if selected && selector.metric == Metric::BreakpointRate {
            no_breakpoint(declared)
        } else {
            no_series(declared)
        });
    }
}

fn means(selector: &Selector, scenario: &Scenario) -> bool {
    selects(selector, scenario)
        && (selector.metric != Metric::BreakpointRate || has_breakpoint(scenario))
}

/// Whether the load of a scenario is one, as far as it could be read.
fn has_breakpoint(scenario: &Scenario) -> bool {
    let load = scenario.load.as_ref().map(|load| &load.model);
    matches!(load, Some(LoadModel::Breakpoint(_))) || !scenario.holds_while.is_empty()
}

fn selects(selector: &Selector, scenario: &Scenario) -> bool {
    let is_tagged = |tag: &str, value: &str| {
        let axis = scenario
            .matrix
            .axes
            .iter()
            .find(|axis| &*axis.name.value == tag);
        (tag == "scenario" && &*scenario.id.value == value)
            || scenario
                .tags
                .iter()
                .any(|(name, text)| &*name.value == tag && &**text == value)
            || axis.is_some_and(|axis| {
                let mut values = axis.values.iter();
                values.any(|found| found.value.to_text().is_some_and(|text| &*text == value))
            })
    };
    series(selector, is_tagged, scenario.steps_of_iteration()).is_some()
}

fn no_breakpoint(declared: &DeclaredThreshold) -> Diagnostic {
    let selector = &declared.threshold.selector;
    let message = format!("no load that `{selector}` is about has a `breakpoint`");
    Diagnostic::error(Code::UnknownReference, declared.span, message)
        .label("would never have a value")
        .help("`load: { breakpoint: … }` looks for that rate (sandbench explain breakpoint)")
}

fn no_series(declared: &DeclaredThreshold) -> Diagnostic {
    Diagnostic::error(
        Code::UnknownReference,
        declared.span,
        format!("nothing has the tags of `{}`", declared.threshold.selector),
    )
    .label("would never be judged")
    .help(format!(
        "tags are `scenario`, `step` (id, name or action), the axes of the matrix, and `tags`{}",
        own_tag(declared.threshold.selector.metric)
    ))
}

/// What a metric has beside the tags that all have.
fn own_tag(metric: Metric) -> String {
    let Some(tag) = metric.tag() else {
        return String::new();
    };
    let values = match tag {
        Label::LAUNCH_TYPE => "`warm` or `cold`",
        Label::ATTEMPTS => "a number from 1 on",
        _ => "a status code or a word, such as `timeout`",
    };
    format!("; `{}` also has `{tag}`: {values}", metric.name())
}
