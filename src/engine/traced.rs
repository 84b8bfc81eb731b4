//! [`Traced`]: what the spans of a cell's iterations say.

use std::sync::Arc;

use crate::plan::Cell;
use crate::trace::CellTracer;

/// A cell whose iterations are traced.
#[derive(Debug)]
pub(super) struct Traced {
    pub(super) by: Arc<dyn CellTracer>,
    /// What the roots say of the cell.
    pub(super) scenario: Arc<str>,
    pub(super) cell: Arc<str>,
    /// The names of the steps, in their order.
    pub(super) steps: Vec<Arc<str>>,
}

impl Traced {
    pub(super) fn new(by: Arc<dyn CellTracer>, cell: &Cell) -> Self {
        Self {
            by,
            scenario: cell.scenario.as_str().into(),
            cell: cell.name.as_str().into(),
            steps: cell.step_names().into_iter().map(Arc::from).collect(),
        }
    }
}
