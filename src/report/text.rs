//! `text`: verdict, doubts, failures, the cells side by side, then a table per cell.

use std::fmt::Write as _;

use super::rows::{before_claim, name_width, rows, shown, whole_cell};
use super::{Colour, comparison, levels, side_by_side, telemetry, traces, words};
use crate::metrics::{
    CellSummary, Collected, FailureGroup, Metric, MetricSummary, Outcome, Reliability, Summary,
    TelemetrySummary, Verdict, humanise_millis,
};

/// How many lines of a collected text are shown, from its end.
const COLLECTED_LINES: usize = 10;

pub(super) const BOLD: &str = "1";
pub(super) const RED: &str = "1;31";
pub(super) const GREEN: &str = "1;32";
pub(super) const YELLOW: &str = "33";

impl Colour {
    pub(super) fn paint(self, code: &str, text: &str) -> String {
        match self {
            Self::Off => text.to_owned(),
            Self::On => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}

pub(super) fn render(summary: &Summary, colour: Colour) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _infallible = write_all(&mut out, summary, colour);
    out
}

fn write_all(out: &mut String, summary: &Summary, colour: Colour) -> std::fmt::Result {
    head(out, summary, colour)?;
    let doubt = match summary.doubt.verdict {
        Reliability::Ok => None,
        Reliability::Degraded => Some(colour.paint(YELLOW, "DEGRADED")),
        Reliability::Unreliable => Some(colour.paint(RED, "UNRELIABLE")),
    };
    if let Some(doubt) = doubt {
        let count = summary.doubt.reasons.len();
        let plural = if count == 1 { "" } else { "s" };
        writeln!(out, "{doubt} figures, for {count} reason{plural}:")?;
    }
    for warning in &summary.warnings {
        let label = match warning.reliability() {
            Reliability::Ok => "note:",
            Reliability::Degraded | Reliability::Unreliable => "doubt:",
        };
        writeln!(out, "{} {warning}", colour.paint(YELLOW, label))?;
    }
    for threshold in &summary.thresholds {
        let mark = match threshold.outcome {
            Outcome::Held => colour.paint(GREEN, "held"),
            Outcome::Failed | Outcome::NoSamples => colour.paint(RED, "MISSED"),
        };
        let measured = threshold
            .measured
            .map_or_else(|| "no samples".to_owned(), |measured| measured.to_string());
        let (text, cell) = (&threshold.threshold, &threshold.cell);
        write!(out, "{mark} {text}  measured {measured}")?;
        if let Some(window) = threshold.window {
            let (from, to) = (
                humanise_millis(window.from_ms),
                humanise_millis(window.to_ms),
            );
            write!(out, " from {from} to {to}")?;
        }
        write!(out, "  {cell}")?;
        if let Some(at) = threshold.stopped_at_ms {
            write!(out, "  stopped the run after {}", humanise_millis(at))?;
        }
        writeln!(out)?;
    }
    traces::write(out, summary, colour)?;
    for failure in &summary.failures {
        writeln!(out)?;
        failure_block(out, failure, summary.telemetry.as_ref(), colour)?;
    }
    collected(out, summary)?;
    comparison::write(out, &summary.comparisons, colour)?;
    side_by_side::write(out, &summary.cells, colour)?;
    for cell in &summary.cells {
        writeln!(out)?;
        table(out, cell, colour)?;
    }
    if let Some(sent) = &summary.telemetry {
        telemetry::write(out, sent, colour)?;
    }
    totals(out, summary)
}

/// What `collect` steps collected: where it is, or its last lines.
fn collected(out: &mut String, summary: &Summary) -> std::fmt::Result {
    for one in &summary.collected.texts {
        let Collected {
            cell, what, claim, ..
        } = one;
        write!(out, "\ncollected {what} of {claim}  {cell}")?;
        if let Some(file) = &one.file {
            writeln!(out, "  in {file}")?;
            continue;
        }
        writeln!(out)?;
        let lines: Vec<&str> = one.text.lines().collect();
        for line in &lines[lines.len().saturating_sub(COLLECTED_LINES)..] {
            writeln!(out, "  | {line}")?;
        }
    }
    match summary.collected.dropped {
        0 => Ok(()),
        more => writeln!(out, "… and {more} more texts were collected"),
    }
}

fn verdict(verdict: Verdict, colour: Colour) -> String {
    match verdict {
        Verdict::Passed => colour.paint(GREEN, "PASS"),
        Verdict::Failed => colour.paint(RED, "FAIL"),
        Verdict::Interrupted => colour.paint(YELLOW, "STOPPED"),
        Verdict::NotApplicable => colour.paint(YELLOW, "N/A"),
    }
}

fn head(out: &mut String, summary: &Summary, colour: Colour) -> std::fmt::Result {
    let run = &summary.run;
    let passed = summary
        .cells
        .iter()
        .filter(|cell| cell.verdict == Verdict::Passed)
        .count();
    writeln!(
        out,
        "{} {}  {passed} of {} cells passed  {} on {}  run {}  seed {}",
        verdict(summary.verdict, colour),
        colour.paint(BOLD, &run.name),
        summary.cells.len(),
        seconds(run.duration_ms),
        run.cluster,
        run.id,
        run.seed,
    )?;
    let leaks = &summary.leaks;
    if !leaks.is_empty() {
        let label = colour.paint(RED, "LEAK");
        writeln!(out, "{label} {leaks}")?;
        if let Some(reap) = &leaks.reap {
            writeln!(out, "     = help  {reap}")?;
        }
    }
    Ok(())
}

fn seconds(millis: u64) -> String {
    humanise_millis(millis)
}

fn failure_block(
    out: &mut String,
    failure: &FailureGroup,
    telemetry: Option<&TelemetrySummary>,
    colour: Colour,
) -> std::fmt::Result {
    let times = if failure.count > 1 {
        format!("  ({} times)", failure.count)
    } else {
        String::new()
    };
    writeln!(
        out,
        "{} {}  {}{times}",
        colour.paint(RED, "FAIL"),
        failure.cell,
        colour.paint(BOLD, &failure.step)
    )?;
    for line in failure.place.snippet.lines() {
        writeln!(out, "{line}")?;
    }
    let pad = failure.place.line.to_string().len();
    let mut fact = |name: &str, value: &str| {
        let mut lines = value.lines();
        let first = lines.next().unwrap_or_default();
        writeln!(out, "{:pad$} = {name:<7} {first}", "")?;
        lines.try_for_each(|line| writeln!(out, "{:pad$}   {:<7} {line}", "", ""))
    };
    fact("cause", &failure.message)?;
    if let Some(help) = &failure.help {
        fact("help", help)?;
    }
    if let Some(sandbox) = &failure.sandbox {
        fact("sandbox", sandbox)?;
    }
    if let Some(trace) = failure.traces.first() {
        let place = telemetry.and_then(|telemetry| telemetry.url(trace));
        let place = place.map_or_else(String::new, |url| format!("  {url}"));
        fact("trace", &format!("{trace}{place}"))?;
    }
    fact("rerun", &failure.rerun)
}

fn table(out: &mut String, cell: &CellSummary, colour: Colour) -> std::fmt::Result {
    let counts = words::counts(cell);
    writeln!(
        out,
        "{} {}  {}  iterations: {counts}  {}",
        match cell.verdict {
            Verdict::Passed if cell.counter(Metric::FlakyIterations) > 0 => {
                colour.paint(YELLOW, "FLAKY")
            }
            Verdict::Passed | Verdict::Failed | Verdict::Interrupted | Verdict::NotApplicable =>
                verdict(cell.verdict, colour),
        },
        colour.paint(BOLD, &cell.cell),
        cell.load,
        seconds(cell.duration_ms),
    )?;
    levels::write(out, cell, colour)?;
    let whole = whole_cell(cell);
    if whole.is_empty() || cell.not_applicable.is_some() {
        return writeln!(out, "  N/A: {}", words::why_nothing(cell));
    }
    let rows = rows([cell]);
    let width = name_width(&rows);
    writeln!(
        out,
        "  {:<width$} {:>7} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "", "n", "p50", "p90", "p95", "p99", "max"
    )?;
    for row in rows {
        if let Some(series) = whole.get(&row.key()) {
            row_of(out, (&row.name, width), series)?;
        } else if let Some(count) = before_claim(cell, &row) {
            writeln!(out, "  {:<width$} {count:>7}  before the claim", row.name)?;
        }
    }
    let counter = |name: &str| {
        let found = |metric: &&MetricSummary| metric.metric == name;
        cell.metrics
            .iter()
            .find(found)
            .and_then(|metric| metric.value)
            .unwrap_or(0)
    };
    let (warm, cold) = (counter("warm_hits"), counter("cold_starts"));
    if warm + cold > 0 {
        writeln!(out, "  sandboxes: {warm} warm, {cold} cold")?;
    }
    Ok(())
}

fn row_of(
    out: &mut String,
    (name, width): (&str, usize),
    series: &MetricSummary,
) -> std::fmt::Result {
    let Some(figures) = &series.statistics else {
        return Ok(());
    };
    let shown = [
        figures.p50_ns,
        figures.p90_ns,
        figures.p95_ns,
        figures.p99_ns,
        figures.max_ns,
    ]
    .map(|nanos| shown(series, nanos));
    let [p50, p90, p95, p99, max] = shown;
    writeln!(
        out,
        "  {name:<width$} {:>7} {p50:>9} {p90:>9} {p95:>9} {p99:>9} {max:>9}",
        figures.n
    )
}

fn totals(out: &mut String, summary: &Summary) -> std::fmt::Result {
    let sum = |of: fn(&CellSummary) -> u64| summary.cells.iter().map(of).sum::<u64>();
    let leaks = &summary.leaks;
    let left = if !leaks.is_empty() {
        "see LEAK above".to_owned()
    } else if leaks.not_counted.is_empty() {
        "nothing left behind".to_owned()
    } else {
        let unknown = leaks.not_counted.join("; ");
        format!("nothing left behind of what may be listed (not: {unknown})")
    };
    writeln!(
        out,
        "\n{} iterations passed, {} failed, {} stopped; {left}",
        sum(|cell| cell.iterations_passed),
        sum(|cell| cell.iterations_failed),
        sum(|cell| cell.iterations_interrupted),
    )
}
