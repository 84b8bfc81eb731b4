//! Drives an [`Open`] model: each arrival is a task of its own, begun when it is due, whatever became of
//! those before it.
//!
//! There is no pool of VUs to run out of: an arrival beyond `maxInFlight` is dropped and counted, never
//! queued. Recorders are handed from iteration to iteration, without a lock.

use std::sync::Arc;

use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::cancel::Cancel;
use super::cell::CellRun;
use super::error::EngineError;
use super::pacer::Pacer;
use super::stop::Stop;
use crate::load::{LoadModel, Open};
use crate::metrics::Recorder;

/// The stream of randomness of the arrivals: none that an iteration, or a cell's set-up, has.
const ARRIVALS: u64 = u64::MAX - 1;

/// A place for one iteration at a time: its number and its recorder.
struct Slot {
    number: u32,
    recorder: Recorder,
}

/// The iterations in flight, and the slots that are free.
struct InFlight {
    run: Arc<CellRun>,
    tasks: JoinSet<Slot>,
    free: Vec<Slot>,
    slots: u32,
    most: u32,
    /// Counts what is dropped.
    recorder: Recorder,
    abort: CancellationToken,
}

/// Runs every arrival until the model is over or the run is stopped.
pub(super) async fn drive(
    run: &Arc<CellRun>,
    open: &Open,
    cancel: &Cancel,
) -> Result<(), EngineError> {
    let mut stop = Stop::new(cancel.clone(), run.cell.load.graceful_stop);
    let seed = run.seed.stream(&run.cell.name, ARRIVALS);
    let pacer = Pacer::default();
    let mut pacing = JoinSet::new();
    let (thread, shared) = (pacer.clone(), Arc::clone(run));
    pacing.spawn_blocking(move || {
        if let LoadModel::Open(open) = &shared.cell.load.model {
            thread.pace(shared.started, open.arrivals(seed));
        }
    });
    let mut flight = InFlight {
        run: Arc::clone(run),
        tasks: JoinSet::new(),
        free: Vec::new(),
        slots: 0,
        most: open.max_in_flight,
        recorder: Recorder::new(run.aggregate()),
        abort: stop.abort.clone(),
    };
    let mut arrivals = open.arrivals(seed);
    let mut begun = 0;
    let mut over = false;
    let mut failed: Option<EngineError> = None;
    while failed.is_none() {
        if over && flight.tasks.is_empty() {
            break;
        }
        tokio::select! {
            () = stop.changed() => {
                pacer.stop();
                over = true;
            }
            Some(joined) = flight.tasks.join_next() => {
                failed = flight.ended(joined).err();
            }
            () = pacer.woken(), if !over => {
                // In this order: what is due before the end is then seen.
                let ended = pacer.is_over();
                let due = pacer.due();
                if run.is_over() {
                    pacer.stop();
                    over = true;
                    continue;
                }
                while begun < due
                    && !run.is_over()
                    && let Some(offset) = arrivals.next()
                {
                    begun += 1;
                    failed = flight.arrive(run.started + offset).err();
                    if failed.is_some() {
                        break;
                    }
                }
                if ended {
                    over = true;
                    if open.iterations.is_none() {
                        stop.drain();
                    }
                }
            }
        }
    }
    pacer.stop();
    stop.abort.cancel();
    while pacing.join_next().await.is_some() {}
    run.set_most(flight.slots);
    failed.map_or(Ok(()), Err)
}

impl InFlight {
    fn ended(&mut self, joined: Result<Slot, JoinError>) -> Result<(), EngineError> {
        let slot = joined.map_err(|error| self.run.panicked(&error))?;
        self.free.push(slot);
        Ok(())
    }

    fn arrive(&mut self, planned: Instant) -> Result<(), EngineError> {
        while let Some(joined) = self.tasks.try_join_next() {
            self.ended(joined)?;
        }
        let iteration = self.run.begin();
        let Some(mut slot) = self.slot() else {
            self.run.drop_one(&mut self.recorder, (iteration, planned));
            return Ok(());
        };
        let (run, abort) = (Arc::clone(&self.run), self.abort.clone());
        self.tasks.spawn(async move {
            let number = (iteration, slot.number);
            run.iterate(number, planned, &mut slot.recorder, &abort)
                .await;
            slot
        });
        Ok(())
    }

    fn slot(&mut self) -> Option<Slot> {
        if let Some(slot) = self.free.pop() {
            return Some(slot);
        }
        if self.slots == self.most {
            return None;
        }
        let number = self.slots;
        self.slots += 1;
        Some(Slot {
            number,
            recorder: Recorder::new(self.run.aggregate()),
        })
    }
}
