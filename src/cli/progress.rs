//! Progress on standard error: a line per stage, and at most one per ten seconds in between.

use std::collections::HashSet;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::engine::{IterationEnd, RunEvent};

/// The least time between two counting lines.
const PERIOD: Duration = Duration::from_secs(10);

/// Prints lines until the engine's end of the channel is gone.
pub(super) async fn lines(mut events: mpsc::Receiver<RunEvent>) {
    let (mut passed, mut failed, mut running) = (0_u64, 0_u64, 0_u64);
    let mut last = Instant::now();
    let mut seen = HashSet::new();
    while let Some(event) = events.recv().await {
        match event {
            RunEvent::RoundStarted {
                scenario,
                round,
                of,
            } => eprintln!("round    {round} of {of}  {scenario}"),
            RunEvent::CellStarted { cell, load } => {
                running += 1;
                // In rounds a cell starts often.
                if !seen.contains(&cell) {
                    eprintln!("running  {cell}  {load}");
                    seen.insert(cell);
                }
            }
            RunEvent::CellEnded { .. } => running = running.saturating_sub(1),
            RunEvent::StoppedByThreshold { cell, threshold } => {
                eprintln!("stopping: {threshold} does not hold in {cell}");
            }
            RunEvent::CellsEnded => eprintln!("looking for what is left"),
            RunEvent::IterationEnded { end, .. } => match end {
                IterationEnd::Passed => passed += 1,
                IterationEnd::Failed => failed += 1,
                IterationEnd::Interrupted | IterationEnd::NotApplicable => {}
            },
        }
        if last.elapsed() >= PERIOD {
            last = Instant::now();
            eprintln!(
                "         {passed} iterations passed, {failed} failed, {running} cells running"
            );
        }
    }
}
