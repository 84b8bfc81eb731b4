//! Latency over time as a heat map: a column per window, a row per range of durations, the darker the
//! more samples. What an average hides, a second mode or a slow minute, is a band of its own here.

use std::fmt::Write as _;

use super::super::words;
use super::chart::WIDTH;
use super::escape::e;
use super::scale::{Axis, time};
use crate::metrics::{CellSummary, Histogram, Summary, WindowSummary};

/// The metrics that have one, where there are windows.
const METRICS: [&str; 6] = [
    "iteration_duration",
    "sandbox_ready_duration",
    "time_to_first_exec",
    "exec_duration",
    "write_duration",
    "read_duration",
];
const ROWS: usize = 28;
/// Most columns; more windows are merged.
const COLUMNS: usize = 120;
/// Shades: how many times more samples the darkest has.
const SHADES: usize = 6;
const HEIGHT: f64 = 220.0;
const LEFT: f64 = 62.0;
const BOTTOM: f64 = 40.0;
const TOP: f64 = 8.0;

pub(super) fn section(summary: &Summary) -> String {
    let mut out = String::new();
    for (place, metric) in METRICS.into_iter().enumerate() {
        let maps: String = summary
            .cells
            .iter()
            .enumerate()
            .filter_map(|(number, cell)| map(cell, metric, number))
            .collect();
        if maps.is_empty() {
            continue;
        }
        let open = if place == 0 { " open" } else { "" };
        let name = words::metric(metric);
        // Writing to a string cannot fail.
        let _infallible = write!(
            out,
            "<details{open}><summary>{name}</summary><div class=\"charts\">\n{maps}</div></details>\n"
        );
    }
    if out.is_empty() {
        return out;
    }
    format!(
        "<p class=\"hint\">A column is a stretch of time, a row a range of durations; the darker, the more samples.</p>\n{out}"
    )
}

/// How many samples fall into each row of each column.
struct Map {
    axis: Axis,
    /// Begin and end of each column, in milliseconds, and its rows from below.
    columns: Vec<(u64, u64, [u64; ROWS])>,
}

fn map(cell: &CellSummary, metric: &str, number: usize) -> Option<String> {
    if cell.windows.len() < 3 {
        return None;
    }
    let map = Map::of(&cell.windows, metric)?;
    let id = format!("heat-{number}-{metric}");
    let name = words::metric(metric);
    Some(format!(
        "<figure class=\"chart\"><figcaption>{}</figcaption>{}</figure>\n",
        e(&cell.cell),
        map.svg(
            &id,
            &format!("{name} of {} over time, as a heat map", cell.cell)
        )
    ))
}

impl Map {
    fn of(windows: &[WindowSummary], metric: &str) -> Option<Self> {
        let together = windows.len().div_ceil(COLUMNS).max(1);
        let columns: Vec<(u64, u64, Histogram)> = windows
            .chunks(together)
            .filter_map(|chunk| {
                let mut all = Histogram::default();
                for found in chunk.iter().filter_map(|window| window.statistics(metric)) {
                    all.merge(&found.distribution());
                }
                Some((chunk.first()?.from_ms, chunk.last()?.to_ms, all))
            })
            .collect();
        let filled = columns
            .iter()
            .filter(|(.., histogram)| histogram.count() > 0);
        let ends = filled.flat_map(|(.., histogram)| [histogram.min(), histogram.max()]);
        let ends: Vec<f64> = ends.map(|time| time.as_nanos() as f64).collect();
        if ends.is_empty() {
            return None;
        }
        let axis = Axis::log(ends.into_iter());
        let columns = columns
            .into_iter()
            .map(|(from, to, histogram)| (from, to, rows(&histogram, axis)));
        Some(Self {
            axis,
            columns: columns.collect(),
        })
    }

    fn svg(&self, id: &str, description: &str) -> String {
        let end = self.columns.last().map_or(1, |(_, to, _)| (*to).max(1)) as f64;
        let (right, bottom) = (WIDTH - 14.0, HEIGHT - BOTTOM);
        let place_x = |millis: f64| LEFT + millis / end * (right - LEFT);
        let row = (bottom - TOP) / ROWS as f64;
        let most = self.columns.iter().flat_map(|(.., rows)| rows).max();
        let most = (*most.unwrap_or(&1)).max(1) as f64;
        // All places of a shade are one path, so that a long run is still a small page.
        let mut shades: [String; SHADES] = std::array::from_fn(|_| String::new());
        for (from, to, rows) in &self.columns {
            let (x, width) = (
                place_x(*from as f64),
                place_x(*to as f64) - place_x(*from as f64),
            );
            for (number, count) in rows.iter().enumerate().filter(|(_, count)| **count > 0) {
                let y = bottom - (number + 1) as f64 * row;
                if let Some(path) = shades.get_mut(shade(*count, most)) {
                    let _infallible = write!(
                        path,
                        "M{x:.1} {y:.1}h{:.1}v{:.1}h-{:.1}z",
                        width + 0.2,
                        row + 0.2,
                        width + 0.2
                    );
                }
            }
        }
        let mut out = format!(
            "<svg class=\"heat\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"{id}-d\"><desc id=\"{id}-d\">{}</desc>",
            e(description)
        );
        for (number, path) in shades
            .iter()
            .enumerate()
            .filter(|(_, path)| !path.is_empty())
        {
            let _infallible = write!(out, "<path class=\"h{number}\" d=\"{path}\"/>");
        }
        for tick in self.axis.ticks(5.0) {
            let at = bottom - self.axis.at(tick) * (bottom - TOP);
            let _infallible = write!(
                out,
                "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{right}\"/><text class=\"y\" x=\"{:.0}\" y=\"{:.1}\">{}</text>",
                LEFT - 6.0,
                at + 4.0,
                time(tick)
            );
        }
        let seconds = Axis {
            min: 0.0,
            max: end / 1e3,
            spacing: super::scale::Spacing::Even,
        };
        for tick in seconds.ticks(5.0) {
            let _infallible = write!(
                out,
                "<text class=\"x\" x=\"{:.1}\" y=\"{:.0}\">{}</text>",
                place_x(tick * 1e3),
                bottom + 16.0,
                time(tick * 1e9)
            );
        }
        let _infallible = write!(
            out,
            "<text class=\"x name\" x=\"{:.0}\" y=\"{:.0}\">time since the start of the cell</text></svg>",
            f64::midpoint(LEFT, right),
            HEIGHT - 6.0
        );
        out
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of the rows is between 0 and their number"
)]
fn rows(histogram: &Histogram, axis: Axis) -> [u64; ROWS] {
    let mut rows = [0_u64; ROWS];
    for (value, count) in histogram.values() {
        let place = (axis.at(value.as_nanos() as f64) * ROWS as f64) as usize;
        if let Some(row) = rows.get_mut(place.min(ROWS - 1)) {
            *row += count;
        }
    }
    rows
}

/// By powers: a few slow samples among many fast ones are seen.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of the shades is between 0 and their number"
)]
fn shade(count: u64, most: f64) -> usize {
    let share = (count as f64 + 1.0).ln() / (most + 1.0).ln();
    ((share * SHADES as f64).ceil() as usize).clamp(1, SHADES) - 1
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_sample_is_in_a_row_and_the_slowest_is_in_the_highest() {
        let mut histogram = Histogram::default();
        for millis in [1, 1, 1, 10, 100] {
            histogram.record(Duration::from_millis(millis));
        }
        let axis = Axis::log([1e6, 1e8].into_iter());
        let rows = rows(&histogram, axis);
        assert_eq!(rows.iter().sum::<u64>(), 5);
        let highest = rows.iter().rposition(|count| *count > 0).unwrap();
        assert!(highest > ROWS / 2);
        assert_eq!(rows[rows.iter().position(|count| *count > 0).unwrap()], 3);
    }

    #[test]
    fn one_sample_is_seen_beside_a_million() {
        assert_eq!((shade(1, 1e6), shade(1_000_000, 1e6)), (0, SHADES - 1));
        assert_eq!(shade(1, 1.0), SHADES - 1);
    }
}
