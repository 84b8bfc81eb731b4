//! What the text report says of traces and metrics: what became of them, which traces stand for which figure, what
//! each hop took.

use std::fmt::Write as _;

use super::Colour;
use super::text::{BOLD, YELLOW};
use crate::metrics::{ExportedSpans, TelemetrySummary, humanise};

/// How many links are shown; the result has all.
const LINKS: usize = 12;

pub(super) fn write(
    out: &mut String,
    telemetry: &TelemetrySummary,
    colour: Colour,
) -> std::fmt::Result {
    let TelemetrySummary { spans, points, .. } = telemetry;
    writeln!(out, "\n{}", colour.paint(BOLD, "telemetry"))?;
    for target in &telemetry.targets {
        writeln!(out, "  {target}")?;
    }
    let kept: Vec<String> = telemetry
        .kept
        .iter()
        .map(|(reason, count)| format!("{count} {reason}"))
        .collect();
    let kept = if kept.is_empty() {
        "none".to_owned()
    } else {
        kept.join(", ")
    };
    writeln!(out, "  traces kept: {kept}  ({})", telemetry.sampling)?;
    write!(
        out,
        "  spans: {} made, {} sent, {} not kept",
        spans.made, spans.sent, spans.not_kept
    )?;
    if spans.received > 0 {
        write!(
            out,
            ", {} of router and controller received",
            spans.received
        )?;
    }
    writeln!(out, "{}", lost(spans, colour))?;
    if points.made > 0 {
        let gone = points.lost();
        let gone = if gone == 0 {
            String::new()
        } else {
            colour.paint(YELLOW, &format!(", {gone} LOST"))
        };
        writeln!(
            out,
            "  points: {} made, {} sent{gone}",
            points.made, points.sent
        )?;
    }
    for error in &telemetry.errors {
        writeln!(
            out,
            "  {} {} ({} times): {}",
            error.signal, error.code, error.count, error.message
        )?;
        if let Some(help) = &error.help {
            writeln!(out, "    = help  {help}")?;
        }
    }
    hops(out, telemetry)?;
    links(out, telemetry)
}

fn lost(spans: &ExportedSpans, colour: Colour) -> String {
    if spans.lost() == 0 {
        return String::new();
    }
    let parts = [
        (spans.rejected, "rejected by the receiver"),
        (spans.failed, "in exports that failed"),
        (spans.unsent, "not sent in time at the end"),
        (spans.dropped_queue, "dropped: the receiver was too slow"),
        (spans.dropped_busy, "dropped: the exporter had no time"),
        (spans.dropped_rate, "beyond `--trace-max-rate`"),
        (spans.left_out, "beyond the most that a trace holds"),
    ];
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    let parts: Vec<String> = parts
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    colour.paint(YELLOW, &format!("; LOST: {}", parts.join(", ")))
}

fn hops(out: &mut String, telemetry: &TelemetrySummary) -> std::fmt::Result {
    if telemetry.hops.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "  {:<34} {:>7} {:>9} {:>9} {:>9}",
        "hop", "n", "p50", "p99", "max"
    )?;
    for hop in &telemetry.hops {
        let shown = [hop.p50_ns, hop.p99_ns, hop.max_ns].map(humanise);
        let [p50, p99, max] = shown;
        writeln!(
            out,
            "  {:<34} {:>7} {p50:>9} {p99:>9} {max:>9}",
            hop.name, hop.n
        )?;
    }
    Ok(())
}

fn links(out: &mut String, telemetry: &TelemetrySummary) -> std::fmt::Result {
    let shown = telemetry.links.iter().filter(|link| link.figure != "p50");
    for link in shown.take(LINKS) {
        let place = telemetry.url(&link.trace_id);
        writeln!(
            out,
            "  trace of {} of {} ({}, {}): {}",
            link.figure,
            link.step,
            humanise(link.duration_ns),
            link.cell,
            place.as_ref().unwrap_or(&link.trace_id)
        )?;
    }
    Ok(())
}
