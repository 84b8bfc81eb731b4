//! A threshold is about something: a scenario, cell or step that has its tags.

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
        let own = scenario.thresholds.iter();
        own.filter(|declared| !means(&declared.threshold.selector, scenario))
    });
    let all: Vec<&DeclaredThreshold> = unmatched.chain(in_scenarios).collect();
    let mut last = None;
    for declared in all {
        // Several conditions of one selector have one place.
        if last.replace(declared.span) != Some(declared.span) {
            problems.push(no_series(declared));
        }
    }
}

fn means(selector: &Selector, scenario: &Scenario) -> bool {
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
    series(
        selector,
        is_tagged,
        scenario.steps.iter().chain(&scenario.finally),
    )
    .is_some()
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
