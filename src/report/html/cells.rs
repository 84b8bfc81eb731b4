//! Tables: thresholds, what was expected of traces, cells side by side, every figure of every cell.

use std::fmt::Write as _;

use super::super::rows::{before_claim, rows, shown, whole_cell};
use super::super::{levels, traces, words};
use super::badge;
use super::escape::e;
use crate::metrics::{CellSummary, MetricSummary, Statistics, Summary, Unit, humanise_millis};

pub(super) fn thresholds(summary: &Summary) -> String {
    if summary.thresholds.is_empty() {
        return String::new();
    }
    let mut rows = String::new();
    for threshold in &summary.thresholds {
        let window = threshold.window.map_or_else(String::new, |window| {
            let (from, to) = (
                humanise_millis(window.from_ms),
                humanise_millis(window.to_ms),
            );
            format!("from {from} to {to}")
        });
        let stopped = threshold.stopped_at_ms.map_or_else(String::new, |at| {
            format!("; stopped the run after {}", humanise_millis(at))
        });
        // Writing to a string cannot fail.
        let _infallible = write!(
            rows,
            "<tr><td>{}</td><th scope=\"row\"><code>{}</code></th><td class=\"n\">{}</td><td>{window}{stopped}</td><td>{}</td></tr>",
            badge(words::outcome(threshold)),
            e(&threshold.threshold),
            e(&words::measured(threshold)),
            e(&threshold.cell),
        );
    }
    scrolled(
        "Thresholds",
        &format!(
            "<table><thead><tr><th scope=\"col\"></th><th scope=\"col\">threshold</th><th scope=\"col\" class=\"n\">measured</th><th scope=\"col\">when</th><th scope=\"col\">cell</th></tr></thead><tbody>{rows}</tbody></table>"
        ),
    )
}

/// What was expected of traces, over how many it was judged, and a trace that shows a miss.
pub(super) fn expected_traces(summary: &Summary) -> String {
    if summary.traces.is_empty() {
        return String::new();
    }
    let mut rows = String::new();
    for result in &summary.traces {
        let example = traces::example(summary, result).map_or_else(String::new, |trace| {
            // What else a template may be is no place that a page should lead to.
            if trace.starts_with("http://") || trace.starts_with("https://") {
                format!("<a href=\"{0}\">{0}</a>", e(&trace))
            } else {
                format!("<code>{}</code>", e(&trace))
            }
        });
        // Writing to a string cannot fail.
        let _infallible = write!(
            rows,
            "<tr><td>{}</td><th scope=\"row\"><code>{}</code></th><td>{}</td><td>{example}</td><td>{}</td></tr>",
            badge(traces::outcome(result)),
            e(&result.expectation),
            e(&traces::told(result)),
            e(&result.cell),
        );
    }
    scrolled(
        "Expected of traces",
        &format!(
            "<table><thead><tr><th scope=\"col\"></th><th scope=\"col\">expected</th><th scope=\"col\">found</th><th scope=\"col\">trace</th><th scope=\"col\">cell</th></tr></thead><tbody>{rows}</tbody></table>"
        ),
    )
}

/// A row per operation, a column per cell.
pub(super) fn side_by_side(summary: &Summary) -> String {
    if summary.cells.iter().all(|cell| whole_cell(cell).is_empty()) {
        return String::new();
    }
    let mut head = "<th scope=\"col\">p50 / p95</th>".to_owned();
    for cell in &summary.cells {
        let _infallible = write!(head, "<th scope=\"col\" class=\"n\">{}</th>", e(&cell.cell));
    }
    let mut rows = String::new();
    for row in self::rows(&summary.cells) {
        let figures = summary
            .cells
            .iter()
            .map(|cell| whole_cell(cell).get(&row.key()).copied());
        let figures: Vec<Option<&MetricSummary>> = figures.collect();
        if figures.iter().all(Option::is_none) {
            continue;
        }
        let _infallible = write!(rows, "<tr><th scope=\"row\">{}</th>", row.name);
        for (found, cell) in figures.into_iter().zip(&summary.cells) {
            let figures = found.and_then(|found| Some((found, found.statistics.as_ref()?)));
            let cell = match (figures, before_claim(cell, &row)) {
                (Some((found, of)), _) => {
                    let (p50, p95) = (shown(found, of.p50_ns), shown(found, of.p95_ns));
                    format!("<b>{p50}</b> / {p95}")
                }
                (None, Some(_)) => "before the claim".to_owned(),
                (None, None) => missing(&words::why_nothing(cell)),
            };
            let _infallible = write!(rows, "<td class=\"n\">{cell}</td>");
        }
        rows.push_str("</tr>");
    }
    scrolled(
        "Median and 95th percentile of every operation in every cell",
        &format!("<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"),
    )
}

fn missing(why: &str) -> String {
    format!(
        "<span title=\"{}\">N/A<span class=\"hidden\">: {}</span></span>",
        e(why),
        e(why)
    )
}

/// Every cell with all its figures.
pub(super) fn section(summary: &Summary) -> String {
    let mut out = String::new();
    for cell in &summary.cells {
        let _infallible = write!(
            out,
            "<details class=\"cell\"><summary>{} <b>{}</b> {} · {} · {}</summary>\n{}</details>\n",
            badge(words::of_cell(cell)),
            e(&cell.cell),
            e(&cell.load),
            words::counts(cell),
            humanise_millis(cell.duration_ms),
            figures(cell)
        );
    }
    out
}

fn figures(cell: &CellSummary) -> String {
    if cell.metrics.is_empty() {
        return format!("<p>N/A: {}</p>\n", e(&words::why_nothing(cell)));
    }
    let levels = breakpoint(cell);
    let mut rows = String::new();
    for series in &cell.metrics {
        if let Some(found) = &series.statistics {
            trend(&mut rows, cell, series, found);
        }
    }
    let heads = ["n", "min", "mean", "p50", "p90", "p95", "p99", "max"];
    let mut head = "<th scope=\"col\">metric</th><th scope=\"col\">step</th>".to_owned();
    for name in heads {
        let _infallible = write!(head, "<th scope=\"col\" class=\"n\">{name}</th>");
    }
    let trends = scrolled(
        &format!("Durations of {}", cell.cell),
        &format!("<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"),
    );
    let mut counters = String::new();
    for series in &cell.metrics {
        if let Some(value) = series.value.filter(|_| series.step.is_none()) {
            let unit = match series.unit {
                Unit::Bytes => " bytes",
                Unit::Count | Unit::Nanoseconds | Unit::PerSecond => "",
            };
            let _infallible = write!(
                counters,
                "<div><dt><code>{}</code></dt><dd>{value}{unit}</dd></div>",
                e(&series.labelled())
            );
        }
    }
    if counters.is_empty() {
        format!("{levels}{trends}")
    } else {
        format!("{levels}{trends}<dl class=\"figures small\">{counters}</dl>\n")
    }
}

/// The levels of a search.
fn breakpoint(cell: &CellSummary) -> String {
    let Some(found) = &cell.breakpoint else {
        return String::new();
    };
    let mut head = "<th scope=\"col\"></th>".to_owned();
    for name in levels::HEAD {
        let _infallible = write!(head, "<th scope=\"col\" class=\"n\">{name}</th>");
    }
    let mut rows = String::new();
    for level in &found.levels {
        let row = levels::Row::of(level);
        let _infallible = write!(rows, "<tr><td>{}</td>", badge(row.verdict));
        for figure in &row.figures {
            let _infallible = write!(rows, "<td class=\"n\">{}</td>", e(figure));
        }
        let _infallible = write!(rows, "<td>{}</td></tr>", e(&row.limits));
    }
    let table = scrolled(
        &format!("Levels of {}", cell.cell),
        &format!(
            "<table><thead><tr>{head}<th scope=\"col\"></th></tr></thead><tbody>{rows}</tbody></table>"
        ),
    );
    format!(
        "<p><b>{}</b> ({})</p>\n{table}",
        e(&found.to_string()),
        levels::lengths(found)
    )
}

fn trend(rows: &mut String, cell: &CellSummary, series: &MetricSummary, found: &Statistics) {
    let step = match (&series.step, series.step_index) {
        (None, _) => "<td>all</td>".to_owned(),
        (Some(name), index) => {
            let line = index.and_then(|index| cell.steps.get(usize::from(index)));
            match line {
                Some(step) => format!("<td><a href=\"#L{}\">{}</a></td>", step.line, e(name)),
                None => format!("<td>{}</td>", e(name)),
            }
        }
    };
    let class = if series.step.is_none() {
        " class=\"whole\""
    } else {
        ""
    };
    let _infallible = write!(
        rows,
        "<tr{class}><th scope=\"row\"><code>{}</code></th>{step}<td class=\"n\">{}</td>",
        e(&series.labelled()),
        found.n
    );
    let values = [
        found.min_ns,
        found.mean_ns,
        found.p50_ns,
        found.p90_ns,
        found.p95_ns,
        found.p99_ns,
        found.max_ns,
    ];
    for value in values {
        let _infallible = write!(rows, "<td class=\"n\">{}</td>", shown(series, value));
    }
    rows.push_str("</tr>");
}

/// A table that scrolls by itself where the page is too narrow for it; `label` is what it is called.
pub(super) fn scrolled(label: &str, table: &str) -> String {
    format!(
        "<div class=\"scroll\" role=\"region\" aria-label=\"{}\" tabindex=\"0\">{table}</div>\n",
        e(label)
    )
}
