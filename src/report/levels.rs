//! The levels of a `breakpoint`, in the order in which they were tried: what held, what did not and by
//! which figures. One table, for every format that people read.

use std::fmt::Write as _;

use super::Colour;
use super::text::{BOLD, GREEN, RED, YELLOW};
use crate::metrics::{
    BreakpointSummary, CellSummary, LevelSummary, LevelVerdict, Metric, Outcome, humanise,
    humanise_millis,
};

/// What stands above the figures of a level.
pub(super) const HEAD: [&str; 6] = [
    "level",
    "due",
    "failed",
    "dropped",
    "in flight",
    "start p99",
];

/// A level in words.
pub(super) struct Row {
    pub(super) verdict: &'static str,
    /// As in [`HEAD`].
    pub(super) figures: [String; 6],
    /// Of a level that held what was measured, of one that broke what broke it.
    pub(super) limits: String,
}

impl Row {
    pub(super) fn of(level: &LevelSummary) -> Self {
        let delay = level
            .metrics
            .iter()
            .find(|series| series.is(Metric::IterationStartDelay))
            .and_then(|series| series.statistics.as_ref())
            .map_or_else(|| "-".to_owned(), |delay| humanise(delay.p99_ns));
        Self {
            verdict: match level.verdict {
                LevelVerdict::Held => "held",
                LevelVerdict::Broke => "BROKE",
                LevelVerdict::Stopped => "STOPPED",
            },
            figures: [
                level.rate.to_string(),
                level.due.to_string(),
                level.failures.to_string(),
                level.dropped.to_string(),
                level.in_flight.to_string(),
                delay,
            ],
            limits: limits(level),
        }
    }
}

fn limits(level: &LevelSummary) -> String {
    let broke = level.verdict == LevelVerdict::Broke;
    let mut said = Vec::new();
    for limit in &level.limits {
        let measured = limit
            .measured
            .map_or_else(|| "no samples".to_owned(), |measured| measured.to_string());
        let name = limit.threshold.split([':', '{']).next().unwrap_or_default();
        if broke {
            if limit.outcome != Outcome::Held {
                said.push(format!("{}: {measured}", limit.threshold));
            }
        } else if !["failures", "dropped_iterations"].contains(&name) {
            said.push(format!("{name} {measured}"));
        }
    }
    if level.unfinished > 0 {
        said.push(format!("{} did not end", level.unfinished));
    }
    said.join(", ")
}

/// `settle 20s, then judged for 60s`.
pub(super) fn lengths(found: &BreakpointSummary) -> String {
    let (settle, hold) = (
        humanise_millis(found.settle_ms),
        humanise_millis(found.hold_ms),
    );
    format!("settle {settle}, then judged for {hold}")
}

/// Writes them as text; nothing for a cell without a `breakpoint`.
pub(super) fn write(out: &mut String, cell: &CellSummary, colour: Colour) -> std::fmt::Result {
    let Some(found) = &cell.breakpoint else {
        return Ok(());
    };
    writeln!(out, "  {}", colour.paint(BOLD, &found.to_string()))?;
    let head = HEAD.map(str::to_owned);
    writeln!(out, "  {:<7} {}  {}", "", aligned(&head), lengths(found))?;
    for level in &found.levels {
        let row = Row::of(level);
        let paint = match level.verdict {
            LevelVerdict::Held => GREEN,
            LevelVerdict::Broke => RED,
            LevelVerdict::Stopped => YELLOW,
        };
        let verdict = colour.paint(paint, &format!("{:<7}", row.verdict));
        let line = format!("  {verdict} {}  {}", aligned(&row.figures), row.limits);
        writeln!(out, "{}", line.trim_end())?;
    }
    writeln!(out, "  all levels together, without what settled:")
}

fn aligned([level, due, failed, dropped, in_flight, delay]: &[String; 6]) -> String {
    format!("{level:<14} {due:>7} {failed:>9} {dropped:>9} {in_flight:>9} {delay:>9}")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::metrics::{Finding, Quantity, ThresholdResult};
    use crate::units::Rate;

    fn level(rate: f64, verdict: LevelVerdict, measured: f64) -> LevelSummary {
        let held = verdict == LevelVerdict::Held;
        let limit = |threshold: &str, measured, held: bool| ThresholdResult {
            cell: "a".to_owned(),
            threshold: threshold.to_owned(),
            steps: None,
            outcome: if held { Outcome::Held } else { Outcome::Failed },
            measured: Some(measured),
            window: None,
            stopped_at_ms: None,
        };
        let ready = "sandbox_ready_duration: p95 < 2s";
        LevelSummary {
            rate: Rate::per_second(rate).unwrap(),
            verdict,
            from_ms: 20_000,
            to_ms: 80_000,
            due: 300,
            iterations: 298,
            failures: 1,
            dropped: 0,
            unfinished: if held { 0 } else { 2 },
            in_flight: 7,
            drain_ms: 100,
            limits: vec![
                limit(ready, Quantity::Nanoseconds(measured), held),
                limit("failures: rate < 1%", Quantity::Share(0.0033), true),
            ],
            metrics: Vec::new(),
        }
    }

    /// Two levels: one that held, one that did not.
    pub(in crate::report) fn found() -> BreakpointSummary {
        BreakpointSummary {
            finding: Finding::Found,
            held: Rate::per_second(5.0),
            broke: Rate::per_second(7.5),
            tolerance: "50%".parse().unwrap(),
            settle_ms: 20_000,
            hold_ms: 60_000,
            levels: vec![
                level(5.0, LevelVerdict::Held, 38.1e6),
                level(7.5, LevelVerdict::Broke, 3.1e9),
            ],
        }
    }

    #[test]
    fn a_level_that_held_shows_its_figures_and_one_that_broke_what_broke_it() {
        let mut cell = super::super::tests::fixed().cells.remove(0);
        cell.breakpoint = Some(found());
        let mut text = String::new();
        write(&mut text, &cell, Colour::Off).unwrap();
        for line in [
            "  holds at 5/s, breaks at 7.5/s: found within 50% in 2 levels\n",
            "  held    5/s                300         1         0         7         -  \
             sandbox_ready_duration 38.1ms\n",
            "  BROKE   7.5/s              300         1         0         7         -  \
             sandbox_ready_duration: p95 < 2s: 3.10s, 2 did not end\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
    }
}
