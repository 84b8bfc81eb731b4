//! Throughput, in flight and failures over time, a line per cell.

use super::chart::{Chart, Line, Quantity};
use crate::metrics::{CellSummary, Summary, WindowSummary};

/// What is drawn of a window.
type Of = fn(&WindowSummary) -> f64;

pub(super) fn charts(summary: &Summary) -> Vec<Chart> {
    let kinds: [(&str, &str, Quantity, Of); 4] = [
        (
            "throughput",
            "Iterations per second",
            Quantity::Rate,
            |window| window.iterations as f64 / window.seconds(),
        ),
        (
            "in-flight",
            "In flight, at most",
            Quantity::Count,
            |window| window.in_flight_max as f64,
        ),
        (
            "failures-time",
            "Failures per second",
            Quantity::Rate,
            |window| window.failures as f64 / window.seconds(),
        ),
        (
            "dropped",
            "Dropped arrivals per second",
            Quantity::Rate,
            |window| window.dropped as f64 / window.seconds(),
        ),
    ];
    let mut charts = Vec::new();
    for (id, title, unit, of) in kinds {
        let lines = lines(&summary.cells, of);
        let longest = lines
            .iter()
            .map(|line| line.points.len())
            .max()
            .unwrap_or(0);
        let empty = lines
            .iter()
            .all(|line| line.points.iter().all(|(_, value)| *value <= 0.0));
        if longest < 2 || (empty && id == "dropped") {
            continue;
        }
        charts.push(Chart {
            id: id.to_owned(),
            title: title.to_owned(),
            description: describe(title, &lines, unit),
            x: (Quantity::Seconds, "time since the start of the cell"),
            y: (unit, ""),
            lines,
        });
    }
    charts
}

fn lines(cells: &[CellSummary], of: Of) -> Vec<Line> {
    cells
        .iter()
        .enumerate()
        .filter(|(_, cell)| !cell.windows.is_empty())
        .map(|(place, cell)| Line {
            label: cell.cell.clone(),
            style: place,
            points: cell
                .windows
                .iter()
                .map(|window| (middle(window), of(window)))
                .collect(),
        })
        .collect()
}

/// In seconds: a window's figure stands for all of it.
fn middle(window: &WindowSummary) -> f64 {
    f64::midpoint(window.from_ms as f64, window.to_ms as f64) / 1e3
}

fn describe(title: &str, lines: &[Line], unit: Quantity) -> String {
    let each = lines.iter().map(|line| {
        let values = line.points.iter().map(|(_, value)| *value);
        let (low, high) = values.fold((f64::INFINITY, 0.0_f64), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        format!(
            "{}: from {} to {}",
            line.label,
            unit.label(low),
            unit.label(high)
        )
    });
    format!(
        "{title} over time. {}.",
        each.collect::<Vec<_>>().join("; ")
    )
}

pub(super) fn section(charts: &[Chart]) -> String {
    if charts.is_empty() {
        return String::new();
    }
    let figures: String = charts.iter().map(Chart::figure).collect();
    format!("<div class=\"charts\">\n{figures}</div>\n")
}
