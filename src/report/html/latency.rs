//! Latency by percentile: a chart per operation, a line per cell, as HdrHistogram draws it. The axis of
//! the percentiles counts nines, so that p99.9 has as much room as p90.

use std::fmt::Write as _;

use super::super::rows::{Row, rows, whole_cell};
use super::super::words;
use super::cells::scrolled;
use super::chart::{Chart, Line, Quantity};
use super::escape::e;
use crate::metrics::{CellSummary, Histogram, Summary, humanise, nanos};

/// Points per decade of one minus a share.
const POINTS: u32 = 20;
/// The shares in the tables.
const SHARES: [(f64, &str); 7] = [
    (0.5, "p50"),
    (0.9, "p90"),
    (0.95, "p95"),
    (0.99, "p99"),
    (0.999, "p99.9"),
    (0.9999, "p99.99"),
    (1.0, "max"),
];

/// A chart per metric that any cell has, in the order of the tables.
pub(super) fn charts(summary: &Summary) -> Vec<Chart> {
    let mut charts = Vec::new();
    for row in rows(&summary.cells) {
        let name = &row.name;
        let lines: Vec<Line> = with(summary, &row)
            .map(|(place, cell, histogram)| Line {
                label: cell.cell.clone(),
                style: place,
                points: points(&histogram),
            })
            .collect();
        if lines.is_empty() {
            continue;
        }
        let described: Vec<String> = with(summary, &row)
            .map(|(_, cell, histogram)| {
                let nanos = |share| histogram.quantile(share).as_nanos();
                let shown = |share| humanise(u64::try_from(nanos(share)).unwrap_or(u64::MAX));
                format!("{}: p50 {}, p99 {}", cell.cell, shown(0.5), shown(0.99))
            })
            .collect();
        charts.push(Chart {
            id: match row.key() {
                (metric, None) => format!("latency-{metric}"),
                (metric, Some(launched)) => format!("latency-{metric}-{launched}"),
            },
            title: name.clone(),
            description: format!("{name} by percentile. {}.", described.join("; ")),
            x: (Quantity::Percentile, "percentile"),
            y: (Quantity::Time, "time"),
            lines,
        });
    }
    charts
}

/// The cells that have samples of a metric: their place, which gives their colour, and all samples.
fn with<'a>(
    summary: &'a Summary,
    row: &'a Row,
) -> impl Iterator<Item = (usize, &'a CellSummary, Histogram)> {
    summary
        .cells
        .iter()
        .enumerate()
        .filter_map(move |(place, cell)| {
            let histogram = whole_cell(cell).get(&row.key())?.distribution();
            (histogram.count() > 0).then_some((place, cell, histogram))
        })
}

/// From the smallest sample to the largest: of n samples that is the share 1 - 1/n.
fn points(histogram: &Histogram) -> Vec<(f64, f64)> {
    let decades = (histogram.count().max(1) as f64).log10();
    let mut points = Vec::new();
    for number in 0_u32.. {
        let place = f64::from(number) / f64::from(POINTS);
        if place > decades {
            break;
        }
        let share = 1.0 - 10.0_f64.powf(-place);
        points.push((place, histogram.quantile(share).as_nanos() as f64));
    }
    if points.last().is_none_or(|(place, _)| *place < decades) {
        points.push((decades, histogram.max().as_nanos() as f64));
    }
    points
}

pub(super) fn section(summary: &Summary, charts: &[Chart]) -> String {
    if charts.is_empty() {
        return String::new();
    }
    let mut out = "<p class=\"hint\">Each line goes as far to the right as its number of samples allows. Both axes grow by powers.</p>\n<div class=\"charts\">\n".to_owned();
    for chart in charts {
        out.push_str(&chart.figure());
    }
    out.push_str("</div>\n<details><summary>The same as tables</summary>\n");
    for row in rows(&summary.cells) {
        if with(summary, &row).next().is_some() {
            out.push_str(&table(summary, &row));
        }
    }
    out.push_str("</details>\n");
    out
}

fn table(summary: &Summary, row: &Row) -> String {
    let name = &row.name;
    let mut head = format!("<th scope=\"col\">{name}</th><th scope=\"col\" class=\"n\">n</th>");
    for (_, share) in SHARES {
        let _infallible = write!(head, "<th scope=\"col\" class=\"n\">{share}</th>");
    }
    let mut rows = String::new();
    for cell in &summary.cells {
        let own = with(summary, row).find(|(_, found, _)| found.cell == cell.cell);
        // Writing to a string cannot fail.
        let _infallible = write!(rows, "<tr><th scope=\"row\">{}</th>", e(&cell.cell));
        if let Some((.., histogram)) = own {
            figures(&mut rows, &histogram);
        } else {
            let why = words::why_nothing(cell);
            let _infallible = write!(rows, "<td colspan=\"8\">N/A: {}</td>", e(&why));
        }
        rows.push_str("</tr>");
    }
    scrolled(
        &format!("Percentiles of {name}"),
        &format!("<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"),
    )
}

fn figures(rows: &mut String, histogram: &Histogram) {
    let count = histogram.count();
    let _infallible = write!(rows, "<td class=\"n\">{count}</td>");
    for (share, _) in SHARES {
        // A share that the samples cannot tell from the longest is not shown as if they could.
        let told = share >= 1.0 || (1.0 - share) * count as f64 >= 1.0;
        let nanos = nanos(histogram.quantile(share));
        let shown = if told {
            humanise(nanos)
        } else {
            "–".to_owned()
        };
        let _infallible = write!(rows, "<td class=\"n\">{shown}</td>");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_line_ends_at_the_largest_sample_and_never_falls() {
        let mut histogram = Histogram::default();
        for micros in 1..=1000 {
            histogram.record(Duration::from_micros(micros));
        }
        let points = points(&histogram);
        let (place, value) = points[points.len() - 1];
        assert!((place - 3.0).abs() < 1e-9);
        assert!((value - 1e6).abs() / 1e6 < 0.002, "{value}");
        assert!(points.windows(2).all(|pair| pair[0].1 <= pair[1].1));
    }

    #[test]
    fn one_sample_is_one_point() {
        let mut histogram = Histogram::default();
        histogram.record(Duration::from_millis(1));
        assert_eq!(points(&histogram).len(), 1);
    }
}
