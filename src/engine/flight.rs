//! [`Flight`]: the iterations of an open model in flight. Each arrival is a task of its own, begun when
//! it is due, whatever became of those before it.
//!
//! There is no pool of VUs to run out of: an arrival beyond `maxInFlight` is dropped and counted, never
//! queued. Recorders are handed from iteration to iteration, without a lock.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::cell::CellRun;
use super::error::EngineError;
use super::pacer::Pacer;
use super::stop::Stop;
use crate::load::Open;
use crate::metrics::{Figures, Recorder, SharedAggregate};

/// A place for one iteration at a time: its number and its recorder.
struct Slot {
    number: u32,
    recorder: Recorder,
    /// The level that its recorder records.
    level: usize,
}

/// The iterations in flight, and the slots that are free.
pub(super) struct Flight {
    run: Arc<CellRun>,
    tasks: JoinSet<Slot>,
    free: Vec<Slot>,
    slots: u32,
    most: u32,
    /// Counts what is dropped.
    recorder: Recorder,
    abort: CancellationToken,
    /// Of a `breakpoint`: how many levels have begun, and the figures of the last.
    level: (usize, Option<SharedAggregate>),
}

/// The arrivals of a model: where they begin, and which of them count.
pub(super) struct Schedule<'a> {
    pub(super) open: &'a Open,
    pub(super) seed: u64,
    pub(super) begins: Instant,
    /// Whether an arrival counts, by its number in the cell and its offset from the begin.
    pub(super) figures: &'a (dyn Fn(u64, Duration) -> Figures + Send + Sync),
}

impl Flight {
    pub(super) fn new(run: &Arc<CellRun>, most: u32, abort: CancellationToken) -> Self {
        Self {
            run: Arc::clone(run),
            tasks: JoinSet::new(),
            free: Vec::new(),
            slots: 0,
            most,
            recorder: Recorder::new(run.aggregate()),
            abort,
            level: (0, None),
        }
    }

    /// How many iterations are in flight.
    pub(super) fn in_flight(&self) -> u64 {
        self.tasks.len() as u64
    }

    /// Whether no further iteration begins, whatever the load model says.
    pub(super) fn is_over(&self) -> bool {
        self.run.is_over()
    }

    /// The most that there were at a time.
    pub(super) fn peak(&self) -> u32 {
        self.slots
    }

    /// Iterations that begin from now on are recorded in this level too.
    pub(super) fn begin_level(&mut self, figures: &SharedAggregate) {
        self.level = (self.level.0 + 1, Some(figures.clone()));
        self.recorder.begin_level(figures.clone());
        for slot in &mut self.free {
            slot.recorder.begin_level(figures.clone());
            slot.level = self.level.0;
        }
    }

    /// Hands over what the recorders of ended iterations still keep.
    pub(super) fn flush(&mut self) {
        self.recorder.flush();
        for slot in &mut self.free {
            slot.recorder.flush();
        }
    }

    /// Begins every arrival when it is due, until the model is over or the run is stopped; does not
    /// wait for their end.
    pub(super) async fn pace(
        &mut self,
        schedule: Schedule<'_>,
        stop: &mut Stop,
    ) -> Result<(), EngineError> {
        let pacer = Pacer::default();
        let mut pacing = JoinSet::new();
        let arrivals = (schedule.open.clone(), schedule.seed);
        pacer.start(&mut pacing, self.run.pacing, arrivals, schedule.begins);
        let paced = self.begin_due(&schedule, &pacer, stop).await;
        pacer.stop();
        while pacing.join_next().await.is_some() {}
        paced
    }

    async fn begin_due(
        &mut self,
        schedule: &Schedule<'_>,
        pacer: &Pacer,
        stop: &mut Stop,
    ) -> Result<(), EngineError> {
        let mut arrivals = schedule.open.arrivals(schedule.seed);
        let mut begun = 0;
        let mut over = stop.is_draining();
        while !over {
            tokio::select! {
                () = stop.changed() => over = true,
                Some(joined) = self.tasks.join_next() => self.ended(joined)?,
                () = pacer.woken() => {
                    // In this order: what is due before the end is then seen.
                    over = pacer.is_over();
                    let due = pacer.due();
                    while begun < due
                        && !self.run.is_over()
                        && let Some(offset) = arrivals.next()
                    {
                        begun += 1;
                        self.arrive(schedule, offset)?;
                    }
                    over |= self.run.is_over();
                }
            }
        }
        Ok(())
    }

    /// Waits until a time, or until the run is stopped.
    pub(super) async fn until(&mut self, at: Instant, stop: &mut Stop) -> Result<(), EngineError> {
        while !stop.is_draining() {
            tokio::select! {
                () = tokio::time::sleep_until(at) => break,
                () = stop.changed() => {}
                Some(joined) = self.tasks.join_next() => self.ended(joined)?,
            }
        }
        Ok(())
    }

    /// Waits until nothing is in flight; at most as long as `limit`, if there is one.
    pub(super) async fn drained(
        &mut self,
        limit: Option<Duration>,
        stop: &mut Stop,
    ) -> Result<(), EngineError> {
        let limit = async {
            match limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(limit);
        while !self.tasks.is_empty() {
            tokio::select! {
                () = stop.changed() => {}
                Some(joined) = self.tasks.join_next() => self.ended(joined)?,
                () = &mut limit => break,
            }
        }
        Ok(())
    }

    fn ended(&mut self, joined: Result<Slot, JoinError>) -> Result<(), EngineError> {
        let mut slot = joined.map_err(|error| self.run.panicked(&error))?;
        if let (level, Some(figures)) = &self.level
            && slot.level != *level
        {
            slot.recorder.begin_level(figures.clone());
            slot.level = *level;
        }
        self.free.push(slot);
        Ok(())
    }

    fn arrive(&mut self, schedule: &Schedule<'_>, offset: Duration) -> Result<(), EngineError> {
        while let Some(joined) = self.tasks.try_join_next() {
            self.ended(joined)?;
        }
        let planned = schedule.begins + offset;
        let iteration = self.run.begin();
        let figures = (schedule.figures)(iteration, offset);
        let Some(mut slot) = self.slot() else {
            self.recorder.begin(figures);
            self.run.drop_one(&mut self.recorder);
            return Ok(());
        };
        slot.recorder.begin(figures);
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
        let mut recorder = Recorder::new(self.run.aggregate());
        if let Some(figures) = &self.level.1 {
            recorder.begin_level(figures.clone());
        }
        Some(Slot {
            number,
            recorder,
            level: self.level.0,
        })
    }
}
