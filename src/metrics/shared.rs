//! [`SharedAggregate`]: the figures of one cell, which its VUs write and others read.
//!
//! ```text
//! Recorder ──hand over──► open ──swap──► spare ──add──► total, window
//! ```
//!
//! VUs know only `open`. Who reads swaps it for an emptied one, the time of a pointer, and adds what was
//! in it outside of that lock: a VU waits for nobody who counts, copies, encodes or writes.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use tokio::time::Instant;

use super::aggregate::Aggregate;
use super::track::{Track, UnderWay};

/// The figures of one cell. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct SharedAggregate(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    begin: Instant,
    /// What was handed over since somebody last looked.
    open: Mutex<Aggregate>,
    read: Mutex<Read>,
    /// One for each recorder that there is.
    tracks: Mutex<Vec<Arc<Track>>>,
    in_flight: AtomicU64,
    /// The most in flight since a window was closed.
    peak: AtomicU64,
}

#[derive(Debug, Default)]
struct Read {
    total: Aggregate,
    window: Aggregate,
    /// Emptied, for the next swap.
    spare: Aggregate,
}

/// Everything so far; nobody else can read meanwhile, and nobody who writes waits.
#[derive(Debug)]
pub struct Total<'a>(MutexGuard<'a, Read>);

/// What was added since a window was closed.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) series: Aggregate,
    pub(super) in_flight: u64,
    pub(super) in_flight_max: u64,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            begin: Instant::now(),
            open: Mutex::default(),
            read: Mutex::default(),
            tracks: Mutex::default(),
            in_flight: AtomicU64::new(0),
            peak: AtomicU64::new(0),
        }
    }
}

impl Deref for Total<'_> {
    type Target = Aggregate;

    fn deref(&self) -> &Aggregate {
        &self.0.total
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SharedAggregate {
    /// Everything that was handed over so far.
    pub fn lock(&self) -> Total<'_> {
        Total(self.read())
    }

    /// What is in flight, longest first.
    pub fn under_way(&self) -> Vec<UnderWay> {
        let now = self.0.begin.elapsed();
        let tracks = locked(&self.0.tracks).clone();
        let mut all: Vec<UnderWay> = tracks.iter().filter_map(|track| track.look(now)).collect();
        all.sort_by_key(|one| std::cmp::Reverse(one.age));
        all
    }

    /// How many iterations are in flight.
    pub fn in_flight(&self) -> u64 {
        self.0.in_flight.load(Ordering::Relaxed)
    }

    /// Ends a window and begins the next one.
    pub(super) fn close(&self) -> Closed {
        let series = std::mem::take(&mut self.read().window);
        let in_flight = self.in_flight();
        let peak = self.0.peak.swap(in_flight, Ordering::Relaxed);
        Closed {
            series,
            in_flight,
            in_flight_max: peak.max(in_flight),
        }
    }

    /// Gives back the memory that only writing needs; for the end of a cell.
    pub fn seal(&self) {
        let mut read = self.read();
        read.spare = Aggregate::default();
        *self.open() = Aggregate::default();
    }

    fn read(&self) -> MutexGuard<'_, Read> {
        let mut guard = locked(&self.0.read);
        let read = &mut *guard;
        std::mem::swap(&mut *self.open(), &mut read.spare);
        read.total.merge(&read.spare);
        read.window.merge(&read.spare);
        read.spare.clear();
        guard
    }

    pub(super) fn open(&self) -> MutexGuard<'_, Aggregate> {
        locked(&self.0.open)
    }

    pub(super) fn try_open(&self) -> Option<MutexGuard<'_, Aggregate>> {
        match self.0.open.try_lock() {
            Ok(aggregate) => Some(aggregate),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// A track for a new recorder.
    pub(super) fn track(&self) -> Arc<Track> {
        let track = Arc::new(Track::default());
        locked(&self.0.tracks).push(Arc::clone(&track));
        track
    }

    pub(super) fn give_back(&self, track: &Arc<Track>) {
        self.leave(track);
        locked(&self.0.tracks).retain(|known| !Arc::ptr_eq(known, track));
    }

    pub(super) fn enter(&self, track: &Track, iteration: u64, since: Instant) {
        track.enter(iteration, since.saturating_duration_since(self.0.begin));
        let in_flight = self.0.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        self.0.peak.fetch_max(in_flight, Ordering::Relaxed);
    }

    pub(super) fn leave(&self, track: &Track) {
        if track.leave() {
            self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::metric::Metric;
    use super::super::recorder::{Recorder, StepIndex};
    use super::*;

    #[test]
    fn windows_add_up_to_the_whole_and_looking_in_between_changes_nothing() {
        let shared = SharedAggregate::default();
        let mut recorder = Recorder::new(shared.clone());
        let mut sum = Aggregate::default();
        for window in 1..=5_u64 {
            for sample in 0..window * 10 {
                let time = Duration::from_micros(sample * window);
                recorder.time(Metric::ExecDuration, Some(StepIndex(0)), time);
                recorder.count(Metric::Iterations, None, 1);
                recorder.hand_over();
                if sample % 7 == 0 {
                    assert!(shared.lock().counter(Metric::Iterations) > 0);
                }
            }
            let closed = shared.close();
            assert_eq!(closed.series.counter(Metric::Iterations), window * 10);
            sum.merge(&closed.series);
        }
        let total = shared.lock();
        let shape = |of: &Aggregate| {
            let all = of.trend(Metric::ExecDuration);
            all.values().collect::<Vec<_>>()
        };
        assert_eq!(shape(&sum), shape(&total));
        assert_eq!(total.counter(Metric::Iterations), 150);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_in_flight_is_known_with_its_step_and_its_age() {
        let shared = SharedAggregate::default();
        let mut one = Recorder::new(shared.clone());
        let mut other = Recorder::new(shared.clone());
        one.enter(4, Instant::now());
        one.at(Some(StepIndex(2)));
        tokio::time::advance(Duration::from_secs(3)).await;
        other.enter(5, Instant::now());
        let ages = |shared: &SharedAggregate| {
            let all = shared.under_way();
            let shown = all
                .iter()
                .map(|one| (one.iteration, one.age.as_secs(), one.step));
            shown.collect::<Vec<_>>()
        };
        assert_eq!(ages(&shared), [(4, 3, Some(StepIndex(2))), (5, 0, None)]);
        one.leave();
        assert_eq!(ages(&shared), [(5, 0, None)]);
        let closed = shared.close();
        assert_eq!((closed.in_flight, closed.in_flight_max), (1, 2));
        // A VU that is gone is in flight no more, whatever became of it.
        drop(other);
        assert_eq!((ages(&shared).len(), shared.in_flight()), (0, 0));
        assert_eq!(shared.close().in_flight_max, 1);
    }
}
