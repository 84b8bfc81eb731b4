//! The cells of one run, which ran in the same rounds.

use std::collections::BTreeMap;

use super::Question;
use super::draft::{Draft, DraftRow, Samples};
use crate::metrics::{Caveat, CellSummary, Comparison, Design, RoundSummary, SampleUnit};

/// The most rounds of a cell: more are figures that nobody reads, and a result of its own size.
pub const MOST_ROUNDS: u32 = 200;

/// How far shares of warm sandboxes may be apart, in percent of all, before it is told.
pub(super) const FOOTING: u32 = 5;

/// Answers a question by the cells of a run; nothing where none of its cells ran.
pub fn rounds(question: &Question, cells: &[CellSummary]) -> Option<Comparison> {
    let mine: Vec<&CellSummary> = cells
        .iter()
        .filter(|cell| cell.scenario == question.scenario)
        .filter(|cell| cell.matrix.contains_key(&question.across))
        .collect();
    let first = mine.first()?;
    let columns = columns(question, &mine);
    let mut groups: Vec<BTreeMap<String, String>> = Vec::new();
    for cell in &mine {
        let rest = rest(cell, &question.across);
        if !groups.contains(&rest) {
            groups.push(rest);
        }
    }
    let mut rows = Vec::new();
    let mut caveats = Vec::new();
    let mut done = question.rounds;
    for group in groups {
        let cells: Vec<Option<&CellSummary>> = columns
            .iter()
            .map(|column| {
                let mut found = mine.iter();
                found
                    .find(|cell| {
                        cell.matrix.get(&question.across) == Some(column)
                            && rest(cell, &question.across) == group
                    })
                    .copied()
            })
            .collect();
        let whole = cells.iter().flatten().map(|cell| whole_rounds(cell));
        done = done.min(whole.min().unwrap_or(0));
        caveats.extend(footing(&cells));
        for (place, metric) in question.metrics.iter().enumerate() {
            let cells = cells.iter().zip(&columns).map(|(cell, column)| {
                let name = cell.map_or_else(|| column.clone(), |cell| cell.cell.clone());
                (
                    name,
                    cell.map_or_else(
                        || Err("did not run".to_owned()),
                        |cell| samples(cell, place),
                    ),
                )
            });
            rows.push(DraftRow {
                matrix: group.clone(),
                metric: metric.clone(),
                cells: cells.collect(),
            });
        }
    }
    if done < question.rounds {
        caveats.insert(
            0,
            Caveat::Stopped {
                rounds: done,
                planned: question.rounds,
            },
        );
    }
    let draft = Draft {
        scenario: question.scenario.clone(),
        across: question.across.clone(),
        columns,
        load: first.load.clone(),
        sample: SampleUnit::Round,
        design: Design::Paired,
        planned: question.rounds,
        done,
        alpha: question.alpha,
        min_effect: question.min_effect,
        rows,
        caveats,
    };
    Some(draft.judge())
}

/// The values of the axis, the baseline first, then in the order of the file.
fn columns(question: &Question, cells: &[&CellSummary]) -> Vec<String> {
    let mut columns = vec![question.baseline.clone()];
    for cell in cells {
        if let Some(value) = cell.matrix.get(&question.across)
            && !columns.contains(value)
        {
            columns.push(value.clone());
        }
    }
    columns
}

fn rest(cell: &CellSummary, across: &str) -> BTreeMap<String, String> {
    let mut matrix = cell.matrix.clone();
    matrix.remove(across);
    matrix
}

fn whole_rounds(cell: &CellSummary) -> u32 {
    let whole = cell.rounds.iter().filter(|round| round.whole).count();
    u32::try_from(whole).unwrap_or(u32::MAX)
}

/// The asked value of every whole round. A cell that failed has none at all: the rounds and the
/// iterations that got through would not be what a user gets.
fn samples(cell: &CellSummary, place: usize) -> Samples {
    samples_by(cell, |round| round.asked.get(place).copied().flatten())
}

/// One value of every whole round, or why there is none.
pub(super) fn samples_by(
    cell: &CellSummary,
    value: impl Fn(&RoundSummary) -> Option<f64>,
) -> Samples {
    if let Some(why) = unusable(cell) {
        return Err(why);
    }
    let whole = cell.rounds.iter().filter(|round| round.whole);
    let mut samples = BTreeMap::new();
    for round in whole {
        let Some(value) = value(round) else {
            return Err(format!("no samples in round {}", round.round));
        };
        samples.insert(round.round, value);
    }
    if samples.is_empty() {
        return Err("no whole round".to_owned());
    }
    Ok(samples)
}

/// Why the figures of a cell cannot be compared.
pub(super) fn unusable(cell: &CellSummary) -> Option<String> {
    if let Some(why) = &cell.not_applicable {
        return Some(why.clone());
    }
    if cell.iterations_failed == 0 {
        return None;
    }
    let failed = cell.rounds.iter().filter(|round| round.failed > 0);
    let failed: Vec<String> = failed.map(|round| round.round.to_string()).collect();
    let plural = if failed.len() == 1 { "" } else { "s" };
    let place = if failed.is_empty() {
        String::new()
    } else {
        format!(", in round{plural} {}", failed.join(", "))
    };
    let all = cell.iterations_passed + cell.iterations_failed;
    Some(format!(
        "{} of {all} iterations failed{place}",
        cell.iterations_failed
    ))
}

/// Cells that had sandboxes from a warm pool to another share than the baseline.
fn footing(cells: &[Option<&CellSummary>]) -> Vec<Caveat> {
    let shares = cells.iter().map(|cell| cell.and_then(warm_percent));
    let shares: Vec<Option<u32>> = shares.collect();
    let Some(Some(baseline)) = shares.first().copied() else {
        return Vec::new();
    };
    let others = cells.iter().zip(shares).skip(1);
    let others = others.filter_map(|(cell, share)| Some((cell.as_ref()?, share?)));
    others
        .filter(|(_, percent)| percent.abs_diff(baseline) > FOOTING)
        .map(|(cell, percent)| Caveat::Footing {
            cell: cell.cell.clone(),
            baseline_percent: baseline,
            percent,
        })
        .collect()
}

/// How many percent of a cell's sandboxes were warm; nothing where none was created.
pub(super) fn warm_percent(cell: &CellSummary) -> Option<u32> {
    let warm = cell.counter(crate::metrics::Metric::WarmHits);
    let cold = cell.counter(crate::metrics::Metric::ColdStarts);
    let percent = (100 * warm).checked_div(warm + cold)?;
    u32::try_from(percent).ok()
}
