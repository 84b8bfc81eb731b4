//! A comparison can be made: its axis and its baseline exist, its metrics are measured, and its rounds
//! are enough to show anything.

use std::sync::Arc;

use crate::compare::needed;
use crate::expr::Value;
use crate::load::LoadModel;
use crate::metrics::{Design, Metric, Series};
use crate::scenario::compare::Compare;
use crate::scenario::document::{Scenario, ScenarioFile};
use crate::scenario::matrix::Axis;
use crate::scenario::threshold::series;
use crate::source::{Code, Diagnostic, Problems, Span, did_you_mean, list_of, suggest};
use crate::step::Step;

/// Metrics that only some actions give; every other is measured whatever the steps are.
const GIVEN_BY: &[(Metric, &[&str])] = &[
    (Metric::SandboxCreateAckDuration, &["create"]),
    (Metric::SandboxBoundDuration, &["create"]),
    (Metric::SandboxReadyDuration, &["create"]),
    (Metric::TimeToFirstExec, &["exec"]),
    (Metric::ConnectDuration, &["create", "connect", "resume"]),
    (Metric::ExecDuration, &["exec"]),
    (Metric::WriteDuration, &["write"]),
    (Metric::ReadDuration, &["read"]),
    (Metric::ListDuration, &["list"]),
    (Metric::ExistsDuration, &["exists"]),
    (Metric::DeleteFileDuration, &["deleteFile"]),
    (Metric::SandboxSuspendDuration, &["suspend"]),
    (Metric::SandboxResumeDuration, &["resume"]),
    (Metric::SandboxDeleteDuration, &["delete"]),
    (Metric::HttpDuration, &["http"]),
    (Metric::WaitDuration, &["wait"]),
    (Metric::GroupDuration, &["group", "parallel", "use"]),
];

pub(super) fn check(file: &ScenarioFile, problems: &mut Problems) {
    for scenario in &file.scenarios {
        if let Some(compare) = &scenario.compare {
            one(scenario, compare, problems);
        }
    }
}

fn one(scenario: &Scenario, compare: &Compare, problems: &mut Problems) {
    let load = scenario.load.as_ref();
    if load.is_some_and(|load| matches!(load.model, LoadModel::Breakpoint(_))) {
        problems.push(
            Diagnostic::error(
                Code::Combination,
                compare.span,
                "`compare` with a `breakpoint`",
            )
            .label("a search has no rounds")
            .help("compare `rate` or `vus`, or read the breakpoints of the cells side by side"),
        );
    }
    if load.is_none() {
        problems.push(
            Diagnostic::error(
                Code::Combination,
                compare.span,
                "`compare` without `load`",
            )
            .label("one iteration per round is no median")
            .help("say what a cell runs in each round, for example `load: { vus: 1, iterations: 20 }`"),
        );
    }
    for metric in &compare.metrics {
        let is_tagged = |tag: &str, value: &str| is_tagged(scenario, tag, value);
        let steps = scenario.steps_of_iteration();
        let selector = &metric.value.selector;
        let problem = match series(selector, is_tagged, steps) {
            None => Some(
                Diagnostic::error(
                    Code::UnknownReference,
                    metric.span,
                    format!("nothing has the tags of `{selector}`"),
                )
                .label("would never be measured")
                .help("tags are `scenario`, `step` (id, name or action) and `tags`"),
            ),
            Some(series) => not_given(scenario, selector.metric, &series, metric.span),
        };
        problems.extend(problem);
    }
    let Some(axis) = axis(scenario, compare, problems) else {
        return;
    };
    baseline(compare, axis, problems);
    enough_rounds(scenario, compare, problems);
}

fn axis<'s>(
    scenario: &'s Scenario,
    compare: &Compare,
    problems: &mut Problems,
) -> Option<&'s Axis> {
    let axes = &scenario.matrix.axes;
    let name = &compare.across;
    let found = axes.iter().find(|axis| axis.name.value == name.value);
    match found {
        Some(axis) if axis.values.len() > 1 => return found,
        Some(axis) => problems.push(
            Diagnostic::error(
                Code::BadValue,
                name.span,
                format!("the axis `{}` has one value", axis.name.value),
            )
            .label("nothing to compare with"),
        ),
        None => {
            let names: Vec<&str> = axes.iter().map(|axis| &*axis.name.value).collect();
            let label = did_you_mean(&name.value, &names);
            let problem = Diagnostic::error(
                Code::UnknownReference,
                name.span,
                format!("unknown axis `{}`", name.value),
            );
            problems.push(problem.label(label).help(if names.is_empty() {
                format!("declare it: `matrix: {{ {}: [ … ] }}`", name.value)
            } else {
                format!("the axes are {}", list_of(&names))
            }));
        }
    }
    None
}

fn baseline(compare: &Compare, axis: &Axis, problems: &mut Problems) {
    let baseline = &compare.baseline;
    if axis
        .values
        .iter()
        .any(|value| value.value == baseline.value)
    {
        return;
    }
    let texts: Vec<Arc<str>> = axis
        .values
        .iter()
        .filter_map(|value| value.value.to_text())
        .collect();
    let texts: Vec<&str> = texts.iter().map(|text| &**text).collect();
    let written = baseline.value.to_text().unwrap_or_default();
    let label = suggest(&written, &texts).map_or_else(
        || "not a value of the axis".to_owned(),
        |word| format!("did you mean `{word}`?"),
    );
    problems.push(
        Diagnostic::error(
            Code::UnknownReference,
            baseline.span,
            format!("the axis `{}` has no value `{written}`", axis.name.value),
        )
        .label(label)
        .help(format!("its values are {}", list_of(&texts))),
    );
}

/// With so many tests and so few rounds even the clearest difference is not shown.
fn enough_rounds(scenario: &Scenario, compare: &Compare, problems: &mut Problems) {
    let is_baseline = |combination: &[(Arc<str>, Value)]| {
        combination
            .iter()
            .any(|(axis, value)| *axis == compare.across.value && *value == compare.baseline.value)
    };
    let cells = scenario.matrix.combinations();
    let others = cells.iter().filter(|cell| !is_baseline(cell)).count();
    let tests = u32::try_from(others * compare.metrics.len()).unwrap_or(u32::MAX);
    let needed = needed(tests, compare.alpha, Design::Paired);
    if compare.rounds.value >= needed || tests == 0 {
        return;
    }
    let plural = if tests == 1 { "" } else { "s" };
    problems.push(
        Diagnostic::error(
            Code::BadValue,
            compare.rounds.span,
            format!(
                "{} rounds can show no difference at all: {tests} test{plural} at alpha {} need {needed}",
                compare.rounds.value, compare.alpha
            ),
        )
        .label(format!("{needed} or more"))
        .help("fewer metrics need fewer rounds; to try the file out, `sandbench run --rounds 2`"),
    );
}

/// The same tags that a threshold can have of a whole cell.
fn is_tagged(scenario: &Scenario, tag: &str, value: &str) -> bool {
    let mut tags = scenario.tags.iter();
    (tag == "scenario" && &*scenario.id.value == value)
        || tags.any(|(name, text)| &*name.value == tag && &**text == value)
}

/// No step of the series gives the metric.
fn not_given(
    scenario: &Scenario,
    metric: Metric,
    series: &Series,
    span: Span,
) -> Option<Diagnostic> {
    let (_, kinds) = GIVEN_BY.iter().find(|(known, _)| *known == metric)?;
    let mut given = false;
    for step in scenario.steps_of_iteration() {
        step.walk(&mut |step: &Step| {
            let of_series = match series {
                Series::All => true,
                Series::Steps(names) => names.contains(&step.label()),
            };
            given |= of_series && kinds.contains(&step.action.kind());
        });
    }
    (!given).then(|| {
        let kinds = list_of(kinds);
        Diagnostic::error(
            Code::UnknownReference,
            span,
            format!("`{}` is never measured here", metric.name()),
        )
        .label("no step gives it")
        .help(format!("it comes from {kinds}"))
    })
}
