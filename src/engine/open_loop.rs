//! Drives an [`Open`] model: begins its arrivals when they are due, then waits for what is in flight.

use std::sync::Arc;

use super::cancel::Cancel;
use super::cell::CellRun;
use super::error::EngineError;
use super::flight::{Flight, Schedule};
use super::stop::Stop;
use crate::load::Open;

/// Runs every arrival until the model is over or the run is stopped.
pub(super) async fn drive(
    run: &Arc<CellRun>,
    open: &Open,
    cancel: &Cancel,
) -> Result<(), EngineError> {
    let mut stop = Stop::new(cancel.clone(), run.cell.load.graceful_stop);
    let mut flight = Flight::new(run, open.max_in_flight, stop.abort.clone());
    let schedule = Schedule {
        open,
        seed: run.seed.of_arrivals(&run.cell.name),
        begins: run.started,
        figures: &|iteration, offset| run.figures(iteration, run.started + offset),
    };
    let ended = to_the_end(&mut flight, schedule, &mut stop).await;
    stop.abort.cancel();
    run.set_most(flight.peak());
    ended
}

async fn to_the_end(
    flight: &mut Flight,
    schedule: Schedule<'_>,
    stop: &mut Stop,
) -> Result<(), EngineError> {
    let (iterations, end) = (schedule.open.iterations, schedule.open.rate.end());
    let begins = schedule.begins;
    flight.pace(schedule, stop).await?;
    // A number of iterations ends with the last of them, a duration by itself.
    if let (None, Some(end)) = (iterations, end)
        && !flight.is_over()
    {
        flight.until(begins + end, stop).await?;
        stop.drain();
    }
    flight.drained(None, stop).await
}
