//! Comparisons: how far each column is from the baseline, drawn with its interval, and the table.

use std::fmt::Write as _;

use super::super::comparison::{heads, label, notes, percent, place, size};
use super::cells::scrolled;
use super::chart::WIDTH;
use super::escape::e;
use crate::metrics::{ComparedCell, Comparison, ComparisonRow, Interval, Standing, Summary};

/// Height of a row of the drawing.
const ROW: f64 = 40.0;
/// Room for the labels below.
const FOOT: f64 = 26.0;

/// A ratio that is drawn.
struct Bar<'a> {
    row: &'a ComparisonRow,
    cell: &'a ComparedCell,
    ratio: f64,
    interval: Interval,
}

pub(super) fn section(summary: &Summary) -> String {
    summary.comparisons.iter().map(one).collect()
}

fn one(comparison: &Comparison) -> String {
    let mut out = format!(
        "<h3>{} across {} <small>{} · {}</small></h3>\n{}{}<ul class=\"notes\">",
        e(&comparison.scenario),
        e(&comparison.across),
        e(&size(comparison)),
        e(&comparison.load),
        drawing(comparison),
        table(comparison),
    );
    for note in notes(comparison) {
        // Writing to a string cannot fail.
        let _infallible = write!(out, "<li>{}</li>", e(&note));
    }
    for caveat in &comparison.caveats {
        let _infallible = write!(out, "<li><b>doubt</b> {}</li>", e(&caveat.to_string()));
    }
    out.push_str("</ul>\n");
    out
}

/// The class of a standing, in the drawing and in the table.
fn class(standing: Standing) -> &'static str {
    match standing {
        Standing::Worse => "worse",
        Standing::Better => "better",
        Standing::TooFew | Standing::NotApplicable => "unknown",
        Standing::Baseline | Standing::NotShown => "same",
    }
}

/// Every ratio to the baseline as a point with its interval, on an axis by powers: half and double are
/// equally far from the same.
fn drawing(comparison: &Comparison) -> String {
    let bars: Vec<Bar<'_>> = comparison.rows.iter().flat_map(bars_of).collect();
    if bars.is_empty() {
        return String::new();
    }
    let far = |ratio: f64| ratio.ln().abs();
    let ends = bars
        .iter()
        .flat_map(|bar| [bar.interval.low, bar.interval.high])
        .chain([1.0 + comparison.min_effect]);
    // At least 5 % on either side, so that noise does not look large.
    let reach = ends.map(far).fold(far(1.05), f64::max) * 1.1;
    let at = |ratio: f64| {
        let share = (ratio.ln() / reach).clamp(-1.0, 1.0) / 2.0 + 0.5;
        24.0 + share * (WIDTH - 48.0)
    };
    let height = ROW * bars.len() as f64 + FOOT;
    let floor = height - FOOT;
    let mut svg = format!(
        "<figure class=\"chart wide\"><svg class=\"plot effects\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"Differences from the baseline with their intervals, in a table below\">"
    );
    let (low, high) = (1.0 - comparison.min_effect, 1.0 + comparison.min_effect);
    let _infallible = write!(
        svg,
        "<rect class=\"least\" x=\"{:.1}\" y=\"0\" width=\"{:.1}\" height=\"{floor:.0}\"/>",
        at(low),
        at(high) - at(low)
    );
    for share in [-0.9, -0.45, 0.0, 0.45, 0.9] {
        let ratio = f64::exp(share * reach);
        let _infallible = write!(
            svg,
            "<path class=\"grid\" d=\"M{0:.1} 0V{floor:.0}\"/><text class=\"x\" x=\"{0:.1}\" y=\"{1:.0}\">{2}</text>",
            at(ratio),
            height - 8.0,
            if share == 0.0 {
                "base".to_owned()
            } else {
                percent(ratio)
            }
        );
    }
    for (number, bar) in bars.iter().enumerate() {
        draw(&mut svg, bar, ROW * number as f64, at);
    }
    svg.push_str("</svg></figure>\n");
    svg
}

fn bars_of(row: &ComparisonRow) -> impl Iterator<Item = Bar<'_>> {
    row.cells.iter().filter_map(move |cell| {
        let drawn = !matches!(cell.standing, Standing::Baseline | Standing::NotApplicable);
        let interval = cell.ratio_interval.filter(|_| drawn)?;
        Some(Bar {
            row,
            cell,
            ratio: cell.ratio?,
            interval,
        })
    })
}

fn draw(svg: &mut String, bar: &Bar<'_>, top: f64, at: impl Fn(f64) -> f64) {
    let class = class(bar.cell.standing);
    let middle = top + 28.0;
    let _infallible = write!(
        svg,
        "<text class=\"row\" x=\"8\" y=\"{:.0}\">{} · {}</text>\
         <path class=\"interval {class}\" d=\"M{:.1} {middle:.0}H{:.1}\"/>\
         <circle class=\"{class}\" cx=\"{:.1}\" cy=\"{middle:.0}\" r=\"5\"/>",
        top + 15.0,
        e(&bar.cell.column),
        e(&label(bar.row)),
        at(bar.interval.low),
        at(bar.interval.high),
        at(bar.ratio),
    );
}

fn table(comparison: &Comparison) -> String {
    let mut head = String::new();
    for name in heads(comparison) {
        let _infallible = write!(head, "<th scope=\"col\">{}</th>", e(&name));
    }
    let mut rows = String::new();
    for row in &comparison.rows {
        let _infallible = write!(rows, "<tr><th scope=\"row\">{}</th>", e(&label(row)));
        for cell in &row.cells {
            let shown = place(comparison, row, cell);
            let _infallible = write!(
                rows,
                "<td class=\"{}\">{}<br><small>{}</small></td>",
                class(cell.standing),
                e(&shown.first),
                e(&shown.second)
            );
        }
        rows.push_str("</tr>");
    }
    scrolled(
        "Differences from the baseline",
        &format!(
            "<table><thead><tr><th scope=\"col\">metric</th>{head}</tr></thead><tbody>{rows}</tbody></table>"
        ),
    )
}
