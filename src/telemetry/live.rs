//! [`Figures`]: gets the closed windows of a run and has the figures so far sent now and then.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::points::CellSeries;
use super::worker::Order;
use crate::metrics::{Aggregate, ClosedWindow, SampleSink, Summary};

/// How often figures are sent while the run goes on.
const INTERVAL: Duration = Duration::from_secs(15);
/// Google takes points of a series no faster.
pub(super) const GOOGLES_INTERVAL: Duration = Duration::from_secs(10);

/// When figures were sent last. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Live(Arc<Mutex<Option<Instant>>>);

impl Live {
    pub(super) fn last(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, at: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
    }
}

/// The figures so far of a cell.
#[derive(Debug)]
struct Cell {
    scenario: String,
    matrix: BTreeMap<String, String>,
    steps: Vec<String>,
    figures: Aggregate,
    in_flight: Option<u64>,
}

/// Adds windows up, as OTLP wants figures from the start of the run.
#[derive(Debug)]
pub(super) struct Figures {
    orders: mpsc::Sender<Order>,
    live: Live,
    due: Instant,
    cells: BTreeMap<String, Cell>,
}

impl Figures {
    pub(super) fn new(orders: mpsc::Sender<Order>, live: Live) -> Self {
        Self {
            orders,
            live,
            due: Instant::now() + INTERVAL,
            cells: BTreeMap::new(),
        }
    }
}

impl SampleSink for Figures {
    fn on_window(&mut self, window: &ClosedWindow<'_>) {
        let facts = window.cell;
        let cell = self
            .cells
            .entry(facts.cell.clone())
            .or_insert_with(|| Cell {
                scenario: facts.scenario.clone(),
                matrix: facts.matrix.clone(),
                steps: facts.steps.clone(),
                figures: Aggregate::default(),
                in_flight: None,
            });
        cell.figures.merge(&window.series);
        cell.in_flight = (!window.last).then_some(window.in_flight);
        let now = Instant::now();
        if now < self.due {
            return;
        }
        self.due = now + INTERVAL;
        let cells = self.cells.iter().map(|(name, cell)| CellSeries {
            scenario: cell.scenario.clone(),
            cell: name.clone(),
            matrix: cell.matrix.clone(),
            metrics: cell.figures.metrics(&cell.steps),
            in_flight: cell.in_flight,
        });
        // Without room for an order, the next figures have these in them: they are sums.
        if self
            .orders
            .try_send(Order::Figures(cells.collect()))
            .is_ok()
        {
            self.live.set(now);
        }
    }

    fn finish(&mut self, _summary: &Summary) {}
}
