//! [`Windows`]: closes a window of a cell each second, keeps the cell over time and tells the sinks.
//!
//! A task of its own that does the work on a thread for blocking work: neither the VUs nor the runtime
//! that wakes them wait for counting, encoding, or a disk that a sink writes to.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::error::EngineError;
use super::failure::Failures;
use crate::metrics::{CellFacts, ClosedWindow, Sinks, Summary, Timeline, WindowSummary};

/// How long a window is.
const WIDTH: Duration = Duration::from_secs(1);

/// The windows of a cell while it runs.
#[derive(Debug)]
pub(super) struct Windows {
    tasks: JoinSet<Result<Timeline, JoinError>>,
    ended: CancellationToken,
}

impl Windows {
    /// Begins with a cell.
    pub(super) fn begin(
        facts: CellFacts,
        started: Instant,
        (sinks, failures): (&Sinks, &Arc<Failures>),
    ) -> Self {
        let ended = CancellationToken::new();
        let facts = Arc::new(facts);
        let mut tasks = JoinSet::new();
        let told = (sinks.clone(), Arc::clone(failures));
        tasks.spawn(watch(facts, started, told, ended.clone()));
        Self { tasks, ended }
    }

    /// Closes the last window; gives all of them and the length of each.
    pub(super) async fn end(mut self) -> Result<(Vec<WindowSummary>, Duration), JoinError> {
        self.ended.cancel();
        match self.tasks.join_next().await {
            Some(joined) => Ok(joined??.finish()),
            None => Ok((Vec::new(), WIDTH)),
        }
    }
}

async fn watch(
    facts: Arc<CellFacts>,
    started: Instant,
    (sinks, failures): (Sinks, Arc<Failures>),
    ended: CancellationToken,
) -> Result<Timeline, JoinError> {
    let mut timeline = Timeline::new(WIDTH);
    let (cell, told) = (Arc::clone(&facts), sinks.clone());
    tokio::task::spawn_blocking(move || told.tell(|sink| sink.on_cell(&cell))).await?;
    let mut from = Duration::ZERO;
    loop {
        // From the start on, so that a late window does not make the following ones late.
        let next = (from.as_millis() / WIDTH.as_millis() + 1).min(u128::from(u32::MAX));
        let due = started + WIDTH * u32::try_from(next).unwrap_or(u32::MAX);
        let over = ended
            .run_until_cancelled(tokio::time::sleep_until(due))
            .await
            .is_none();
        let to = started.elapsed().max(from);
        let (facts, sinks) = (Arc::clone(&facts), sinks.clone());
        let failures = Arc::clone(&failures);
        let closing = tokio::task::spawn_blocking(move || {
            let mut window = ClosedWindow::close(&facts, from, to);
            window.failures = failures.news(&facts.cell);
            window.last = over;
            timeline.add(&window);
            sinks.tell(|sink| sink.on_window(&window));
            if over {
                facts.figures.seal();
            }
            timeline
        });
        timeline = closing.await?;
        if over {
            return Ok(timeline);
        }
        from = to;
    }
}

/// Tells the sinks that the run is over.
pub(super) async fn finish(sinks: Sinks, summary: Summary) -> Result<Summary, EngineError> {
    let telling = tokio::task::spawn_blocking(move || {
        sinks.tell(|sink| sink.finish(&summary));
        summary
    });
    telling.await.map_err(|error| EngineError::Panicked {
        cell: "?".to_owned(),
        message: error.to_string(),
    })
}
