//! [`SampleSink`]: who gets the closed windows of a run: live progress, partial results, telemetry.
//!
//! A sink is never called by a VU: windows are closed on a thread for blocking work. A sink that takes
//! long makes the windows longer, never the load slower; their `from` and `to` tell.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::shared::SharedAggregate;
use super::summary::Summary;
use super::window::ClosedWindow;

/// What a sink knows about a cell from its start.
#[derive(Debug, Clone)]
pub struct CellFacts {
    /// `scenario[axis=value]`.
    pub cell: String,
    /// Its scenario.
    pub scenario: String,
    /// Its combination of the matrix.
    pub matrix: BTreeMap<String, String>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Its load model in words.
    pub load: String,
    /// Iterations that are asked for, as far as that is known before.
    pub planned: Option<u64>,
    /// The names of its steps, by [`StepIndex`](super::StepIndex).
    pub steps: Vec<String>,
    /// When it started, from the start of the run.
    pub started: Duration,
    /// Its figures, for who wants to look in between, and what is in flight.
    pub figures: SharedAggregate,
}

/// Gets the windows of every cell of a run. Of one cell they come one after the other and leave no
/// gap; those of different cells mix.
pub trait SampleSink: Send {
    /// A cell starts.
    fn on_cell(&mut self, _cell: &CellFacts) {}

    /// A window of a cell is closed. The last one of a cell says so.
    fn on_window(&mut self, window: &ClosedWindow<'_>);

    /// The run is over.
    fn finish(&mut self, summary: &Summary);
}

/// The sinks of a run. Cheap to clone.
#[derive(Clone, Default)]
pub struct Sinks(Arc<Mutex<Vec<Box<dyn SampleSink>>>>);

impl fmt::Debug for Sinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sinks").finish_non_exhaustive()
    }
}

impl Sinks {
    /// Adds one.
    pub fn add(&self, sink: impl SampleSink + 'static) {
        let mut sinks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sinks.push(Box::new(sink));
    }

    /// Tells all of them. Blocks as long as they do.
    pub(crate) fn tell(&self, what: impl Fn(&mut dyn SampleSink)) {
        let mut sinks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for sink in sinks.iter_mut() {
            what(sink.as_mut());
        }
    }
}
