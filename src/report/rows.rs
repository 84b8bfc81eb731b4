//! The rows of tables: a metric each, and where a cell has warm and cold sandboxes, one for each of
//! them, which are never pooled.

use std::collections::{BTreeMap, BTreeSet};

use crate::metrics::{
    CellSummary, Grain, Label, LaunchType, Metric, MetricSummary, ServerClock, humanise,
};

/// The metrics that the table shows, in this order, where there are samples.
pub(super) const ROWS: [(&str, &str); 26] = [
    ("sandbox_create_ack_duration", "create: acknowledged"),
    ("sandbox_bound_duration", "create: bound"),
    ("sandbox_scheduled_duration", "create: scheduled"),
    ("sandbox_running_duration", "create: running"),
    ("sandbox_ready_duration", "create: ready"),
    ("time_to_first_exec", "create: first exec"),
    ("controller_ready_duration", "controller: ready"),
    ("kubelet_started_duration", "kubelet: started"),
    ("kubelet_ready_duration", "kubelet: ready"),
    ("connect_duration", "connect"),
    ("exec_duration", "exec"),
    ("write_duration", "write"),
    ("read_duration", "read"),
    ("list_duration", "list"),
    ("exists_duration", "exists"),
    ("delete_file_duration", "delete file"),
    ("sandbox_suspend_duration", "suspend"),
    ("sandbox_resume_duration", "resume"),
    ("sandbox_delete_duration", "delete"),
    ("http_duration", "http"),
    ("wait_duration", "wait"),
    ("group_duration", "group"),
    ("iteration_duration", "iteration"),
    ("iteration_service_duration", "iteration: service"),
    ("iteration_start_delay", "start delay"),
    ("cleanup_duration", "clean-up"),
];

/// How wide the names of rows are, unless one is longer.
const NAME_WIDTH: usize = 22;

/// A time of a series with no more digits than its clock has.
pub(super) fn shown(series: &MetricSummary, nanos: u64) -> String {
    match series.clock.map(ServerClock::grain) {
        Some(Grain::Second) => format!("{}±1s", (nanos + 500_000_000) / 1_000_000_000),
        Some(Grain::Nanosecond) | None => humanise(nanos),
    }
}

/// A row: a metric, of sandboxes of one launch type where it has series for each.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) metric: &'static str,
    pub(super) launched: Option<&'static str>,
    /// What the row is called.
    pub(super) name: String,
}

impl Row {
    /// By which [`whole_cell`] has it.
    pub(super) fn key(&self) -> (&'static str, Option<&'static str>) {
        (self.metric, self.launched)
    }
}

/// The rows that can have figures in these cells. They are told apart by launch type where the cells
/// have sandboxes of both.
pub(super) fn rows<'a>(cells: impl IntoIterator<Item = &'a CellSummary>) -> Vec<Row> {
    let launched = launch_types(cells);
    let mut rows = Vec::new();
    for (metric, name) in ROWS {
        rows.push(Row {
            metric,
            launched: None,
            name: name.to_owned(),
        });
        rows.extend(launched.iter().map(|one| Row {
            metric,
            launched: Some(one),
            name: match launched.len() {
                1 => name.to_owned(),
                _ => format!("{name}, {one}"),
            },
        }));
    }
    rows
}

/// The launch types that the cells have series of.
pub(super) fn launch_types<'a>(
    cells: impl IntoIterator<Item = &'a CellSummary>,
) -> Vec<&'static str> {
    let series = cells.into_iter().flat_map(|cell| &cell.metrics);
    let found: BTreeSet<&str> = series
        .filter_map(|series| series.label(Label::LAUNCH_TYPE))
        .collect();
    let all = LaunchType::ALL.map(LaunchType::as_str);
    all.into_iter().filter(|one| found.contains(one)).collect()
}

/// How wide the column of the rows' names is.
pub(super) fn name_width(rows: &[Row]) -> usize {
    let names = rows.iter().map(|row| row.name.chars().count());
    names.fold(NAME_WIDTH, usize::max)
}

/// How many sandboxes had a pod that was in this phase before their claim was sent.
pub(super) fn before_claim(cell: &CellSummary, row: &Row) -> Option<u64> {
    let counter = match row.metric {
        "sandbox_scheduled_duration" => Metric::ScheduledBeforeClaim,
        "sandbox_running_duration" => Metric::RunningBeforeClaim,
        _ => return None,
    };
    let mut series = cell.metrics.iter();
    series
        .find(|series| {
            series.metric == counter.name()
                && series.step.is_none()
                && series.label(Label::LAUNCH_TYPE) == row.launched
        })
        .and_then(|series| series.value)
}

/// The distributions of a cell over all its steps, by metric and launch type.
pub(super) fn whole_cell(cell: &CellSummary) -> BTreeMap<(&str, Option<&str>), &MetricSummary> {
    cell.metrics
        .iter()
        .filter(|series| series.step.is_none() && series.statistics.is_some())
        .map(|series| {
            let launched = series.label(Label::LAUNCH_TYPE);
            ((series.metric.as_str(), launched), series)
        })
        .collect()
}
