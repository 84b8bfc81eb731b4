//! Where a create spends its time: the milestones of a claim as stacked phases, a bar per cell.

use std::fmt::Write as _;

use super::chart::WIDTH;
use super::escape::e;
use super::scale::{Axis, time};
use crate::metrics::{CellSummary, MetricSummary, Summary, humanise};

/// Milestones from the claim on, and what the time up to each is called.
const MILESTONES: [(&str, &str); 4] = [
    ("sandbox_create_ack_duration", "API server acknowledges"),
    ("sandbox_bound_duration", "bound to a sandbox"),
    ("sandbox_ready_duration", "Ready"),
    ("time_to_first_exec", "first command done"),
];
const ROW: f64 = 46.0;

/// A phase of a cell: its place among the milestones, and its end in nanoseconds.
type Phase = (usize, u64);

pub(super) fn section(summary: &Summary) -> String {
    let bars = summary.cells.iter().map(|cell| (cell, phases(cell)));
    let bars: Vec<(&CellSummary, Vec<Phase>)> =
        bars.filter(|(_, phases)| !phases.is_empty()).collect();
    if bars.is_empty() {
        return String::new();
    }
    let ends = bars
        .iter()
        .flat_map(|(_, phases)| phases)
        .map(|(_, end)| *end as f64);
    let axis = Axis::even(ends);
    let height = ROW * bars.len() as f64 + 30.0;
    let mut svg = format!(
        "<svg class=\"plot phases\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"Phases of a create, in a table below\">"
    );
    let place = |nanos: f64| 8.0 + axis.at(nanos) * (WIDTH - 32.0);
    for tick in axis.ticks(5.0) {
        let at = place(tick);
        // Writing to a string cannot fail.
        let _infallible = write!(
            svg,
            "<path class=\"grid\" d=\"M{at:.1} 0V{:.0}\"/><text class=\"x\" x=\"{at:.1}\" y=\"{:.0}\">{}</text>",
            height - 26.0,
            height - 8.0,
            time(tick)
        );
    }
    for (number, (cell, phases)) in bars.iter().enumerate() {
        let top = ROW * number as f64;
        let _infallible = write!(
            svg,
            "<text class=\"row\" x=\"8\" y=\"{:.0}\">{}</text>",
            top + 14.0,
            e(&cell.cell)
        );
        let mut begin = 0.0;
        for (milestone, end) in phases {
            let (from, to) = (place(begin), place(*end as f64));
            let _infallible = write!(
                svg,
                "<rect class=\"s{milestone}\" x=\"{from:.1}\" y=\"{:.0}\" width=\"{:.1}\" height=\"18\"/>",
                top + 20.0,
                (to - from).max(0.5)
            );
            begin = *end as f64;
        }
    }
    svg.push_str("</svg>");
    format!(
        "<p class=\"hint\">Medians of the milestones, counted from the sending of the claim. A phase is the difference of two medians.</p>\n<figure class=\"chart wide\">{svg}{}</figure>\n{}",
        legend(&bars),
        table(&bars)
    )
}

/// The milestones that a cell has, in the order of their medians.
fn phases(cell: &CellSummary) -> Vec<Phase> {
    let mut phases = Vec::new();
    for (place, (metric, _)) in MILESTONES.into_iter().enumerate() {
        let found = |series: &&MetricSummary| series.metric == metric && series.step.is_none();
        let series = cell.metrics.iter().find(found);
        if let Some(found) = series.and_then(|series| series.statistics.as_ref()) {
            phases.push((place, found.p50_ns));
        }
    }
    phases.sort_by_key(|(_, end)| *end);
    phases
}

fn used(bars: &[(&CellSummary, Vec<Phase>)]) -> Vec<usize> {
    let used = |place: &usize| {
        let mut all = bars.iter().flat_map(|(_, phases)| phases);
        all.any(|(found, _)| found == place)
    };
    (0..MILESTONES.len()).filter(used).collect()
}

fn legend(bars: &[(&CellSummary, Vec<Phase>)]) -> String {
    let mut out = "<ul class=\"legend\">".to_owned();
    for place in used(bars) {
        let name = MILESTONES.get(place).map_or("", |(_, name)| *name);
        let _infallible = write!(
            out,
            "<li><svg class=\"swatch\" viewBox=\"0 0 24 12\" aria-hidden=\"true\"><rect class=\"s{place}\" width=\"24\" height=\"12\"/></svg>{name}</li>"
        );
    }
    out.push_str("</ul>");
    out
}

fn table(bars: &[(&CellSummary, Vec<Phase>)]) -> String {
    let mut head = "<th scope=\"col\">until</th>".to_owned();
    let used = used(bars);
    for place in &used {
        let name = MILESTONES.get(*place).map_or("", |(_, name)| *name);
        let _infallible = write!(head, "<th scope=\"col\" class=\"n\">{name}</th>");
    }
    let mut rows = String::new();
    for (cell, phases) in bars {
        let _infallible = write!(rows, "<tr><th scope=\"row\">{}</th>", e(&cell.cell));
        for place in &used {
            let end = phases.iter().find(|(found, _)| found == place);
            let shown = end.map_or_else(|| "N/A".to_owned(), |(_, end)| humanise(*end));
            let _infallible = write!(rows, "<td class=\"n\">{shown}</td>");
        }
        rows.push_str("</tr>");
    }
    super::cells::scrolled(
        "Milestones of a create",
        &format!("<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"),
    )
}
