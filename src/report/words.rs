//! What every report says in the same words.

use super::text::ROWS;
use crate::metrics::{CellSummary, Leaks, Metric, Outcome, ThresholdResult, Verdict};

/// The word for how a run or a cell ended.
pub(super) fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Passed => "PASS",
        Verdict::Failed => "FAIL",
        Verdict::Interrupted => "STOPPED",
        Verdict::NotApplicable => "N/A",
    }
}

/// The same for a cell: one that passed only when something was tried again is flaky.
pub(super) fn of_cell(cell: &CellSummary) -> &'static str {
    if cell.verdict == Verdict::Passed && cell.counter(Metric::FlakyIterations) > 0 {
        return "FLAKY";
    }
    verdict(cell.verdict)
}

/// Why a cell has no figures, or none of a kind; a figure that was not measured is never 0.
pub(super) fn why_nothing(cell: &CellSummary) -> String {
    if let Some(why) = &cell.not_applicable {
        return format!("not applicable: {why}");
    }
    if cell.counter(Metric::SetupFailures) > 0 {
        return "its `setup` failed, so no iteration was run".to_owned();
    }
    let ended = cell.iterations_passed + cell.iterations_failed;
    if ended > 0 && ended <= cell.iterations_warmup {
        return "every iteration was warm-up".to_owned();
    }
    match (ended, cell.iterations_failed) {
        (0, _) if cell.iterations_dropped > 0 => "no arrival found room".to_owned(),
        (0, _) => "no iteration came to an end".to_owned(),
        (all, failed) if all == failed => "no iteration passed".to_owned(),
        _ => "no step of this kind was run".to_owned(),
    }
}

/// What people call a metric.
pub(super) fn metric(name: &str) -> &str {
    let row = ROWS.iter().find(|(metric, _)| *metric == name);
    row.map_or(name, |(_, shown)| shown)
}

/// Whether a threshold holds.
pub(super) fn outcome(threshold: &ThresholdResult) -> &'static str {
    match threshold.outcome {
        Outcome::Held => "held",
        Outcome::Failed => "MISSED",
        Outcome::NoSamples => "MISSED (no samples)",
    }
}

/// What was measured for a threshold.
pub(super) fn measured(threshold: &ThresholdResult) -> String {
    let measured = threshold.measured;
    measured.map_or_else(|| "N/A: no samples".to_owned(), |found| found.to_string())
}

/// How the iterations of a cell ended: `17 passed, 3 failed`.
pub(super) fn counts(cell: &CellSummary) -> String {
    let some = |count: u64, what: &str| {
        if count == 0 {
            String::new()
        } else {
            format!(", {count} {what}")
        }
    };
    format!(
        "{} passed{}{}{}{}",
        cell.iterations_passed,
        some(cell.iterations_failed, "failed"),
        some(cell.iterations_interrupted, "stopped"),
        some(cell.iterations_dropped, "dropped"),
        some(cell.iterations_warmup, "of them warm-up"),
    )
}

/// What was left behind: every count that is not 0.
pub(super) fn leaks(leaks: &Leaks) -> String {
    if let Some(reason) = &leaks.unknown {
        return format!("could not look for what was left: {reason}");
    }
    let fields = serde_json::to_value(leaks).unwrap_or_default();
    let counted = fields.as_object().into_iter().flatten();
    let counted = counted.filter_map(|(name, count)| {
        let count = count.as_u64().filter(|count| *count > 0)?;
        Some(format!("{count} {}", name.replace('_', " ")))
    });
    let counted: Vec<String> = counted.collect();
    format!("left behind: {}", counted.join(", "))
}
