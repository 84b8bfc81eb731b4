//! Where a create spends its time: the milestones of a claim as stacked phases, a bar per cell.

use std::fmt::Write as _;

use super::super::rows::{launch_types, whole_cell};
use super::chart::WIDTH;
use super::escape::e;
use super::scale::{Axis, time};
use crate::metrics::{CellSummary, Summary, humanise};

/// Milestones from the claim on, and what the time up to each is called.
const MILESTONES: [(&str, &str); 6] = [
    ("sandbox_create_ack_duration", "API server acknowledges"),
    ("sandbox_bound_duration", "bound to a sandbox"),
    ("sandbox_scheduled_duration", "pod scheduled"),
    ("sandbox_running_duration", "pod running"),
    ("sandbox_ready_duration", "Ready"),
    ("time_to_first_exec", "first command done"),
];
const ROW: f64 = 46.0;

/// A phase of a cell: its place among the milestones, and its end in nanoseconds.
type Phase = (usize, u64);

/// What a cell's sandboxes of one launch type came to: a bar of its own, since warm and cold are never
/// pooled.
struct Bar {
    name: String,
    phases: Vec<Phase>,
}

pub(super) fn section(summary: &Summary) -> String {
    let bars: Vec<Bar> = summary.cells.iter().flat_map(bars_of).collect();
    if bars.is_empty() {
        return String::new();
    }
    let ends = bars
        .iter()
        .flat_map(|bar| &bar.phases)
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
    for (number, bar) in bars.iter().enumerate() {
        let top = ROW * number as f64;
        let _infallible = write!(
            svg,
            "<text class=\"row\" x=\"8\" y=\"{:.0}\">{}</text>",
            top + 14.0,
            e(&bar.name)
        );
        let mut begin = 0.0;
        for (milestone, end) in &bar.phases {
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

/// A bar per launch type of a cell.
fn bars_of(cell: &CellSummary) -> Vec<Bar> {
    let whole = whole_cell(cell);
    let launched = launch_types([cell]);
    let kinds = std::iter::once(None).chain(launched.into_iter().map(Some));
    let bars = kinds.map(|launched| {
        let mut phases: Vec<Phase> = Vec::new();
        for (place, (metric, _)) in MILESTONES.into_iter().enumerate() {
            let series = whole.get(&(metric, launched));
            if let Some(found) = series.and_then(|series| series.statistics.as_ref()) {
                phases.push((place, found.p50_ns));
            }
        }
        phases.sort_by_key(|(_, end)| *end);
        let name = launched.map_or_else(
            || cell.cell.clone(),
            |launched| format!("{}, {launched}", cell.cell),
        );
        Bar { name, phases }
    });
    bars.filter(|bar| !bar.phases.is_empty()).collect()
}

fn used(bars: &[Bar]) -> Vec<usize> {
    let used = |place: &usize| {
        let mut all = bars.iter().flat_map(|bar| &bar.phases);
        all.any(|(found, _)| found == place)
    };
    (0..MILESTONES.len()).filter(used).collect()
}

fn legend(bars: &[Bar]) -> String {
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

fn table(bars: &[Bar]) -> String {
    let mut head = "<th scope=\"col\">until</th>".to_owned();
    let used = used(bars);
    for place in &used {
        let name = MILESTONES.get(*place).map_or("", |(_, name)| *name);
        let _infallible = write!(head, "<th scope=\"col\" class=\"n\">{name}</th>");
    }
    let mut rows = String::new();
    for bar in bars {
        let _infallible = write!(rows, "<tr><th scope=\"row\">{}</th>", e(&bar.name));
        for place in &used {
            let end = bar.phases.iter().find(|(found, _)| found == place);
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
