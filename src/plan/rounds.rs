//! What is compared, and in how many rounds each cell runs.

use std::collections::BTreeMap;

use super::{Overrides, Rounds};
use crate::compare::Question;
use crate::load::LoadModel;
use crate::metrics::Series;
use crate::scenario::{Scenario, ScenarioFile, series};

/// What the scenarios compare, with the rounds that are run.
pub(super) fn questions(document: &ScenarioFile, overrides: &Overrides) -> Vec<Question> {
    let asked = document.scenarios.iter().filter_map(|scenario| {
        let question = scenario.compare.as_ref()?.question(&scenario.id.value);
        Some(Question {
            rounds: overrides.rounds.unwrap_or(question.rounds),
            ..question
        })
    });
    asked.collect()
}

/// The rounds of a cell: as `compare` or `--rounds` says; only a load is run in rounds.
pub(super) fn rounds(
    scenario: &Scenario,
    overrides: &Overrides,
    matrix: &BTreeMap<String, String>,
) -> Option<Rounds> {
    let load = scenario.load.as_ref()?;
    // A search runs once: its levels are its samples.
    if matches!(load.model, LoadModel::Breakpoint(_)) {
        return None;
    }
    let compare = scenario.compare.as_ref();
    let count = overrides
        .rounds
        .or(compare.map(|compare| compare.rounds.value))?;
    let metrics = compare.map(|compare| compare.metrics.as_slice());
    let asked = metrics.unwrap_or_default().iter().map(|metric| {
        let steps = scenario.steps_of_iteration();
        let is_tagged = |tag: &str, value: &str| is_tagged(scenario, matrix, tag, value);
        let series = series(&metric.value.selector, is_tagged, steps);
        // A selector that means nothing was refused when the file was checked.
        (
            metric.value.clone(),
            series.unwrap_or(Series::Steps(Vec::new())),
        )
    });
    Some(Rounds {
        count,
        asked: asked.collect(),
    })
}

/// Whether a cell as a whole has a tag.
pub(super) fn is_tagged(
    scenario: &Scenario,
    matrix: &BTreeMap<String, String>,
    tag: &str,
    value: &str,
) -> bool {
    let mut tags = scenario.tags.iter();
    (tag == "scenario" && &*scenario.id.value == value)
        || matrix.get(tag).is_some_and(|found| found == value)
        || tags.any(|(name, text)| &*name.value == tag && &**text == value)
}
