//! [`Recorder`]: where one VU writes its samples.
//!
//! A buffer that grows to what an iteration needs and no further than [`CAPACITY`]: recording is a
//! write to memory. [`Recorder::hand_over`], called between
//! iterations, empties it into the cell's [`Aggregate`]; when that is busy the VU does not wait but
//! keeps its samples, until the buffer is full.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::metric::Metric;
use super::shared::SharedAggregate;
use super::track::Track;

/// The place of a step among the cell's steps, groups and their steps counted in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StepIndex(pub u16);

/// One measured value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) metric: Metric,
    pub(super) step: Option<StepIndex>,
    pub(super) value: Value,
}

/// What was measured.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value {
    Time(Duration),
    Count(u64),
}

/// Whether what is recorded counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Figures {
    /// It does.
    #[default]
    Counted,
    /// It does not: warm-up. Only the number of such iterations is kept.
    LeftOut,
}

/// How many samples are kept before they must be handed over: a few iterations' worth.
const CAPACITY: usize = 512;

/// The samples of one VU.
#[derive(Debug)]
pub struct Recorder {
    buffer: Vec<Sample>,
    aggregate: SharedAggregate,
    /// That of the level of a `breakpoint`, beside the cell's.
    level: Option<SharedAggregate>,
    figures: Figures,
    track: Arc<Track>,
    /// Whether it is the one that gives the track back.
    owns_track: bool,
}

impl Recorder {
    /// A recorder for a cell.
    pub fn new(aggregate: SharedAggregate) -> Self {
        Self {
            buffer: Vec::new(),
            track: aggregate.track(),
            aggregate,
            level: None,
            figures: Figures::Counted,
            owns_track: true,
        }
    }

    /// What is recorded from now on also counts for this level of a `breakpoint`, and for no earlier
    /// one.
    pub fn begin_level(&mut self, level: SharedAggregate) {
        self.flush();
        self.level = Some(level);
    }

    /// A recorder for what runs beside this one in the same iteration.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self {
            buffer: Vec::new(),
            aggregate: self.aggregate.clone(),
            level: self.level.clone(),
            figures: self.figures,
            track: Arc::clone(&self.track),
            owns_track: false,
        }
    }

    /// An iteration is under way from now on; it was due at `since`.
    pub fn enter(&mut self, iteration: u64, since: Instant) {
        self.aggregate.enter(&self.track, iteration, since);
    }

    /// The iteration is over.
    pub fn leave(&mut self) {
        self.aggregate.leave(&self.track);
    }

    /// The step that the iteration is at; none while it is cleaned up after.
    pub fn at(&self, step: Option<StepIndex>) {
        self.track.at(step);
    }

    /// A new iteration begins.
    pub fn begin(&mut self, figures: Figures) {
        self.figures = Figures::Counted;
        if figures == Figures::LeftOut {
            self.count(Metric::WarmupIterations, None, 1);
        }
        self.figures = figures;
    }

    /// Records a duration.
    pub fn time(&mut self, metric: Metric, step: Option<StepIndex>, duration: Duration) {
        self.push(Sample {
            metric,
            step,
            value: Value::Time(duration),
        });
    }

    /// Adds to a counter.
    pub fn count(&mut self, metric: Metric, step: Option<StepIndex>, count: u64) {
        self.push(Sample {
            metric,
            step,
            value: Value::Count(count),
        });
    }

    fn push(&mut self, sample: Sample) {
        if self.figures == Figures::LeftOut {
            return;
        }
        if self.buffer.len() == CAPACITY {
            self.flush();
        }
        self.buffer.push(sample);
    }

    /// Empties the buffer into the cell's histograms, unless another VU is doing so just now and
    /// there is still room.
    pub fn hand_over(&mut self) {
        let must = self.buffer.len() > CAPACITY / 2;
        if !self.try_hand_over() && must {
            self.flush();
        }
    }

    /// Whether nobody else was there.
    fn try_hand_over(&mut self) -> bool {
        let Some(mut cell) = self.aggregate.try_open() else {
            return false;
        };
        if let Some(level) = &self.level {
            let Some(mut level) = level.try_open() else {
                return false;
            };
            level.take(&self.buffer);
        }
        cell.take(&self.buffer);
        self.buffer.clear();
        true
    }

    /// Empties the buffer into the cell's histograms and waits for them; for the end of a level or of
    /// a cell.
    pub fn flush(&mut self) {
        self.aggregate.open().take(&self.buffer);
        if let Some(level) = &self.level {
            level.open().take(&self.buffer);
        }
        self.buffer.clear();
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.flush();
        if self.owns_track {
            self.aggregate.give_back(&self.track);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_sample_is_lost_however_full_the_buffer() {
        let aggregate = SharedAggregate::default();
        let mut recorder = Recorder::new(aggregate.clone());
        for index in 0..2_000_u64 {
            recorder.time(
                Metric::ExecDuration,
                Some(StepIndex(1)),
                Duration::from_micros(index),
            );
            recorder.count(Metric::Iterations, None, 1);
        }
        drop(recorder);
        let aggregate = aggregate.lock();
        assert_eq!(aggregate.trend(Metric::ExecDuration).count(), 2_000);
        assert_eq!(aggregate.counter(Metric::Iterations), 2_000);
    }

    #[test]
    fn a_busy_aggregate_is_not_waited_for_while_there_is_room() {
        let aggregate = SharedAggregate::default();
        let mut recorder = Recorder::new(aggregate.clone());
        let busy = aggregate.open();
        recorder.count(Metric::Iterations, None, 1);
        recorder.hand_over();
        assert_eq!(busy.counter(Metric::Iterations), 0);
        drop(busy);
        recorder.hand_over();
        assert_eq!(aggregate.lock().counter(Metric::Iterations), 1);
    }

    #[test]
    fn a_warm_up_is_counted_and_its_figures_are_left_out() {
        let aggregate = SharedAggregate::default();
        let mut recorder = Recorder::new(aggregate.clone());
        for figures in [Figures::LeftOut, Figures::LeftOut, Figures::Counted] {
            recorder.begin(figures);
            recorder.time(Metric::ExecDuration, None, Duration::from_secs(1));
        }
        drop(recorder);
        let aggregate = aggregate.lock();
        assert_eq!(aggregate.counter(Metric::WarmupIterations), 2);
        assert_eq!(aggregate.trend(Metric::ExecDuration).count(), 1);
    }

    #[test]
    fn whoever_reads_the_figures_does_not_make_a_recorder_wait() {
        let aggregate = SharedAggregate::default();
        let mut recorder = Recorder::new(aggregate.clone());
        let reader = aggregate.lock();
        for _ in 0..CAPACITY * 3 {
            recorder.count(Metric::Iterations, None, 1);
        }
        recorder.hand_over();
        assert_eq!(reader.counter(Metric::Iterations), 0);
        drop(reader);
        let all = CAPACITY as u64 * 3;
        assert_eq!(aggregate.lock().counter(Metric::Iterations), all);
    }

    #[test]
    fn after_the_first_iteration_recording_does_not_allocate() {
        let mut recorder = Recorder::new(SharedAggregate::default());
        let mut iteration = || {
            for _ in 0..20 {
                recorder.time(Metric::StepDuration, None, Duration::from_millis(1));
            }
            recorder.hand_over();
            recorder.buffer.capacity()
        };
        let first = iteration();
        assert!(first < 40, "{first}");
        assert!((0..1000).all(|_| iteration() == first));
    }

    #[test]
    fn what_is_recorded_in_a_level_counts_for_that_level_and_for_the_cell() {
        let [cell, first, second] = std::array::from_fn(|_| SharedAggregate::default());
        let mut recorder = Recorder::new(cell.clone());
        let mut count = |level: &SharedAggregate, times| {
            recorder.begin_level(level.clone());
            for _ in 0..times {
                recorder.count(Metric::Iterations, None, 1);
            }
        };
        count(&first, 3);
        count(&second, 600);
        drop(recorder);
        let counted = [&cell, &first, &second].map(|all| all.lock().counter(Metric::Iterations));
        assert_eq!(counted, [603, 3, 600]);
    }
}
