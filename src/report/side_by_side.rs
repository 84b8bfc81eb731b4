//! The cells of a run next to each other: a row per operation, a column per cell, the median in each.

use std::fmt::Write as _;

use super::Colour;
use super::rows::{Row, name_width, rows, shown, whole_cell};
use super::text::BOLD;
use crate::metrics::CellSummary;

/// The widest line; more cells than fit go into a table of their own below.
const WIDEST: usize = 120;
const NARROWEST_COLUMN: usize = 9;

/// Writes nothing where there is nothing to compare.
pub(super) fn write(out: &mut String, cells: &[CellSummary], colour: Colour) -> std::fmt::Result {
    let measured: Vec<&CellSummary> = cells
        .iter()
        .filter(|cell| !whole_cell(cell).is_empty())
        .collect();
    if measured.len() < 2 {
        return Ok(());
    }
    let names: Vec<&str> = measured.iter().map(|cell| cell.cell.as_str()).collect();
    let labels = labels(&names);
    let width = labels
        .iter()
        .map(|label| label.chars().count())
        .fold(NARROWEST_COLUMN, usize::max);
    let rows = rows(measured.iter().copied());
    let first = name_width(&rows);
    let at_once = (WIDEST.saturating_sub(first + 2) / (width + 1)).max(1);
    for (cells, labels) in measured.chunks(at_once).zip(labels.chunks(at_once)) {
        let title = colour.paint(BOLD, &format!("{:<first$}", "p50, side by side"));
        write!(out, "\n{title}  ")?;
        for label in labels {
            write!(out, " {label:>width$}")?;
        }
        writeln!(out)?;
        medians(out, (&rows, first), (cells, width))?;
    }
    Ok(())
}

fn medians(
    out: &mut String,
    (rows, first): (&[Row], usize),
    (cells, width): (&[&CellSummary], usize),
) -> std::fmt::Result {
    let figures: Vec<_> = cells.iter().map(|cell| whole_cell(cell)).collect();
    for row in rows {
        if !figures.iter().any(|cell| cell.contains_key(&row.key())) {
            continue;
        }
        write!(out, "  {:<first$}", row.name)?;
        for cell in &figures {
            let median = cell.get(&row.key()).and_then(|series| {
                let figures = series.statistics.as_ref()?;
                Some(shown(series, figures.p50_ns))
            });
            let median = median.unwrap_or_else(|| "-".to_owned());
            write!(out, " {median:>width$}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// What tells the cells apart: their names without the beginning and the bracket that all share.
fn labels<'a>(names: &[&'a str]) -> Vec<&'a str> {
    let shared = names
        .iter()
        .map(|name| common(names[0], name))
        .min()
        .unwrap_or(0);
    let start = names[0][..shared]
        .rfind(['[', '=', ',', ' '])
        .map_or(0, |at| at + 1);
    let bracketed = start > 0 && names.iter().all(|name| name.ends_with(']'));
    let short: Vec<&str> = names
        .iter()
        .map(|name| &name[start..name.len() - usize::from(bracketed)])
        .collect();
    if short.iter().any(|label| label.is_empty()) {
        names.to_vec()
    } else {
        short
    }
}

/// How many bytes two names share at their beginning, in whole characters.
fn common(one: &str, other: &str) -> usize {
    one.char_indices()
        .zip(other.chars())
        .find(|((_, a), b)| a != b)
        .map_or(one.len().min(other.len()), |((at, _), _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_called_by_what_tells_them_apart() {
        let of = |names: &[&'static str]| labels(names).join(" ");
        assert_eq!(of(&["a[mode=gateway]", "a[mode=tunnel]"]), "gateway tunnel");
        assert_eq!(of(&["a[m=x,n=1]", "a[m=x,n=2]"]), "1 2");
        assert_eq!(of(&["a[m=x,n=1]", "a[m=y,n=1]"]), "x,n=1 y,n=1");
        assert_eq!(of(&["warm", "wait"]), "warm wait");
        assert_eq!(of(&["a[mode=é]", "a[mode=è]"]), "é è");
    }

    #[test]
    fn names_that_would_become_empty_stay_whole() {
        assert_eq!(labels(&["a[m=]", "a[m=x]"]), ["a[m=]", "a[m=x]"]);
        assert_eq!(labels(&["same", "same"]), ["same", "same"]);
    }
}
