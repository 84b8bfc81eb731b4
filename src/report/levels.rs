//! The levels of a `breakpoint`, in the order in which they were tried: what held, what did not and by
//! which figures.

use std::fmt::Write as _;

use super::Colour;
use super::text::{BOLD, GREEN, RED, YELLOW};
use crate::metrics::{
    BreakpointSummary, CellSummary, LevelSummary, LevelVerdict, Metric, Outcome, humanise,
    humanise_millis,
};

/// Writes nothing for a cell without one.
pub(super) fn write(out: &mut String, cell: &CellSummary, colour: Colour) -> std::fmt::Result {
    let Some(found) = &cell.breakpoint else {
        return Ok(());
    };
    writeln!(out, "  {}", colour.paint(BOLD, &found.to_string()))?;
    writeln!(
        out,
        "  {:<22} {:>7} {:>9} {:>9} {:>9} {:>11}  {}",
        "level",
        "due",
        "failed",
        "dropped",
        "in flight",
        "start p99",
        lengths(found)
    )?;
    for level in &found.levels {
        line(out, level, colour)?;
    }
    if found.levels.len() > 1 {
        writeln!(out, "  all levels together:")?;
    }
    Ok(())
}

fn lengths(found: &BreakpointSummary) -> String {
    let (settle, hold) = (
        humanise_millis(found.settle_ms),
        humanise_millis(found.hold_ms),
    );
    format!("(settle {settle}, then judged for {hold})")
}

fn line(out: &mut String, level: &LevelSummary, colour: Colour) -> std::fmt::Result {
    let verdict = match level.verdict {
        LevelVerdict::Held => colour.paint(GREEN, "held   "),
        LevelVerdict::Broke => colour.paint(RED, "BROKE  "),
        LevelVerdict::Stopped => colour.paint(YELLOW, "stopped"),
    };
    let delay = level
        .metrics
        .iter()
        .find(|series| series.is(Metric::IterationStartDelay))
        .and_then(|series| series.statistics.as_ref())
        .map_or_else(|| "-".to_owned(), |delay| humanise(delay.p99_ns));
    write!(
        out,
        "  {verdict} {:<14} {:>7} {:>9} {:>9} {:>9} {delay:>11}",
        level.rate.to_string(),
        level.due,
        level.failures,
        level.dropped,
        level.in_flight
    )?;
    // Of a level that held every figure, of one that broke what broke it.
    let broke = level.verdict == LevelVerdict::Broke;
    let limits = level.limits.iter();
    for limit in limits.filter(|limit| !broke || limit.outcome != Outcome::Held) {
        let measured = limit
            .measured
            .map_or_else(|| "no samples".to_owned(), |measured| measured.to_string());
        let name = limit.threshold.split(&[' ', ':', '{']).next();
        match (broke, name) {
            (true, _) => write!(out, "  {}: {measured}", limit.threshold)?,
            (false, Some("failures" | "dropped_iterations")) => {}
            (false, name) => write!(out, "  {} {measured}", name.unwrap_or_default())?,
        }
    }
    if level.unfinished > 0 {
        write!(out, "  {} did not end", level.unfinished)?;
    }
    writeln!(out)
}
