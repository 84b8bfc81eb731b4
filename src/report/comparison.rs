//! Comparisons as tables: a row per metric, a column per cell, the baseline first. What stands in a
//! place of the table, and the notes below it, are the same in every format that people read.
//!
//! ```text
//! compare turn across mode  12 rounds  20 VUs
//!                           pod-ip (base)   gateway                   tunnel
//!   exec_duration p50       9.80ms ± 2%     11.3ms ± 3%  +15.5% ▲     9.91ms ± 2%  ~
//!                                           +12.0% … +18.9%           -0.4% … +2.6%
//! ```

use std::fmt::Write as _;

use super::Colour;
use super::text::{BOLD, GREEN, RED, YELLOW};
use crate::metrics::{
    Better, ComparedCell, Comparison, ComparisonRow, Design, Interval, SampleUnit, Standing,
    ValueUnit, humanise,
};

/// The widest line; more columns than fit go into a table of their own below, beside the baseline.
const WIDEST: usize = 120;
/// Between two columns.
const GAP: usize = 3;

/// What stands in one place of the table: plain texts and the colour of the first.
pub(super) struct Shown {
    /// The value, and what is shown of its difference.
    pub(super) first: String,
    /// The interval of the difference; empty where there is none.
    pub(super) second: String,
    code: Option<&'static str>,
}

/// Writes every comparison.
pub(super) fn write(
    out: &mut String,
    comparisons: &[Comparison],
    colour: Colour,
) -> std::fmt::Result {
    for comparison in comparisons {
        writeln!(out)?;
        one(out, comparison, colour)?;
    }
    Ok(())
}

fn one(out: &mut String, comparison: &Comparison, colour: Colour) -> std::fmt::Result {
    let title = format!(
        "compare {} across {}",
        comparison.scenario, comparison.across
    );
    writeln!(
        out,
        "{}  {}  {}",
        colour.paint(BOLD, &title),
        size(comparison),
        comparison.load
    )?;
    let labels: Vec<String> = comparison
        .rows
        .iter()
        .map(|row| format!("  {}", label(row)))
        .collect();
    let shown: Vec<Vec<Shown>> = comparison
        .rows
        .iter()
        .map(|row| {
            row.cells
                .iter()
                .map(|cell| place(comparison, row, cell))
                .collect()
        })
        .collect();
    let heads = heads(comparison);
    let widths: Vec<usize> = heads
        .iter()
        .enumerate()
        .map(|(at, head)| {
            let texts = shown.iter().filter_map(|row| row.get(at));
            let texts = texts.flat_map(|shown| [shown.first.as_str(), shown.second.as_str()]);
            texts.chain([head.as_str()]).map(length).max().unwrap_or(0)
        })
        .collect();
    let label_width = labels.iter().map(|label| length(label)).max().unwrap_or(0);
    for columns in chunks(label_width, &widths) {
        line(
            out,
            ("", label_width),
            columns
                .iter()
                .map(|at| (heads[*at].as_str(), widths[*at], Some(BOLD))),
            colour,
        )?;
        for (label, row) in labels.iter().zip(&shown) {
            let first = columns
                .iter()
                .filter_map(|at| Some((row.get(*at)?, widths[*at])));
            let first = first.map(|(shown, width)| (shown.first.as_str(), width, shown.code));
            line(out, (label, label_width), first, colour)?;
            let second = columns
                .iter()
                .filter_map(|at| Some((row.get(*at)?, widths[*at])));
            let second: Vec<_> = second
                .map(|(shown, width)| (shown.second.as_str(), width, None))
                .collect();
            if second.iter().any(|(text, ..)| !text.is_empty()) {
                line(out, ("", label_width), second.into_iter(), colour)?;
            }
        }
    }
    legend(out, comparison, colour)
}

/// The columns of each table: as many as fit, the baseline in each.
fn chunks(label: usize, widths: &[usize]) -> Vec<Vec<usize>> {
    let mut chunks = Vec::new();
    let mut chunk = vec![0];
    let base = label + GAP + widths.first().unwrap_or(&0);
    let mut used = base;
    for (at, width) in widths.iter().enumerate().skip(1) {
        if used + GAP + width > WIDEST && chunk.len() > 1 {
            chunks.push(std::mem::replace(&mut chunk, vec![0]));
            used = base;
        }
        chunk.push(at);
        used += GAP + width;
    }
    chunks.push(chunk);
    chunks
}

fn line<'t>(
    out: &mut String,
    (label, label_width): (&str, usize),
    cells: impl Iterator<Item = (&'t str, usize, Option<&'static str>)>,
    colour: Colour,
) -> std::fmt::Result {
    let mut text = format!("{label:<label_width$}");
    let mut pending = 0;
    for (cell, width, code) in cells {
        write!(text, "{:1$}", "", pending + GAP)?;
        text.push_str(
            &code
                .filter(|_| !cell.is_empty())
                .map_or_else(|| cell.to_owned(), |code| colour.paint(code, cell)),
        );
        pending = width - length(cell);
    }
    writeln!(out, "{}", text.trim_end())
}

fn length(text: &str) -> usize {
    text.chars().count()
}

/// The columns' names.
pub(super) fn heads(comparison: &Comparison) -> Vec<String> {
    let names = comparison.columns.iter().enumerate();
    names
        .map(|(at, name)| match at {
            0 => format!("{name} (base)"),
            _ => name.clone(),
        })
        .collect()
}

/// How many samples there are, and of what.
pub(super) fn size(comparison: &Comparison) -> String {
    let unit = match comparison.sample {
        SampleUnit::Round => "round",
        SampleUnit::Run => "run",
    };
    let plural = if comparison.planned == 1 { "" } else { "s" };
    let done = if comparison.done == comparison.planned {
        String::new()
    } else {
        format!("{} of ", comparison.done)
    };
    let shuffled = match comparison.design {
        Design::Paired => ", shuffled",
        Design::Independent => " per column",
    };
    format!("{done}{} {unit}{plural}{shuffled}", comparison.planned)
}

/// A row's name.
pub(super) fn label(row: &ComparisonRow) -> String {
    let axes: Vec<String> = row
        .matrix
        .iter()
        .map(|(axis, value)| format!("{axis}={value}"))
        .collect();
    let axes = if axes.is_empty() {
        String::new()
    } else {
        format!("{} ", axes.join(","))
    };
    let higher = match row.better {
        Better::Lower => "",
        Better::Higher => " (more is better)",
    };
    format!("{axes}{}{higher}", row.metric)
}

/// What stands in a cell's place.
pub(super) fn place(comparison: &Comparison, row: &ComparisonRow, cell: &ComparedCell) -> Shown {
    let value = cell.value.map(|value| {
        let spread = cell
            .value_interval
            .map_or_else(String::new, |interval| spread(value, interval));
        format!("{}{spread}", quantity(value, row.unit))
    });
    let effect = cell.ratio.map(percent).unwrap_or_default();
    let up = if cell.ratio.is_some_and(|ratio| ratio > 1.0) {
        "▲"
    } else {
        "▼"
    };
    let (mark, code) = match cell.standing {
        Standing::Baseline => (String::new(), None),
        Standing::Worse => (format!("  {effect} {up}"), Some(RED)),
        Standing::Better => (format!("  {effect} {up}"), Some(GREEN)),
        Standing::NotShown => ("  ~".to_owned(), None),
        Standing::TooFew => {
            let unit = match comparison.sample {
                SampleUnit::Round => "rounds",
                SampleUnit::Run => "runs",
            };
            (
                format!("  need ≥ {} {unit}", comparison.needed),
                Some(YELLOW),
            )
        }
        Standing::NotApplicable => ("  N/A".to_owned(), Some(YELLOW)),
    };
    let first = format!("{}{mark}", value.unwrap_or_default());
    let second = match (cell.standing, cell.ratio_interval) {
        (Standing::Baseline | Standing::NotApplicable, _) | (_, None) => String::new(),
        (_, Some(interval)) => {
            format!("{} … {}", percent(interval.low), percent(interval.high))
        }
    };
    Shown {
        first: first.trim_start().to_owned(),
        second,
        code,
    }
}

pub(super) fn quantity(value: f64, unit: ValueUnit) -> String {
    match unit {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a measured time in whole nanoseconds fits"
        )]
        ValueUnit::Nanoseconds => humanise(value.round() as u64),
        ValueUnit::PerSecond if value >= 99.95 => format!("{value:.0}/s"),
        ValueUnit::PerSecond => format!("{value:.2}/s"),
    }
}

/// How far the ends of an interval are from its value, the farther one.
fn spread(value: f64, interval: Interval) -> String {
    let off = (interval.high / value - 1.0).max(1.0 - interval.low / value) * 100.0;
    if off < 0.95 {
        format!(" ± {off:.1}%")
    } else {
        format!(" ± {off:.0}%")
    }
}

/// A ratio as a difference in percent: `+13.7%`.
pub(super) fn percent(ratio: f64) -> String {
    let percent = (ratio - 1.0) * 100.0;
    if percent.abs() >= 999.5 {
        format!("×{ratio:.1}")
    } else if percent.abs() >= 99.95 {
        format!("{percent:+.0}%")
    } else {
        format!("{percent:+.1}%")
    }
}

fn legend(out: &mut String, comparison: &Comparison, colour: Colour) -> std::fmt::Result {
    for note in notes(comparison) {
        let indent = if note.starts_with('~') { "" } else { "   " };
        writeln!(out, "{indent}{note}")?;
    }
    for caveat in &comparison.caveats {
        writeln!(out, "{} {caveat}", colour.paint(YELLOW, "doubt:"))?;
    }
    Ok(())
}

/// What the marks mean, how the figures were made, and why some are missing.
pub(super) fn notes(comparison: &Comparison) -> Vec<String> {
    let tests = comparison.tests;
    let plural = if tests == 1 { "" } else { "s" };
    let mut notes = vec![
        format!(
            "~  no difference shown: p ≥ {} after Holm over {tests} test{plural}, or less than {}%",
            comparison.alpha,
            trimmed(comparison.min_effect * 100.0),
        ),
        format!(
            "±, …  {}% intervals;  {}",
            trimmed(comparison.confidence * 100.0),
            comparison.method
        ),
    ];
    let cells = comparison
        .rows
        .iter()
        .flat_map(|row| row.cells.iter().map(move |cell| (row, cell)));
    let largest = cells
        .clone()
        .filter(|(_, cell)| matches!(cell.standing, Standing::Worse | Standing::Better))
        .filter_map(|(_, cell)| cell.p_holm)
        .max_by(f64::total_cmp);
    if let Some(largest) = largest {
        notes.push(format!(
            "▲ ▼  a difference is shown: the largest p after Holm is {largest:.2e}"
        ));
    }
    for (row, cell) in cells {
        if let Some(reason) = &cell.reason {
            notes.push(format!("N/A  {} {}: {reason}", cell.column, label(row)));
        }
    }
    notes
}

/// A number without digits that say nothing.
fn trimmed(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::metrics::Caveat;

    fn cell(column: &str, standing: Standing, ratio: Option<f64>) -> ComparedCell {
        let interval = |middle: f64| Interval {
            low: middle * 0.97,
            high: middle * 1.03,
        };
        let value = 9.8e6 * ratio.unwrap_or(1.0);
        let has_value = standing != Standing::NotApplicable;
        ComparedCell {
            column: column.to_owned(),
            cell: format!("turn[mode={column}]"),
            standing,
            value: has_value.then_some(value),
            value_interval: (has_value && standing != Standing::TooFew).then(|| interval(value)),
            ratio,
            ratio_interval: ratio.map(interval),
            p: ratio.map(|_| 0.000_488),
            p_holm: ratio.map(|_| 0.001_953),
            samples: 12,
            reason: (!has_value).then(|| "3 of 60 iterations failed, in rounds 2, 5".to_owned()),
        }
    }

    fn comparison(cells: Vec<ComparedCell>) -> Comparison {
        Comparison {
            scenario: "turn".to_owned(),
            across: "mode".to_owned(),
            columns: cells.iter().map(|cell| cell.column.clone()).collect(),
            load: "20 VUs".to_owned(),
            sample: SampleUnit::Round,
            design: Design::Paired,
            planned: 12,
            done: 12,
            alpha: 0.05,
            min_effect: 0.05,
            confidence: 0.95,
            tests: 3,
            needed: 7,
            method: "a test".to_owned(),
            rows: vec![ComparisonRow {
                matrix: BTreeMap::from([("size".to_owned(), "1KiB".to_owned())]),
                metric: "exec_duration p95".to_owned(),
                unit: ValueUnit::Nanoseconds,
                better: Better::Lower,
                cells,
            }],
            caveats: vec![Caveat::OneRunEach],
        }
    }

    fn drawn(comparison: Comparison) -> String {
        let mut out = String::new();
        write(&mut out, &[comparison], Colour::Off).unwrap();
        out
    }

    #[test]
    fn the_table_has_the_baseline_values_differences_and_reasons() {
        let text = drawn(comparison(vec![
            cell("pod", Standing::Baseline, None),
            cell("gateway", Standing::Worse, Some(1.155)),
            cell("direct", Standing::NotShown, Some(1.01)),
            cell("tunnel", Standing::NotApplicable, None),
        ]));
        for part in [
            "compare turn across mode  12 rounds, shuffled  20 VUs",
            "pod (base)",
            "  size=1KiB exec_duration p95   9.80ms ± 3%   11.3ms ± 3%  +15.5% ▲   9.90ms ± 3%  ~   N/A",
            "+12.0% … +19.0%",
            "~  no difference shown: p ≥ 0.05 after Holm over 3 tests, or less than 5%",
            "the largest p after Holm is 1.95e-3",
            "N/A  tunnel size=1KiB exec_duration p95: 3 of 60 iterations failed, in rounds 2, 5",
            "doubt: each column is one run",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
    }

    #[test]
    fn what_does_not_fit_goes_below_beside_the_baseline() {
        let wide = |number| cell(&format!("mode-{number}"), Standing::Worse, Some(1.5));
        let cells = std::iter::once(cell("pod", Standing::Baseline, None)).chain((0..6).map(wide));
        let text = drawn(comparison(cells.collect()));
        assert!(text.matches("pod (base)").count() >= 2, "{text}");
        let table = text
            .lines()
            .filter(|line| line.contains("+50.0%") || line.contains("base"));
        for line in table {
            assert!(line.chars().count() <= WIDEST, "{line}");
        }
    }

    #[test]
    fn too_few_rounds_say_how_many_it_takes() {
        let text = drawn(comparison(vec![
            cell("pod", Standing::Baseline, None),
            cell("gateway", Standing::TooFew, Some(1.2)),
        ]));
        assert!(text.contains("11.8ms  need ≥ 7 rounds"), "{text}");
    }

    #[test]
    fn large_ratios_are_factors() {
        assert_eq!(
            [percent(0.5), percent(1.137), percent(2.5), percent(12.34)],
            ["-50.0%", "+13.7%", "+150%", "×12.3"]
        );
    }
}
